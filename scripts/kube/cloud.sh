#!/usr/bin/env bash
# Brings up, or again, a control plane whose region is the cluster of this machine: console and API, and
# an object store that the databases' pods reach. Clients are led to them by the edges in the cluster;
# the one here serves the SQL editor and imports.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
programs="${1:?usage: cloud.sh FOLDER-OF-PROGRAMS KUBECTL}" kubectl_program="$2"
kubeconfig="$kube_dir/keys/admin.kubeconfig"

kubectl apply -f "$root/deploy/control-plane-rbac.yaml" >/dev/null
mkdir -p "$cloud_dir"
if [ ! -e "$cloud_dir/kubeconfig" ]; then
    token="$(kubectl -n "$system_namespace" create token lumadb-control-plane --duration 8760h)"
    (
        umask 077
        cat >"$cloud_dir/kubeconfig.new" <<YAML
apiVersion: v1
kind: Config
clusters:
- name: lumadb
  cluster: { server: "https://$node_ip:6443", certificate-authority-data: $(base64 -w0 "$kube_dir/keys/ca.crt") }
users:
- name: control-plane
  user: { token: "$token" }
contexts:
- name: lumadb
  context: { cluster: lumadb, user: control-plane }
current-context: lumadb
YAML
    )
    mv "$cloud_dir/kubeconfig.new" "$cloud_dir/kubeconfig"
fi
# At an address that pods reach.
cat >"$cloud_dir/config.toml" <<TOML
[http]
listen = "$node_ip:8400"
[edge]
listen = "$loopback_ip:5432"
[region]
name = "kube"
display_name = "Kubernetes on this machine"
runtime = "kubernetes"
edge_host = "$node_ip"
edge_port = $edge_port
[cluster]
kubeconfig = "$cloud_dir/kubeconfig"
namespace = "$namespace"
operator_namespace = "$system_namespace"
link_listen = "$node_ip:8444"
link_address = "https://$node_ip:8444"
edges_listen = "$node_ip:8445"
edges_address = "https://$node_ip:8445"
storage_gib = 1
storage_gib_max = 10
[object_store]
listen = "$node_ip:8333"
TOML
# Programs that were built anew take the place of those that run.
stamp="$(stat -c '%n %s %y' "$programs"/lumadb-{cloud,node})"
[ "$(cat "$cloud_dir/programs.stamp" 2>/dev/null)" = "$stamp" ] || stop lumadb-cloud
echo "$stamp" >"$cloud_dir/programs.stamp"
# Without the variables of these scripts, which it would take for settings.
start lumadb-cloud env -i HOME="$HOME" PATH="$PATH" \
    LUMADB_ENGINE_DIR="${LUMADB_ENGINE_DIR:-$engine_home}" \
    "$programs/lumadb-cloud" up --data-dir "$cloud_dir"
wait_for 120 'the control plane' curl -sf "$api/health/ready"
kubectl -n "$system_namespace" rollout status deployment/lumadb-edge --timeout 180s >/dev/null ||
    die "the edges did not start: $(kubectl -n "$system_namespace" get pods -o wide 2>&1)"
