//! Somebody else's identifiers name nothing: every route that takes one, tried with them.

use crate::golden::routes;
use crate::support::TestCloud;
use http::Method;
use serde_json::{Value, json};

fn body(path: &str) -> Value {
    if path.ends_with("/query") {
        json!({ "role": "owner", "logical_database": "main", "sql": "select 1",
                "query_id": "00000000-0000-0000-0000-000000000001" })
    } else if path.ends_with("/tokens") {
        json!({ "name": "x", "expires_in_days": 30 })
    } else if path.ends_with("/imports") {
        json!({ "source": "postgresql://reader:secret@db.example.com/shop",
                "logical_database": "main" })
    } else if path.ends_with("/plan-changes") {
        json!({ "plan_id": "pro-starter" })
    } else if path.ends_with("/restore") {
        json!({ "name": "x", "latest": true })
    } else if path.ends_with("/card") {
        json!({})
    } else if path.ends_with("/spend-cap-order") {
        json!({ "database_ids": [] })
    } else {
        json!({ "name": "x" })
    }
}

#[tokio::test]
async fn what_is_somebody_elses_is_not_there() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let eve = cloud.person("eve@example.com").await;
    let made = cloud.create(&ada, &json!({ "name": "a" })).await;
    let id = made.text("/database/id");
    let logical = format!("/v1/databases/{id}/logical-databases");
    let logical = cloud.get(&logical).cookie(&ada.cookie).send().await;
    let backup = cloud.post(&format!("/v1/databases/{id}/backups"));
    let backup = backup.cookie(&ada.cookie).json(&json!({})).send().await;
    let imports = format!("/v1/databases/{id}/imports");
    let import = cloud.post(&imports).cookie(&ada.cookie);
    let import = import.json(&body(&imports)).send().await;
    let invoice = cloud.issued(&ada, 2900).await.id.to_string();
    let eves = cloud.create(&eve, &json!({ "name": "e" })).await;
    let eves_token = cloud.token(&eve, false).await;
    cloud.token(&ada, false).await;
    let tokens = format!("/v1/organizations/{}/tokens", ada.organization);
    let tokens = cloud.get(&tokens).cookie(&ada.cookie).send().await;
    let sessions = cloud.get("/v1/me/sessions").cookie(&ada.cookie);
    let sessions = sessions.send().await;
    let mut tried = 0;
    for (method, path, _) in routes() {
        let named = |database: &str| {
            path.replace("{organization_id}", &ada.organization.to_string())
                .replace("{project_id}", &ada.project.to_string())
                .replace("{token_id}", &tokens.text("/items/0/id"))
                .replace("{session_id}", &sessions.text("/items/0/id"))
                .replace("{database_id}", database)
                .replace("{operation_id}", &made.text("/operation/id"))
                .replace("{backup_id}", &backup.text("/id"))
                .replace("{import_id}", &import.text("/id"))
                .replace("{invoice_id}", &invoice)
                .replace("{position}", "0")
                .replace("{plan_change_id}", "pch_00000000000000000000000000")
                .replace("/usage/samples", "/usage/samples?hour=2026-11-23T12:00:00Z")
                .replace("{role_id}", &made.text("/role/id"))
                .replace("{logical_database_id}", &logical.text("/items/0/id"))
                .replace("{query_id}", "00000000-0000-0000-0000-000000000001")
        };
        if !path.contains('{') {
            continue;
        }
        let method: Method = method.parse().expect("a method");
        let mut paths = vec![named(&id)];
        if path.contains("{role_id}") || path.contains("{logical_database_id}") {
            // Ada's role, named in Eve's database.
            paths.push(named(&eves.text("/database/id")));
        }
        if path.contains("{token_id}") {
            // Ada's token, named in Eve's organization.
            let own = |path: &str| path.replace("{organization_id}", &eve.organization.to_string());
            paths.push(own(&path).replace("{token_id}", &tokens.text("/items/0/id")));
        }
        for path in paths {
            for by_cookie in [true, false] {
                let of_people = path.contains("/tokens/") || path.starts_with("/v1/me/");
                if !by_cookie && (of_people || path.ends_with("/tokens")) {
                    // A token is refused here, whosever they are.
                    continue;
                }
                let mut call = cloud.call(method.clone(), &path);
                if method != Method::GET && method != Method::DELETE {
                    call = call.json(&body(&path));
                }
                call = if by_cookie {
                    call.cookie(&eve.cookie)
                } else {
                    call.bearer(&eves_token)
                };
                call.send().await.expect_problem(404, "not_found");
                tried += 1;
            }
        }
    }
    assert!(tried >= 56, "only {tried} were tried");
    cloud
        .get("/v1/me")
        .cookie(&ada.cookie)
        .send()
        .await
        .expect(200);
    let still = cloud.database(&ada, id.parse().expect("an ID")).await;
    assert_eq!(still["revision"], 1);
}
