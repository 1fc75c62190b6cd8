//! A person with an organization, a token and databases, made as a customer makes them.

use crate::api::{Answer, Api, text};
use crate::cloud::Cloud;
use crate::wait::until;
use crate::{Outcome, mail};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// The password of every person made here.
pub const PASSWORD: &str = "correct-horse-battery-staple";

/// Longest time that a change of a database may take on a crowded machine.
pub const CHANGE_LIMIT: Duration = Duration::from_secs(90);

/// Somebody who signed up.
#[derive(Debug, Clone)]
pub struct Account {
    pub email: String,
    /// The API with the session of the console.
    pub session: Api,
    /// The API with a token.
    pub api: Api,
    pub token: String,
    pub organization_id: String,
    pub project_id: String,
}

/// A database that is ready.
#[derive(Debug, Clone)]
pub struct Database {
    pub id: String,
    pub password: String,
    pub host: String,
    pub port: u16,
    pub user: String,
    pub logical_database: String,
    /// The connection string as the console shows it first.
    pub uri: String,
    /// Empty where clients know the authority anyway.
    pub ca_certificate_pem: String,
}

impl Account {
    /// Signs up, follows the mailed link and makes a token.
    pub async fn sign_up(cloud: &Cloud, name: &str) -> Outcome<Self> {
        let signed_up = Self::sign_up_at(cloud.api(), &cloud.data_dir(), name).await;
        signed_up.map_err(|error| format!("{error}\n{}", cloud.log_tail()).into())
    }

    /// The same at any cloud on this machine: its API to a caller whom nobody knows, and its data folder,
    /// where mails lie.
    pub async fn sign_up_at(api: &Api, data_dir: &Path, name: &str) -> Outcome<Self> {
        let email = format!("{name}@example.org");
        let person = json!({"email": email, "password": PASSWORD, "display_name": name});
        api.post("/v1/auth/sign-up", &person).await?.expect(202)?;
        let token = mail::token_mailed(data_dir, &email, "/verify").await?;
        let verified = api
            .post("/v1/auth/verify-email", &json!({"token": token}))
            .await?
            .expect(200)?;
        let session = api.with_cookies(&verified)?;
        let me = session.read("/v1/me").await?;
        let organization_id = text(&me, "/organizations/0/id")?;
        let project_id = text(&me, "/organizations/0/default_project_id")?;
        let token = session
            .post(
                &format!("/v1/organizations/{organization_id}/tokens"),
                &json!({"name": "tests", "expires_in_days": 1, "read_only": false}),
            )
            .await?
            .expect(201)?
            .text_at("/secret")?;
        Ok(Self {
            email,
            session,
            api: api.with("authorization", &format!("Bearer {token}"))?,
            token,
            organization_id,
            project_id,
        })
    }

    /// Asks for a database and gives the answer as it came.
    pub async fn request_database(&self, name: &str) -> Outcome<Answer> {
        self.request_database_as(&json!({"name": name})).await
    }

    async fn request_database_as(&self, body: &Value) -> Outcome<Answer> {
        let path = format!("/v1/projects/{}/databases", self.project_id);
        self.api.post(&path, body).await
    }

    /// Makes a database and waits until it is ready.
    pub async fn create_database(&self, name: &str) -> Outcome<Database> {
        self.create_database_as(&json!({"name": name})).await
    }

    /// The same, with more said about it than its name.
    pub async fn create_database_as(&self, body: &Value) -> Outcome<Database> {
        let answer = self.request_database_as(body).await?.expect(201)?;
        let operation = answer.text_at("/operation/id")?;
        self.operation_succeeds(&operation).await?;
        self.database(
            &answer.text_at("/database/id")?,
            &answer.text_at("/password")?,
        )
        .await
    }

    /// Reads how to connect to a database as its owner.
    pub async fn database(&self, id: &str, password: &str) -> Outcome<Database> {
        let path = format!("/v1/databases/{id}/connection?role=owner&logical_database=main");
        let connection = self.api.read(&path).await?;
        let port = connection["port"].as_u64().ok_or("no port")?;
        Ok(Database {
            id: id.to_owned(),
            password: password.to_owned(),
            host: text(&connection, "/host")?,
            port: u16::try_from(port)?,
            user: text(&connection, "/user")?,
            logical_database: text(&connection, "/logical_database")?,
            uri: connection_string(&connection, "uri")?,
            ca_certificate_pem: (connection["ca_certificate_pem"].as_str())
                .unwrap_or_default()
                .to_owned(),
        })
    }

    /// Waits until an operation has ended, and fails unless it succeeded.
    pub async fn operation_succeeds(&self, operation_id: &str) -> Outcome<Value> {
        let operation = self.operation_ends(operation_id).await?;
        if operation["state"] == "succeeded" {
            return Ok(operation);
        }
        Err(format!("the operation did not succeed: {operation}").into())
    }

    /// Waits until an operation has ended, however.
    pub async fn operation_ends(&self, operation_id: &str) -> Outcome<Value> {
        let path = format!("/v1/operations/{operation_id}?wait=20");
        until("the operation to end", CHANGE_LIMIT, || async {
            let operation = self.api.read(&path).await?;
            Ok((!operation["ended_at"].is_null()).then_some(operation))
        })
        .await
    }

    /// Waits until a database has a state.
    pub async fn database_is(&self, id: &str, state: &str) -> Outcome<Value> {
        let path = format!("/v1/databases/{id}");
        let what = format!("{id} to be {state}");
        until(&what, CHANGE_LIMIT, || async {
            let database = self.api.read(&path).await?;
            if database["state"] == state {
                return Ok(Some(database));
            }
            Err(format!("it is {}", database["state"]).into())
        })
        .await
    }

    /// A database's count of requests since it was made, also where billing's time is ahead.
    pub async fn requests_counted(&self, id: &str) -> Outcome<u64> {
        let database = self.api.read(&format!("/v1/databases/{id}")).await?;
        let made = text(&database, "/created_at")?;
        let year: u32 = made.get(..4).ok_or("no year")?.parse()?;
        let usage = self
            .api
            .read(&format!(
                "/v1/databases/{id}/usage?granularity=month\
                 &from={year}-01-01T00:00:00Z&to={}-12-01T00:00:00Z",
                year + 1
            ))
            .await?;
        let count = &usage["totals"]["requests"];
        count
            .as_u64()
            .or_else(|| count.as_str().and_then(|text| text.parse().ok()))
            .ok_or_else(|| format!("no count of requests in {usage}").into())
    }
}

/// One of the connection strings of `GET …/connection`.
pub fn connection_string(connection: &Value, id: &str) -> Outcome<String> {
    connection["strings"]
        .as_array()
        .and_then(|strings| strings.iter().find(|string| string["id"] == id))
        .and_then(|string| string["text"].as_str())
        .map(str::to_owned)
        .ok_or_else(|| format!("no connection string `{id}` in {connection}").into())
}
