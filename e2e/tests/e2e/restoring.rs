//! A database is brought back as it was, with psql on both sides of it: everything that was committed
//! before the moment, nothing that came after.

use lumadb_e2e::account::{Account, Database};
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, tools};
use serde_json::json;
use std::time::Duration;

/// A backup is made, and WAL is archived, in seconds; machines of tests are crowded.
const ARCHIVE_LIMIT: Duration = Duration::from_mins(2);

/// The engine's own clock, as the API takes it.
const MOMENT: &str = r#"select to_char(clock_timestamp() at time zone 'utc',
                                       'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#;

/// Restores once the archive reaches as far, and waits for the database.
async fn restore(ada: &Account, source: &Database, body: serde_json::Value) -> Outcome<Database> {
    let path = format!("/v1/databases/{}/restore", source.id);
    let answer = until("the window to reach", ARCHIVE_LIMIT, || async {
        let answer = ada.api.post(&path, &body).await?;
        if answer.status == 422 {
            return Err(answer.text.into());
        }
        Ok(Some(answer))
    });
    let answer = answer.await?.expect(201)?;
    ada.operation_succeeds(&answer.text_at("/operation/id")?)
        .await?;
    // The password is the source's.
    ada.database(&answer.text_at("/database/id")?, &source.password)
        .await
}

#[tokio::test]
async fn a_database_comes_back_as_it_was_at_a_moment_and_at_a_named_one() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
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

    tools::psql(&shop.uri, "insert into orders values (1)").await?;
    let at = tools::psql(&shop.uri, MOMENT).await?;
    tools::psql(&shop.uri, "insert into orders values (2)").await?;
    let points = format!("/v1/databases/{}/restore-points", shop.id);
    let named = json!({ "name": "before the mistake" });
    ada.api.post(&points, &named).await?.expect(201)?;
    until("the restore point to be made", ARCHIVE_LIMIT, || async {
        let points = ada.api.read(&points).await?;
        Ok(points["items"][0]["made_at"].is_string().then_some(()))
    })
    .await?;
    tools::psql(&shop.uri, "delete from orders").await?;

    let ids = "select string_agg(id::text, ' ' order by id) from orders";
    let earlier = json!({ "name": "shop earlier", "time": at });
    let earlier = restore(&ada, &shop, earlier).await?;
    assert_eq!(tools::psql(&earlier.uri, ids).await?, "1");
    let point = json!({ "name": "shop again", "restore_point": "before the mistake" });
    let again = restore(&ada, &shop, point).await?;
    assert_eq!(tools::psql(&again.uri, ids).await?, "1 2");
    // It is a database like any other, and the source is as it was.
    tools::psql(&again.uri, "insert into orders values (3)").await?;
    assert_eq!(
        tools::psql(&shop.uri, "select count(*) from orders").await?,
        "0"
    );
    let restored = ada.api.read(&format!("/v1/databases/{}", again.id)).await?;
    assert_eq!(restored["restore"]["phase"], "done", "{restored}");
    Ok(())
}
