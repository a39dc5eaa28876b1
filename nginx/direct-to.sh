#!/bin/sh
# Routes new requests only to the containers with this name, `web` being all: `direct-to.sh NAME`. Requests in flight
# are not affected.
set -eu
cd /etc/nginx/conf.d

[ -e web.start ] || cp web.conf web.start
if [ "$1" = web ]; then
  cp web.start web.next
else
  sed "s/web:/$1:/" web.start > web.next
fi
if cmp -s web.next web.conf; then
  exit 0
fi
cp web.conf web.before
mv web.next web.conf
if ! nginx -t -q; then
  mv web.before web.conf
  exit 1
fi
kill -HUP "$(cat /tmp/nginx.pid)"
echo "directed to $1"
