#!/usr/bin/env bash
# Makes control-plane/.sqlx anew: what sqlx's macros learned about each query from a PostgreSQL of
# its own, to which the migrations are applied.
#   sqlx_prepare.sh           writes control-plane/.sqlx
#   sqlx_prepare.sh --check   fails if it is not current, and changes nothing
set -euo pipefail
. "$(dirname "$0")/lib.sh"

committed="$root/control-plane/.sqlx"
bin="${LUMADB_ENGINE_DIR:-$engine_home}/bin"
[ -x "$bin/postgres" ] || die "no PostgreSQL in $bin: run \`make engine\`"

work="$(mktemp -d)"
chmod 0755 "$work"
stop() {
    if [ -e "$work/data/postmaster.pid" ]; then
        as_engine_user "$bin/pg_ctl" stop --pgdata "$work/data" --mode immediate --silent || true
    fi
    rm -rf "$work"
}
trap stop EXIT

install -d -m 0700 "$work/data"
install -d -m 0755 "$work/run"
[ "$(id -u)" != 0 ] || chown nobody:nogroup "$work/data" "$work/run"
as_engine_user "$bin/initdb" --pgdata "$work/data" --username lumadb_admin --auth trust --no-sync \
    --locale-provider=builtin --builtin-locale=C.UTF-8 --encoding=UTF8 >/dev/null
as_engine_user "$bin/pg_ctl" start --pgdata "$work/data" --silent --wait --log /dev/null \
    --options "-c listen_addresses='' -c unix_socket_directories='$work/run' -c fsync=off"
connection="host=$work/run user=lumadb_admin dbname=control"
as_engine_user "$bin/psql" -X -q "host=$work/run user=lumadb_admin dbname=postgres" -c 'create database control'
for migration in "$root"/migrations/*.sql; do
    "$bin/psql" -X -q -1 -v ON_ERROR_STOP=1 "$connection" -f "$migration" >/dev/null ||
        die "the migration ${migration##*/} fails"
done

mkdir "$work/queries"
# The macros write their data while the compiler runs them: it must look at the crate once more.
touch "$root/control-plane/src/lib.rs"
(
    cd "$root"
    unset SQLX_OFFLINE
    DATABASE_URL="postgres://lumadb_admin@localhost/control?host=$work/run" \
        SQLX_OFFLINE_DIR="$work/queries" \
        cargo check --quiet --locked -p lumadb-control-plane --all-targets
)
# What was compiled against this server must not pass for what is compiled from the folder.
touch "$root/control-plane/src/lib.rs"

if [ "${1:-}" = --check ]; then
    diff -r "$committed" "$work/queries" >&2 ||
        die "control-plane/.sqlx is not what the queries and migrations give: run \`make sqlx\` and commit it"
else
    mkdir -p "$committed"
    find "$committed" -name 'query-*.json' -delete
    find "$work/queries" -name 'query-*.json' -exec cp {} "$committed/" \;
    say "control-plane/.sqlx: $(find "$committed" -name 'query-*.json' | wc -l) queries"
fi
