#!/usr/bin/env bash
# Builds Helm from its Go module, once, into the cache of this user, and prints its path.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

version=v4.3.1
folder="$cache/helm/$version"

if [ ! -x "$folder/helm" ]; then
    command -v go >/dev/null || die "\`go\` is not installed (https://go.dev): it builds Helm"
    say "Building Helm $version into $folder (a minute or two, once)"
    mkdir -p "$cache/helm"
    # Beside its place first: two may build at once, and one that was stopped leaves nothing.
    beside="$(mktemp -d "$cache/helm/.build-XXXXXX")"
    trap 'rm -rf "$beside"' EXIT
    # The compiler collects its garbage seldom, but within bounds: a third less to calculate.
    export CGO_ENABLED=0 GOWORK=off GOFLAGS=-modcacherw GOGC=400 GOMEMLIMIT=3GiB
    GOBIN="$beside" go install -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w" \
        "helm.sh/helm/v4/cmd/helm@$version" >&2
    mkdir -p "$folder"
    mv "$beside/helm" "$folder/helm"
fi
echo "$folder/helm"
