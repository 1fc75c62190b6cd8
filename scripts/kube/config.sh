#!/usr/bin/env bash
# Writes the configuration of what a cluster on one machine consists of.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

mkdir -p "$kube_dir"/{config,cni,containerd,state,kubelet,kubelet-keys,log/pods,volumes,plugins}
cd "$kube_dir/config"

# Writes what it reads, unless that is there: a program that watches its file would end.
put() {
    cat >"$1.new"
    if cmp -s "$1.new" "$1"; then rm "$1.new"; else mv "$1.new" "$1"; fi
}

put containerd.toml <<TOML
version = 2
root = "$kube_dir/containerd"
state = "$kube_dir/state"
[grpc]
  address = "$kube_dir/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$kube_dir/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  # Ours, and there before kubelet asks: nothing is ever fetched.
  sandbox_image = "lumadb/pause:1"
  # Not every root may protect processes from the kernel when memory runs out.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "$programs_dir/usr/sbin/runc"
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$programs_dir/usr/lib/cni"
    conf_dir = "$kube_dir/cni"
TOML

# Each pod is routed to by itself: between pods of one bridge, answers would miss the translation of
# services' addresses. Nothing is masqueraded: pods reach this machine and each other.
put "$kube_dir/cni/10-lumadb.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "lumadb", "plugins": [
  {"type": "ptp", "ipMasq": false, "ipam": {
    "type": "host-local", "dataDir": "$kube_dir/addresses",
    "ranges": [[{"subnet": "$pod_network"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON

# No name server but the cluster's own.
: >resolv.conf
put kubelet.yaml <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $node_ip
healthzBindAddress: $loopback_ip
readOnlyPort: 0
authentication:
  anonymous: { enabled: false }
  x509: { clientCAFile: "$kube_dir/keys/ca.crt" }
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
clusterDNS: ["$dns_ip"]
clusterDomain: cluster.local
containerRuntimeEndpoint: "unix://$kube_dir/containerd.sock"
enforceNodeAllocatable: [none]
evictionHard: { memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1% }
# Images come from files alone: one that was removed would not come back.
imageGCHighThresholdPercent: 100
failCgroupV1: false
failSwapOn: false
makeIPTablesUtilChains: false
podLogsDir: "$kube_dir/log/pods"
resolvConf: "$kube_dir/config/resolv.conf"
volumePluginDir: "$kube_dir/plugins"
YAML

# Limits of connections are the machine's: they stay as they are.
put proxy.yaml <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
bindAddress: $node_ip
clusterCIDR: $pod_network
healthzBindAddress: $loopback_ip:10256
metricsBindAddress: $loopback_ip:10249
hostnameOverride: $node_name
clientConnection: { kubeconfig: "$kube_dir/keys/proxy.kubeconfig" }
conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s }
YAML
