#!/bin/sh
# Healthy: port 80 redirects, port 443 shakes hands, and somebody looks for new certificates. Not a word about web,
# whose absence nginx is there to explain.
set -eu
name=${DOMAIN%%,*}

status=$(curl -s -o /dev/null -w '%{http_code}' --max-time 2 -H "Host: $name" http://127.0.0.1:8080/) || true
[ "$status" = 301 ] || { echo "port 80 answers $status"; exit 1; }
openssl s_client -connect 127.0.0.1:8443 -servername "$name" </dev/null >/dev/null 2>&1 ||
  { echo "port 443 shakes no hands"; exit 1; }
[ -n "$(find /tmp/watching -newermt '-2 minutes')" ] || { echo "nobody looks for new certificates"; exit 1; }
