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
  if ! certificate-is-whole.sh candidate.pem; then
    complain "issued.pem is not a valid certificate with its key"
  elif ! nginx -t -q 2>/tmp/refusal; then
    complain "nginx refuses its configuration, and so no new certificate is taken: $(refusal)"
  else
    serve
  fi
}

watch() {
  while sleep 2; do
    touch /tmp/watching
    # A full disk, for one, must not end the watch.
    look || say ERROR "the new certificate cannot be looked at, and is looked at again"
  done
}

touch /tmp/watching
watch &
