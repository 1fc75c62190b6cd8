#!/usr/bin/env bash
# Builds Helm from its Go module, once, into the cache of this user, and prints its path.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

version=v4.3.1
folder="$cache/helm/$version"

if [ ! -x "$folder/helm" ]; then
    go_begin "Helm $version" "$folder"
    GOBIN="$beside" go install -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w" \
        "helm.sh/helm/v4/cmd/helm@$version" >&2
    mv "$beside/helm" "$folder/helm"
fi
echo "$folder/helm"
