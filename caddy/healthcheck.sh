#!/bin/sh
# Healthy: both ports answer, port 443 with a certificate. Independent of web.
set -eu
name=${DOMAIN%%,*}
curl -ksSo /dev/null --connect-to ::127.0.0.1:8443 "https://$name/errors/"
curl -sSo /dev/null --connect-to ::127.0.0.1:8080 "http://$name/"
