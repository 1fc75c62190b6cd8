//! `lumadb-node` as processes, with a real PostgreSQL, under a parent that is played.

mod archive;
mod life;
mod parent;
mod tenancy;
mod tenant_isolation;
mod world;
