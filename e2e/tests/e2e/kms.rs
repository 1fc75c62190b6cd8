//! The master key lies sealed by a key management service, which is moto's here: nobody has it from
//! the files alone, and everything works as it does without.

use crate::master_key::master_key_with;
use crate::restoring::{self, shop_with_backup};
use lumadb_e2e::account::Account;
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::{Outcome, tools};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Where moto says on which port it listens.
const SAYS: &str = "Running on ";

/// Makes a key and prints its full name.
const MAKE_KEY: &str = "import boto3, sys; \
    print(boto3.client('kms', endpoint_url=sys.argv[1]).create_key()['KeyMetadata']['Arn'])";

/// What logs in to the service; moto looks at none of it.
const LOGIN: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "any"),
    ("AWS_SECRET_ACCESS_KEY", "any"),
    ("AWS_DEFAULT_REGION", "eu-west-1"),
];

struct Service {
    _process: Child,
    endpoint: String,
}

impl Service {
    async fn start() -> Outcome<Self> {
        let mut process = Command::new(tools::python_tool("moto_server")?)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("PYTHONUNBUFFERED", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(process.stderr.take().ok_or("no output")?).lines();
        let endpoint = loop {
            let line = lines.next_line().await?.ok_or("moto does not start")?;
            if let Some((_, address)) = line.split_once(SAYS) {
                break address.trim().to_owned();
            }
        };
        // A server that cannot print stops.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self {
            _process: process,
            endpoint,
        })
    }

    async fn make_key(&self) -> Outcome<String> {
        let python = Command::new(tools::python_tool("python")?)
            .args(["-c", MAKE_KEY, &self.endpoint])
            .envs(LOGIN)
            .output()
            .await?;
        let name = String::from_utf8(python.stdout)?.trim().to_owned();
        if name.starts_with("arn:aws:kms:") {
            return Ok(name);
        }
        Err(String::from_utf8_lossy(&python.stderr).into_owned().into())
    }
}

/// What seals the key in a file; `None`: it is there in plain.
fn sealed_by(path: &Path) -> Outcome<Option<String>> {
    let text = std::fs::read_to_string(path)?;
    let Ok(sealed) = serde_json::from_str::<Value>(&text) else {
        return Ok(None);
    };
    Ok(sealed["key_id"].as_str().map(ToOwned::to_owned))
}

#[tokio::test]
async fn a_key_management_service_seals_the_master_key() -> Outcome<()> {
    let service = Service::start().await?;
    let (first, second) = (service.make_key().await?, service.make_key().await?);
    let settings = |key_id| {
        let kms = [
            ("LUMADB_KMS_KEY_ID", key_id),
            ("LUMADB_KMS_ENDPOINT", service.endpoint.as_str()),
        ];
        kms.into_iter().chain(LOGIN).collect::<Vec<(&str, &str)>>()
    };
    let mut cloud = Cloud::start_with(&settings(&first)).await?;
    let active = cloud.data_dir().join("keys/master.key");
    assert_eq!(sealed_by(&active)?.as_ref(), Some(&first));
    let ada = Account::sign_up(&cloud, "ada").await?;
    let shop = shop_with_backup(&ada).await?;
    tools::psql(&shop.uri, "insert into orders values (42)").await?;
    restoring::is_archived(&ada, &shop).await?;

    // Everything that runs takes the new key up, which it has never seen in plain.
    let say = async |key_id, arguments: &[&str]| {
        let (done, said) = master_key_with(&cloud, arguments, &settings(key_id)).await?;
        assert!(done, "{arguments:?}: {said}");
        Outcome::Ok(said)
    };
    say(&first, &["rotate"]).await?;
    say(&first, &["rewrap"]).await?;
    let bob = Account::sign_up(&cloud, "bob").await?;
    bob.create_database("new").await?;

    // The service's key is changed; then the files hold what was sealed, as they are.
    let said = say(&second, &["reseal"]).await?;
    assert_eq!(said.matches(&second).count(), 3, "{said}");
    assert_eq!(sealed_by(&active)?.as_ref(), Some(&second));
    let said = say(&second, &["status"]).await?;
    assert!(said.contains(&format!("sealed by {second}")), "{said}");
    let copy = cloud.data_dir().join("copy.key");
    let copied = copy.to_str().ok_or("a path")?;
    say(&second, &["export", "--to", copied]).await?;
    let plain = std::fs::read_to_string(&copy)?;
    assert_eq!(sealed_by(&copy)?, None);
    assert!(!std::fs::read_to_string(&active)?.contains(plain.trim()));
    let again = master_key_with(&cloud, &["export", "--to", copied], &settings(&second)).await?;
    assert!(!again.0, "a file was written over: {}", again.1);

    cloud.stop().await?;
    cloud.up_again().await?;
    let body = json!({ "name": "again", "latest": true });
    let restored = restoring::restore(&ada, &shop, body).await?;
    let ids = tools::psql(&restored.uri, "select id from orders").await?;
    assert_eq!(ids, "42");

    // Without the service nothing starts, and it says why; nothing is lost.
    cloud.stop().await?;
    drop(service);
    let refused = cloud.up_again().await.expect_err("the service is gone");
    let said = format!("{refused} {}", cloud.lines().join("\n"));
    assert!(said.contains(&second), "{said}");
    // The copy in plain takes its place, and needs nobody.
    std::fs::copy(&copy, &active)?;
    cloud.up_again().await?;
    ada.database_is(&shop.id, "running").await?;
    Ok(())
}
