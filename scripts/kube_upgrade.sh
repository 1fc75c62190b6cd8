#!/usr/bin/env bash
# Replaces operator, edges and control plane of the cluster that kube_up.sh made by another build, while
# clients work, and says what broke for whom. It fails if a database's pod was replaced or restarted, or
# if a transaction that was acknowledged is not there.
#
# LUMADB_KUBE_PROGRAMS  folder of the programs that run now; the others differ in their last bytes alone
set -euo pipefail
. "$(dirname "$0")/kube/lib.sh"

programs="${LUMADB_KUBE_PROGRAMS:-${CARGO_TARGET_DIR:-$root/target}/release}"
kubeconfig="$kube_dir/keys/admin.kubeconfig"
kubectl_program="$cache/kubernetes/$kubernetes_version/kubectl"
pgbench="$(compgen -G '/usr/lib/postgresql/*/bin/pgbench' | tail -1)" || die 'pgbench is not installed'
running lumadb-cloud || die 'no cluster runs here; `make kube` makes one'
clients=8
work="$(mktemp -d)"
said="$work/said"
. "$(dirname "$0")/kube/by_cloud.sh"

tenants() { kubectl -n "$namespace" "$@"; }
pods() {
    tenants get pods -l "lumadb.cloud/database=$database" \
        -o jsonpath='{range .items[*]}{.metadata.uid}{range .status.containerStatuses[*]} {.name} {.restartCount}{end}{"\n"}{end}'
}
cleanup() {
    touch "$work/stop"
    wait
    database_remove
    rm -rf "$work"
}
trap cleanup EXIT

# One client that writes 50 rows a second, and begins again at once when it is cut off. All of them together
# stay within what the Free plan allows a day.
client() {
    until [ -e "$work/stop" ]; do
        "$pgbench" --no-vacuum --file "$work/write.sql" --rate 50 --time 30 "$uri" \
            >>"$work/client-$1" 2>>"$work/errors" || true
    done
}
# What is tried ten times a second, and when it failed, milliseconds since the epoch:  probe NAME COMMAND…
probe() {
    local name="$1" now
    shift
    until [ -e "$work/stop" ]; do
        now=$(($(date +%s%N) / 1000000))
        if "$@" >/dev/null 2>>"$work/$name.errors"; then
            echo "$now well" >>"$work/$name"
        else
            echo "$now failed" >>"$work/$name"
        fi
        sleep 0.1
    done
}
# Failures of a probe and the longest span without a success:  spans NAME
spans() {
    awk -v name="$1" '
        $2 == "failed" { failed++ }
        $2 == "well" { if (last && $1 - last > longest) longest = $1 - last; last = $1 }
        END { printf "%-40s %5d of %5d failed, at most %d ms without one\n", name, failed, NR, longest }
    ' "$work/$1"
}
connect() { PGCONNECT_TIMEOUT=10 psql -XAtq "$uri" -c 'select 1'; }

# A statement, asked again for a while until it is answered:  ask STATEMENT
ask() {
    local deadline=$((SECONDS + 60))
    until ask_once "$1"; do
        [ $SECONDS -lt $deadline ] || die "no answer: $(cat "$said")"
        sleep 0.5
    done
}

prepare
database_make
ask 'select 1' >/dev/null
ask 'create table written (id bigint generated always as identity primary key, at timestamptz default now())'
echo 'insert into written default values' >"$work/write.sql"
started="$(ask 'select pg_postmaster_start_time()')"
before="$(pods)"

touch "$work/errors"
for number in $(seq "$clients"); do
    client "$number" &
done
probe connections connect &
probe api curl -sf --max-time 5 "$api/health/ready" &
sleep 5

mkdir "$work/programs"
for name in lumadb-cloud lumadb-node; do
    cp "$programs/$name" "$work/programs"
    date +%s%N >>"$work/programs/$name"
done
LUMADB_KUBE_PROGRAMS="$work/programs" "$root/scripts/kube_up.sh" --unchecked
for deployment in lumadb-operator lumadb-edge; do
    kubectl -n "$system_namespace" rollout status "deployment/$deployment" --timeout 180s >/dev/null
done
# Those that leave take a while for it.
sleep 20
touch "$work/stop"
wait

acknowledged="$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$work"/client-* |
    awk '{ sum += $1 } END { print sum + 0 }')"
cut="$(grep -c 'client 0 .*aborted' "$work/errors" || true)"
refused="$(grep -c 'connection to server' "$work/errors" || true)"
printf '%-40s %5d, %d cut off, %d not taken\n' 'transactions acknowledged' "$acknowledged" "$cut" "$refused"
spans connections
spans api
sed 's/^pgbench: //; /Run was aborted/d' "$work/errors" | sort | uniq -c | sort -rn | head -20
stored="$(ask 'select count(*) from written')"
[ "$stored" -ge "$acknowledged" ] || die "$acknowledged transactions were acknowledged, $stored are there"
[ "$(pods)" = "$before" ] || die "the database's pod is another, or was restarted: $before, now $(pods)"
[ "$(ask 'select pg_postmaster_start_time()')" = "$started" ] || die 'PostgreSQL was restarted'
say 'The database served on in the pod and the process of before'
