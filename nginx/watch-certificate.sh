#!/bin/sh
# Serves a new certificate within seconds: only one that is whole, and only when nginx accepts its configuration.
set -eu
cd /certificates

say() {
  printf '{"time":"%s","level":"%s","logger":"nginx.certificate","message":"%s"}\n' \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$(printf %s "$2" | tr -d '\\"' | tr '\n' ' ')"
}

# Puts the former one back where nginx would not start with the new one, or cannot be told.
serve() {
  (umask 077 && cp issued.pem candidate.pem) && certificate-is-whole.sh candidate.pem || return
  cp served.pem previous.pem && mv candidate.pem served.pem || return
  if ! { nginx -t -q && kill -HUP "$(cat /tmp/nginx.pid)"; }; then
    mv previous.pem served.pem
    return 1
  fi
}

watch() {
  while sleep 2; do
    touch /tmp/watching
    if [ ! -e issued.pem ] || cmp -s issued.pem served.pem; then continue; fi
    if why=$(serve 2>&1); then
      say INFO "now serving the certificate with $(openssl x509 -in served.pem -noout -serial)"
    else
      say ERROR "the new certificate is not served, the one that works stays: ${why:-it is not a valid one with its key}"
      sleep 8
    fi
  done
}

touch /tmp/watching
watch &
