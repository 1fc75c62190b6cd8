//! Configuration files of a rebuilt folder. Pure.

/// While it replays: reached through the work folder's socket only.
pub(super) fn while_replaying(recovery: &str) -> String {
    format!(
        "listen_addresses = ''\n\
         unix_socket_directories = '../run'\n\
         unix_socket_permissions = '0700'\n\
         shared_buffers = '256MB'\n\
         wal_level = 'logical'\n\
         log_destination = 'stderr'\n\
         logging_collector = 'off'\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n\
         {recovery}"
    )
}

/// What the finished folder starts with, on any machine.
pub(super) const PLAIN: &str = "\
# Written when this folder was restored. Change it as you like.
# As it stands, only the user that owns the folder can connect, by the socket in it:
#   psql -h <this folder> -U lumadb_admin postgres
listen_addresses = ''
unix_socket_directories = '.'
unix_socket_permissions = '0700'
password_encryption = 'scram-sha-256'
max_connections = 100
shared_buffers = '128MB'
wal_level = 'logical'
shared_preload_libraries = 'pg_stat_statements'
timezone = 'UTC'
log_timezone = 'UTC'
";

/// The socket lets in nobody but the folder's owner; over a network, passwords are asked for.
pub(super) const PLAIN_HBA: &str = "\
local all all trust
local replication all trust
host  all all all scram-sha-256
";
