#!/bin/sh
# In a pipeline: deploys a release on the server of a tier, whose checkout is exhibition-crm in the user's home.
# TIER=staging or prod, TAG=v1.2.0, DIGEST=sha256:…; SERVER=user@host, SSH_KEY and SSH_KNOWN_HOSTS are their contents.
set -eu
# Part of a command below.
case "$TIER/$TAG/$DIGEST" in
  *[!A-Za-z0-9.:_/-]*) echo "TIER, TAG or DIGEST has a character that does not belong there: $TIER/$TAG/$DIGEST" >&2; exit 1 ;;
esac
keys=$(mktemp -d)
trap 'rm -r "$keys"' EXIT
umask 077
printf '%s\n' "$SSH_KEY" >"$keys/key"
printf '%s\n' "$SSH_KNOWN_HOSTS" >"$keys/known_hosts"
# The compose files of the same tag: what they say of services belongs to the images.
ssh -i "$keys/key" -o IdentitiesOnly=yes -o UserKnownHostsFile="$keys/known_hosts" -o StrictHostKeyChecking=yes "$SERVER" \
  "cd exhibition-crm && git fetch --quiet origin tag $TAG && git checkout --quiet $TAG && make $TIER-deploy VERSION=@$DIGEST"
