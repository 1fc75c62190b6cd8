#!/usr/bin/env bash
# Builds our engine module against a PostgreSQL's own headers and puts it beside that PostgreSQL's
# libraries:  engine_module.sh PREFIX
# Takes a fraction of a second, so it is built each time and replaced when it differs.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

engine="${1:?usage: engine_module.sh PREFIX}"
source="$root/data-plane/engine-module/lumadb_limits.c"
config="$engine/bin/pg_config"
[ -x "$config" ] || die "no $config: the engine's module is built with it. Set LUMADB_ENGINE_DIR to a PostgreSQL 18 with its server headers (Debian: postgresql-server-dev-18)."
headers="$("$config" --includedir-server)"
libraries="$("$config" --pkglibdir)"
[ -f "$headers/postgres.h" ] || die "$engine has no server headers ($headers/postgres.h); on Debian they come with postgresql-server-dev-18."

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"${CC:-cc}" -shared -fPIC -O2 -fvisibility=hidden -fno-strict-aliasing -fwrapv \
    -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
    -I "$headers" -o "$work/lumadb_limits.so" "$source" ||
    die "the engine's module could not be built"
if cmp -s "$work/lumadb_limits.so" "$libraries/lumadb_limits.so"; then
    exit 0
fi
# Engines that run keep the file that they have open: it is replaced, never written to.
beside="$(mktemp "$libraries/.lumadb_limits.XXXXXX")" ||
    die "$libraries cannot be written to: build the module as its owner"
install -m 0755 "$work/lumadb_limits.so" "$beside"
mv "$beside" "$libraries/lumadb_limits.so"
