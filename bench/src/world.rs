//! A whole cloud with one customer, and none of the limits that protect a real one from a
//! benchmark: how many databases an organization has, how often a caller may ask.

use crate::client::Client;
use lumadb_e2e::account::{Account, CHANGE_LIMIT, Database};
use lumadb_e2e::api::{Answer, text};
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Failure, Outcome};
use serde_json::json;

/// Compute of every database made here, thousandths of a vCPU: the smallest.
const MILLI_VCPU: u32 = 250;

/// Settings that lift the limits on a caller, and those of the plan beyond what is measured: nodes
/// keep them all the same.
const UNLIMITED: [(&str, &str); 5] = [
    ("LUMADB_LIMITS_REQUESTS_PER_MINUTE", "100000000"),
    ("LUMADB_QUOTAS_STORAGE_BYTES", "1000000000000000"),
    ("LUMADB_QUOTAS_REQUESTS_PER_DAY", "1000000000000000"),
    (
        "LUMADB_QUOTAS_TRANSFER_OUT_BYTES_PER_MONTH",
        "1000000000000000",
    ),
    (
        "LUMADB_QUOTAS_VECTOR_OPERATIONS_PER_MONTH",
        "1000000000000000",
    ),
];

pub(crate) struct World {
    pub(crate) cloud: Cloud,
    pub(crate) account: Account,
    pool_size: usize,
}

impl World {
    /// Brings a cloud up that keeps so many folders ready, signs a customer up, and waits for the
    /// folders.
    pub(crate) async fn start(pool_size: usize) -> Outcome<Self> {
        Self::start_with(pool_size, &[]).await
    }

    /// The same with more settings.
    pub(crate) async fn start_with(
        pool_size: usize,
        more_settings: &[(&str, &str)],
    ) -> Outcome<Self> {
        let size = pool_size.to_string();
        let mut settings = UNLIMITED.to_vec();
        settings.extend(more_settings);
        settings.push(("LUMADB_POOL_SIZE", &size));
        let cloud = Cloud::start_with(&settings).await?;
        let account = Account::sign_up(&cloud, "bench").await?;
        let world = Self {
            cloud,
            account,
            pool_size,
        };
        world
            .control_sql("update plans set databases_max = null, compute_milli_vcpu_max = 64000000")
            .await?;
        world.pool_is_full().await?;
        Ok(world)
    }

    /// Runs a statement in the control plane's own database.
    pub(crate) async fn control_sql(&self, sql: &str) -> Outcome<String> {
        let control = self.cloud.data_dir().join("control");
        self.cloud.admin_sql(&control, "control", sql).await
    }

    /// Asks for a database; the answer says how to connect to it.
    pub(crate) async fn request(&self, name: &str) -> Outcome<Answer> {
        let path = format!("/v1/projects/{}/databases", self.account.project_id);
        let asked = json!({"name": name, "milli_vcpu": MILLI_VCPU});
        self.account.api.post(&path, &asked).await?.expect(201)
    }

    /// Makes a database and waits until it is ready.
    pub(crate) async fn create(&self, name: &str) -> Outcome<Database> {
        let answer = self.request(name).await?;
        let operation = answer.text_at("/operation/id")?;
        self.account.operation_succeeds(&operation).await?;
        database_of(&answer)
    }

    /// Deletes a database and waits until it is gone.
    pub(crate) async fn delete(&self, id: &str) -> Outcome<()> {
        let answer = self
            .account
            .api
            .delete(&format!("/v1/databases/{id}"))
            .await?;
        if !answer.status.is_success() {
            return Err(format!("{id} was not deleted: {}", answer.text).into());
        }
        let operation = answer.text_at("/operation/id")?;
        self.account.operation_succeeds(&operation).await?;
        Ok(())
    }

    /// Waits until as many folders are ready as shall be: nothing is being made then.
    pub(crate) async fn pool_is_full(&self) -> Outcome<()> {
        let pool = self.cloud.data_dir().join("pool");
        until("the pool to be full", CHANGE_LIMIT, || async {
            let mut ready = 0;
            let mut all = 0;
            for entry in std::fs::read_dir(&pool)? {
                all += 1;
                ready += usize::from(entry?.file_name().to_string_lossy().starts_with("ready-"));
            }
            Ok((ready >= self.pool_size && all == ready).then_some(()))
        })
        .await
    }

    /// Waits until a database sleeps.
    pub(crate) async fn falls_asleep(&self, id: &str) -> Outcome<()> {
        self.account.database_is(id, "asleep").await?;
        Ok(())
    }

    /// A client that trusts this cloud.
    pub(crate) fn client(database: &Database) -> Outcome<Client> {
        Client::trusting(&database.ca_certificate_pem)
    }
}

/// How to connect, from the answer to the creation itself.
pub(crate) fn database_of(answer: &Answer) -> Outcome<Database> {
    let connection = &answer.body["connection"];
    let port = connection["port"].as_u64().ok_or("no port")?;
    Ok(Database {
        id: answer.text_at("/database/id")?,
        password: answer.text_at("/password")?,
        host: text(connection, "/host")?,
        port: u16::try_from(port)?,
        user: text(connection, "/user")?,
        logical_database: text(connection, "/logical_database")?,
        uri: String::new(),
        ca_certificate_pem: text(connection, "/ca_certificate_pem")?,
    })
}

/// The log of the cloud, behind an error.
pub(crate) fn with_log(world: &World, error: &Failure) -> Failure {
    format!("{error}\n{}", world.cloud.log_tail()).into()
}
