#!/bin/sh
# Prints whose certificate visitors get, and until when.
set -eu
curl -ksvo /dev/null --connect-to ::127.0.0.1:8443 "https://${DOMAIN%%,*}/errors/" 2>&1 |
  sed -nE 's/^\*  (subject|issuer|expire date)/certificate  \1/p'
