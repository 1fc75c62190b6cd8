-- Networks that the clients of a database may come from, such as 203.0.113.0/24; none: everywhere.
alter table databases
    add column allowed_networks text[] not null default '{}'
        check (cardinality(allowed_networks) <= 64);
