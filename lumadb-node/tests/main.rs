//! `lumadb-node` as processes, with a real PostgreSQL, under a parent that is played.

mod archive;
mod backup_node;
mod bucket;
mod gate;
mod life;
mod limits;
mod parent;
mod restore_beside;
mod restore_damage;
mod restore_killed;
mod restore_node;
mod restore_timelines;
mod restore_tool;
mod template;
mod tenancy;
mod tenant_isolation;
mod volume;
mod world;
