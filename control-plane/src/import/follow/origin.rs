//! The source's side of following: what it must have, its publication and slot, and their removal.

use super::super::Failure;
use super::super::check::{Session, list};
use super::super::login::Door;
use super::stream::position;
use super::wire::Replication;
use super::{Trouble, query};
use lumadb_contract::archive::Lsn;
use lumadb_contract::id::ImportId;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use std::path::Path;
use std::time::Duration;

/// Oldest version that can be followed, as `server_version_num` counts.
const VERSION_MIN: i32 = 120_000;

/// Longest time for the transactions that are open at the source to end: the slot waits for them.
const SLOT_TIMEOUT: Duration = Duration::from_mins(10);

/// Longest time for slot and publication to be removed, and between two attempts.
const LEAVE_TIMEOUT: Duration = Duration::from_mins(1);
const LEAVE_PAUSE: Duration = Duration::from_secs(2);

/// Sequences that are read by one statement.
const SEQUENCES_MAX: usize = 200;

/// What of a source can be published: ordinary tables, partitions among them, that outlive a crash.
const PUBLISHED: &str = "c.relkind = 'r' and c.relpersistence = 'p'
      and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass
                      and d.objid = c.oid and d.deptype = 'e')";

/// For sessions with the source. Whoever stops writing there may have made it read-only by default.
pub(super) const SESSION: &str = "set search_path = pg_catalog; set statement_timeout = 0;
    set lock_timeout = '60s'; set default_transaction_read_only = off";

/// Name of an import's slot and publication at the source. It needs no quotes.
pub(super) fn name(id: ImportId) -> String {
    format!("lumadb_import_{}", id.uuid().simple())
}

const SETTINGS: &str = "
    select current_setting('server_version_num'), current_setting('wal_level'),
           pg_is_in_recovery(),
           has_database_privilege(current_database(), 'create'),
           (select count(*) from pg_replication_slots)
               >= current_setting('max_replication_slots')::bigint,
           current_setting('max_replication_slots'),
           exists(select from pg_largeobject_metadata),
           exists(select from pg_namespace where nspname = 'lumadb_import')";

/// The source can be followed by its user; the error says what is missing. Changes nothing.
pub(super) async fn fits(source: &Session, door: &Door) -> Result<(), Failure> {
    let row = source.rows(SETTINGS).await?.pop().unwrap_or_default();
    let text = |column: usize| row.get(column).map_or("", String::as_str);
    let is = |column: usize| text(column) == "t";
    let user = &door.source.user;
    let why = if text(0).parse().unwrap_or(0) < VERSION_MIN {
        "The source is older than PostgreSQL 12: it can be imported, not followed.".into()
    } else if is(2) {
        "The source is a standby. Give the address of its primary.".into()
    } else if text(1) != "logical" {
        format!(
            "The source has wal_level = {}. Set it to logical there, and restart it.",
            text(1)
        )
    } else if !is(3) {
        format!(
            "The source's user {user} may not make a publication. There: grant create on database \
             {} to {}.",
            escape_identifier(&door.source.database),
            escape_identifier(user)
        )
    } else if is(4) {
        format!(
            "The source has no free replication slot. Raise max_replication_slots (it is {}) there, \
             or drop a slot.",
            text(5)
        )
    } else if is(6) {
        "The source holds large objects (pg_largeobject), whose changes PostgreSQL does not \
         publish. Import without following, or remove them there."
            .into()
    } else if is(7) {
        // It would arrive, and pass for what is written down about this import.
        "The source has a schema lumadb_import, as databases have into which an import is under \
         way. Wait for its end, or drop the schema there."
            .into()
    } else {
        tables_fit(source, user).await?;
        // Whether it is let in is the source's to say: providers grant it in their own ways.
        return may_replicate(door).await;
    };
    Err(Failure::new(why))
}

async fn tables_fit(source: &Session, user: &str) -> Result<(), Failure> {
    let tables = |condition: &str| {
        format!(
            "select c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where {PUBLISHED} and {condition} order by 1 limit 11"
        )
    };
    let others = source
        .names(&tables("not pg_has_role(c.relowner, 'usage')"))
        .await?;
    if !others.is_empty() {
        return Err(Failure::new(format!(
            "The source's user {user} does not own {}, and only owners publish tables. Connect as \
             their owner, or as a superuser.",
            list(&others)
        )));
    }
    let without = tables(
        "case c.relreplident
           when 'f' then false
           when 'd' then not exists (select from pg_index i
                                     where i.indrelid = c.oid and i.indisprimary)
           when 'i' then not exists (select from pg_index i
                                     where i.indrelid = c.oid and i.indisreplident)
           else true end",
    );
    let without = source.names(&without).await?;
    if without.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "Rows of these tables cannot be told apart while they change: {}. Give each a primary key \
         at the source, or: alter table … replica identity full.",
        list(&without)
    )))
}

async fn may_replicate(door: &Door) -> Result<(), Failure> {
    let opened = async { Replication::open(door).await?.ask("IDENTIFY_SYSTEM").await };
    match opened.await {
        Ok(_) => Ok(()),
        Err(trouble) => Err(Failure::new(format!(
            "The source lets {} open no replication connection. There: alter role {} replication. \
             Its pg_hba.conf must let it in, and max_wal_senders leave room. {}",
            door.source.user,
            escape_identifier(&door.source.user),
            trouble.into_failure()
        ))),
    }
}

/// A slot that was made now.
pub(super) struct Begun {
    /// Where following begins: what committed before it is in the snapshot.
    pub(super) from: Lsn,
    /// Name of the snapshot; it lives as long as the connection takes no other command.
    pub(super) snapshot: String,
    pub(super) connection: Replication,
}

/// Makes publication and slot.
pub(super) async fn begin(source: &Session, door: &Door, name: &str) -> Result<Begun, Failure> {
    let tables = format!(
        "select format('only %I.%I', n.nspname, c.relname)
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where {PUBLISHED} order by 1"
    );
    let tables = source.names(&tables).await?.join(", ");
    let of = if tables.is_empty() { "" } else { " for table " };
    // Before the slot: of what is not published while it changes nothing is sent.
    let publish = format!("create publication {name}{of}{tables}");
    source.rows(&publish).await?;
    let making = async {
        let mut connection = Replication::open(door).await?;
        let command = format!("CREATE_REPLICATION_SLOT {name} LOGICAL pgoutput EXPORT_SNAPSHOT");
        let made = connection.ask(&command).await?.pop().unwrap_or_default();
        Ok::<_, Trouble>((connection, made))
    };
    let (connection, made) = match tokio::time::timeout(SLOT_TIMEOUT, making).await {
        Ok(made) => made.map_err(Trouble::into_failure)?,
        Err(_) => {
            return Err(Failure::new(format!(
                "Transactions that are open at the source did not end within {} minutes: only then \
                 can following begin. Look for old ones in its pg_stat_activity.",
                SLOT_TIMEOUT.as_secs() / 60
            )));
        }
    };
    // Name, position, snapshot, plugin.
    let [_, from, snapshot, _] = &made[..] else {
        return Err(Failure::new("The source answers what PostgreSQL does not."));
    };
    let from = from.parse();
    Ok(Begun {
        from: from.map_err(|_| Failure::new("The source answers what PostgreSQL does not."))?,
        snapshot: snapshot.clone(),
        connection,
    })
}

/// Whether the slot still keeps all that was not applied.
pub(super) async fn slot_holds(source: &Session, name: &str) -> Result<(), Trouble> {
    let sql = format!(
        "select to_jsonb(s) ->> 'wal_status' from pg_replication_slots s
         where s.slot_name = '{name}'"
    );
    let why = match query(source, &sql)
        .await?
        .first()
        .and_then(|row| row.first())
    {
        None => "is gone there",
        Some(status) if status == "lost" => {
            "was given up there: more WAL was waiting than its max_slot_wal_keep_size allows"
        }
        Some(_) => return Ok(()),
    };
    Err(Trouble::Lasting(Failure::new(format!(
        "The source's replication slot {name} {why}. What was written since cannot be followed: \
         begin a new import."
    ))))
}

/// Removes slot and publication, as often as it takes. Repeatable; where they are not there it does
/// nothing.
pub(in super::super) async fn leave(folder: &Path, id: ImportId) -> Result<(), Failure> {
    let name = name(id);
    let mut last = None;
    let trying = async {
        loop {
            match try_to_leave(folder, &name).await {
                Ok(()) => return,
                Err(trouble) => last = Some(trouble.into_failure()),
            }
            tokio::time::sleep(LEAVE_PAUSE).await;
        }
    };
    let left = tokio::time::timeout(LEAVE_TIMEOUT, trying).await;
    left.map_err(|_| {
        let last = last.unwrap_or_else(|| Failure::new("It did not answer."));
        Failure::new(left_behind(id, &last))
    })
}

/// What to do about what may be left at the source, and why it is.
pub(in super::super) fn left_behind(id: ImportId, why: &Failure) -> String {
    let name = name(id);
    format!(
        "The replication slot {name} may still be at the source, where it keeps WAL for ever, and \
         the publication of that name too. Remove them there: select \
         pg_drop_replication_slot('{name}'); drop publication {name}. {why}"
    )
}

async fn try_to_leave(folder: &Path, name: &str) -> Result<(), Trouble> {
    let source = Session::source(folder).await.map_err(Trouble::Passing)?;
    query(&source, SESSION).await?;
    // A worker that died may have left its connection.
    let end = format!(
        "select pg_catalog.pg_terminate_backend(active_pid) from pg_catalog.pg_replication_slots
         where slot_name = '{name}' and active_pid is not null"
    );
    query(&source, &end).await?;
    let drop = format!(
        "select pg_catalog.pg_drop_replication_slot(slot_name) from pg_catalog.pg_replication_slots
         where slot_name = '{name}'"
    );
    query(&source, &drop).await?;
    query(&source, &format!("drop publication if exists {name}")).await?;
    Ok(())
}

/// Where the source's WAL ends once everything that has committed by now is on its disk: the stream
/// brings nothing of what is not.
pub(super) async fn end_now(source: &Session) -> Result<Lsn, Trouble> {
    // A commit with WAL of its own carries those to the disk that did not wait for it.
    let mark = "set synchronous_commit = on; select pg_logical_emit_message(true, 'lumadb', '')";
    query(source, mark).await?;
    position(source, "select pg_current_wal_flush_lsn()").await
}

/// Statements that give the target's sequences the values of the source's.
pub(super) async fn sequences(source: &Session) -> Result<Vec<String>, Trouble> {
    let list = "
        select format('select %L, last_value, is_called from %s', c.oid::regclass, c.oid::regclass)
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'S' and c.relpersistence <> 't' and n.nspname !~ '^pg_'
          and n.nspname <> 'information_schema'
          and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass
                          and d.objid = c.oid and d.deptype = 'e')
        order by 1";
    let selects: Vec<_> = query(source, list).await?.into_iter().flatten().collect();
    let mut values = Vec::new();
    for some in selects.chunks(SEQUENCES_MAX) {
        for row in query(source, &some.join(" union all ")).await? {
            let [name, value, is_called] = &row[..] else {
                continue;
            };
            values.push(format!(
                "select setval({}, {}, {})",
                escape_literal(name),
                escape_literal(value),
                escape_literal(is_called)
            ));
        }
    }
    Ok(values)
}
