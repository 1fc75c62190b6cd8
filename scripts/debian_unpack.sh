#!/usr/bin/env bash
# Unpacks Debian packages into a folder, without installing them:  debian_unpack.sh FOLDER PACKAGE…
# Nothing of theirs runs, and what they depend on is not fetched: name all that is needed. Needs the
# package lists of the system; as root it fetches them where there are none.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

folder="${1:?usage: debian_unpack.sh FOLDER PACKAGE…}"
shift
[ $# -gt 0 ] || die "no package was named"
command -v apt-get >/dev/null || die "this system has no apt-get: packages come from Debian"

fetched="$(mktemp -d)"
trap 'rm -rf "$fetched"' EXIT
fetch() (
    cd "$fetched"
    # No user of its own for downloading: it could not write here.
    apt-get -o APT::Sandbox::User=root -qq download "$@"
) >"$fetched/log" 2>&1
if ! fetch "$@"; then
    [ "$(id -u)" != 0 ] || apt-get update -qq >>"$fetched/log" 2>&1 || true
    fetch "$@" || {
        cat "$fetched/log" >&2
        die "Debian packages could not be downloaded: $*"
    }
fi
mkdir -p "$folder"
for package in "$fetched"/*.deb; do
    # Folders such as /lib may be links into /usr already.
    dpkg-deb --fsys-tarfile "$package" |
        tar -x --no-same-owner --keep-directory-symlink -C "$folder"
done
