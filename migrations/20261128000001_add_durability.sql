-- When a client hears that its transaction is committed: as soon as it is on the database's own disk,
-- or once its WAL is in the archive.
alter table databases
    add column durability text not null default 'local' check (durability in ('local', 's3'));

alter table plans
    -- Whether its databases may have commits wait for the archive.
    add column durability_s3 boolean not null default false;

update plans set durability_s3 = true where id in ('pro-scale', 'enterprise');
