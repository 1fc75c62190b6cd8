#!/usr/bin/env bash
# Checks that databases serve in a Kubernetes where the operator runs, as a client in a pod sees it, and
# says how long each took:
#   created → first answer;  pod deleted → serving, with all rows;  engine killed → serving
# kube_up.sh ends with it; alone it checks what that has made.
# KUBE_KUBECTL, KUBE_CONFIG and KUBE_IMAGE: kubectl, the cluster, the image of databases' pods.
set -euo pipefail
. "$(dirname "$0")/kube/lib.sh"

kubeconfig="${KUBE_CONFIG:-$kube_dir/keys/admin.kubeconfig}"
kubectl_program="${KUBE_KUBECTL:-$cache/kubernetes/$kubernetes_version/kubectl}"
image="${KUBE_IMAGE:-$(kubectl -n "$system_namespace" get deployment lumadb-operator -o jsonpath='{.spec.template.spec.containers[0].env[?(@.name=="LUMADB_OPERATOR_IMAGE")].value}')}"
# A UUID of version 7 in Crockford's base32, as IDs of databases are.
database="db-$(python3 - <<'PYTHON'
import os, time
value = int(time.time() * 1000) << 80 | 7 << 76 | int.from_bytes(os.urandom(10)) & ((1 << 76) - 1)
value = value & ~(3 << 62) | 2 << 62
print("".join("0123456789abcdefghjkmnpqrstvwxyz"[value >> 5 * place & 31] for place in reversed(range(26))))
PYTHON
)"
client="client-${database##db-}"

tenants() { kubectl -n "$namespace" "$@"; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }
# A statement, asked again until it is answered:  ask STATEMENT
ask() {
    timeout 120 "$kubectl_program" --kubeconfig "$kubeconfig" -n "$namespace" exec "$client" -- \
        sh -c 'export PGPASSWORD="$2"; until psql -XAtq "$1" -c "$0" 2>/dev/null; do :; done' \
        "$1" "host=$(owner host) port=$(owner port) user=$(owner username) dbname=$(owner dbname)" \
        "$(owner password)" || {
        tenants get lumadatabases,pods -o wide >&2
        die "no answer from $database within 120 seconds"
    }
}
# What its owner logs in with:  owner KEY
owner() { jq -r ".data.$1 | @base64d" <<<"$secret"; }
report() { printf '%-46s %6d ms\n' "$1" "$2"; }

cleanup() {
    tenants delete "lumadatabase/$database" "pod/$client" --ignore-not-found --wait=false >/dev/null
    # What was given to the database goes with it; the volume is emptied before it is used again.
    tenants wait "pod/$database-1" "pod/$client" --for delete --timeout 120s >/dev/null 2>&1 || true
    [ "$kubeconfig" != "$kube_dir/keys/admin.kubeconfig" ] ||
        "$root/scripts/kube/volumes.sh" "$kubectl_program"
}
trap cleanup EXIT

# The client is there before the database.
kubectl apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata:
  name: $client
  namespace: $namespace
  labels: { "lumadb.cloud/client": "$database" }
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 0
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    seccompProfile: { type: RuntimeDefault }
  containers:
  - name: psql
    image: $image
    command: [sh]
    stdin: true
    env:
    - { name: PGCONNECT_TIMEOUT, value: "2" }
    - { name: PGSSLMODE, value: disable }
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: { drop: [ALL] }
YAML
tenants wait "pod/$client" --for condition=Ready --timeout 60s >/dev/null || die "no pod starts here"

begun="$(now_ms)"
tenants apply -f - >/dev/null <<YAML
apiVersion: lumadb.cloud/v1alpha1
kind: LumaDatabase
metadata: { name: $database }
spec:
  class: Shared
  compute: { cpu: "1", memory: 512Mi }
  storage: { size: 1Gi }
  deletionPolicy: Delete
YAML
wait_for 60 "the owner's password" tenants get secret "$database-owner"
secret="$(tenants get secret "$database-owner" -o json)"
[ "$(ask 'select 1')" = 1 ] || die "$database did not answer as PostgreSQL does"
report 'created, first answer after' $(($(now_ms) - begun))
tenants wait "lumadatabase/$database" --for condition=Ready --timeout 60s >/dev/null
report 'created, said to be ready after' $(($(now_ms) - begun))
say "$(ask 'select version()')"

ask 'create extension vector; create table kept (id bigint primary key, spot vector(3));
    insert into kept select id, array[id, id, id]::vector from generate_series(1, 1000) as id' >/dev/null
rows() { [ "$(ask 'select count(*) from kept')" = 1000 ] || die "rows are missing after $1"; }
system="$(ask 'select system_identifier from pg_control_system()')"

before="$(tenants get pod "$database-1" -o jsonpath='{.metadata.uid}')"
begun="$(now_ms)"
tenants delete pod "$database-1" --wait=false >/dev/null
replaced() { [ "$(tenants get pod "$database-1" -o jsonpath='{.metadata.uid}')" != "$before" ]; }
wait_for 200 'another pod' replaced
rows 'its pod was deleted'
report 'pod deleted, serving from another after' $(($(now_ms) - begun))
[ "$(ask 'select system_identifier from pg_control_system()')" = "$system" ] || die 'the volume is another'

begun="$(now_ms)"
tenants exec "$database-1" -c engine -- \
    sh -c 'read -r pid </instance/data/postmaster.pid; kill -KILL "$pid"'
rows 'PostgreSQL was killed'
report 'PostgreSQL killed, serving again after' $(($(now_ms) - begun))
