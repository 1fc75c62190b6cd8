#!/usr/bin/env bash
# Builds programs of Kubernetes and its etcd from their Go modules, once, into the cache of this user,
# and prints the folder that holds them:  kubernetes.sh [program…]
# Without arguments: what a cluster without machines needs. KUBEBUILDER_ASSETS, where it is set, names
# a folder that holds such programs already.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

programs=("$@")
[ $# -gt 0 ] || programs=(etcd kube-apiserver kube-controller-manager)

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
    for program in "${programs[@]}"; do
        [ -x "$KUBEBUILDER_ASSETS/$program" ] ||
            die "KUBEBUILDER_ASSETS is set, and $KUBEBUILDER_ASSETS/$program is not there"
    done
    echo "$KUBEBUILDER_ASSETS"
    exit
fi

module="$root/e2e/kubernetes"
version="$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' "$module/go.mod")"
[[ "$version" =~ ^v([0-9]+)\.([0-9]+)\.[0-9]+$ ]] || die "$module/go.mod names no version of Kubernetes"
major="${BASH_REMATCH[1]}" minor="${BASH_REMATCH[2]}"
folder="$cache/kubernetes/$version"

missing=()
for program in "${programs[@]}"; do
    [ -x "$folder/$program" ] || missing+=("$program")
done
if [ ${#missing[@]} -gt 0 ]; then
    command -v go >/dev/null || die "\`go\` is not installed (https://go.dev): it builds Kubernetes"
    say "Building Kubernetes $version into $folder: ${missing[*]} (minutes, once)"
    mkdir -p "$folder"
    # Beside its place first: two may build at once, and one that was stopped leaves nothing that
    # looks whole. What it leaves is removed once nobody can be building there any more.
    find "$cache/kubernetes" -maxdepth 1 -name '.build-*' -mmin +600 -exec rm -rf {} +
    beside="$(mktemp -d "$cache/kubernetes/.build-XXXXXX")"
    trap 'rm -rf "$beside"' EXIT
    stamp=k8s.io/component-base/version
    flags="-s -w -X $stamp.gitVersion=$version -X $stamp.gitMajor=$major -X $stamp.gitMinor=$minor"
    # The compiler collects its garbage seldom, but within bounds: a third less to calculate.
    export CGO_ENABLED=0 GOWORK=off GOFLAGS=-modcacherw GOGC=400 GOMEMLIMIT=3GiB
    for program in "${missing[@]}"; do
        within="$module" package="k8s.io/kubernetes/cmd/$program"
        case "$program" in
        etcd) package=go.etcd.io/etcd/server/v3 ;;
        coredns) within="$module/dns" package=. ;;
        kube-router) within="$module/router" package=github.com/cloudnativelabs/kube-router/v2/cmd/kube-router ;;
        csi-provisioner) within="$module/storage" package=github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner ;;
        csi-resizer) within="$module/storage" package=github.com/kubernetes-csi/external-resizer/v2/cmd/csi-resizer ;;
        kwok) within="$module/kwok" package=sigs.k8s.io/kwok/cmd/kwok ;;
        esac
        go -C "$within" build -trimpath -gcflags=all=-dwarf=false -ldflags "$flags" \
            -o "$beside/$program" "$package" >&2
        mv "$beside/$program" "$folder/$program"
    done
fi
echo "$folder"
