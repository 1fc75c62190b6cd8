#!/usr/bin/env bash
# Builds the server that judges what is sent to Stripe (it holds Stripe's published description of
# its API), once, into the cache of this user, and prints its path.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

version=v0.203.0
folder="$cache/stripe-mock/$version"

if [ ! -x "$folder/stripe-mock" ]; then
    go_begin "stripe-mock $version" "$folder"
    GOBIN="$beside" go install "github.com/stripe/stripe-mock@$version" >&2
    mv "$beside/stripe-mock" "$folder/stripe-mock"
fi
echo "$folder/stripe-mock"
