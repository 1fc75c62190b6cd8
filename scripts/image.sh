#!/usr/bin/env bash
# Makes our container images without Docker, as archives that `docker load`, `podman load` and
# `ctr images import` take:  image.sh FOLDER [PROGRAMS]
#   FOLDER/instance.tar  lumadb/instance:TAG  node and engine: a database's pod
#   FOLDER/cloud.tar     lumadb/cloud:TAG     operator, control plane, edge
# PROGRAMS holds lumadb-node and lumadb-cloud; what `make build` makes unless it is named. TAG is
# LUMADB_IMAGE_TAG or the version. Of the same programs and packages come the same bytes, but for
# the template of data folders, which no two initdb make alike.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

out="${1:?usage: image.sh FOLDER [PROGRAMS]}"
programs="${2:-${CARGO_TARGET_DIR:-$root/target}/release}"
version="$(sed -n 's/^version = "\(.*\)"/\1/p' "$root/Cargo.toml" | head -1)"
tag="${LUMADB_IMAGE_TAG:-$version}"
for program in lumadb-node lumadb-cloud; do
    [ -x "$programs/$program" ] || die "$programs/$program is not there: \`make build\` makes it"
done

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"$root/deploy/image/layers.sh" "$programs" "${LUMADB_ENGINE_DIR:-$engine_home}" "$work/layers"

declare -A digest
for layer in base engine node cloud; do
    tar -c --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu \
        -C "$work/layers/$layer" -f "$work/layer.tar" .
    digest[$layer]="$(sha256sum "$work/layer.tar" | cut -c1-64)"
    mv "$work/layer.tar" "$work/${digest[$layer]}.tar"
done

# One image: image NAME PROGRAM TITLE LAYER…
image() {
    local name="$1" program="$2" title="$3" files='' diffs='' layer
    shift 3
    for layer in "$@"; do
        diffs+="${diffs:+,}\"sha256:${digest[$layer]}\""
        files+="${files:+,}\"${digest[$layer]}.tar\""
    done
    cat >"$work/config.json" <<JSON
{"architecture":"$(dpkg --print-architecture)","os":"linux","created":"1970-01-01T00:00:00Z",
"config":{"User":"10002:10000","WorkingDir":"/","Entrypoint":["$program"],
"Env":["PATH=/usr/bin:/opt/lumadb/engine/bin","LUMADB_ENGINE_DIR=/opt/lumadb/engine"],
"Labels":{"org.opencontainers.image.title":"$title","org.opencontainers.image.version":"$version"}},
"rootfs":{"type":"layers","diff_ids":[$diffs]}}
JSON
    local config
    config="$(sha256sum "$work/config.json" | cut -c1-64).json"
    mv "$work/config.json" "$work/$config"
    printf '[{"Config":"%s","RepoTags":["%s"],"Layers":[%s]}]\n' \
        "$config" "lumadb/$name:$tag" "$files" >"$work/manifest.json"
    local members=(manifest.json "$config")
    for layer in "$@"; do
        members+=("${digest[$layer]}.tar")
    done
    mkdir -p "$out"
    tar -c --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu \
        -C "$work" -f "$out/.$name.tar" "${members[@]}"
    mv "$out/.$name.tar" "$out/$name.tar"
    say "lumadb/$name:$tag is in $out/$name.tar ($(du -m "$out/$name.tar" | cut -f1) MiB)"
}
image instance lumadb-node 'LumaDB: node and engine of a database' base engine node
# A worker copies databases in by the engine's programs, and looks for the node beside itself.
image cloud lumadb-cloud 'LumaDB: operator, control plane, edge' base engine node cloud
