//! Checks that what an engine holds is whole: every B-tree index and every table of every logical
//! database, by the functions of PostgreSQL's `amcheck`.
//!
//! The extension itself is not offered to tenants. Its functions are made for the length of a
//! session, in a database that nobody else uses.

use super::admin::{AdminError, AdminSession, PLATFORM_DATABASE};
use super::instance_dir::InstanceDir;
use lumadb_contract::archive::{VERIFICATION_FAULTS_MAX, Verification};
use std::path::Path;

/// Longest fault that is told, characters.
const FAULT_CHARACTERS_MAX: usize = 300;

/// SQLSTATEs of damage begin so: a page, a table or an index is not what it should be.
const DAMAGE: &str = "XX";

/// One statement may read the largest table whole.
const SETUP: &str = "set statement_timeout = '6h';
    create function pg_temp.index_check(regclass, boolean) returns void
        as '$libdir/amcheck', 'bt_index_check' language c strict;
    create function pg_temp.table_check(
            relation regclass, on_error_stop boolean, check_toast boolean, skip text,
            first_block bigint, last_block bigint,
            out block bigint, out line integer, out attribute integer, out said text)
        returns setof record as '$libdir/amcheck', 'verify_heapam' language c";

const DATABASES: &str = "select datname from pg_database where datallowconn order by oid";

/// What is unlogged comes back empty, and what is temporary does not come back.
const TABLES: &str = "select c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_am a on a.oid = c.relam
    where a.amname = 'heap' and c.relkind in ('r', 'm', 't') and c.relpersistence = 'p'
    order by c.oid";

/// Whether an index holds every row of its table is asked where no function of a tenant is called
/// for it.
const INDEXES: &str = "select c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname),
        i.indexprs is null and i.indpred is null
    from pg_index i join pg_class c on c.oid = i.indexrelid
    join pg_namespace n on n.oid = c.relnamespace join pg_am a on a.oid = c.relam
    where a.amname = 'btree' and c.relkind = 'i' and c.relpersistence = 'p'
      and i.indisready and i.indisvalid
    order by c.oid";

/// Checks everything and says how far it is. The engine must be nobody else's: a table that changes
/// meanwhile could look damaged. An error says that it could not be checked, not that it is damaged.
pub(crate) async fn verify(
    instance: &InstanceDir,
    mut say: impl FnMut(&Verification),
) -> Result<(), AdminError> {
    let socket = instance.engine_socket();
    let session = AdminSession::open_in(&socket, PLATFORM_DATABASE).await?;
    let databases = session.rows("listing the databases", DATABASES).await?;
    drop(session);
    let mut found = Verification::default();
    for database in databases.iter().filter_map(|row| row.get(0)) {
        database_verify(&socket, database, &mut found, &mut say).await?;
    }
    found.has_ended = true;
    say(&found);
    Ok(())
}

async fn database_verify(
    socket: &Path,
    database: &str,
    found: &mut Verification,
    say: &mut impl FnMut(&Verification),
) -> Result<(), AdminError> {
    let session = AdminSession::open_in(socket, database).await?;
    session.run("preparing the checks", SETUP).await?;
    for row in session.rows("listing the tables", TABLES).await? {
        let (oid, name) = (
            row.get(0).unwrap_or_default(),
            row.get(1).unwrap_or_default(),
        );
        let check = format!(
            "select said from pg_temp.table_check({oid}, true, true, 'none', null, null) limit 1"
        );
        let faults = match session.rows("checking a table", &check).await {
            Ok(rows) => rows.first().and_then(|row| row.get(0)).map(str::to_owned),
            Err(error) => Some(damage(error)?),
        };
        found.tables += 1;
        note(found, &format!("the table {name} of {database}"), faults);
        say(found);
    }
    for row in session.rows("listing the indexes", INDEXES).await? {
        let (oid, name) = (
            row.get(0).unwrap_or_default(),
            row.get(1).unwrap_or_default(),
        );
        let whole = row.get(2) == Some("t");
        let check = format!("select pg_temp.index_check({oid}, {whole})");
        let fault = match session.rows("checking an index", &check).await {
            Ok(_) => None,
            Err(error) => Some(damage(error)?),
        };
        found.indexes += 1;
        note(found, &format!("the index {name} of {database}"), fault);
        say(found);
    }
    Ok(())
}

/// What PostgreSQL says of damage; any other error is one.
fn damage(error: AdminError) -> Result<String, AdminError> {
    match &error {
        AdminError::Sql { source, .. } => match source.as_db_error() {
            Some(said) if said.code().code().starts_with(DAMAGE) => Ok(said.message().to_owned()),
            _ => Err(error),
        },
        _ => Err(error),
    }
}

fn note(found: &mut Verification, what: &str, fault: Option<String>) {
    if let Some(said) = fault
        && found.faults.len() < VERIFICATION_FAULTS_MAX
    {
        let fault = format!("{what}: {said}");
        let fault = fault.chars().take(FAULT_CHARACTERS_MAX).collect();
        found.faults.push(fault);
    }
}
