#!/usr/bin/env bash
# Checks that databases serve in a Kubernetes where the operator runs, and says how long each step
# took. Where kube_up.sh made the cluster, a database is asked of the control plane's API and reached
# through its edge; elsewhere it is asked of the operator and reached from a pod.
# kube_up.sh ends with it; alone it checks what that has made.
# KUBE_KUBECTL, KUBE_CONFIG and KUBE_IMAGE: kubectl, the cluster, the image of databases' pods.
set -euo pipefail
. "$(dirname "$0")/kube/lib.sh"

kubeconfig="${KUBE_CONFIG:-$kube_dir/keys/admin.kubeconfig}"
kubectl_program="${KUBE_KUBECTL:-$cache/kubernetes/$kubernetes_version/kubectl}"
said="$(mktemp)"
is_ours() { [ "$kubeconfig" = "$kube_dir/keys/admin.kubeconfig" ]; }

tenants() { kubectl -n "$namespace" "$@"; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }
report() { printf '%-46s %6d ms\n' "$1" "$2"; }
# A statement, asked again until it is answered:  ask STATEMENT
ask() {
    local deadline=$((SECONDS + 180))
    until ask_once "$1"; do
        [ $SECONDS -lt $deadline ] || {
            tenants get lumadatabases,pods -o wide >&2
            die "no answer from $database within 180 seconds: $(cat "$said")"
        }
    done
}
# A pod that may connect to a database without an edge, and waits to be told to:  client_pod NAME DATABASE
client_pod() {
    tenants apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata:
  name: $1
  labels: { "lumadb.cloud/client": "$2" }
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
    tenants wait "pod/$1" --for condition=Ready --timeout 60s >/dev/null || die "no pod starts here"
}

image="${KUBE_IMAGE:-$(kubectl -n "$system_namespace" get deployment lumadb-operator -o jsonpath='{.spec.template.spec.containers[0].env[?(@.name=="LUMADB_OPERATOR_IMAGE")].value}')}"
if is_ours; then
    . "$(dirname "$0")/kube/by_cloud.sh"
    . "$(dirname "$0")/kube/isolated.sh"
    . "$(dirname "$0")/kube/growth.sh"
else
    . "$(dirname "$0")/kube/by_operator.sh"
fi

cleanup() {
    ! is_ours || isolated_remove
    ! is_ours || growth_remove
    database_remove
    tenants wait "pod/$database-1" --for delete --timeout 120s >/dev/null 2>&1 || true
    rm -f "$said"
}
trap cleanup EXIT

prepare
begun="$(now_ms)"
database_make
[ "$(ask 'select 1')" = 1 ] || die "$database did not answer as PostgreSQL does"
report 'created, first answer after' $(($(now_ms) - begun))
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

database_sleep
begun="$(now_ms)"
database_wake
rows 'it slept'
report 'no pod, serving after it was asked to wake' $(($(now_ms) - begun))

# Its archive is the control plane's affair, and so is the edge.
if is_ours; then
    database_sleeps_after 5
    has_no_pod() { ! tenants get pod "$database-1" >/dev/null 2>&1; }
    wait_for 60 'the database to fall asleep' has_no_pod
    begun="$(now_ms)"
    rows 'a client woke it'
    report 'no pod, first answer to a client after' $(($(now_ms) - begun))
    database_sleeps_after 300

    doors_check
    rows 'its networks were changed'

    database_back_up
    claim="$(tenants get pvc -l "lumadb.cloud/database=$database" -o name)"
    lost="$(tenants get "$claim" -o jsonpath='{.spec.volumeName}')"
    begun="$(now_ms)"
    tenants delete "$claim" "pod/$database-1" --wait=false >/dev/null
    tenants wait "$claim" --for delete --timeout 60s >/dev/null
    rows 'its volume was lost'
    [ "$(tenants get "$claim" -o jsonpath='{.spec.volumeName}')" != "$lost" ] || die 'no volume was lost'
    report 'pod and volume lost, back from its archive after' $(($(now_ms) - begun))

    isolated_prepare
    isolated_check
    growth_check
fi
