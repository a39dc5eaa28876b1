#!/bin/sh
# Succeeds if the file holds an unexpired certificate and its private key: `certificate-is-whole.sh FILE`.
set -eu
openssl x509 -in "$1" -noout -checkend 0 >/dev/null 2>&1
[ "$(openssl x509 -in "$1" -noout -pubkey)" = "$(openssl pkey -in "$1" -pubout 2>/dev/null)" ]
