# A database asked of the operator by its object, and reached from a pod, for kube_check.sh.
# shellcheck shell=bash

# A UUID of version 7 in Crockford's base32, as IDs of databases are.
database="db-$(python3 - <<'PYTHON'
import os, time
value = int(time.time() * 1000) << 80 | 7 << 76 | int.from_bytes(os.urandom(10)) & ((1 << 76) - 1)
value = value & ~(3 << 62) | 2 << 62
print("".join("0123456789abcdefghjkmnpqrstvwxyz"[value >> 5 * place & 31] for place in reversed(range(26))))
PYTHON
)"
client="client-${database##db-}"

# What its owner logs in with:  owner KEY
owner() { jq -r ".data.$1 | @base64d" <<<"$secret"; }

ask_once() {
    # shellcheck disable=SC2016 # The pod's shell reads them.
    tenants exec "$client" -- sh -c 'PGPASSWORD="$2" exec psql -XAtq "$1" -c "$0"' "$1" \
        "host=$(owner host) port=$(owner port) user=$(owner username) dbname=$(owner dbname)" \
        "$(owner password)" 2>"$said"
}

# The client is there before the database.
prepare() { client_pod "$client" "$database"; }

database_make() {
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
}

database_suspend() { tenants patch "lumadatabase/$database" --type merge -p "{\"spec\": {\"suspend\": $1}}" >/dev/null; }
database_sleep() {
    database_suspend true
    tenants wait "pod/$database-1" --for delete --timeout 60s >/dev/null
}
database_wake() { database_suspend false; }

database_remove() {
    tenants delete "lumadatabase/$database" "pod/$client" --ignore-not-found --wait=false >/dev/null
    tenants wait "pod/$client" --for delete --timeout 60s >/dev/null 2>&1 || true
}
