//! Bad input to the API: each with a clear error, and nothing lost.

use http::Method;
use lumadb_e2e::account::{Account, Database};
use lumadb_e2e::cloud::Cloud;
use lumadb_e2e::{Outcome, tools};
use serde_json::json;
use tokio::process::Command;

#[tokio::test]
async fn bad_bodies_are_refused_with_the_field_at_fault() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let databases = format!("/v1/projects/{}/databases", ada.project_id);
    let bad = [
        (json!({"name": "ok", "colour": "red"}), "colour"),
        (json!({"name": 7}), "name"),
        (json!({}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": "x".repeat(64)}), "name"),
        (
            json!({"name": "ok", "owner_role": "lumadb_admin"}),
            "owner_role",
        ),
        (json!({"name": "ok", "region": "atlantis"}), "region"),
        (json!({"name": "ok", "milli_vcpu": -1}), "milli_vcpu"),
    ];
    for (body, field) in bad {
        let answer = ada.api.post(&databases, &body).await?;
        assert!(answer.status.is_client_error(), "{body}: {}", answer.text);
        assert!(answer.text.contains(field), "{body}: {}", answer.text);
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/problem+json"), "{kind}");
    }
    let broken = ada
        .api
        .send_raw(Method::POST, &databases, "{\"name\":")
        .await?;
    broken.expect(400)?;
    let list = ada.api.read(&databases).await?;
    assert_eq!(list["items"], json!([]));

    let status = curl_ten_megabytes(&cloud, &ada, &databases).await?;
    assert!(
        status.ends_with("413") && status.contains("payload_too_large"),
        "{status}"
    );
    let plain = ada.api.with("content-type", "text/plain")?;
    plain
        .post(&databases, &json!({"name": "ok"}))
        .await?
        .expect(415)?;
    ada.api.get("/v1/nothing-here").await?.expect(404)?;
    let wrong_method = ada.api.send_raw(Method::PUT, "/v1/me", "{}").await?;
    wrong_method.expect(405)?;
    ada.api.read("/v1/me").await?;
    Ok(())
}

/// By curl, which reads an answer that comes before it has sent everything.
async fn curl_ten_megabytes(cloud: &Cloud, ada: &Account, path: &str) -> Outcome<String> {
    let file = cloud.data_dir().with_file_name("huge");
    std::fs::write(&file, vec![b' '; 10 * 1024 * 1024])?;
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--write-out", "%{http_code}"])
        .args(["--header", "content-type: application/json", "--header"])
        .arg(format!("authorization: Bearer {}", ada.token))
        .arg("--data-binary")
        .arg(format!("@{}", file.display()))
        .arg(format!("{}{path}", cloud.api().base()));
    tools::run(&mut command).await
}

#[tokio::test]
async fn another_tenants_things_do_not_exist() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let eve = Account::sign_up(&cloud, "eve").await?;
    let database = ada.create_database("private").await?;
    let path = format!("/v1/databases/{}", database.id);
    let project = format!("/v1/projects/{}/databases", ada.project_id);
    let organization = format!("/v1/organizations/{}", ada.organization_id);
    for path in [
        path.clone(),
        format!("{path}/roles"),
        format!("{path}/operations"),
        format!("{path}/usage"),
        format!("{path}/metrics"),
        format!("{path}/connection?role=owner&logical_database=main"),
        format!("{path}/logical-databases"),
        project.clone(),
        organization.clone(),
        format!("{organization}/tokens"),
        format!("{organization}/audit-events"),
    ] {
        let answer = eve.api.get(&path).await?;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text);
        let nobody = cloud.api().get(&path).await?;
        assert_eq!(nobody.status, 401, "{path}: {}", nobody.text);
    }
    let change = json!({"name": "stolen"});
    eve.api.patch(&path, &change).await?.expect(404)?;
    eve.api.delete(&path).await?.expect(404)?;
    eve.api.post(&project, &change).await?.expect(404)?;
    let sql = json!({"role": "owner", "logical_database": "main", "sql": "select 1",
        "row_limit": 1, "query_id": "00000000-0000-4000-8000-000000000000"});
    eve.api
        .post(&format!("{path}/query"), &sql)
        .await?
        .expect(404)?;
    assert_eq!(ada.api.read(&path).await?["name"], "private");
    Ok(())
}

#[tokio::test]
async fn an_idempotency_key_answers_once_and_refuses_another_body() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let keyed = ada.api.with("idempotency-key", "only-once")?;
    let databases = format!("/v1/projects/{}/databases", ada.project_id);
    let first = keyed
        .post(&databases, &json!({"name": "one"}))
        .await?
        .expect(201)?;
    let again = keyed
        .post(&databases, &json!({"name": "one"}))
        .await?
        .expect(201)?;
    assert_eq!(
        first.text_at("/database/id")?,
        again.text_at("/database/id")?
    );
    let other = keyed
        .post(&databases, &json!({"name": "two"}))
        .await?
        .expect(422)?;
    assert_eq!(other.problem(), "idempotency_mismatch");
    let list = ada.api.read(&databases).await?;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[tokio::test]
async fn a_stale_update_is_refused() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("first").await?;
    let path = format!("/v1/databases/{}", database.id);
    let read = ada.api.get(&path).await?.expect(200)?;
    let etag = read.header("etag").ok_or("no ETag")?.to_owned();
    let conditional = ada.api.with("if-match", &etag)?;
    conditional
        .patch(&path, &json!({"name": "second"}))
        .await?
        .expect(200)?;
    let stale = conditional
        .patch(&path, &json!({"name": "third"}))
        .await?
        .expect(412)?;
    assert_eq!(stale.problem(), "precondition_failed");
    assert_eq!(ada.api.read(&path).await?["name"], "second");
    Ok(())
}

#[tokio::test]
async fn a_query_without_a_tenant_returns_nothing() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    ada.create_database("private").await?;
    let tables = cloud
        .control_sql(
            "select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid \
             where a.attname = 'organization_id' and c.relkind in ('r', 'p') order by 1",
        )
        .await?;
    assert!(tables.lines().any(|table| table == "databases"), "{tables}");
    for table in tables.lines() {
        let granted = cloud
            .control_sql(&format!(
                "select has_table_privilege('lumadb_tenant', '{table}', 'select')"
            ))
            .await?;
        if granted == "f" {
            continue;
        }
        let sql = format!("set role lumadb_tenant; select count(*) from {table}");
        assert_eq!(
            as_application(&cloud, &sql).await?,
            "0",
            "{table} without a tenant"
        );
        let direct = as_application(&cloud, &format!("select count(*) from {table}")).await;
        assert!(
            direct.is_err(),
            "{table} is open to the application's own role"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_api_document_is_kept_whatever_is_sent() -> Outcome<()> {
    let cloud = Cloud::start().await?;
    let ada = Account::sign_up(&cloud, "ada").await?;
    let database = ada.create_database("fuzzed").await?;
    let report = cloud.data_dir().with_file_name("report");
    let mut command = Command::new(tools::python_tool("schemathesis")?);
    command
        .arg("run")
        .arg(format!("{}/openapi.json", cloud.api().base()))
        .args(["--url", cloud.api().base()])
        .arg("--header")
        .arg(format!("Authorization: Bearer {}", ada.token))
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", "20", "--seed", "1", "--no-shrink", "--continue-on-failure"])
        .args(["--request-timeout", "60", "--suppress-health-check", "all", "--warnings", "off"])
        // What ends sessions and tokens would end the run; what streams has no end.
        .args(["--exclude-path-regex", "/events$|/log-out$"])
        .arg("--report-dir")
        .arg(&report)
        .current_dir(cloud.data_dir().with_file_name(""));
    tools::run(&mut command).await?;
    still_there(&ada, &database).await
}

async fn still_there(ada: &Account, database: &Database) -> Outcome<()> {
    ada.database_is(&database.id, "running").await?;
    assert_eq!(tools::psql(&database.uri, "select 1").await?, "1");
    Ok(())
}

/// Runs a script as the role with which the control plane's processes log in.
async fn as_application(cloud: &Cloud, sql: &str) -> Outcome<String> {
    let socket = cloud.control_dir().join("run");
    let connection = format!("host={} user=lumadb_app dbname=control", socket.display());
    tools::psql(&connection, sql).await
}
