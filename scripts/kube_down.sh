#!/usr/bin/env bash
# Ends the Kubernetes that kube_up.sh made on this machine, with the databases in it, and removes what
# it made; programs that were built stay. Of another cluster it leaves everything alone.
set -euo pipefail
. "$(dirname "$0")/kube/lib.sh"

[ "$(id -u)" = 0 ] || die "only root may end it"
[ -e "$kube_dir" ] || exit 0
# What starts things ends first.
for name in lumadb-cloud kubelet kube-scheduler kube-controller-manager kube-proxy kube-router \
    csi-provisioner csi-resizer loop-volumes; do
    stop "$name"
done
if running containerd; then
    for task in $(ctr tasks list -q); do
        ctr tasks kill --signal KILL "$task" >/dev/null 2>&1 || true
    done
    for task in $(ctr tasks list -q); do
        ctr tasks delete --force "$task" >/dev/null 2>&1 || true
    done
fi
for name in containerd kube-apiserver etcd; do
    stop "$name"
done
# The innermost first. A pod's network goes with its last mount.
awk -v folder="$kube_dir/" 'index($5, folder) == 1 { print $5 }' /proc/self/mountinfo | tac |
    while read -r place; do
        umount "$place" 2>/dev/null || umount --lazy "$place"
    done
# A volume's device ends with its last mount, which another's view of the machine may still hold.
losetup --list --noheadings --output NAME,BACK-FILE |
    awk -v folder="$kube_dir/" 'index($2, folder) == 1 { print $1 }' |
    while read -r device; do
        losetup --detach "$device"
    done
# Chains and sets of kube-router, which does not get that far itself where it runs no services.
chains='KUBE-(ROUTER|POD-FW|NWPLCY)-'
if command -v iptables-save >/dev/null && iptables-save -t filter | grep -E "$chains" >/dev/null; then
    iptables-save -t filter | grep -vE "$chains" | iptables-restore --table filter
fi
if command -v ipset >/dev/null; then
    for set in $(ipset list -name | grep -E '^(KUBE-(SRC|DST)-|kube-router-)'); do
        ipset destroy "$set"
    done
fi
for family in ip ip6; do
    nft delete table "$family" kube-proxy 2>/dev/null || true
done
ip route delete unreachable "$pod_network" 2>/dev/null || true
ip link delete "$link" 2>/dev/null || true
[ ! -e "$kube_dir/ip_forward" ] || cat "$kube_dir/ip_forward" >/proc/sys/net/ipv4/ip_forward
for hierarchy in $(awk '$3 ~ /^cgroup2?$/ && $2 ~ "^/sys/fs/cgroup" { print $2 }' /proc/mounts); do
    [ ! -e "$hierarchy/$cgroup" ] || find "$hierarchy/$cgroup" -depth -type d -exec rmdir {} +
done
# What programs write elsewhere, whatever they are told.
rm -f /var/lib/cni/results/lumadb-* /var/lib/kubelet/device-plugins/{kubelet.sock,DEPRECATION}
rmdir /var/lib/cni/{results,} /var/lib/kubelet/{device-plugins,} 2>/dev/null || true
rm -rf --one-file-system "$kube_dir" "$cloud_dir"
