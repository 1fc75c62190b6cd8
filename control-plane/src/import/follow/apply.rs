//! Changes of the source, applied at the target: in the order of their commits, each transaction
//! whole, and the position with it.
//!
//! What commits at the source shortly after one another commits here together: a commit here may have
//! to wait for the archive. Memory holds one batch of statements, however large a transaction is.

use super::super::Failure;
use super::super::check::Session;
use super::aside;
use super::pgoutput::{Message, Relation};
use super::schema::changed;
use super::statement::{Batch, Table, Unusable};
use super::{Trouble, query, trouble_of};
use lumadb_contract::archive::Lsn;
use postgres_protocol::escape::escape_literal;
use std::collections::HashMap;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;

/// Pause of the source's after which what has arrived is committed.
const COMMIT_PAUSE: Duration = Duration::from_millis(5);

/// Longest time that transactions are gathered for one commit, and most statements.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
const COMMIT_STATEMENTS: usize = 20_000;

/// Whoever applies changes: one for an import at a time.
#[derive(Debug)]
pub(super) struct Applier {
    pub(super) target: Session,
    /// Committed here.
    position: Lsn,
    /// End of the last transaction that is in the open one.
    reached: Lsn,
    tables: HashMap<u32, Table>,
    batch: Batch,
    open: Option<Open>,
    /// When the newest transaction of them committed at the source.
    committed_at: Option<OffsetDateTime>,
}

/// A transaction at the target.
#[derive(Debug)]
struct Open {
    since: Instant,
    statements: usize,
    /// No transaction of the source's is cut in two by a commit now.
    is_whole: bool,
}

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Read,
    /// The statements have to go to the target first.
    Flush,
}

impl Applier {
    /// Goes on from where the target says that it is.
    pub(super) fn new(target: Session, position: Lsn) -> Self {
        Self {
            target,
            position,
            reached: position,
            tables: HashMap::new(),
            batch: Batch::default(),
            open: None,
            committed_at: None,
        }
    }

    /// Everything of the source before this is committed here.
    pub(super) fn position(&self) -> Lsn {
        self.position
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// When to commit if nothing arrives; `None`: there is nothing whole to commit.
    pub(super) fn commit_at(&self) -> Option<Instant> {
        let open = self.open.as_ref().filter(|open| open.is_whole)?;
        Some(Instant::now().min(open.since + COMMIT_INTERVAL) + COMMIT_PAUSE)
    }

    /// Whether a commit is due though more arrives.
    pub(super) fn is_due(&self) -> bool {
        self.open.as_ref().is_some_and(|open| {
            let many = open.statements + self.batch.steps.len() >= COMMIT_STATEMENTS;
            open.is_whole && (many || open.since.elapsed() >= COMMIT_INTERVAL)
        })
    }

    /// Takes one change; those of tables that it did not hear of yet are an error.
    pub(super) fn take(&mut self, message: Message) -> Result<Next, Trouble> {
        match message {
            Message::Begin { committed_at } => {
                if self.open.is_none() {
                    self.batch.own("begin");
                    self.batch.own("set constraints all deferred");
                    self.open = Some(Open {
                        since: Instant::now(),
                        statements: 0,
                        is_whole: false,
                    });
                }
                self.whole(false);
                self.committed_at = Some(committed_at);
            }
            Message::Commit { end } => {
                self.reached = end;
                self.whole(true);
            }
            Message::Insert { relation, new } => {
                let table = known(&self.tables, relation)?;
                let taken = self.batch.insert(table, &new);
                taken.map_err(|error| unusable(table, &error))?;
            }
            Message::Update { relation, old, new } => {
                let table = known(&self.tables, relation)?;
                let taken = self.batch.update(table, old.as_deref(), &new);
                taken.map_err(|error| unusable(table, &error))?;
            }
            Message::Delete { relation, old } => {
                let table = known(&self.tables, relation)?;
                let taken = self.batch.delete(table, &old);
                taken.map_err(|error| unusable(table, &error))?;
            }
            Message::Truncate { relations } => {
                let tables: Result<Vec<_>, _> = relations
                    .iter()
                    .map(|relation| known(&self.tables, *relation))
                    .collect();
                self.batch.truncate(&tables?);
            }
            // Asked of the target before.
            Message::Relation(_) | Message::Other => {}
        }
        let is_full = self.batch.is_full();
        Ok(if is_full { Next::Flush } else { Next::Read })
    }

    fn whole(&mut self, is_whole: bool) {
        if let Some(open) = &mut self.open {
            open.is_whole = is_whole;
        }
    }

    /// Looks at the target's table before the first change of one, and after it changed.
    pub(super) async fn learn(&mut self, relation: Relation) -> Result<(), Trouble> {
        // It is asked in the same session, which may hold statements back.
        self.flush().await?;
        let label = format!("table {}.{}", relation.schema, relation.name);
        let sql = format!(
            "select a.attname, coalesce(a.attnum = any(i.indkey), false)
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             join pg_attribute a on a.attrelid = c.oid
             left join pg_index i on i.indrelid = c.oid and i.indisprimary
             where n.nspname = {} and c.relname = {} and a.attnum > 0 and not a.attisdropped
               and a.attgenerated = ''",
            escape_literal(&relation.schema),
            escape_literal(&relation.name)
        );
        let there = query(&self.target, &sql).await?;
        let mut names: Vec<_> = there.iter().filter_map(|row| row.first()).collect();
        let mut wanted: Vec<_> = relation.columns.iter().map(|column| &column.name).collect();
        names.sort_unstable();
        wanted.sort_unstable();
        if names != wanted {
            return Err(changed(&label));
        }
        let primary_key: Vec<_> = there
            .iter()
            .filter(|row| row.get(1).is_some_and(|is_key| is_key == "t"))
            .filter_map(|row| row.first().cloned())
            .collect();
        let table = Table::new(relation, &primary_key);
        self.tables.insert(table.relation.id, table);
        Ok(())
    }

    /// Sends what was gathered. Nothing of it is committed yet.
    pub(super) async fn flush(&mut self) -> Result<(), Trouble> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        let (counts, broken) = self.target.counts(&batch.sql).await;
        let table = |place: usize| {
            let id = batch.steps.get(place)?.table?;
            self.tables.get(&id).map(Table::label)
        };
        for (place, (step, count)) in batch.steps.iter().zip(&counts).enumerate() {
            if step.rows.is_some_and(|rows| rows != *count) {
                return Err(diverged(table(place)));
            }
        }
        if let Some(error) = broken {
            if error.code() == Some(&SqlState::NOT_NULL_VIOLATION) && table(counts.len()).is_none()
            {
                return Err(diverged(None));
            }
            return Err(match (trouble_of(&error.into()), table(counts.len())) {
                (Trouble::Lasting(failure), Some(table)) => Trouble::Lasting(Failure::new(
                    format!("A change of the table {table} cannot be applied here: {failure}"),
                )),
                (trouble, _) => trouble,
            });
        }
        if let Some(open) = &mut self.open {
            open.statements += batch.steps.len();
        }
        Ok(())
    }

    /// Commits what is whole, and the position with it. Gives when the newest transaction of it
    /// committed at the source.
    pub(super) async fn commit(&mut self) -> Result<Option<OffsetDateTime>, Trouble> {
        if self.open.is_none() {
            return Ok(None);
        }
        // First, for what did not find its row must not be committed.
        self.flush().await?;
        self.batch
            .own_row(&aside::advance(self.position, self.reached));
        self.batch.own("commit");
        self.flush().await?;
        self.open = None;
        self.position = self.reached;
        Ok(self.committed_at)
    }
}

fn known(tables: &HashMap<u32, Table>, relation: u32) -> Result<&Table, Trouble> {
    tables.get(&relation).ok_or_else(|| {
        Trouble::Lasting(Failure::new(
            "The source publishes a change of a table that it did not name.",
        ))
    })
}

fn unusable(table: &Table, error: &Unusable) -> Trouble {
    Trouble::Lasting(Failure::new(format!(
        "A change of the table {} cannot be applied here: {error}.",
        table.label()
    )))
}

/// A statement found another number of rows than it had to.
fn diverged(table: Option<String>) -> Trouble {
    match table {
        Some(table) => Trouble::Lasting(Failure::new(format!(
            "A row of the table {table} that changed at the source is not here: something else \
             wrote to it. Begin a new import, and leave the logical database alone while it runs."
        ))),
        None => Trouble::Passing(Failure::new("Another worker has gone on with the import.")),
    }
}
