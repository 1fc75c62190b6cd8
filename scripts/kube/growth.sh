# That a database's volume grows by itself, for kube_check.sh: while rows fill it, before it is full; and
# also once it is full and PostgreSQL has stopped. Nobody asks for it but the operator.
# shellcheck shell=bash

filler=''

# What the claim asks for, and what its volume holds.
requested() { tenants get pvc "$database-1" -o jsonpath='{.spec.resources.requests.storage}'; }
capacity() { tenants get pvc "$database-1" -o jsonpath='{.status.capacity.storage}'; }
# Size of the file system as the node sees it in its pod, mebibytes.
seen_mib() {
    local bytes
    bytes="$(tenants get lumainstance "$database-1" -o jsonpath='{.status.volume.capacityBytes}')"
    echo $((bytes / 1048576))
}
# Whether the volume has so many gibibytes or more, and all of them are there for the pod:  has_grown GIBIBYTES
has_grown() {
    local gib
    gib="$(capacity)" gib="${gib%Gi}"
    [ "$gib" -ge "$1" ] && [ "$(seen_mib)" -gt $((gib * 1024 * 9 / 10)) ]
}
# The pod, how often each container has restarted, and the process of PostgreSQL.
lives() {
    tenants get pod "$database-1" -o jsonpath='{.metadata.uid}{range .status.containerStatuses[*]} {.name} {.restartCount}{end}'
    ask 'select pg_postmaster_start_time()'
}
# So many rows of a kilobyte:  write_rows COUNT
write_rows() {
    ask "insert into filling (text) select repeat(md5(n::text), 32) from generate_series(1, $1) as n"
    written=$((written + $1))
}
# All that were acknowledged; of one that was not, nobody knows.
filling_rows() {
    [ "$(ask 'select count(*) from filling')" -ge "$written" ] || die "rows are missing after $1"
}

growth_before_full() {
    local before begun answers=0
    before="$(lives)"
    ask 'create table filling (id bigint generated always as identity primary key, text text)'
    write_rows 200000
    while [ "$(requested)" = 1Gi ]; do
        begun="$(now_ms)"
        write_rows 4000
    done
    until has_grown 2; do
        write_rows 10
        answers=$((answers + 1))
    done
    report 'volume nearly full, larger for its pod after' $(($(now_ms) - begun))
    filling_rows 'the volume grew'
    [ "$(lives)" = "$before" ] || die "it did not serve on: $before, now $(lives)"
    say "It served on, and answered $answers times while its volume grew"
}

growth_when_full() {
    local pod volume mounted begun
    pod="$(tenants get pod "$database-1" -o jsonpath='{.metadata.uid}')"
    volume="$(tenants get pvc "$database-1" -o jsonpath='{.spec.volumeName}')"
    mounted="$kube_dir/kubelet/pods/$pod/volumes/kubernetes.io~csi/$volume/mount"
    write_rows 100
    filler="$mounted/filler"
    begun="$(now_ms)"
    fallocate --length "$(($(stat --file-system --format '%a * %S' "$mounted") - 1048576))" "$filler"
    ! cat /dev/zero >>"$filler" 2>/dev/null || die 'the volume has no end'
    # More of its log than there are files for, past the node, which lets nobody write any more.
    ! tenants exec "$database-1" -c engine -- psql -XAtq 'host=/instance/run user=lumadb_admin dbname=postgres' -c \
        "select pg_logical_emit_message(false, 'filler', repeat('a', 64000000)) from generate_series(1, 40)" >/dev/null 2>&1 ||
        die 'a full volume took everything'
    wait_for 60 'PostgreSQL to say that its volume is full' volume_is_full
    write_rows 10
    report 'volume full and PostgreSQL stopped, serving after' $(($(now_ms) - begun))
    filling_rows 'the volume was full'
    has_grown 3 || die "the volume has $(capacity), $(seen_mib) MiB for its pod"
    growth_remove
}
volume_is_full() {
    tenants logs "$database-1" -c engine --since 60s | grep -F 'No space left on device' | grep -F PANIC
}

growth_check() {
    written=0
    growth_before_full
    growth_when_full
}

growth_remove() { [ -z "$filler" ] || rm -f "$filler"; }
