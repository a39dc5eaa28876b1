#!/bin/sh
# Prepares a certificate, and the settings that a template cannot derive, before nginx starts.
set -eu

CERTIFICATES=/certificates

fail() {
  echo "nginx cannot start: $1 is not $2: $3" >&2
  exit 1
}

# They are written into the configuration, so only safe characters are allowed.
case "$DOMAIN" in
  '' | *[!A-Za-z0-9.,-]*) fail DOMAIN "a comma-separated list of host names" "$DOMAIN" ;;
esac
case "${TRUSTED_PROXIES:-}" in
  *[!0-9A-Fa-f.:/,]*) fail TRUSTED_PROXIES "a comma-separated list of addresses or networks" "$TRUSTED_PROXIES" ;;
esac
case "$UPLOAD_LIMIT_MB$SECURE_HSTS_SECONDS" in
  *[!0-9]*) fail "UPLOAD_LIMIT_MB or SECURE_HSTS_SECONDS" "a whole number" "$UPLOAD_LIMIT_MB, $SECURE_HSTS_SECONDS" ;;
esac

SERVER_NAMES=$(echo "$DOMAIN" | tr ',A-Z' ' a-z')
HSTS="max-age=$SECURE_HSTS_SECONDS; includeSubDomains"
case "${SECURE_HSTS_PRELOAD:-}" in
  [Tt]rue | [Yy]es | [Oo]n | 1) HSTS="$HSTS; preload" ;;
esac
REALM=off
if [ -n "${SITE_PASSWORD:-}" ]; then
  REALM=staging
  (umask 077 && printf 'staging:{PLAIN}%s\n' "$SITE_PASSWORD" > /etc/nginx/conf.d/visitors)
fi
export SERVER_NAMES HSTS REALM

for proxy in $(echo "${TRUSTED_PROXIES:-}" | tr ',' ' '); do
  echo "set_real_ip_from $proxy;"
done > /etc/nginx/conf.d/trusted-proxies.conf

# The last certificate that worked; on the first start a self-signed one.
served=$CERTIFICATES/served.pem
certificate-is-whole.sh $served || ! certificate-is-whole.sh $CERTIFICATES/previous.pem ||
  cp $CERTIFICATES/previous.pem $served
placeholder-certificate.sh || true

if [ "$*" != "nginx -g daemon off;" ]; then
  exec /docker-entrypoint.sh "$@"
fi
rm -f /tmp/errors
mkfifo -m 0600 /tmp/errors
log-errors.sh < /tmp/errors >&2 &
exec /docker-entrypoint.sh "$@" 2> /tmp/errors
