//! The limits of a Free organization with two databases, as its clients and its owner meet them.

use lumadb_e2e::account::{Account, Database};
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::wait::until;
use lumadb_e2e::{Outcome, mail, tools};
use serde_json::json;
use std::io::Write;
use std::time::Duration;
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn two_databases_pass_the_day_s_requests_together_and_the_next_one_fails_on_either()
-> Outcome<()> {
    let limit = ("LUMADB_QUOTAS_REQUESTS_PER_DAY", "100000");
    let cloud = Cloud::start_with(&[limit]).await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let one = ada.create_database("one").await?;
    let two = ada.create_database("two").await?;
    let (first, second) = tokio::join!(requests(&one, 15_000), requests(&two, 8_000));
    first?;
    second?;
    counted(&ada, &[&one, &two], 92_000).await?;
    // The rest one by one, to the unit: idle databases give back what they hold.
    let script = tempfile::NamedTempFile::new()?;
    script
        .as_file()
        .write_all("select 1;\n".repeat(10_000).as_bytes())?;
    let mut psql = Command::new("psql");
    psql.args([
        "-X",
        "-q",
        "-A",
        "-t",
        "-v",
        "ON_ERROR_STOP=1",
        "-d",
        &two.uri,
        "-f",
    ]);
    let rest = tools::output(psql.arg(script.path())).await?;
    let error = String::from_utf8_lossy(&rest.stderr).into_owned();
    assert!(
        error.contains("quota exceeded: requests, 100,000 a day"),
        "{error}"
    );
    assert!(error.contains("HINT:  Upgrade the plan"), "{error}");
    assert_eq!(counted(&ada, &[&one, &two], 100_000).await?, 100_000);
    for database in [&one, &two] {
        let refused = tools::psql(&database.uri, "select 1").await;
        let refused = refused.expect_err("is refused").to_string();
        assert!(refused.contains("quota exceeded"), "{refused}");
    }
    told_once(&cloud, &ada, "requests").await
}

#[tokio::test]
async fn transfer_and_vector_operations_of_a_month_end_at_their_limits() -> Outcome<()> {
    let cloud = Cloud::start_with(&[
        ("LUMADB_QUOTAS_TRANSFER_OUT_BYTES_PER_MONTH", "20000000"),
        ("LUMADB_QUOTAS_VECTOR_OPERATIONS_PER_MONTH", "1000"),
    ])
    .await?;
    let send = "select repeat('x', 1000000)";
    let embed = "insert into kept select '[1,2,3]' from generate_series(1, 100)";
    for (name, meter, sql, refusal) in [
        ("ada", "transfer_out", send, "transfer out, 20 MB a month"),
        (
            "bob",
            "vector_operations",
            embed,
            "vector operations, 1,000 a month",
        ),
    ] {
        let owner = Account::sign_up(&cloud, name).await?;
        let database = owner.create_database("main").await?;
        tools::psql(
            &database.uri,
            "create extension vector; create table kept (at vector(3))",
        )
        .await?;
        let refused = until("the limit to be reached", PATIENCE, || async {
            Ok(tools::psql(&database.uri, sql).await.err())
        })
        .await?;
        let refused = refused.to_string();
        assert!(
            refused.contains(&format!("quota exceeded: {refusal}")),
            "{refused}"
        );
        let next = tools::psql(&database.uri, "select 1").await;
        assert!(next.is_err_and(|error| error.to_string().contains("quota exceeded")));
        told_once(&cloud, &owner, meter).await?;
    }
    Ok(())
}

#[tokio::test]
async fn rows_stop_growing_where_two_databases_together_reach_the_storage_limit() -> Outcome<()> {
    // Empty, each holds some 30 MB: catalogs of its logical databases.
    let limit = ("LUMADB_QUOTAS_STORAGE_BYTES", "100000000");
    let cloud = Cloud::start_with(&[limit]).await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let one = ada.create_database("one").await?;
    let two = ada.create_database("two").await?;
    tools::psql(
        &one.uri,
        "create table kept (n int);
         insert into kept values (0);
         create table big (t text);
         create function add() returns void language sql as 'insert into kept values (1)'",
    )
    .await?;
    tools::psql(&two.uri, "create table kept (n int)").await?;
    let insert = "insert into big select repeat(md5(n::text), 8) from generate_series(1, 20000) n";
    until("the limit to be reached", PATIENCE, || async {
        Ok(tools::psql(&one.uri, insert).await.err().map(drop))
    })
    .await?;
    for growing in [
        "insert into kept values (1)",
        "update big set t = 'x'",
        "copy kept from program 'echo 1'",
        "create table another as select 1",
        "select add()",
        "do $$ begin insert into kept values (1); end $$",
        "with a as (insert into kept values (1) returning n) select * from a",
    ] {
        let refused = tools::psql(&one.uri, growing).await;
        let refused = refused.expect_err(growing).to_string();
        assert!(
            refused.contains("storage limit reached"),
            "{growing}: {refused}"
        );
        assert!(refused.contains("upgrade: http"), "{growing}: {refused}");
    }
    // The other database is under the same limit.
    let sql = "insert into kept values (1)";
    until("the other one to be full too", PATIENCE, || async {
        let refused = tools::psql(&two.uri, sql).await.err();
        Ok(refused.filter(|error| error.to_string().contains("storage limit reached")))
    })
    .await?;
    told_once(&cloud, &ada, "storage").await?;
    for freeing in [
        "delete from big where t < '8'",
        "vacuum big",
        "vacuum full big",
        "truncate big",
        "drop table big",
    ] {
        tools::psql(&one.uri, freeing).await?;
    }
    for database in [&one, &two] {
        until("writing to work again", PATIENCE, || async {
            Ok(tools::psql(&database.uri, sql).await.ok())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_used_spend_cap_stops_writing_and_then_the_database_until_it_is_raised() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let shop = ada.create_database("shop").await?;
    tools::psql(&shop.uri, "create table kept (n int)").await?;
    let organization = &ada.organization_id;
    // Eighty dollars of requests, under the plan on which each is paid for.
    cloud
        .control_sql(
            "update organizations set plan_id = 'pro-payg';
             update subscriptions
             set plan_id = 'pro-payg', starts_at = date_trunc('month', now(), 'UTC');
             insert into usage_hours (database_id, organization_id, starts_at, requests, errors,
                 transfer_out_bytes, vector_operations, connections_opened, storage_byte_us)
             select id, organization_id, date_trunc('hour', now(), 'UTC'), 800000000,
                    0, 0, 0, 0, 0
             from databases
             on conflict (database_id, starts_at) do update set requests = excluded.requests",
        )
        .await?;
    let path = format!("/v1/organizations/{organization}/billing");
    let cap = async |cents: u32| -> Outcome<()> {
        let revision = ada.api.read(&path).await?["revision"].clone();
        let tag = format!("\"{revision}\"");
        let body = json!({ "spend_cap_cents": cents });
        let api = ada.api.with("if-match", &tag)?;
        api.patch(&path, &body).await?.expect(200)?;
        Ok(())
    };
    let insert = "insert into kept values (1)";
    cap(5000).await?;
    until("writing to be refused", PATIENCE, || async {
        let refused = tools::psql(&shop.uri, insert).await.err();
        Ok(refused.filter(|error| error.to_string().contains("spend cap of $50.00")))
    })
    .await?;
    ada.database_is(&shop.id, "suspended").await?;
    cap(10_000).await?;
    until("writing to work again", PATIENCE, || async {
        Ok(tools::psql(&shop.uri, insert).await.ok())
    })
    .await?;
    let subject = "Your spend cap of $50.00 is used";
    until("the mail", PATIENCE, || async {
        let sent = mail::sent(&cloud.data_dir(), &ada.email, subject)?;
        Ok((sent == 1).then_some(()))
    })
    .await
}

/// Four clients, each so many requests.
async fn requests(database: &Database, each: u32) -> Outcome<()> {
    let script = tempfile::NamedTempFile::new()?;
    script.as_file().write_all(b"select 1;\n")?;
    let mut bench = Command::new(tools::pgbench()?);
    bench.args(["-n", "-c", "4", "-t", &each.to_string(), "-f"]);
    tools::run(bench.arg(script.path()).arg(&database.uri)).await?;
    Ok(())
}

/// What is counted of these databases once it is as much as that.
async fn counted(ada: &Account, databases: &[&Database], at_least: u64) -> Outcome<u64> {
    until("the requests to be counted", PATIENCE, || async {
        let mut sum = 0;
        for database in databases {
            sum += ada.requests_counted(&database.id).await?;
        }
        Ok((sum >= at_least).then_some(sum))
    })
    .await
}

/// One mail and one notice at 80 %, and at 100 %.
async fn told_once(cloud: &Cloud, ada: &Account, meter: &str) -> Outcome<()> {
    let words = match meter {
        "transfer_out" => "data transfer".to_owned(),
        _ => meter.replace('_', " "),
    };
    let subjects = [
        format!("80 % of your {words} limit is used"),
        format!("Your {words} limit is reached"),
    ];
    until("both mails", PATIENCE, || async {
        let mut sent = Vec::new();
        for subject in &subjects {
            sent.push(mail::sent(&cloud.data_dir(), &ada.email, subject)?);
        }
        Ok((sent == [1, 1]).then_some(()))
    })
    .await?;
    let path = format!("/v1/organizations/{}/limit-notices", ada.organization_id);
    let notices = ada.api.read(&path).await?;
    let told = notices["items"].as_array().cloned().unwrap_or_default();
    let told: Vec<_> = told
        .iter()
        .filter(|notice| notice["meter"] == meter)
        .map(|notice| notice["percent"].clone())
        .collect();
    assert_eq!(told, [json!(100), json!(80)]);
    Ok(())
}
