-- The archive of a deleted database is kept for the plan's window, with the database's roles, and
-- then removed.
alter table archives
    -- Since when its objects are being removed: from then on nothing is restored from it.
    add column removing_since timestamptz;

-- What was restored outlives the archive that it came from.
alter table restores
    alter column source_archive_id drop not null,
    drop constraint restores_organization_id_source_archive_id_fkey,
    add constraint restores_organization_id_source_archive_id_fkey
        foreign key (organization_id, source_archive_id) references archives (organization_id, id)
        on delete set null (source_archive_id);

create index databases_deleted on databases (organization_id, project_id, deleted_at)
    where deleted_at is not null;

grant delete on archives, backups to lumadb_region;
