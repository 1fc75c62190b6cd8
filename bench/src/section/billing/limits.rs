//! What limits cost who stays under them.

use super::{SECTION, Settings};
use crate::pgbench::{self, Address, CLIENTS, Workload};
use crate::report::{Bar, Row, Unit};
use crate::rig::Common;
use crate::rig::instance::{self, Instance};
use crate::rig::keys::Keys;
use crate::rig::parent::Parent;
use lumadb_contract::id::DatabaseId;
use lumadb_e2e::{Outcome, cloud};
use uuid::Uuid;

/// Of the tables, in hundred thousands of rows.
const SCALE: u32 = 10;

/// `pgbench -S` through one node that has limits on every meter, and that has none, in turn.
pub(super) async fn measure(settings: &Settings) -> Outcome<Row> {
    let folder = cloud::new_folder()?;
    let password = "bench-only-password".to_owned();
    let common = Common {
        database_id: DatabaseId::from_uuid(Uuid::from_u128(1)),
        verifier: postgres_protocol::password::scram_sha_256(password.as_bytes()),
        password,
        keys: Keys::make(folder.path())?,
    };
    let parent = Parent::start(&instance::parent_socket(folder.path()))?;
    let node = Instance::start(folder.path(), &common).await?;
    let address = Address {
        connection: format!(
            "host=127.0.0.1 port={} user=owner dbname=main sslmode=disable",
            node.node_port
        ),
        password: common.password.clone(),
        relays: Vec::new(),
    };
    pgbench::initialize(&address, SCALE).await?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 1..=settings.rounds {
        settings.progress(&format!(
            "billing: limits, round {round} of {}",
            settings.rounds
        ));
        for (is_limited, speeds) in [(true, &mut with), (false, &mut without)] {
            parent.limit(is_limited).await?;
            let run = pgbench::run(&address, Workload::SelectSimple, settings.span).await?;
            speeds.push(run.transactions_per_second);
        }
    }
    let what = format!("pgbench -S, {CLIENTS} clients, node with limits on every meter");
    let row = Row::new(SECTION, what, Unit::TransactionsPerSecond, &with)?;
    Ok(row
        .beside("without limits", &with, &without)
        .bar(Bar::RatioAtLeast(0.98)))
}
