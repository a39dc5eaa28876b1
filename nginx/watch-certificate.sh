#!/bin/sh
# Serves a new certificate within seconds, if it is complete and nginx accepts the configuration.
set -eu
cd /certificates

log() {
  printf '{"time":"%s","level":"%s","logger":"nginx.certificate","message":"%s"}\n' \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$(printf %s "$2" | tr -d '\\"' | tr '\n' ' ')"
}

# Restores the previous certificate if nginx rejects the new one or cannot be reloaded.
serve() {
  (umask 077 && cp issued.pem candidate.pem) && certificate-is-whole.sh candidate.pem || return
  cp served.pem previous.pem && mv candidate.pem served.pem || return
  if ! { nginx -t -q && kill -HUP "$(cat /tmp/nginx.pid)"; }; then
    mv previous.pem served.pem
    return 1
  fi
}

# After two months, so that a placeholder never ends while it is served.
renew_placeholder() {
  if [ -n "$(find served.pem -mtime +60)" ] && placeholder-certificate.sh && kill -HUP "$(cat /tmp/nginx.pid)"; then
    log INFO "now serving a new self-signed certificate"
  fi
}

watch() {
  while sleep 2; do
    touch /tmp/watching
    renew_placeholder
    if [ ! -e issued.pem ] || cmp -s issued.pem served.pem; then continue; fi
    if why=$(serve 2>&1); then
      log INFO "now serving the certificate with $(openssl x509 -in served.pem -noout -serial)"
    else
      log ERROR "the new certificate is rejected, the previous one stays: ${why:-it is expired or does not match its key}"
      sleep 8
    fi
  done
}

touch /tmp/watching
watch &
