//! Sixteen connections: those who write, each in a way of its own, those who read what others wrote,
//! one that is notified, and two that cancel and end the others.

use super::log::{Log, Row};
use futures::StreamExt;
use lumadb_e2e::Outcome;
use lumadb_e2e::account::Database;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, CancelToken, Client, Config, Error, NoTls, SimpleQueryMessage};

/// Rows that a writer writes at a time.
const ROWS_AT_A_TIME: Row = 12;

/// Rows that one writer may write in a round.
const ROWS_OF_A_WRITER: Row = 1_000_000_000;

/// Between two that are cancelled or ended.
const UNREST: Duration = Duration::from_millis(15);

/// A login, and what it sets first.
#[derive(Debug, Clone)]
pub(super) struct Login {
    config: Config,
    settings: &'static str,
}

impl Login {
    pub(super) fn new(database: &Database, user: &str, password: &str) -> Self {
        let mut config = Config::new();
        config
            .host(&database.host)
            .port(database.port)
            .user(user)
            .password(password)
            .dbname(&database.logical_database);
        Self {
            config,
            settings: "",
        }
    }

    fn with(&self, settings: &'static str) -> Self {
        Self {
            settings,
            ..self.clone()
        }
    }
}

/// How a writer writes.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// One statement, which commits by itself.
    Alone,
    /// Two statements in a transaction block.
    Block,
    /// Many statements under way at once, each of one row.
    Pipeline,
    /// With a notification, whose listener is told too.
    Notify,
    /// Commits inside of one statement, each told by a notice.
    Notices,
}

/// Those who can be cancelled, at most.
const VICTIMS_MAX: usize = 16;

/// Those who can be cancelled.
#[derive(Clone, Default)]
struct Victims(Arc<Mutex<Vec<CancelToken>>>);

impl Victims {
    fn enter(&self, token: CancelToken) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() < VICTIMS_MAX {
            tokens.push(token);
        }
    }

    fn take(&self) -> Option<CancelToken> {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.pop()
    }
}

/// Runs until it is dropped.
pub(super) fn load(owner: &Login, careless: &Login, log: &Log) -> JoinSet<()> {
    let ways = [
        (owner.clone(), Way::Alone),
        (owner.clone(), Way::Alone),
        (owner.with("set synchronous_commit = off"), Way::Alone),
        (owner.with("set synchronous_commit = local"), Way::Alone),
        (
            owner.with("set synchronous_commit = remote_apply"),
            Way::Block,
        ),
        (careless.clone(), Way::Alone),
        (owner.clone(), Way::Block),
        (owner.with("set synchronous_commit = off"), Way::Pipeline),
        (owner.clone(), Way::Notify),
        (owner.with("set synchronous_commit = off"), Way::Notices),
    ];
    let victims = Victims::default();
    let mut all = JoinSet::new();
    for (number, (login, way)) in (0..).zip(ways) {
        let (log, victims) = (log.clone(), victims.clone());
        let first = number * ROWS_OF_A_WRITER;
        all.spawn(async move {
            let mut next = first;
            // A session that ends begins anew; a row whose fate nobody heard of is left behind.
            loop {
                let _ = write(&login, way, &mut next, &log, &victims).await;
                sleep(UNREST).await;
            }
        });
    }
    for _ in 0..3 {
        let (login, log) = (owner.clone(), log.clone());
        all.spawn(async move {
            loop {
                let _ = read(&login, &log).await;
                sleep(UNREST).await;
            }
        });
    }
    let (login, heard) = (owner.clone(), log.clone());
    all.spawn(async move {
        loop {
            let _ = listen(&login, &heard).await;
            sleep(UNREST).await;
        }
    });
    let login = owner.clone();
    all.spawn(async move {
        loop {
            let _ = end_others(&login).await;
            sleep(UNREST).await;
        }
    });
    all.spawn(async move {
        loop {
            sleep(UNREST).await;
            if let Some(victim) = victims.take() {
                let _ = victim.cancel_query(NoTls).await;
            }
        }
    });
    all
}

/// Opens a session; rows that its notices and notifications name are told.
async fn session(login: &Login, log: &Log) -> Outcome<Client> {
    let (client, mut connection) = login.config.connect(NoTls).await?;
    let log = log.clone();
    tokio::spawn(async move {
        let messages = futures::stream::poll_fn(move |context| connection.poll_message(context));
        let mut messages = std::pin::pin!(messages);
        while let Some(Ok(message)) = messages.next().await {
            log.told(match message {
                AsyncMessage::Notification(told) => told.payload().parse::<Row>().ok(),
                AsyncMessage::Notice(told) => told.message().parse().ok(),
                _ => None,
            });
        }
    });
    client.batch_execute(login.settings).await?;
    Ok(client)
}

async fn write(
    login: &Login,
    way: Way,
    next: &mut Row,
    log: &Log,
    victims: &Victims,
) -> Outcome<()> {
    let client = session(login, log).await?;
    loop {
        victims.enter(client.cancel_token());
        let first = *next + 1;
        *next += ROWS_AT_A_TIME;
        let last = *next;
        let some = format!("insert into t select generate_series({first}::bigint, {last})");
        let answer = match way {
            Way::Alone => client.batch_execute(&some).await,
            Way::Block => {
                let sql = format!(
                    "begin; insert into t values ({first}); \
                     insert into t select generate_series({}::bigint, {last})",
                    first + 1
                );
                match client.batch_execute(&sql).await {
                    Ok(()) => client.batch_execute("commit").await,
                    Err(error) => {
                        client.batch_execute("rollback").await?;
                        Err(error)
                    }
                }
            }
            Way::Pipeline => {
                let inserts = (first..=last).map(|row| insert(&client, row, log));
                // All are waited for: one that fails takes nothing from what others are told.
                futures::future::join_all(inserts)
                    .await
                    .into_iter()
                    .collect()
            }
            Way::Notify => {
                let sql = format!("{some}; notify news, '{first}'");
                client.batch_execute(&sql).await
            }
            Way::Notices => {
                let sql = format!(
                    "do $$ begin for row in {first}..{last} loop \
                     insert into t values (row); commit; raise notice '%', row; \
                     end loop; end $$"
                );
                client.batch_execute(&sql).await
            }
        };
        match answer {
            Ok(()) => log.told(first..=last),
            Err(_) if client.is_closed() => return Ok(()),
            // Cancelled.
            Err(_) => {}
        }
    }
}

async fn insert(client: &Client, row: Row, log: &Log) -> Result<(), Error> {
    let sql = "insert into t values ($1::bigint)";
    client.execute_typed(sql, &[(&row, Type::INT8)]).await?;
    log.told([row]);
    Ok(())
}

/// Reads the newest rows of each writer.
async fn read(login: &Login, log: &Log) -> Outcome<()> {
    let client = session(login, log).await?;
    let sql = format!(
        "select id from generate_series(0, 9) w, lateral (select id from t \
             where id between w * {ROWS_OF_A_WRITER} and (w + 1) * {ROWS_OF_A_WRITER} - 1 \
             order by id desc limit {ROWS_AT_A_TIME}) newest"
    );
    loop {
        let rows = client.simple_query(&sql).await?;
        let rows = rows.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse::<Row>().ok(),
            _ => None,
        });
        log.told(rows);
    }
}

async fn listen(login: &Login, log: &Log) -> Outcome<()> {
    let client = session(login, log).await?;
    client.batch_execute("listen news").await?;
    loop {
        client.batch_execute("select pg_sleep(0.05)").await?;
    }
}

/// Cancels and ends sessions of its own role, whichever.
async fn end_others(login: &Login) -> Outcome<()> {
    let client = session(login, &Log::default()).await?;
    for act in ["pg_cancel_backend", "pg_terminate_backend"].iter().cycle() {
        sleep(UNREST).await;
        let sql = format!(
            "select {act}(pid) from pg_stat_activity where usename = current_user \
             and pid <> pg_backend_pid() order by random() limit 1"
        );
        client.batch_execute(&sql).await?;
    }
    Ok(())
}
