#!/usr/bin/env bash
# Gives the cluster of this machine volumes that grow and fill: our driver over files and loop devices
# (e2e/loop-volumes), the external provisioner and resizer, and a StorageClass that is the default.
# A driver that was built anew takes the place of the one that runs; what is mounted stays so.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
built="${1:?usage: storage.sh FOLDER-OF-KUBERNETES}"
kubeconfig="$kube_dir/keys/admin.kubeconfig" kubectl_program="$built/kubectl"

cargo build --quiet --locked --manifest-path "$root/Cargo.toml" -p lumadb-loop-volumes
driver="${CARGO_TARGET_DIR:-$root/target}/debug/lumadb-loop-volumes"
stamp="$(sha256sum "$driver")"
if ! running loop-volumes || [ "$(cat "$kube_dir/volumes.stamp" 2>/dev/null)" != "$stamp" ]; then
    # The two end with the driver that they speak with.
    for name in csi-provisioner csi-resizer loop-volumes; do
        stop "$name"
    done
fi
echo "$stamp" >"$kube_dir/volumes.stamp"
start loop-volumes "$driver" --volumes "$kube_dir/volumes" --kubelet "$kube_dir/kubelet" --node "$node_name"
wait_for 60 'kubelet to know the driver of volumes' sh -c \
    "'$kubectl_program' --kubeconfig '$kubeconfig' get csinode '$node_name' \
        -o jsonpath='{.spec.drivers[*].name}' | grep -qw '$volume_driver'"

kubectl apply -f - >/dev/null <<YAML
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: { name: $volume_driver }
spec: { attachRequired: false, fsGroupPolicy: File }
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: loop-volumes
  annotations: { storageclass.kubernetes.io/is-default-class: "true" }
provisioner: $volume_driver
allowVolumeExpansion: true
reclaimPolicy: Delete
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: "lumadb:provisioner" }
rules:
- { apiGroups: [""], resources: [persistentvolumes], verbs: [get, list, watch, create, patch, update, delete] }
- { apiGroups: [""], resources: [persistentvolumeclaims], verbs: [get, list, watch, update] }
- { apiGroups: [""], resources: [nodes], verbs: [get, list, watch] }
- { apiGroups: [storage.k8s.io], resources: [storageclasses, csinodes, volumeattachments], verbs: [get, list, watch] }
- { apiGroups: [""], resources: [events], verbs: [list, watch, create, update, patch] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: "lumadb:resizer" }
rules:
- { apiGroups: [""], resources: [persistentvolumes], verbs: [get, list, watch, patch] }
- { apiGroups: [""], resources: [persistentvolumeclaims, pods], verbs: [get, list, watch] }
- { apiGroups: [""], resources: [persistentvolumeclaims/status], verbs: [patch] }
- { apiGroups: [storage.k8s.io], resources: [volumeattributesclasses], verbs: [get, list, watch] }
- { apiGroups: [""], resources: [events], verbs: [list, watch, create, update, patch] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: "lumadb:provisioner" }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "lumadb:provisioner" }
subjects: [{ apiGroup: rbac.authorization.k8s.io, kind: User, name: "lumadb:provisioner" }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: "lumadb:resizer" }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "lumadb:resizer" }
subjects: [{ apiGroup: rbac.authorization.k8s.io, kind: User, name: "lumadb:resizer" }]
YAML
socket="$kube_dir/kubelet/plugins/$volume_driver/driver@csi.sock"
for name in provisioner resizer; do
    start "csi-$name" "$built/csi-$name" --kubeconfig "$kube_dir/keys/$name.kubeconfig" --csi-address "$socket"
done
