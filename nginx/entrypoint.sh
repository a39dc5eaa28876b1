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
export SERVER_NAMES HSTS

for proxy in $(echo "${TRUSTED_PROXIES:-}" | tr ',' ' '); do
  echo "set_real_ip_from $proxy;"
done > /etc/nginx/conf.d/trusted-proxies.conf

is_placeholder_for_other_names() {
  openssl verify -CAfile "$1" "$1" >/dev/null 2>&1 &&
    ! openssl x509 -in "$1" -noout -checkhost "${SERVER_NAMES%% *}" | grep -q 'does match'
}

# The last certificate that worked; on the first start a self-signed one.
served=$CERTIFICATES/served.pem
certificate-is-whole.sh $served || ! certificate-is-whole.sh $CERTIFICATES/previous.pem ||
  cp $CERTIFICATES/previous.pem $served
if ! certificate-is-whole.sh $served || is_placeholder_for_other_names $served; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 3650 -subj "/CN=self-signed placeholder" \
    -addext "subjectAltName=DNS:$(echo "$SERVER_NAMES" | sed 's/ /,DNS:/g')" \
    -keyout /tmp/key.pem -out /tmp/certificate.pem 2>/dev/null
  (umask 077 && cat /tmp/certificate.pem /tmp/key.pem > $CERTIFICATES/served.partial)
  mv $CERTIFICATES/served.partial $served
  rm /tmp/key.pem /tmp/certificate.pem
fi

exec /docker-entrypoint.sh "$@"
