#!/bin/sh
# Serves a new certificate within seconds: only one that is whole, and only when nginx accepts its configuration.
set -eu
cd /certificates
complained=

say() {
  printf '{"time":"%s","level":"%s","logger":"nginx.certificate","message":"%s"}\n' \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$2"
}

# Once for each certificate, however often it is looked at.
complain() {
  what="$(cksum < candidate.pem) ${1%%:*}"
  [ "$what" = "$complained" ] || say ERROR "$(printf %s "$1" | tr -d '\\"' | tr '\n' ' '): the one that works stays"
  complained=$what
}

is_whole() {
  openssl x509 -in "$1" -noout -checkend 0 >/dev/null 2>&1 &&
    [ "$(openssl x509 -in "$1" -noout -pubkey)" = "$(openssl pkey -in "$1" -pubout 2>/dev/null)" ]
}

# What nginx -t said first, which is what is wrong.
refusal() {
  sed 's/.*\[emerg\] \([0-9]*#[0-9]*: \)*//; q' /tmp/refusal
}

# Puts it back where nginx would not start with it, or cannot be told.
serve() {
  cp served.pem previous.pem && mv candidate.pem served.pem || return
  if nginx -t -q 2>/tmp/refusal && kill -HUP "$(cat /tmp/nginx.pid)"; then
    say INFO "now serving the certificate with $(openssl x509 -in served.pem -noout -serial)"
  else
    cp served.pem candidate.pem
    mv previous.pem served.pem
    complain "nginx refuses the new certificate: $(refusal)"
  fi
}

look() {
  [ -e issued.pem ] || return 0
  ! cmp -s issued.pem served.pem || return 0
  (umask 077 && cp issued.pem candidate.pem) || return
  if ! is_whole candidate.pem; then
    complain "issued.pem is not a valid certificate with its key"
  elif ! nginx -t -q 2>/tmp/refusal; then
    complain "nginx refuses its configuration, and so no new certificate is taken: $(refusal)"
  else
    serve
  fi
}

watch() {
  while sleep 5; do
    touch /tmp/watching
    # A full disk, for one, must not end the watch.
    look || say ERROR "the new certificate cannot be looked at, and is looked at again"
  done
}

touch /tmp/watching
watch &
