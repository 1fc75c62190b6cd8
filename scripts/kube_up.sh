#!/usr/bin/env bash
# Runs databases in a real Kubernetes: makes one on this machine, of programs that are built here, or
# takes the cluster of KUBECONFIG; installs the operator by its chart; and checks that a database
# serves (kube_check.sh), unless it is told  --unchecked.  As root, on Debian, where it makes the cluster;
# kube_down.sh ends that. What runs already is upgraded.
#
# LUMADB_KUBE_PROGRAMS  folder of lumadb-cloud and lumadb-node, not of `make build`
# LUMADB_KUBE_DIR       where the cluster lies, not in the cache of this user
# With a KUBECONFIG, its machines are to have the images already, or to find them where the names say:
# LUMADB_KUBE_IMAGE     such as registry.example.com/lumadb/cloud:0.1.0
# LUMADB_KUBE_INSTANCE_IMAGE
set -euo pipefail
. "$(dirname "$0")/kube/lib.sh"

programs="${LUMADB_KUBE_PROGRAMS:-${CARGO_TARGET_DIR:-$root/target}/release}"
helm="$("$root/scripts/helm.sh")"
if [ -n "${KUBECONFIG:-}" ]; then
    kubeconfig="$KUBECONFIG"
    # The program: `command -v` names our function, which would call itself.
    kubectl_program="$(type -P kubectl)" || die "kubectl is not on the PATH"
    command -v jq >/dev/null || die "jq is not on the PATH"
    image="${LUMADB_KUBE_IMAGE:?names the image that scripts/image.sh makes as cloud.tar}"
    instance_image="${LUMADB_KUBE_INSTANCE_IMAGE:?names the image that scripts/image.sh makes as instance.tar}"
    values=()
    listen='[::]'
else
    [ "$(id -u)" = 0 ] || die "only root may make a Kubernetes; with KUBECONFIG another one is taken"
    "$root/scripts/packages.sh" kube
    kubeconfig="$kube_dir/keys/admin.kubeconfig"
    built="$("$root/scripts/kubernetes.sh" etcd kube-apiserver kube-controller-manager kube-scheduler \
        kube-proxy kube-router kubelet kubectl coredns csi-provisioner csi-resizer)"
    kubectl_program="$built/kubectl"
    mkdir -p "$kube_dir"
    "$root/scripts/kube/cluster.sh" "$built"
    "$root/scripts/kube/storage.sh" "$built"
    # What is named otherwise is taken up by what runs.
    tag="$(cat "$programs"/lumadb-{cloud,node} "$root/deploy/image/layers.sh" | sha256sum | cut -c1-16)"
    image="lumadb/cloud:$tag" instance_image="lumadb/instance:$tag"
    if ! ctr images list -q | grep -q "lumadb/instance:$tag$"; then
        LUMADB_IMAGE_TAG="$tag" "$root/scripts/image.sh" "$kube_dir/images" "$programs"
        for name in cloud instance; do
            ctr images import "$kube_dir/images/$name.tar" >/dev/null
        done
        rm -r "$kube_dir/images"
    fi
    listen=0.0.0.0
    # Edges wait for the control plane, which comes last.
    values=(--set edge.enabled=true --set edge.region=kube --set edge.listenAddress=$listen
        --set edge.service.type=NodePort --set "edge.service.nodePort=$edge_port"
        --set "operator.objectStore.networks={$node_ip/32}" --set operator.objectStore.port=8333)
fi

kubectl create namespace "$namespace" --dry-run=client -o yaml | kubectl apply -f - >/dev/null
kubectl label namespace "$namespace" pod-security.kubernetes.io/enforce=restricted --overwrite >/dev/null
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
"$helm" upgrade lumadb "$root/deploy/chart" --install --namespace "$system_namespace" --create-namespace \
    --kubeconfig "$kubeconfig" --set "operator.listenAddress=$listen" "${values[@]}" \
    --set "image.repository=${image%:*}" --set-string "image.tag=${image##*:}" \
    --set "instanceImage.repository=${instance_image%:*}" \
    --set-string "instanceImage.tag=${instance_image##*:}" >"$log" 2>&1 || {
    cat "$log" >&2
    die "the chart could not be installed"
}
kubectl -n "$system_namespace" rollout status deployment/lumadb-operator --timeout 180s >/dev/null ||
    die "the operator did not start: $(kubectl -n "$system_namespace" get pods -o wide 2>&1)"

if [ -z "${KUBECONFIG:-}" ]; then
    "$root/scripts/kube/cloud.sh" "$programs" "$kubectl_program"
    say "The control plane's console: $api, its data: $cloud_dir"
fi
say "Kubernetes runs databases. KUBECONFIG=$kubeconfig, kubectl is $kubectl_program"
[ "${1:-}" = --unchecked ] || KUBE_KUBECTL="$kubectl_program" KUBE_CONFIG="$kubeconfig" KUBE_IMAGE="$instance_image" \
    "$root/scripts/kube_check.sh"
