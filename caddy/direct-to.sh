#!/bin/sh
# Routes new requests only to the containers with this name, `web` being all: `direct-to.sh NAME`. The Caddyfile reads the
# name for each request; those in flight are not affected.
set -eu
if [ "$1" = "$(cat /tmp/web)" ]; then
  exit 0
fi
echo "$1" > /tmp/web.next
mv /tmp/web.next /tmp/web
echo "directed to $1"
