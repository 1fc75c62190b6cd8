#!/usr/bin/env bash
# Builds what `make bench` drives the API with, once, into the cache of this user.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

oha_version=1.16.0
oha="$cache/tools/bin/oha"

if [ "$("$oha" --version 2>/dev/null)" != "oha $oha_version" ]; then
    say "Building oha $oha_version into $cache/tools"
    CARGO_TARGET_DIR="$cache/target-tools" \
        cargo install --locked --quiet --root "$cache/tools" --version "=$oha_version" oha
fi
