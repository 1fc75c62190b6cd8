//! The second wall: what the database itself refuses.

use crate::support::TestCloud;
use lumadb_contract::archive::RestoreTarget;
use lumadb_control_plane::app::OrganizationRole::{
    Admin, Billing, Member as Developer, Owner, Viewer,
};
use lumadb_control_plane::app::state::RestorePhase;
use lumadb_control_plane::app::{Action, Actor, Caller, Member};
use lumadb_control_plane::store::{EitherTx, api_token, archive, audit, project, restore};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;

async fn tables(cloud: &TestCloud) -> Vec<String> {
    sqlx::query_scalar(
        "select c.relname::text from pg_class c
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
           and c.relname not in ('_sqlx_migrations', 'regions', 'plans', 'compute_sizes')
           and not c.relispartition order by 1",
    )
    .fetch_all(&cloud.admin)
    .await
    .expect("tables")
}

#[tokio::test]
async fn every_table_forces_row_level_security() {
    let cloud = TestCloud::new().await;
    let open: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
           and not (c.relrowsecurity and c.relforcerowsecurity) order by 1",
    )
    .fetch_all(&cloud.admin)
    .await
    .expect("tables");
    let without = ["_sqlx_migrations", "compute_sizes", "plans", "regions"];
    let open: Vec<_> = open
        .iter()
        .filter(|t| !t.starts_with("usage_samples_"))
        .collect();
    assert_eq!(open, without);
    let strong: Vec<String> = sqlx::query_scalar(
        "select rolname::text from pg_roles
         where rolname like 'lumadb_%' and rolname <> 'lumadb_admin'
           and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb)",
    )
    .fetch_all(&cloud.admin)
    .await
    .expect("roles");
    assert!(strong.is_empty(), "{strong:?}");
}

#[tokio::test]
async fn a_tenants_transaction_cannot_reach_another_tenants_archive() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let eve = cloud.person("eve@example.com").await;
    let (id, _) = cloud.created(&ada, "first").await;
    let store = &cloud.platform.store;
    let mut tx = store.tenant(ada.organization).await.expect("a scope");
    let own = archive::of_database(&mut EitherTx::Tenant(&mut tx), ada.organization, id).await;
    let own = own.expect("asked").expect("an archive");
    drop(tx);
    let mut tx = store.tenant(eve.organization).await.expect("a scope");
    let mut either = EitherTx::Tenant(&mut tx);
    // Even one that names Ada's organization.
    let found = archive::of_database(&mut either, ada.organization, id).await;
    assert!(found.expect("asked").is_none());
    let key = archive::organization_key(&mut either, ada.organization).await;
    assert!(key.expect("asked").is_none());
    let now = cloud.clock.now();
    let planted = archive::NewArchive {
        id: own.id,
        organization: ada.organization,
        database: id,
        wrapped_key: "mine".into(),
        now,
        backup_due_at: now,
    };
    assert!(archive::insert(&mut either, &planted).await.is_err());
    let mut tx = store.tenant(eve.organization).await.expect("a scope");
    let target = RestoreTarget::Latest;
    let stolen = restore::NewRestore {
        database: id,
        source_database: id,
        source_archive: own.id,
        target: &target,
        phase: RestorePhase::Pending,
        now,
    };
    assert!(restore::insert(&mut tx, &stolen).await.is_err());
}

async fn count(pool: &PgPool, scope: &str, table: &str) -> Result<i64, sqlx::Error> {
    let mut tx = pool.begin().await?;
    sqlx::query("select set_config('role', $1, true)")
        .bind(scope)
        .execute(&mut *tx)
        .await?;
    let sql = format!("select count(*) from {table}");
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(&mut *tx)
        .await
}

#[tokio::test]
async fn a_query_without_its_tenant_setting_returns_nothing() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    cloud.token(&ada, false).await;
    for table in tables(&cloud).await {
        for scope in ["lumadb_app", "lumadb_tenant", "lumadb_identity"] {
            // Either the scope may not read the table at all, or it finds nothing there.
            let found = count(&cloud.app, scope, &table).await.unwrap_or(0);
            let is_open = matches!(table.as_str(), "throttles" | "billing_clock");
            let expected = i64::from(is_open && scope == "lumadb_identity");
            assert!(found <= expected * 100, "{scope} sees {found} of {table}");
        }
    }
    let members = count(&cloud.admin, "lumadb_admin", "memberships").await;
    assert_eq!(members.expect("counted"), 1);
}

#[tokio::test]
async fn a_tenants_transaction_cannot_reach_another_tenants_rows() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    let eve = cloud.person("eve@example.com").await;
    cloud.token(&ada, false).await;
    let store = &cloud.platform.store;
    let mut tx = store.tenant(eve.organization).await.expect("a scope");
    let found = project::find(&mut tx, ada.project).await.expect("asked");
    assert!(found.is_none());
    let renamed = project::rename(&mut tx, ada.project, "Mine", None).await;
    assert!(renamed.expect("asked").is_none());
    assert!(
        api_token::list(&mut tx, None, 10)
            .await
            .expect("asked")
            .is_empty()
    );
    let log = audit::list(&mut tx, None, 10).await.expect("asked");
    assert!(
        log.iter()
            .all(|event| !event.resource.contains(&ada.organization.to_string()))
    );
    let foreign = project::ProjectRow {
        id: lumadb_contract::id::ProjectId::from_uuid(cloud.clock.new_uuid()),
        organization_id: ada.organization,
        name: "Planted".into(),
        revision: 1,
        created_at: cloud.clock.now(),
    };
    assert!(project::insert(&mut tx, &foreign).await.is_err());
}

#[tokio::test]
async fn the_audit_log_can_be_added_to_and_nothing_else() {
    let cloud = TestCloud::new().await;
    let ada = cloud.person("ada@example.com").await;
    for statement in [
        "update audit_events set actor = 'x'",
        "delete from audit_events",
    ] {
        for scope in ["lumadb_tenant", "lumadb_identity", "lumadb_region"] {
            let mut tx = cloud.app.begin().await.expect("a transaction");
            sqlx::query(
                "select set_config('role', $1, true),
                        set_config('lumadb.organization_id', $2, true)",
            )
            .bind(scope)
            .bind(ada.organization.uuid().to_string())
            .execute(&mut *tx)
            .await
            .expect("a scope");
            let refused = sqlx::query(AssertSqlSafe(statement))
                .execute(&mut *tx)
                .await;
            let error = refused.expect_err(scope).to_string();
            assert!(error.contains("permission denied"), "{scope}: {error}");
        }
    }
}

#[test]
fn a_role_may_what_its_row_says_and_read_only_tokens_change_nothing() {
    let id = lumadb_contract::id::OrganizationId::from_uuid(uuid::Uuid::nil());
    let may = |role, read_only, action| {
        Member {
            organization: id,
            role,
            read_only,
        }
        .may(action)
    };
    assert!(may(Viewer, false, Action::DatabaseRead));
    assert!(!may(Viewer, false, Action::DatabaseConnect));
    assert!(!may(Billing, false, Action::DatabaseWrite));
    assert!(may(Developer, false, Action::DatabaseDelete));
    assert!(!may(Developer, false, Action::TokenWrite));
    assert!(may(Admin, false, Action::TokenWrite));
    assert!(!may(Owner, true, Action::DatabaseConnect));
    assert!(may(Owner, true, Action::AuditRead));
    let caller = Caller {
        user: lumadb_contract::id::UserId::from_uuid(uuid::Uuid::nil()),
        actor: Actor::Token {
            token: lumadb_contract::id::ApiTokenId::from_uuid(uuid::Uuid::nil()),
            organization: id,
            read_only: true,
        },
        client_address: None,
    };
    assert!(caller.name().starts_with("tok_"));
}
