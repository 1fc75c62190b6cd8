-- Samples lie in partitions of a day (UTC), so that old ones are forgotten by dropping a table.
-- The application owns no table: it asks this function, which runs as the tables' owner and can do
-- nothing else. All of it is one transaction: cut off, nothing has happened.

-- Drops the days before keep_from, and has partitions ready for the days up to ready_until. Rows of
-- a day without a partition wait in the default one: they move into their own, or go if their day
-- is past. Gives the number of days dropped.
create function usage_samples_keep(keep_from date, ready_until date) returns integer
    language plpgsql security definer
    set search_path = public, pg_temp
    set timezone = 'UTC'
    -- Whoever stores samples waits behind this: it is rather tried again later.
    set lock_timeout = '5s'
as $$
declare
    day date;
    missing date[];
    partition text;
    past text[];
begin
    -- Swapped or mistaken arguments must not cost a month of samples.
    if ready_until - keep_from not between 31 and 400 then
        raise exception 'samples of % days cannot be kept', ready_until - keep_from;
    end if;
    perform pg_advisory_xact_lock(hashtextextended('usage_samples_keep', 0));
    select coalesce(array_agg(c.relname::text), '{}') into past
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'usage_samples'::regclass and c.relname ~ '^usage_samples_[0-9]{8}$'
      and to_date(right(c.relname, 8), 'YYYYMMDD') < keep_from;
    select coalesce(array_agg(d), '{}') into missing
    from (select distinct taken_at::date as d from usage_samples_default
          where taken_at >= keep_from and taken_at < ready_until + 1
          union
          select generate_series(ready_until - 3, ready_until, interval '1 day')::date) as days
    where to_regclass('usage_samples_' || to_char(d, 'YYYYMMDD')) is null;
    if past <> '{}' or missing <> '{}' then
        -- From the whole down to its parts, as everybody else does. Whoever stores samples chooses
        -- their partition behind this, among those that there are then.
        lock table usage_samples in access exclusive mode;
    end if;
    foreach partition in array past loop
        execute format('drop table %I', partition);
    end loop;
    foreach day in array missing loop
        partition := 'usage_samples_' || to_char(day, 'YYYYMMDD');
        -- Made beside, filled, then attached: the default partition may hold rows of this day.
        execute format('create table %I (like usage_samples including all)', partition);
        execute format('with moved as (delete from usage_samples_default
                                       where taken_at >= %L and taken_at < %L returning *)
                        insert into %I select * from moved',
                       day::timestamptz, (day + 1)::timestamptz, partition);
        execute format('alter table usage_samples attach partition %I for values from (%L) to (%L)',
                       partition, day::timestamptz, (day + 1)::timestamptz);
    end loop;
    delete from usage_samples_default where taken_at < keep_from;
    return cardinality(past);
end
$$;
revoke all on function usage_samples_keep from public;
grant execute on function usage_samples_keep to lumadb_region;
