#!/bin/sh
# Checks the settings, and derives what a Caddyfile cannot, before Caddy starts.
set -eu

fail() {
  echo "Caddy cannot start: $1" >&2
  exit 1
}

# They become part of the Caddyfile, so only safe characters are allowed.
case "$DOMAIN" in
  '' | *[!A-Za-z0-9.,-]*) fail "DOMAIN is not a comma-separated list of host names: $DOMAIN" ;;
esac
case "$TRUSTED_PROXIES" in
  *[!0-9A-Fa-f.:/,]*) fail "TRUSTED_PROXIES is not a comma-separated list of addresses or networks: $TRUSTED_PROXIES" ;;
esac
case "$UPLOAD_LIMIT_MB$SECURE_HSTS_SECONDS$HTTPS_PORT" in
  *[!0-9]*) fail "not whole numbers: UPLOAD_LIMIT_MB=$UPLOAD_LIMIT_MB, SECURE_HSTS_SECONDS=$SECURE_HSTS_SECONDS, HTTPS_PORT=$HTTPS_PORT" ;;
esac
case "$LETSENCRYPT_EMAIL$ACME_DIRECTORY" in
  *[!-A-Za-z0-9@.:/_+%?=\&~]*) fail "LETSENCRYPT_EMAIL or ACME_DIRECTORY has a character that neither should have: $LETSENCRYPT_EMAIL, $ACME_DIRECTORY" ;;
esac
[ -z "${SITE_PASSWORD:-}" ] || fail "SITE_PASSWORD is set, which only nginx asks for: use docker-compose.staging.yml"

NAMES=$(echo "$DOMAIN" | tr ',A-Z' ' a-z')
PROXIES=$(echo "$TRUSTED_PROXIES" | tr ',' ' ')
UPLOAD_BYTES=$((UPLOAD_LIMIT_MB * 1048576))
HSTS="max-age=$SECURE_HSTS_SECONDS; includeSubDomains"
case "$SECURE_HSTS_PRELOAD" in
  [Tt]rue | [Yy]es | [Oo]n | 1) HSTS="$HSTS; preload" ;;
esac
export NAMES PROXIES UPLOAD_BYTES HSTS

echo web > /tmp/web
exec "$@"
