#!/usr/bin/env bash
# Keeps volumes ready in a cluster of one machine: folders, as a StorageClass that is the default. Of one
# that a database left behind the content is removed. They do not grow.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
kubeconfig="$kube_dir/keys/admin.kubeconfig" kubectl_program="${1:?usage: volumes.sh KUBECTL}"

kubectl apply -f - >/dev/null <<YAML
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: folders
  annotations: { storageclass.kubernetes.io/is-default-class: "true" }
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
YAML
phases="$(kubectl get persistentvolumes -o jsonpath='{range .items[*]}{.metadata.name} {.status.phase}{"\n"}{end}')"
for number in $(seq "$volumes"); do
    name="folder-$number" folder="$kube_dir/volumes/$number"
    case "$(awk -v name="$name" '$1 == name { print $2 }' <<<"$phases")" in
    '') ;;
    Released | Failed) kubectl delete persistentvolume "$name" >/dev/null ;;
    *) continue ;;
    esac
    rm -rf "$folder"
    mkdir -p "$folder"
    cat <<YAML
---
apiVersion: v1
kind: PersistentVolume
metadata: { name: $name }
spec:
  storageClassName: folders
  capacity: { storage: $volume_size }
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  # Not hostPath: of that kubelet gives no group the right to write.
  local: { path: "$folder" }
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions:
        - { key: kubernetes.io/hostname, operator: In, values: [$node_name] }
YAML
done >"$kube_dir/config/volumes.yaml"
[ ! -s "$kube_dir/config/volumes.yaml" ] || kubectl apply -f "$kube_dir/config/volumes.yaml" >/dev/null
