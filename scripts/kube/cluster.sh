#!/usr/bin/env bash
# Brings a Kubernetes of one machine up, or what of it does not run, and prints nothing when it is there.
# Beside its folder it takes a link, routes, tables of nftables, sets of addresses and control groups, and
# lets the machine forward packets; kube_down.sh gives all of that back.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
built="${1:?usage: cluster.sh FOLDER-OF-KUBERNETES}"
kubeconfig="$kube_dir/keys/admin.kubeconfig" kubectl_program="$built/kubectl"
keys="$kube_dir/keys" config="$kube_dir/config"

# Some of what kubelet writes lies where it always does: two would be in each other's way.
running kubelet || ! pgrep -x kubelet >/dev/null || die "another kubelet runs on this machine"
if [ ! -x "$programs_dir/usr/bin/containerd" ]; then
    rm -rf "$programs_dir"
    "$root/scripts/debian_unpack.sh" "$programs_dir.new" containerd runc containernetworking-plugins
    mv "$programs_dir.new" "$programs_dir"
fi
"$root/scripts/kube/keys.sh"
"$root/scripts/kube/config.sh"

ip link show "$link" >/dev/null 2>&1 || ip link add "$link" type bridge
ip address show dev "$link" | grep -q "$node_ip/32" || ip address add "$node_ip/32" dev "$link"
ip link set "$link" up
# An address that no pod has leads nowhere, and not out of this machine.
ip route replace unreachable "$pod_network"
forwarding=/proc/sys/net/ipv4/ip_forward
[ -e "$kube_dir/ip_forward" ] || cp "$forwarding" "$kube_dir/ip_forward"
echo 1 >"$forwarding"
for hierarchy in $(awk '$3 ~ /^cgroup2?$/ && $2 ~ "^/sys/fs/cgroup" { print $2 }' /proc/mounts); do
    mkdir -p "$hierarchy/$cgroup"
    # Of the first version: a group of processors begins with none.
    for file in cpuset.cpus cpuset.mems; do
        [ ! -e "$hierarchy/$file" ] || cat "$hierarchy/$file" >"$hierarchy/$cgroup/$file"
    done
done

start etcd "$built/etcd" --name lumadb --data-dir "$kube_dir/etcd" --log-level warn \
    --listen-client-urls "http://$loopback_ip:2379" --advertise-client-urls "http://$loopback_ip:2379" \
    --listen-peer-urls "http://$loopback_ip:2380"
start kube-apiserver "$built/kube-apiserver" --etcd-servers "http://$loopback_ip:2379" \
    --bind-address "$node_ip" --advertise-address "$node_ip" --secure-port 6443 \
    --service-cluster-ip-range "$service_network" --authorization-mode Node,RBAC \
    --enable-admission-plugins NodeRestriction --kubelet-preferred-address-types InternalIP \
    --client-ca-file "$keys/ca.crt" \
    --tls-cert-file "$keys/api-server.crt" --tls-private-key-file "$keys/api-server.key" \
    --kubelet-client-certificate "$keys/api-server-kubelet.crt" \
    --kubelet-client-key "$keys/api-server-kubelet.key" \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --service-account-key-file "$keys/accounts.pub" \
    --service-account-signing-key-file "$keys/accounts.key"
PATH="$programs_dir/usr/bin:$programs_dir/usr/sbin:$PATH" \
    start containerd "$programs_dir/usr/bin/containerd" --config "$config/containerd.toml"
wait_for 120 'the API server' kubectl get --raw /readyz

start kube-controller-manager "$built/kube-controller-manager" --bind-address "$loopback_ip" \
    --kubeconfig "$keys/controller-manager.kubeconfig" --leader-elect=false \
    --flex-volume-plugin-dir "$kube_dir/plugins" --use-service-account-credentials --root-ca-file "$keys/ca.crt" \
    --service-account-private-key-file "$keys/accounts.key"
start kube-scheduler "$built/kube-scheduler" --bind-address "$loopback_ip" \
    --kubeconfig "$keys/scheduler.kubeconfig" --leader-elect=false
start kube-proxy "$built/kube-proxy" --config "$config/proxy.yaml"
wait_for 60 containerd ctr version
if [ -z "$(ctr images list -q 'name~=lumadb/coredns:1')" ]; then
    # It holds a pod's network.
    "${CC:-cc}" -static -Os -s -Wall -Wextra -Werror -o "$kube_dir/pause" "$root/deploy/image/pause.c"
    for program in "$kube_dir/pause" "$built/coredns"; do
        "$root/scripts/kube/image.sh" "${program##*/}" "$program" "$kube_dir/image.tar"
        ctr images import "$kube_dir/image.tar" >/dev/null
    done
    rm "$kube_dir/pause" "$kube_dir/image.tar"
fi
start kubelet "$built/kubelet" --config "$config/kubelet.yaml" --kubeconfig "$keys/kubelet.kubeconfig" \
    --root-dir "$kube_dir/kubelet" --cert-dir "$kube_dir/kubelet-keys" \
    --hostname-override "$node_name" --node-ip "$node_ip"
wait_for 120 'the machine to be ready' kubectl wait node "$node_name" --for condition=Ready --timeout 5s
# It looks for the machine when it starts.
kubectl apply -f - >/dev/null <<YAML
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: "lumadb:router" }
rules:
- { apiGroups: [""], resources: [nodes, namespaces, pods, services, endpoints], verbs: [get, list, watch] }
- { apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [get, list, watch] }
- { apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [get, list, watch] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: "lumadb:router" }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "lumadb:router" }
subjects: [{ apiGroup: rbac.authorization.k8s.io, kind: User, name: "lumadb:router" }]
YAML
start kube-router "$built/kube-router" --run-firewall --run-router=false --run-service-proxy=false \
    --kubeconfig "$keys/router.kubeconfig" --hostname-override "$node_name" \
    --service-cluster-ip-range "$service_network" --health-port 0 --metrics-port 0
"$root/scripts/kube/dns.sh" "$kubectl_program"
