# A database asked of the control plane's API, and reached through its edge, for kube_check.sh.
# shellcheck shell=bash

cookies="$(mktemp)"
token='' id='' uri=''

# A request of the owner's; prints the answer:  call METHOD PATH [BODY]
call() {
    curl -sf --max-time 120 -X "$1" "$api$2" -H "Authorization: Bearer $token" \
        -H 'Content-Type: application/json' -H 'Prefer: wait=60' ${3:+-d "$3"}
}

# Signs up as a new user does, by the mail in the outbox.
sign_up() {
    local mail verify='' me organization deadline=$((SECONDS + 30))
    local json='Content-Type: application/json'
    mail="check-$(date +%s%N)@example.com"
    curl -sf "$api/v1/auth/sign-up" -H "$json" -d \
        "{\"email\": \"$mail\", \"password\": \"correct horse battery\", \"display_name\": \"Check\"}" >/dev/null
    until [ "$verify" ]; do
        [ $SECONDS -lt $deadline ] || die 'no mail came'
        verify="$(curl -sf "$api/outbox.json" |
            jq -r --arg mail "$mail" '[.items[] | select(.to == $mail)][0].text // ""' |
            sed -n 's/.*verify?token=//p')"
    done
    curl -sf -c "$cookies" "$api/v1/auth/verify-email" -H "$json" -d "{\"token\": \"$verify\"}" >/dev/null
    me="$(curl -sf -b "$cookies" "$api/v1/me")"
    organization="$(jq -r '.organizations[0].id' <<<"$me")"
    project="$(jq -r '.organizations[0].default_project_id' <<<"$me")"
    token="$(curl -sf -b "$cookies" "$api/v1/organizations/$organization/tokens" -H "$json" \
        -H "Origin: $api" -d '{"name": "check", "expires_in_days": 1, "read_only": false}' | jq -r .secret)"
}

prepare() { sign_up; }

database_make() {
    local made
    made="$(call POST "/v1/projects/$project/databases" '{"name": "check"}')" || die 'no database was made'
    id="$(jq -r .database.id <<<"$made")"
    database="db-${id#db_}"
    uri="$(jq -r '.connection.strings[] | select(.id == "uri").text' <<<"$made")"
}

ask_once() { PGCONNECT_TIMEOUT=5 psql -XAtq "$uri" -c "$1" 2>"$said"; }

# Ends the pod, keeping the volume.
database_sleep() { call POST "/v1/databases/$id/suspend" '{}' >/dev/null; }
# Falls asleep by itself after so many seconds without a client, until one comes.
database_sleeps_after() { call PATCH "/v1/databases/$id" "{\"idle_timeout_seconds\": $1}" >/dev/null; }
database_wake() { call POST "/v1/databases/$id/resume" '{}' >/dev/null; }

# The SQL editor comes in by the edges in the cluster, and clients from allowed networks alone.
doors_check() {
    local asked answer path="/v1/databases/$id"
    asked='{"role": "owner", "logical_database": "main", "sql": "select count(*) from kept",
        "query_id": "00000000-0000-0000-0000-00000000000a"}'
    answer="$(call POST "$path/query" "$asked")" || die 'the SQL editor does not answer'
    [ "$(jq -r '.results[0].rows[0][0]' <<<"$answer")" = 1000 ] || die "the SQL editor says $answer"
    call PATCH "$path" '{"allowed_networks": ["203.0.113.0/24"]}' >/dev/null
    is_refused() { ! ask_once 'select 1' >/dev/null && grep -q 'not in the allowed networks' "$said"; }
    wait_for 30 'edges to refuse other networks' is_refused
    says_so() {
        [ "$(tenants get lumadatabase "$database" -o jsonpath='{.spec.allowedNetworks[0]}')" = 203.0.113.0/24 ]
    }
    wait_for 30 'the LumaDatabase to say which networks are allowed' says_so
    call PATCH "$path" '{"allowed_networks": []}' >/dev/null
}

database_back_up() {
    local backup state='' deadline=$((SECONDS + 120))
    backup="$(call POST "/v1/databases/$id/backups" '{"name": "check"}' | jq -r .id)"
    until [ "$state" = complete ]; do
        [ $SECONDS -lt $deadline ] || die "the backup is $state"
        sleep 0.3
        state="$(call GET "/v1/databases/$id/backups" | jq -r ".items[] | select(.id == \"$backup\").state")"
    done
}

database_remove() {
    [ -z "$id" ] || call DELETE "/v1/databases/$id" >/dev/null || true
    rm -f "$cookies"
}
