//! `lumadb-node` as processes, with a real PostgreSQL, under a parent that is played.

mod life;
mod parent;
mod tenancy;
mod tenant_isolation;
mod world;
