-- By which authority clients know the edges that serve a region's databases, PEM. Null: by that of the
-- platform's own data folder; empty: by one that clients know anyway.
alter table regions add column edge_authority_pem text;
