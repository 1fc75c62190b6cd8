#!/usr/bin/env bash
# Builds the server that judges what is sent to Stripe (it holds Stripe's published description of
# its API), once, into the cache of this user, and prints its path.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

version=v0.203.0
folder="$cache/stripe-mock/$version"

if [ ! -x "$folder/stripe-mock" ]; then
    command -v go >/dev/null || die "\`go\` is not installed (https://go.dev): it builds stripe-mock"
    say "Building stripe-mock $version into $folder"
    mkdir -p "$cache/stripe-mock"
    # Beside its place first: two may build at once, and one that was stopped leaves nothing.
    beside="$(mktemp -d "$cache/stripe-mock/.build-XXXXXX")"
    trap 'rm -rf "$beside"' EXIT
    GOBIN="$beside" GOFLAGS=-modcacherw go install "github.com/stripe/stripe-mock@$version" >&2
    mkdir -p "$folder"
    mv "$beside/stripe-mock" "$folder/stripe-mock"
fi
echo "$folder/stripe-mock"
