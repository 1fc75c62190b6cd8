-- A full backup now and then, incremental ones between. Where the window is a day, a chain would
-- only keep what has left it.
alter table plans
    add column full_backup_interval_hours integer not null default 168
        check (full_backup_interval_hours > 0);
update plans set full_backup_interval_hours = 24 where id = 'free';
