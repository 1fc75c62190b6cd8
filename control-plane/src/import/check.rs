//! What is looked at on both sides before anything is copied.

use super::Failure;
use super::relay::{SOURCE_PORT, TARGET_PORT};
use futures::TryStreamExt as _;
use std::collections::BTreeSet;
use std::path::Path;
use std::pin::pin;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Versions of PostgreSQL that can be copied from, as `server_version_num` counts them.
const SOURCE_VERSIONS: std::ops::Range<i32> = 100_000..190_000;

/// Most names in one message.
const NAMES_MAX: usize = 10;

/// Largest answer that is held, bytes: a source says what it likes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A session over one of the import's sockets; it ends with this.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    serving: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Session {
    pub(super) async fn source(folder: &Path) -> Result<Self, Failure> {
        Self::open(folder, SOURCE_PORT).await
    }

    pub(super) async fn target(folder: &Path) -> Result<Self, Failure> {
        Self::open(folder, TARGET_PORT).await
    }

    async fn open(folder: &Path, port: u16) -> Result<Self, Failure> {
        let mut config = tokio_postgres::Config::new();
        config
            .host_path(folder)
            .port(port)
            .user("import")
            .dbname("import");
        let (client, connection) = config
            .connect(NoTls)
            .await
            .map_err(|error| Unanswered::from(error).told())?;
        let serving = tokio::spawn(async move {
            // Whoever waits for an answer gets the error.
            let _ = connection.await;
        });
        Ok(Self { client, serving })
    }

    /// Rows as texts; what is null is empty.
    pub(super) async fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>, Failure> {
        self.ask(sql).await.map_err(|error| error.told())
    }

    /// The same, with the error as it came.
    pub(super) async fn ask(&self, sql: &str) -> Result<Vec<Vec<String>>, Unanswered> {
        let mut answers = pin!(self.client.simple_query_raw(sql).await?);
        let mut rows = Vec::new();
        let mut bytes = 0;
        while let Some(answer) = answers.try_next().await? {
            let SimpleQueryMessage::Row(row) = answer else {
                continue;
            };
            let row: Vec<_> = (0..row.len())
                .map(|column| row.get(column).unwrap_or_default().to_owned())
                .collect();
            bytes += row
                .iter()
                .map(|text| size_of::<String>() + text.len())
                .sum::<usize>();
            if bytes > ANSWER_BYTES_MAX {
                return Err(Unanswered::TooMuch);
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// Runs statements in one message; says how many rows each changed, up to the one that broke.
    pub(super) async fn counts(&self, sql: &str) -> (Vec<u64>, Option<tokio_postgres::Error>) {
        let mut counts = Vec::new();
        let mut answers = match self.client.simple_query_raw(sql).await {
            Ok(answers) => pin!(answers),
            Err(error) => return (counts, Some(error)),
        };
        loop {
            match answers.try_next().await {
                Ok(Some(SimpleQueryMessage::CommandComplete(rows))) => counts.push(rows),
                Ok(Some(_)) => {}
                Ok(None) => return (counts, None),
                Err(error) => return (counts, Some(error)),
            }
        }
    }

    pub(super) async fn names(&self, sql: &str) -> Result<Vec<String>, Failure> {
        let rows = self.rows(sql).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| row.into_iter().next())
            .collect())
    }
}

/// Why a session has no answer to give.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// What PostgreSQL, the edge or a relay said, or how the session broke.
    Said(tokio_postgres::Error),
    TooMuch,
}

impl From<tokio_postgres::Error> for Unanswered {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Said(error)
    }
}

impl Unanswered {
    pub(super) fn told(&self) -> Failure {
        match self {
            Self::Said(error) => match error.as_db_error() {
                Some(error) => Failure::new(error.message()),
                None => Failure::new(format!("A session broke: {error}.")),
            },
            Self::TooMuch => Failure::new(format!(
                "An answer is larger than {} MiB.",
                ANSWER_BYTES_MAX / 1024 / 1024
            )),
        }
    }
}

/// How much there is to copy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amount {
    pub(super) tables: i64,
    pub(super) bytes: i64,
}

/// Extensions that a tenant may have here, by the engine itself.
const EXTENSIONS_OURS: &str = "select distinct name from pg_catalog.pg_available_extension_versions
    where trusted or installed";

/// What tenants made in a logical database.
const MADE_BY_TENANTS: &str = "select pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
    from pg_catalog.pg_shdepend d join pg_catalog.pg_roles r on r.oid = d.refobjid
    where d.dbid = (select oid from pg_catalog.pg_database
                    where datname = pg_catalog.current_database())
      and d.deptype = 'o' and d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
      and r.rolname !~ '^(pg|lumadb)_'
    order by 1 limit 5";

/// The target holds nothing of a tenant's: otherwise what was copied could not be told from it.
pub(super) async fn target_is_empty(target: &Session) -> Result<(), Failure> {
    let found = target.names(MADE_BY_TENANTS).await?;
    if found.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "The logical database is not empty; it holds {}. Import into a new one.",
        list(&found)
    )))
}

const VERSION: &str = "select pg_catalog.current_setting('server_version_num'),
    pg_catalog.current_setting('server_version')";

const EXTENSIONS: &str = "select extname from pg_catalog.pg_extension order by 1";

/// Objects that only a superuser can make and that no extension brings along.
const FOR_SUPERUSERS: &str = "
    with object as (
        select 'pg_event_trigger'::regclass classid, oid, 'event trigger ' || evtname name
        from pg_event_trigger
        union all
        select 'pg_foreign_data_wrapper'::regclass, oid, 'foreign data wrapper ' || fdwname
        from pg_foreign_data_wrapper
        union all
        select 'pg_language'::regclass, oid, 'language ' || lanname from pg_language
        where lanispl and not lanpltrusted
        union all
        select 'pg_proc'::regclass, p.oid, 'C function ' || p.oid::regprocedure
        from pg_proc p join pg_language l on l.oid = p.prolang
        where l.lanname in ('c', 'internal')
        union all
        select 'pg_opclass'::regclass, oid, 'operator class ' || opcname from pg_opclass
        union all
        select 'pg_ts_template'::regclass, oid, 'text search template ' || tmplname
        from pg_ts_template
        union all
        select 'pg_ts_parser'::regclass, oid, 'text search parser ' || prsname from pg_ts_parser
    )
    select name from object
    where oid >= 16384
      and not exists (select from pg_depend d where d.classid = object.classid
                      and d.objid = object.oid and d.deptype in ('e', 'i'))
    order by 1 limit 11";

const AMOUNT: &str = "
    select count(*), coalesce(sum(pg_table_size(c.oid)), 0)
           + (select pg_total_relation_size('pg_catalog.pg_largeobject'))
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and c.relpersistence <> 't'
      and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass
                      and d.objid = c.oid and d.deptype = 'e')";

/// The source is one that can be copied; says how much there is.
pub(super) async fn source_fits(source: &Session, target: &Session) -> Result<Amount, Failure> {
    let version = source.rows(VERSION).await?.pop().unwrap_or_default();
    let number: Option<i32> = version.first().and_then(|text| text.parse().ok());
    if !number.is_some_and(|number| SOURCE_VERSIONS.contains(&number)) {
        return Err(Failure::new(format!(
            "The source is PostgreSQL {}; 10 to 18 can be imported.",
            version
                .get(1)
                .map_or("of an unknown version", String::as_str)
        )));
    }
    source.rows("set search_path = pg_catalog").await?;
    let ours: BTreeSet<_> = target.names(EXTENSIONS_OURS).await?.into_iter().collect();
    let mut others = source.names(EXTENSIONS).await?;
    others.retain(|name| !ours.contains(name));
    if !others.is_empty() {
        return Err(Failure::new(format!(
            "The source uses extensions that are not to be had here: {}. Drop them there, or \
             import a copy without them.",
            list(&others)
        )));
    }
    let superusers = source.names(FOR_SUPERUSERS).await?;
    if !superusers.is_empty() {
        return Err(Failure::new(format!(
            "The source holds what only a superuser can make: {}. Drop it there, or import a copy \
             without it.",
            list(&superusers)
        )));
    }
    let amount = source.rows(AMOUNT).await?.pop().unwrap_or_default();
    let number = |column: usize| amount.get(column).and_then(|text| text.parse().ok());
    Ok(Amount {
        tables: number(0).unwrap_or_default(),
        bytes: number(1).unwrap_or_default(),
    })
}

pub(super) fn list(names: &[String]) -> String {
    let shown = names.len().min(NAMES_MAX);
    let mut text = names[..shown].join(", ");
    if shown < names.len() {
        text.push_str(" and more");
    }
    text
}
