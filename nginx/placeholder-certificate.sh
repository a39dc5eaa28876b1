#!/bin/sh
# Writes a self-signed certificate to be served; fails if the one that is served can stay.
set -eu

served=/certificates/served.pem
names=$(echo "$DOMAIN" | tr '[:upper:]' '[:lower:]')
month=2592000 # seconds

# Issued by an authority, or a placeholder for this site that is valid for longer than a month.
can_stay() {
  certificate-is-whole.sh $served || return
  openssl x509 -in $served -noout -subject | grep -q 'self-signed placeholder' || return 0
  openssl x509 -in $served -noout -checkend $month >/dev/null &&
    openssl x509 -in $served -noout -checkhost "${names%%,*}" | grep -q 'does match' &&
    openssl x509 -in $served -noout -ext basicConstraints | grep -q CA:FALSE
}

if can_stay; then exit 1; fi
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 90 -subj "/CN=self-signed placeholder" \
  -addext "subjectAltName=DNS:$(echo "$names" | sed 's/,/,DNS:/g')" \
  -addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature -addext extendedKeyUsage=serverAuth \
  -keyout /tmp/key.pem -out /tmp/certificate.pem 2>/dev/null
(umask 077 && cat /tmp/certificate.pem /tmp/key.pem > $served.partial)
mv $served.partial $served
rm /tmp/key.pem /tmp/certificate.pem
