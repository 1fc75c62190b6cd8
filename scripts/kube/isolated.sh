# That a database's pod reaches nobody whom it need not reach, for kube_check.sh. What is shut for it is
# tried from a pod without a policy, too: there it must be open, or nothing would be shown.
# shellcheck shell=bash

# Of the range where clouds have their metadata services, but none of theirs.
metadata_ip=169.254.198.1
other='' probe='' metadata_pid=''

# Whether a connection comes about:  reach HOST PORT POD [CONTAINER]
reach() {
    local answer
    # psql speaks one protocol. Whatever is said there in another one, somebody is there.
    answer="$(tenants exec "$3" ${4:+-c "$4"} -- psql -w \
        "host=$1 port=$2 connect_timeout=3 user=a dbname=a sslmode=disable" -c '' 2>&1 || true)"
    case "$answer" in
    *'timeout expired'* | *'Connection refused'* | *'unreachable'* | *'No route to host'*) echo shut ;;
    *'connection to server at'*) echo open ;;
    *) die "$3 could not try to connect: $answer" ;;
    esac
}

# One place that no database's pod may reach:  isolated_from WHAT HOST PORT
isolated_from() {
    [ "$(reach "$2" "$3" "$probe")" = open ] || die "$1 is shut for everybody: that shows nothing"
    [ "$(reach "$2" "$3" "$database-1" node)" = shut ] || die "$1 is open for a database's pod"
    say "A database's pod does not reach $1"
}

# Another organization's database, and a pod that may connect to it.
isolated_prepare() {
    other="$(
        sign_up
        database_make
        ask 'select 1' >/dev/null
        echo "$database $id $token"
    )"
    probe="client-${other%% *}"
    client_pod "$probe" "${other%% *}"
    ip address add "$metadata_ip/32" dev "$link" 2>/dev/null || true
    python3 -c 'import socket, sys
listener = socket.create_server((sys.argv[1], 80))
while True:
    listener.accept()[0].close()' "$metadata_ip" &
    metadata_pid=$!
    # It answers by closing: curl calls that 52.
    wait_for 30 'the played metadata service' sh -c "curl -s http://$metadata_ip/; [ \$? = 52 ]"
}

isolated_check() {
    local other_ip
    other_ip="$(tenants get pod "${other%% *}-1" -o jsonpath='{.status.podIP}')"
    isolated_from "another tenant's database" "$other_ip" 5432
    isolated_from 'the API server' "${service_network%.*}.1" 443
    isolated_from 'the API server at its own address' "$node_ip" 6443
    isolated_from 'the control plane' "$node_ip" 8400
    isolated_from 'a metadata service' "$metadata_ip" 80
}

isolated_remove() {
    [ -z "$metadata_pid" ] || kill "$metadata_pid" 2>/dev/null || true
    ip address delete "$metadata_ip/32" dev "$link" 2>/dev/null || true
    [ -z "$probe" ] || tenants delete "pod/$probe" --ignore-not-found --wait=false >/dev/null
    [ -z "$other" ] || (
        read -r database id token <<<"$other"
        database_remove
        tenants wait "pod/$database-1" --for delete --timeout 120s >/dev/null 2>&1
    ) || true
}
