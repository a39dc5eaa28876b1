#!/bin/sh
# Healthy: port 80 redirects, TLS works on port 443, and the certificate watcher runs. Independent of web: nginx serves
# the maintenance page without it.
set -eu
name=${DOMAIN%%,*}

status=$(curl -s -o /dev/null -w '%{http_code}' --max-time 2 -H "Host: $name" http://127.0.0.1:8080/) || true
[ "$status" = 301 ] || { echo "port 80 answers $status instead of 301"; exit 1; }
openssl s_client -connect 127.0.0.1:8443 -servername "$name" </dev/null >/dev/null 2>&1 ||
  { echo "TLS handshake on port 443 failed"; exit 1; }
[ -n "$(find /tmp/watching -newermt '-2 minutes')" ] || { echo "the certificate watcher is not running"; exit 1; }
