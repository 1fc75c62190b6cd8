#!/usr/bin/env bash
# Builds Prometheus' reader of PromQL (e2e/prometheus) and fetches the definitions of the Prometheus
# operator's resources from its Go module, once, into the cache of this user. Prints the folder of both.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

module="$root/e2e/prometheus"
operator=github.com/prometheus-operator/prometheus-operator@v0.85.0
# The reader is ours, so its sources say which one it is.
mark="$(cat "$module"/{go.mod,go.sum,main.go} "$0" | sha256sum | cut -c1-16)"
folder="$cache/promql/$mark"

if [ ! -x "$folder/promql" ]; then
    go_begin "the reader of PromQL" "$folder"
    fetched="$(go -C "$module" mod download -json "$operator" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')"
    mkdir "$beside/crds"
    for resource in podmonitors prometheusrules; do
        cp "$fetched/example/prometheus-operator-crd/monitoring.coreos.com_$resource.yaml" "$beside/crds/"
    done
    go -C "$module" build -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w" -o "$beside/promql" . >&2
    rm -rf "$folder/crds"
    mv "$beside/crds" "$folder/crds"
    mv "$beside/promql" "$folder/promql"
fi
echo "$folder"
