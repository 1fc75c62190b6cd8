alter table spend_alerts
    drop constraint spend_alerts_kind_check,
    add constraint spend_alerts_kind_check check (kind in ('budget', 'spend_cap_near', 'spend_cap'));
