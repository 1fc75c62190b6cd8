#!/usr/bin/env bash
# Makes an image of one program that needs nothing beside it, lumadb/NAME:1:  image.sh NAME PROGRAM FILE
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
usage='usage: image.sh NAME PROGRAM FILE'
name="${1:?$usage}" program="${2:?$usage}" out="${3:?$usage}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir "$work/root"
cp "$program" "$work/root/$name"
tar -c --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work/root" -f "$work/layer.tar" "$name"
cat >"$work/config.json" <<JSON
{"architecture":"$(dpkg --print-architecture)","os":"linux","created":"1970-01-01T00:00:00Z",
"config":{"User":"65535:65535","Entrypoint":["/$name"]},
"rootfs":{"type":"layers","diff_ids":["sha256:$(sha256sum "$work/layer.tar" | cut -c1-64)"]}}
JSON
echo "[{\"Config\":\"config.json\",\"RepoTags\":[\"lumadb/$name:1\"],\"Layers\":[\"layer.tar\"]}]" >"$work/manifest.json"
tar -c --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work" -f "$out" manifest.json config.json layer.tar
