//! Routes, as edges are told them.

use super::{RegionTx, StoreError};
use crate::app::state::{Desired, Observed};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::name::PgName;
use lumadb_contract::network::AllowedNetworks;
use lumadb_contract::route::{NodeAddress, Route, RouteRole, RouteState};
use lumadb_contract::scram::ScramVerifier;
use sqlx::types::Json;
use std::collections::HashMap;

struct RouteRow {
    id: DatabaseId,
    route_number: i32,
    route_revision: i64,
    connections_max: i32,
    allowed_networks: Vec<String>,
    desired: Desired,
    observed: Observed,
    is_current: bool,
    is_deleted: bool,
    node_address: Option<Json<NodeAddress>>,
}

/// Routes of a region and databases that have none any more.
#[derive(Debug, Default)]
pub struct Routes {
    pub routes: Vec<Route>,
    pub removed: Vec<DatabaseId>,
}

/// Where clients connect to the databases of a region.
#[derive(Debug, Clone)]
pub struct RegionEdges {
    pub host: String,
    pub port: i32,
    /// See [`RegionSetup`](super::setup::RegionSetup).
    pub edge_authority_pem: Option<String>,
    pub edges_elsewhere: bool,
}

/// Where a reader of the feed that reads now goes on next: at the oldest transaction that is still
/// open, so that none is passed over whatever the order in which they commit. To be read in a
/// statement of its own, before the routes.
pub async fn cursor(tx: &mut RegionTx) -> Result<u64, StoreError> {
    let row = sqlx::query!(r#"select pg_snapshot_xmin(pg_current_snapshot())::text as "cursor!""#)
        .fetch_one(tx.connection())
        .await?;
    row.cursor
        .parse()
        .map_err(|_| StoreError::Corrupt("a transaction id is no number".into()))
}

/// All routes of a region.
pub async fn all(tx: &mut RegionTx, region: &str) -> Result<Routes, StoreError> {
    select(tx, region, None, None).await
}

/// Where clients connect to a database.
pub async fn edges(tx: &mut RegionTx, id: DatabaseId) -> Result<RegionEdges, StoreError> {
    let edges = sqlx::query_as!(
        RegionEdges,
        "select r.host, r.port, r.edge_authority_pem, r.edges_elsewhere
         from databases d join regions r on r.name = d.region where d.id = $1",
        id.uuid()
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(edges)
}

/// Routes that changed at or after `cursor`.
pub async fn since(tx: &mut RegionTx, region: &str, cursor: u64) -> Result<Routes, StoreError> {
    select(tx, region, None, Some(cursor)).await
}

/// One route; `None`: no such database in this region.
pub async fn find(
    tx: &mut RegionTx,
    region: &str,
    id: DatabaseId,
) -> Result<Option<Route>, StoreError> {
    Ok(select(tx, region, Some(id), None).await?.routes.pop())
}

async fn select(
    tx: &mut RegionTx,
    region: &str,
    id: Option<DatabaseId>,
    cursor: Option<u64>,
) -> Result<Routes, StoreError> {
    let rows = sqlx::query_as!(
        RouteRow,
        r#"select d.id as "id: DatabaseId", d.route_number, d.route_revision, s.connections_max,
                  d.allowed_networks,
                  d.desired as "desired: Desired", d.observed as "observed: Observed",
                  d.observed_generation >= d.run_generation as "is_current!",
                  d.desired = 'deleted' or d.deleted_at is not null as "is_deleted!",
                  d.node_address as "node_address: Json<NodeAddress>"
           from databases d join compute_sizes s using (milli_vcpu)
           where d.region = $1 and ($2::uuid is null or d.id = $2)
             and (case when $3::text is null then d.deleted_at is null
                       else d.changed_xid >= $3::text::xid8 end)"#,
        region,
        id.map(DatabaseId::uuid),
        cursor.map(|cursor| cursor.to_string())
    )
    .fetch_all(tx.connection())
    .await?;
    let mut roles = roles_of(tx, &rows).await?;
    let mut found = Routes::default();
    for row in rows {
        if row.is_deleted {
            found.removed.push(row.id);
        } else {
            let roles = roles.remove(&row.id).unwrap_or_default();
            found.routes.push(row.into_route(roles)?);
        }
    }
    Ok(found)
}

async fn roles_of(
    tx: &mut RegionTx,
    rows: &[RouteRow],
) -> Result<HashMap<DatabaseId, Vec<RouteRole>>, StoreError> {
    let ids: Vec<_> = rows.iter().map(|row| row.id.uuid()).collect();
    let rows = sqlx::query!(
        r#"select database_id as "database_id: DatabaseId", name as "name: PgName", verifier
           from database_roles where database_id = any($1) order by id"#,
        &ids
    )
    .fetch_all(tx.connection())
    .await?;
    let mut roles: HashMap<DatabaseId, Vec<RouteRole>> = HashMap::new();
    for row in rows {
        let verifier = ScramVerifier::parse(&row.verifier)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        roles.entry(row.database_id).or_default().push(RouteRole {
            name: row.name,
            verifier,
        });
    }
    Ok(roles)
}

impl RouteRow {
    fn into_route(self, roles: Vec<RouteRole>) -> Result<Route, StoreError> {
        let corrupt = |_| StoreError::Corrupt(format!("the route of {}", self.id));
        Ok(Route {
            database_id: self.id,
            route_number: u32::try_from(self.route_number).map_err(corrupt)?,
            revision: u64::try_from(self.route_revision).map_err(corrupt)?,
            connections_max: u16::try_from(self.connections_max).map_err(corrupt)?,
            state: state(
                self.desired,
                self.observed,
                self.is_current,
                self.node_address,
            ),
            allowed_networks: AllowedNetworks::of_texts(&self.allowed_networks)
                .map_err(|error| StoreError::Corrupt(error.to_string()))?,
            roles,
        })
    }
}

/// What an edge may do with a client: a node's address is told only when what was observed belongs
/// to what is desired now, so that nobody is sent to a node that is falling asleep. One that is
/// only starting has an address as well: clients wait there, where readiness is known first.
fn state(
    desired: Desired,
    observed: Observed,
    is_current: bool,
    node_address: Option<Json<NodeAddress>>,
) -> RouteState {
    match (desired, observed, node_address) {
        (Desired::Suspended | Desired::Deleted, ..) => RouteState::Suspended,
        (Desired::Asleep, ..) => RouteState::Asleep,
        (Desired::Running, Observed::Running, Some(Json(node))) if is_current => {
            RouteState::Awake { node }
        }
        (Desired::Running, Observed::Pending, Some(Json(node))) => RouteState::Starting { node },
        (Desired::Running, ..) => RouteState::Pending,
    }
}
