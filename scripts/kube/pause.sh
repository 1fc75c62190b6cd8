#!/usr/bin/env bash
# Makes the image that holds a pod's network, lumadb/pause:1, of one small program:  pause.sh FILE
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
out="${1:?usage: pause.sh FILE}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir "$work/root"
"${CC:-cc}" -static -Os -s -Wall -Wextra -Werror -o "$work/root/pause" "$root/deploy/image/pause.c"
tar -c --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work/root" -f "$work/layer.tar" pause
cat >"$work/config.json" <<JSON
{"architecture":"$(dpkg --print-architecture)","os":"linux","created":"1970-01-01T00:00:00Z",
"config":{"User":"65535:65535","Entrypoint":["/pause"]},
"rootfs":{"type":"layers","diff_ids":["sha256:$(sha256sum "$work/layer.tar" | cut -c1-64)"]}}
JSON
echo '[{"Config":"config.json","RepoTags":["lumadb/pause:1"],"Layers":["layer.tar"]}]' >"$work/manifest.json"
tar -c --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work" -f "$out" manifest.json config.json layer.tar
