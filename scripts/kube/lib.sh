# Shared by the scripts around `make kube`: names, addresses, and processes that are kept by pid.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# All that the cluster writes lies here, but for its network and its control groups.
kube_dir="${LUMADB_KUBE_DIR:-$cache/cluster}"
programs_dir="$kube_dir/programs"
# But for the control plane's, whose databases have users that do not enter everywhere.
cloud_dir=/var/lib/lumadb-kube
kubernetes_version="$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' "$root/e2e/kubernetes/go.mod")"

# Of this machine alone: pods reach it here, and nobody else does.
link=luma-kube
node_name=luma-kube
node_ip=10.198.0.1
pod_network=10.197.0.0/16
service_network=10.199.0.0/16
dns_ip=10.199.0.10
# Of the control plane on this machine.
api="http://$node_ip:8400"
# Of each machine, where the edges in the cluster take clients.
edge_port=30432
# What no pod needs to reach.
loopback_ip=127.198.0.1
cgroup=lumadb-kube

system_namespace=lumadb-system
namespace=tenants
volume_driver=loop-volumes.lumadb.cloud

kubectl() { "$kubectl_program" --kubeconfig "$kubeconfig" "$@"; }
ctr() { "$programs_dir/usr/bin/ctr" --address "$kube_dir/containerd.sock" --namespace k8s.io "$@"; }

# Whether a process of ours runs: the program that its pid file names, not just anyone of that number.
running() {
    local pid started
    { read -r pid started <"$kube_dir/pids/$1"; } 2>/dev/null || return 1
    [ "$(started_at "$pid")" = "$started" ]
}

# When a process started, in ticks since the machine did; empty where there is none.
started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20 || true; }

# Starts a program that outlives this script:  start NAME PROGRAM ARGUMENT…
start() {
    local name="$1" pid
    shift
    running "$name" && return
    mkdir -p "$kube_dir/pids" "$kube_dir/log"
    setsid "$@" </dev/null >>"$kube_dir/log/$name.log" 2>&1 &
    pid=$!
    printf '%s %s\n' "$pid" "$(started_at "$pid")" >"$kube_dir/pids/$name"
}

# Ends one and waits for that, by force after 20 seconds:  stop NAME
stop() {
    local pid tries=0
    if running "$1"; then
        read -r pid _ <"$kube_dir/pids/$1"
        kill "$pid" 2>/dev/null || true
        while running "$1"; do
            tries=$((tries + 1))
            [ $tries -lt 200 ] || kill -KILL "$pid" 2>/dev/null || true
            sleep 0.1
        done
    fi
    rm -f "$kube_dir/pids/$1"
}

# Waits until a command succeeds:  wait_for SECONDS WHAT COMMAND…
wait_for() {
    local deadline=$((SECONDS + $1)) what="$2"
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || die "gave up waiting for $what; logs are in $kube_dir/log"
        sleep 0.2
    done
}
