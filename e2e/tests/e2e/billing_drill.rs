//! Node, edge, worker, API and the control plane's PostgreSQL are killed at random while databases
//! are used, and a month ends against a Stripe that answers wrongly. Afterwards the counters are
//! what nodes sealed, and Stripe collected what the invoices say, once.

use crate::counting::{judged, settled, statements_logged};
use crate::invoicing::{Month, now, upgrade};
use lumadb_e2e::account::{Account, Database};
use lumadb_e2e::api::{Api, text};
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::process::Process;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::task::JoinSet;

/// Percent of what Stripe is asked, and of its webhooks, that go wrong.
const FAULTS: &str = "10";

/// What was under way when its process was killed is taken up again minutes later.
const SETTLED_LIMIT: Duration = Duration::from_mins(20);

/// Statements a second that each database is sent.
const RATE: u64 = 100;

/// Connections that it is sent them by.
const CONNECTIONS: u64 = 2;

/// Statements that a kill of a node may leave uncounted: those of 200 ms.
const LOST_PER_KILL: u64 = RATE / 5;

/// What may have cost statements.
#[derive(Default)]
struct Kills {
    nodes: u64,
    /// Of nodes and edges: what was under way was not answered.
    cuts: u64,
}

impl Kills {
    fn lost_max(&self) -> u64 {
        // The last cut is the end of the load.
        self.nodes * LOST_PER_KILL + (self.cuts + 1) * CONNECTIONS
    }
}

#[tokio::test]
async fn what_is_billed_is_right_though_everything_is_killed() -> Outcome<()> {
    drill(Duration::from_secs(40)).await
}

/// `make chaos-billing`.
#[tokio::test]
#[ignore = "minutes: `make chaos-billing`"]
async fn chaos() -> Outcome<()> {
    let minutes = std::env::var("LUMADB_CHAOS_MINUTES").unwrap_or_default();
    drill(Duration::from_mins(minutes.parse().unwrap_or(10))).await
}

/// A database, and what was counted before anybody watched.
struct Watched {
    owner: usize,
    database: Database,
    before: u64,
}

async fn drill(length: Duration) -> Outcome<()> {
    let cloud = Cloud::start_with(&[
        ("LUMADB_BILLING_CLOCK_MOVES", "true"),
        ("LUMADB_STRIPE_TEST_SERVER_FAULTS", FAULTS),
    ])
    .await?;
    let mut people = Vec::new();
    let mut watched = Vec::new();
    for (owner, name) in ["ada", "bob", "eve"].into_iter().enumerate() {
        let person = Account::sign_up(&cloud, name).await?;
        upgrade(&person).await?;
        let database = person.create_database("drilled").await?;
        let before = judged(&cloud, &person, &database).await?;
        watched.push(Watched {
            owner,
            database,
            before,
        });
        people.push(person);
    }

    let mut load = JoinSet::new();
    for one in &watched {
        let uri = one.database.uri.clone();
        load.spawn(async move {
            loop {
                let _ = pgbench(&uri).await;
            }
        });
    }
    let end = Instant::now() + length;
    let mut kills = Kills::default();
    kill_until(&cloud, Instant::now() + length / 2, &mut kills).await?;
    month_end(&people[0]).await?;
    kill_until(&cloud, end, &mut kills).await?;
    load.shutdown().await;
    until("the API to answer again", SETTLED_LIMIT, || async {
        now(&people[0]).await.map(Some)
    })
    .await?;

    for one in &watched {
        counted_as_sealed(&cloud, &people[one.owner], one, kills.lost_max()).await?;
    }
    let mut billed = BTreeMap::new();
    for person in &people {
        billed.extend(invoices_paid(person).await?);
    }
    assert_eq!(billed.len(), 2 * people.len(), "{billed:?}");
    collected(&cloud, &people[0], &billed).await
}

/// Some statements a second, until the connection is cut.
async fn pgbench(uri: &str) -> Outcome<String> {
    let rate = RATE.to_string();
    let mut command = Command::new(tools::pgbench()?);
    command.kill_on_drop(true);
    let connections = CONNECTIONS.to_string();
    command.args(["-n", "-S", "-c", &connections, "-R", &rate]);
    command.args(["-T", "3600", uri]);
    tools::run(&mut command).await
}

/// Kills one thing after the other.
async fn kill_until(cloud: &Cloud, end: Instant, kills: &mut Kills) -> Outcome<()> {
    let control = cloud.control_dir();
    let in_control = |process: &Process| process.instance_dir().as_deref() == Some(&*control);
    let node = |process: &Process| process.is_node() && !in_control(process);
    let engine = |process: &Process| process.is_postmaster() && in_control(process);
    while Instant::now() < end {
        match random() % 5 {
            0 => {
                cloud.kill(node).await?;
                kills.nodes += 1;
                kills.cuts += 1;
            }
            1 => drop(cloud.kill(engine).await?),
            2 => {
                cloud.kill(|process| process.is_service("edge")).await?;
                kills.cuts += 1;
            }
            3 => drop(cloud.kill(|process| process.is_service("api")).await?),
            _ => drop(cloud.kill(|process| process.is_service("worker")).await?),
        }
        tokio::time::sleep(Duration::from_millis(1000 + random() % 4000)).await;
    }
    Ok(())
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Moves billing's clock into the next month, whenever somebody answers.
async fn month_end(person: &Account) -> Outcome<()> {
    let month = until("the clock to be told", SETTLED_LIMIT, || async {
        Ok(Some(Month::of(now(person).await?)?))
    })
    .await?;
    until("the clock to be moved", SETTLED_LIMIT, || async {
        // Its answer may have been lost on the way.
        let now = now(person).await?;
        if now >= month.end {
            return Ok(Some(()));
        }
        let seconds = (month.end - now).whole_seconds() + 3600;
        let body = json!({"seconds": seconds});
        person.api.post("/v1/billing-clock", &body).await?;
        Ok(None)
    })
    .await
}

/// The counter equals what nodes sealed, and that is what was sent, less what kills may cost.
async fn counted_as_sealed(
    cloud: &Cloud,
    person: &Account,
    one: &Watched,
    lost_max: u64,
) -> Outcome<()> {
    let id = &one.database.id;
    let spools = cloud.instance_dir(id).join("node/spool");
    until("all samples to be acknowledged", SETTLED_LIMIT, || async {
        tools::psql(&one.database.uri, "select 1").await?;
        // The last incarnation's file stays; those of earlier ones go with their last sample.
        let files = std::fs::read_dir(&spools)?.count();
        Ok((files == 1).then_some(()))
    })
    .await?;
    let counted = settled(person, &one.database).await?;
    let sealed = "select coalesce(sum(most), 0) from (select max(requests) as most \
                  from usage_samples group by database_id, incarnation_id) s";
    let all: u64 = cloud.control_sql(sealed).await?.parse()?;
    let hours = "select sum(requests) from usage_hours";
    assert_eq!(cloud.control_sql(hours).await?.parse(), Ok(all));
    let sent = one.before + statements_logged(cloud, &one.database).await?;
    assert!(counted <= sent, "{counted} counted, {sent} sent");
    println!("{sent} sent, {counted} counted, {lost_max} may be lost");
    assert!(counted + lost_max >= sent, "{counted} of {sent} counted");
    Ok(())
}

/// Number and total of a person's invoices, once all are paid and the month is closed.
async fn invoices_paid(person: &Account) -> Outcome<BTreeMap<String, i64>> {
    let path = format!("/v1/organizations/{}/invoices", person.organization_id);
    until("the month to be paid", SETTLED_LIMIT, || async {
        let invoices = person.api.read(&path).await?;
        let items = invoices["items"].as_array().ok_or("no items")?;
        if items.len() == 2 && items.iter().all(|invoice| invoice["state"] == "paid") {
            let mut paid = BTreeMap::new();
            for invoice in items {
                let total = invoice["total_cents"].as_i64().ok_or("no total")?;
                paid.insert(text(invoice, "/number")?, total);
            }
            return Ok(Some(paid));
        }
        Err(format!("they are {items:?}").into())
    })
    .await
}

/// Stripe has each invoice once, paid, to the cent, and has moved no other money.
async fn collected(cloud: &Cloud, person: &Account, billed: &BTreeMap<String, i64>) -> Outcome<()> {
    let key = std::fs::read_to_string(cloud.data_dir().join("keys/stripe-fake.key"))?;
    let page = until("a page of Stripe's", SETTLED_LIMIT, || async {
        let path = format!("/v1/organizations/{}/card", person.organization_id);
        let page = person.api.post(&path, &json!({})).await?.expect(201)?;
        Ok(Some(page.text_at("/url")?))
    })
    .await?;
    let (base, _) = page.split_once("/pay/").ok_or("no page")?;
    let stripe = Api::new(base).with("authorization", &format!("Bearer {}", key.trim()))?;
    let list = async |path: &str| -> Outcome<Vec<Value>> {
        until(path, SETTLED_LIMIT, || async {
            let listed = stripe.read(path).await?;
            Ok(listed["data"].as_array().cloned())
        })
        .await
    };
    let mut theirs = BTreeMap::new();
    for invoice in list("/v1/invoices?limit=100").await? {
        assert_eq!(invoice["status"], "paid", "{invoice}");
        let total = invoice["total"].as_i64().ok_or("no total")?;
        let before = theirs.insert(text(&invoice, "/number")?, total);
        assert_eq!(before, None, "twice: {invoice}");
    }
    assert_eq!(&theirs, billed);
    let moved = list("/v1/balance_transactions?limit=100").await?;
    let moved: i64 = moved.iter().filter_map(|one| one["amount"].as_i64()).sum();
    assert_eq!(moved, billed.values().sum::<i64>());
    Ok(())
}
