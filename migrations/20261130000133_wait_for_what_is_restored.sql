-- A restore may be asked for to a moment that is not archived yet.
alter table restores drop constraint restores_phase_check;
alter table restores add constraint restores_phase_check
    check (phase in ('waiting', 'pending', 'fetching', 'replaying', 'done', 'refused'));
