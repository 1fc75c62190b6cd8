//! A database is brought back as it was, with psql on both sides of it: everything that was committed
//! before the moment, nothing that came after.

use crate::oracle::round::destroy;
use lumadb_e2e::account::{Account, Database};
use lumadb_e2e::api::Answer;
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use serde_json::json;
use std::time::Duration;
use tokio::process::Command;

/// A backup is made, and WAL is archived, in seconds; machines of tests are crowded.
const ARCHIVE_LIMIT: Duration = Duration::from_mins(2);

/// The engine's own clock, as the API takes it.
pub(crate) const MOMENT: &str = r#"select to_char(clock_timestamp() at time zone 'utc',
                                       'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#;

/// Restores once the archive reaches as far, and waits for the database.
pub(crate) async fn restore(
    ada: &Account,
    source: &Database,
    body: serde_json::Value,
) -> Outcome<Database> {
    let path = format!("/v1/databases/{}/restore", source.id);
    let answer = until("the window to reach", ARCHIVE_LIMIT, || async {
        let answer = ada.api.post(&path, &body).await?;
        if answer.status == 422 {
            return Err(answer.text.into());
        }
        Ok(Some(answer))
    });
    restored(ada, source, answer.await?).await
}

/// Waits for the database that a restore was asked for, which was accepted.
async fn restored(ada: &Account, source: &Database, answer: Answer) -> Outcome<Database> {
    let answer = answer.expect(201)?;
    ada.operation_succeeds(&answer.text_at("/operation/id")?)
        .await?;
    // The password is the source's.
    ada.database(&answer.text_at("/database/id")?, &source.password)
        .await
}

/// A database with a complete backup and an empty table.
pub(crate) async fn shop_with_backup(ada: &Account) -> Outcome<Database> {
    let shop = ada.create_database("shop").await?;
    tools::psql(&shop.uri, "create table orders (id int)").await?;
    let backups = format!("/v1/databases/{}/backups", shop.id);
    let asked = ada.api.post(&backups, &json!({ "name": "first" })).await?;
    let backup = format!("/v1/backups/{}", asked.expect(201)?.text_at("/id")?);
    until("the backup to be complete", ARCHIVE_LIMIT, || async {
        let backup = ada.api.read(&backup).await?;
        if backup["state"] == "complete" {
            return Ok(Some(()));
        }
        Err(backup.to_string().into())
    })
    .await?;
    Ok(shop)
}

#[tokio::test]
async fn a_database_comes_back_as_it_was_at_each_kind_of_moment() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    // More databases than a free organization may have.
    cloud
        .control_sql("update organizations set plan_id = 'enterprise'")
        .await?;
    let shop = shop_with_backup(&ada).await?;

    tools::psql(&shop.uri, "insert into orders values (1)").await?;
    let at = tools::psql(&shop.uri, MOMENT).await?;
    tools::psql(&shop.uri, "insert into orders values (2)").await?;
    let position = tools::psql(&shop.uri, "select pg_current_wal_lsn()").await?;
    tools::psql(&shop.uri, "insert into orders values (3)").await?;
    let points = format!("/v1/databases/{}/restore-points", shop.id);
    let named = json!({ "name": "before the mistake" });
    ada.api.post(&points, &named).await?.expect(201)?;
    until("the restore point to be made", ARCHIVE_LIMIT, || async {
        let points = ada.api.read(&points).await?;
        Ok(points["items"][0]["made_at"].is_string().then_some(()))
    })
    .await?;
    tools::psql(&shop.uri, "delete from orders where id > 1").await?;

    // What is asked for is not archived yet, or only just: that is not its owner's to wait for.
    let ids = "select string_agg(id::text, ' ' order by id) from orders";
    for (body, expected) in [
        (json!({ "name": "time", "time": at }), "1"),
        (json!({ "name": "position", "lsn": position }), "1 2"),
        (
            json!({ "name": "named", "restore_point": "before the mistake" }),
            "1 2 3",
        ),
        (json!({ "name": "end", "latest": true }), "1"),
    ] {
        let answer = ada
            .api
            .post(&format!("/v1/databases/{}/restore", shop.id), &body)
            .await?;
        let restored = restored(&ada, &shop, answer).await?;
        assert_eq!(tools::psql(&restored.uri, ids).await?, expected);
        // It is a database like any other.
        tools::psql(&restored.uri, "insert into orders values (4)").await?;
        let path = format!("/v1/databases/{}", restored.id);
        let read = ada.api.read(&path).await?;
        assert_eq!(read["restore"]["phase"], "done", "{read}");
    }
    assert_eq!(tools::psql(&shop.uri, ids).await?, "1", "the source");
    Ok(())
}

#[tokio::test]
async fn a_database_whose_folder_is_lost_comes_back_from_its_archive() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let shop = shop_with_backup(&ada).await?;
    let fill = "insert into orders select generate_series(1, 1000)";
    tools::psql(&shop.uri, fill).await?;
    is_archived(&ada, &shop).await?;
    destroy(&cloud, &shop).await?;
    let body = json!({ "name": "again", "latest": true });
    let restored = restore(&ada, &shop, body).await?;
    let count = "select count(*) from orders";
    assert_eq!(tools::psql(&restored.uri, count).await?, "1000");
    Ok(())
}

#[tokio::test]
async fn a_deleted_database_comes_back_and_at_last_nothing_is_left_of_it() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let shop = shop_with_backup(&ada).await?;
    // Committed at the last moment, with what Free allows to be on its way.
    tools::psql(&shop.uri, "insert into orders values (42)").await?;
    let path = format!("/v1/databases/{}", shop.id);
    let deleted = ada.api.delete(&path).await?.expect(200)?;
    ada.operation_succeeds(&deleted.text_at("/operation/id")?)
        .await?;
    let list = format!("/v1/projects/{}/deleted-databases", ada.project_id);
    let list = ada.api.read(&list).await?;
    assert_eq!(list["items"][0]["name"], "shop", "{list}");
    // Its old name is free, its password is as it was.
    let body = json!({ "name": "shop", "latest": true });
    let restored = restore(&ada, &shop, body).await?;
    let ids = "select string_agg(id::text, ' ' order by id) from orders";
    assert_eq!(tools::psql(&restored.uri, ids).await?, "42");

    let archive = archive_id(&cloud, &shop).await?;
    let of_restored = archive_id(&cloud, &restored).await?;
    assert!(bucket_list(&cloud, &archive).await?.contains("<Key>"));
    cloud
        .control_sql("update databases set deleted_at = deleted_at - interval '25 hours'")
        .await?;
    until("the archive to be removed", ARCHIVE_LIMIT, || async {
        let left = bucket_list(&cloud, &archive).await?;
        Ok((!left.contains("<Key>")).then_some(()))
    })
    .await?;
    let roles = "select count(*) from database_roles r join databases d on d.id = r.database_id
                 where d.deleted_at is not null";
    until("its rows to be removed", ARCHIVE_LIMIT, || async {
        Ok((cloud.control_sql(roles).await? == "0").then_some(()))
    })
    .await?;
    // Nobody else lost anything.
    assert!(bucket_list(&cloud, &of_restored).await?.contains("<Key>"));
    assert_eq!(tools::psql(&restored.uri, ids).await?, "42");
    Ok(())
}

/// The ID of a database's archive, as the names of its objects begin.
pub(crate) async fn archive_id(cloud: &Cloud, database: &Database) -> Outcome<String> {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let digit = |symbol: u8| DIGITS.iter().position(|known| *known == symbol);
    let number = database
        .id
        .bytes()
        .skip("db_".len())
        .try_fold(0_u128, |number, symbol| {
            Some(number << 5 | digit(symbol)? as u128)
        });
    let number = number.ok_or("no ID")?;
    let archive = format!(
        "select replace(id::text, '-', '') from archives where replace(database_id::text, '-', '') = '{number:032x}'"
    );
    let archive = u128::from_str_radix(&cloud.control_sql(&archive).await?, 16)?;
    let digits = (0..26)
        .rev()
        .map(|place| (archive >> (place * 5)) as usize & 31);
    let digits = digits.map(|at| char::from(DIGITS[at]));
    Ok(format!("arc_{}", digits.collect::<String>()))
}

/// SHA-256 of a request without a body.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The first objects of an archive, as the object store lists them to whoever may see all.
pub(crate) async fn bucket_list(cloud: &Cloud, archive: &str) -> Outcome<String> {
    let path = format!("?list-type=2&max-keys=10&prefix={archive}%2F");
    bucket_ask(cloud, "GET", &path).await
}

/// A request without a body to the bucket, of whoever may do all.
pub(crate) async fn bucket_ask(cloud: &Cloud, method: &str, path: &str) -> Outcome<String> {
    let ports = std::fs::read_to_string(cloud.data_dir().join("run/ports.json"))?;
    let ports: serde_json::Value = serde_json::from_str(&ports)?;
    let secret = std::fs::read_to_string(cloud.data_dir().join("keys/object-store.secret"))?;
    let address = format!("http://127.0.0.1:{}/lumadb{path}", ports["object_store"]);
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--fail-with-body",
        "--request",
        method,
    ])
    .args(["--aws-sigv4", "aws:amz:local:s3"])
    .args(["--header", &format!("x-amz-content-sha256: {NOTHING}")])
    .args(["--user", &format!("root:{}", secret.trim()), &address]);
    tools::run(&mut curl).await
}

/// Waits until everything that is committed now is in the archive.
pub(crate) async fn is_archived(ada: &Account, database: &Database) -> Outcome<()> {
    let flushed = "select pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')";
    let committed: u64 = tools::psql(&database.uri, flushed).await?.parse()?;
    let window = format!("/v1/databases/{}/restore-window", database.id);
    until("the WAL to be archived", ARCHIVE_LIMIT, || async {
        let window = ada.api.read(&window).await?;
        let latest = window["latest_lsn"].as_str().and_then(number);
        Ok((latest >= Some(committed)).then_some(()))
    })
    .await
}

/// `16/B374D848` as a number.
fn number(position: &str) -> Option<u64> {
    let (high, low) = position.split_once('/')?;
    let half = |digits| u64::from_str_radix(digits, 16).ok();
    Some(half(high)? << 32 | half(low)?)
}
