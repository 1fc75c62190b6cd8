//! Each route, tried as each role: who may do it is what `Member::may` says, and nothing else.

use crate::golden::routes;
use crate::support::TestCloud;
use http::Method;
use lumadb_control_plane::app::{Action, Member, OrganizationRole};
use serde_json::{Value, json};

const ACTIONS: [(&str, Action); 15] = [
    ("organization_read", Action::OrganizationRead),
    ("organization_update", Action::OrganizationUpdate),
    ("project_read", Action::ProjectRead),
    ("project_write", Action::ProjectWrite),
    ("token_read", Action::TokenRead),
    ("token_write", Action::TokenWrite),
    ("audit_read", Action::AuditRead),
    ("database_read", Action::DatabaseRead),
    ("database_write", Action::DatabaseWrite),
    ("database_delete", Action::DatabaseDelete),
    ("database_connect", Action::DatabaseConnect),
    ("role_write", Action::RoleWrite),
    ("usage_read", Action::UsageRead),
    ("billing_read", Action::BillingRead),
    ("billing_write", Action::BillingWrite),
];

const QUERY: &str = "01935d3e-8f00-7abc-8def-0123456789ab";

/// One that is accepted: bodies are read before a role counts.
fn body(path: &str) -> Value {
    if path.ends_with("/tokens") {
        json!({ "name": "x", "expires_in_days": 1 })
    } else if path.ends_with("/query") {
        json!({ "role": "owner", "logical_database": "main", "sql": "select 1",
                "query_id": QUERY })
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
async fn each_role_may_call_what_it_is_promised_and_nobody_calls_without_a_log_in() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let read_only = cloud.token(&ada, true).await;
    let (database, operation) = cloud.created(&ada, "first").await;
    let backups = format!("/v1/databases/{database}/backups");
    let backup = cloud.post(&backups).cookie(&ada.cookie);
    let backup = backup.json(&json!({})).send().await.text("/id");
    let imports = format!("/v1/databases/{database}/imports");
    let import = cloud.post(&imports).cookie(&ada.cookie);
    let import = import.json(&body(&imports)).send().await.text("/id");
    let invoice = cloud.issued(&ada, 2900).await.id.to_string();
    let known = |path: &str| {
        // What a role counts for must be there: what is not answers 404 before. What stands inside
        // of it is looked for afterwards.
        path.replace("{organization_id}", &ada.organization.to_string())
            .replace("{database_id}", &database.to_string())
            .replace("{operation_id}", &operation)
            .replace("{backup_id}", &backup)
            .replace("{import_id}", &import)
            .replace("{invoice_id}", &invoice)
            .replace("{position}", "0")
            .replace("{plan_change_id}", "pch_00000000000000000000000000")
            .replace("/usage/samples", "/usage/samples?hour=2026-11-23T12:00:00Z")
            .replace("{role_id}", "rol_00000000000000000000000000")
            .replace("{logical_database_id}", "ldb_00000000000000000000000000")
            .replace("{query_id}", QUERY)
            .replace("{project_id}", &ada.project.to_string())
            .replace("{token_id}", "tok_00000000000000000000000000")
            .replace("{session_id}", "ses_00000000000000000000000000")
    };
    for (method, path, action) in routes() {
        let method: Method = method.parse().expect("a method");
        let path = known(&path);
        assert!(
            !path.contains('{'),
            "{path} names something that this test does not know"
        );
        // A stream of events ends with its operation, and nobody works on this one.
        if action == "public" || path.ends_with("/events") {
            continue;
        }
        let call = || {
            let call = cloud.call(method.clone(), &path);
            if method == Method::GET || method == Method::DELETE {
                return call;
            }
            call.json(&body(&path))
        };
        call().send().await.expect_problem(401, "unauthenticated");
        let Some((_, action)) = ACTIONS.iter().find(|(name, _)| *name == action) else {
            assert_eq!(action, "self", "{method} {path}");
            continue;
        };
        for role in OrganizationRole::ALL {
            sqlx::query("update memberships set role = $1")
                .bind(role.as_str())
                .execute(&cloud.admin)
                .await
                .expect("a role");
            let member = Member {
                organization: ada.organization,
                role,
                read_only: false,
            };
            let answer = call().cookie(&ada.cookie).send().await;
            assert_ne!(answer.status, 400, "{method} {path}: {}", answer.raw);
            let refused = answer.status == 403;
            assert_eq!(refused, !member.may(*action), "{method} {path} as {role:?}");
            let member = Member {
                read_only: true,
                ..member
            };
            let answer = call().bearer(&read_only).send().await;
            let refused = answer.status == 403;
            assert_eq!(refused, !member.may(*action), "{method} {path} read-only");
        }
    }
}
