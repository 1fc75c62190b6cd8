//! Somebody else's identifiers name nothing: every route of databases, tried with them.

use crate::golden::routes;
use crate::support::TestCloud;
use http::Method;
use serde_json::{Value, json};

fn body(path: &str) -> Value {
    if path.ends_with("/query") {
        json!({ "role": "owner", "logical_database": "main", "sql": "select 1",
                "query_id": "00000000-0000-0000-0000-000000000001" })
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
    let eves = cloud.create(&eve, &json!({ "name": "e" })).await;
    let eves_token = cloud.token(&eve, false).await;
    let mut tried = 0;
    for (method, path, _) in routes() {
        let named = |database: &str| {
            path.replace("{project_id}", &ada.project.to_string())
                .replace("{database_id}", database)
                .replace("{operation_id}", &made.text("/operation/id"))
                .replace("{role_id}", &made.text("/role/id"))
                .replace("{logical_database_id}", &logical.text("/items/0/id"))
                .replace("{query_id}", "00000000-0000-0000-0000-000000000001")
        };
        if !path.contains("{database_id}")
            && !path.contains("{operation_id}")
            && !path.contains("{project_id}")
        {
            continue;
        }
        let method: Method = method.parse().expect("a method");
        let mut paths = vec![named(&id)];
        if path.contains("{role_id}") || path.contains("{logical_database_id}") {
            // Ada's role, named in Eve's database.
            paths.push(named(&eves.text("/database/id")));
        }
        for path in paths {
            for by_cookie in [true, false] {
                let mut call = cloud.call(method.clone(), &path);
                if method == Method::POST || method == Method::PATCH {
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
    assert!(tried >= 40, "only {tried} were tried");
    let still = cloud.database(&ada, id.parse().expect("an ID")).await;
    assert_eq!(still["revision"], 1);
}
