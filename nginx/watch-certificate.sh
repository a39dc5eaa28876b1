#!/bin/sh
# Serves a new certificate within seconds: only one that is whole, and only when nginx accepts its configuration.
set -eu
cd /certificates

say() {
  printf '{"time":"%s","level":"%s","logger":"nginx.certificate","message":"%s"}\n' \
    "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$2"
}

is_whole() {
  openssl x509 -in "$1" -noout -checkend 0 >/dev/null 2>&1 &&
    [ "$(openssl x509 -in "$1" -noout -pubkey)" = "$(openssl pkey -in "$1" -pubout 2>/dev/null)" ]
}

serve() {
  cp served.pem previous.pem
  mv candidate.pem served.pem
  if reason=$(nginx -t -q 2>&1); then
    kill -HUP "$(cat /tmp/nginx.pid)"
    say INFO "now serving the certificate with $(openssl x509 -in served.pem -noout -serial)"
  else
    mv previous.pem served.pem
    say ERROR "nginx refuses its configuration, so the certificate stays: $(echo "$reason" | tr -d '\\"' | tr '\n' ' ')"
    sleep 50
  fi
}

watch() {
  refused=
  while sleep 5; do
    touch /tmp/watching
    if [ -e issued.pem ] && ! cmp -s issued.pem served.pem; then
      (umask 077 && cp issued.pem candidate.pem)
      if is_whole candidate.pem; then
        serve
      elif [ "$refused" != "$(cksum candidate.pem)" ]; then
        refused=$(cksum candidate.pem)
        say ERROR "issued.pem is not a valid certificate with its key: the one that works stays"
      fi
    fi
  done
}

touch /tmp/watching
watch &
