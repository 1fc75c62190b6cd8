-- Billing's time may be moved past a month's end before anybody could say what was used till then.
alter table billing_clock add column moved_at timestamptz;
