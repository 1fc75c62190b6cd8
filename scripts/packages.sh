#!/usr/bin/env bash
# Makes sure that the system's packages for a purpose are there:  packages.sh run|test|bench|kube
# As root on Debian or Ubuntu it installs what is missing; anyone else is told what to install.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

purpose="${1:?usage: packages.sh run|test|bench|kube}"

# What each command or file comes from. A package counts as present when its probe is.
declare -A probe_of=(
    [ca-certificates]=/etc/ssl/certs/ca-certificates.crt
    [build-essential]=c++
    [python3]=python3
    [python3-venv]=python3:ensurepip
    [chromium]=chromium
    [fonts-dejavu-core]=/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
    [postgresql-client]=psql
    [postgresql]=/usr/lib/postgresql/*/bin/pgbench
    [pgbackrest]=pgbackrest
    [zstd]=zstd
    [pgbouncer]=/usr/sbin/pgbouncer
    [util-linux]=setpriv
    [procps]=ps
    [curl]=curl
    [jq]=jq
    [openssl]=openssl
    [nftables]=/usr/sbin/nft
    [iptables]=iptables
    [ipset]=ipset
    [iproute2]=ip
    [mount]=/usr/sbin/losetup
    [xfsprogs]=/usr/sbin/mkfs.xfs
    [libseccomp2]=/usr/lib/*/libseccomp.so.2
)

packages=(ca-certificates build-essential python3 python3-venv util-linux)
case "$purpose" in
run) ;;
test) packages+=(chromium fonts-dejavu-core postgresql-client postgresql procps curl jq mount xfsprogs) ;;
kube) packages+=(openssl nftables iptables ipset iproute2 mount xfsprogs libseccomp2 procps jq curl postgresql-client postgresql) ;;
bench) packages+=(postgresql-client postgresql pgbackrest zstd pgbouncer procps curl) ;;
*) die "unknown purpose \`$purpose\`" ;;
esac

present() {
    local probe="${probe_of[$1]}"
    case "$probe" in
    *:*) "${probe%%:*}" -c "import ${probe##*:}" 2>/dev/null ;;
    /*) compgen -G "$probe" >/dev/null ;;
    *) command -v "$probe" >/dev/null ;;
    esac
}

tools=(cargo node npm)
[[ "$purpose" != test && "$purpose" != kube ]] || tools+=(go)
for tool in "${tools[@]}"; do
    command -v "$tool" >/dev/null ||
        die "\`$tool\` is not installed. Needed: Rust 1.95 or newer (https://rustup.rs), Node 20 or newer (https://nodejs.org) and, for the tests and for \`make kube\`, Go 1.25 or newer (https://go.dev)."
done

missing=()
for package in "${packages[@]}"; do
    present "$package" || missing+=("$package")
done
[ ${#missing[@]} = 0 ] && exit 0

if [ "$(id -u)" != 0 ]; then
    die "these packages are missing; install them and try again:  sudo apt-get install ${missing[*]}"
fi
command -v apt-get >/dev/null ||
    die "this system has no apt-get. Install what these Debian packages hold and try again: ${missing[*]}"

say "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# Debian's package `postgresql` would start a server of its own; only its programs are wanted.
mkdir -p /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/lumadb.conf
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
{ apt-get update -qq && apt-get install -qq --yes --no-install-recommends "${missing[@]}"; } \
    </dev/null >"$log" 2>&1 || {
    cat "$log" >&2
    die "apt-get could not install: ${missing[*]}"
}
