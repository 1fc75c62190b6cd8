//! `lumadb-node` as processes, with a real PostgreSQL, under a parent that is played.

mod archive;
mod backup_node;
mod bucket;
mod gate;
mod life;
mod parent;
mod restore_node;
mod restore_tool;
mod tenancy;
mod tenant_isolation;
mod world;
