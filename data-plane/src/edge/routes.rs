//! The routes that this edge knows, in memory and in a file.

use crate::files;
use lumadb_contract::id::DatabaseId;
use lumadb_contract::name::PgName;
use lumadb_contract::route::{Route, RouteUpdate};
use lumadb_contract::scram::ScramVerifier;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A route, with its roles by name.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) route: Route,
    pub(super) roles: BTreeMap<PgName, ScramVerifier>,
}

impl From<Route> for Known {
    fn from(route: Route) -> Self {
        let roles = route
            .roles
            .iter()
            .map(|role| (role.name.clone(), role.verifier.clone()))
            .collect();
        Self { route, roles }
    }
}

#[derive(Debug, Default)]
pub(super) struct RouteTable {
    routes: HashMap<DatabaseId, Arc<Known>>,
    numbers: HashMap<u32, DatabaseId>,
    cursor: Option<u64>,
}

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    region: String,
    cursor: Option<u64>,
    routes: Vec<Route>,
}

impl RouteTable {
    /// Reads what an edge before left behind; another region's is as good as none.
    pub(super) fn load(path: &Path, region: &str) -> io::Result<Option<Self>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let saved: Saved = serde_json::from_slice(&bytes)?;
        if saved.region != region {
            return Ok(None);
        }
        let mut table = Self::default();
        for route in saved.routes {
            table.put(route);
        }
        table.cursor = saved.cursor;
        Ok(Some(table))
    }

    /// What [`Self::store`] writes.
    pub(super) fn to_bytes(&self, region: &str) -> io::Result<Vec<u8>> {
        let saved = Saved {
            region: region.to_owned(),
            cursor: self.cursor,
            routes: self
                .routes
                .values()
                .map(|known| known.route.clone())
                .collect(),
        };
        Ok(serde_json::to_vec(&saved)?)
    }

    /// Replaces the file; durable when it returns.
    pub(super) fn store(path: &Path, bytes: &[u8]) -> io::Result<()> {
        files::replace(path, bytes)
    }

    pub(super) fn get(&self, id: DatabaseId) -> Option<Arc<Known>> {
        self.routes.get(&id).cloned()
    }

    pub(super) fn by_number(&self, number: u32) -> Option<Arc<Known>> {
        self.get(*self.numbers.get(&number)?)
    }

    pub(super) fn cursor(&self) -> Option<u64> {
        self.cursor
    }

    pub(super) fn len(&self) -> usize {
        self.routes.len()
    }

    /// Takes a route unless a newer one is known; answers whether anything changed.
    pub(super) fn put(&mut self, route: Route) -> bool {
        let id = route.database_id;
        if let Some(old) = self.routes.get(&id) {
            if old.route.revision > route.revision || old.route == route {
                return false;
            }
            self.numbers.remove(&old.route.route_number);
        }
        self.numbers.insert(route.route_number, id);
        self.routes.insert(id, Arc::new(route.into()));
        true
    }

    pub(super) fn remove(&mut self, id: DatabaseId) -> bool {
        let Some(old) = self.routes.remove(&id) else {
            return false;
        };
        self.numbers.remove(&old.route.route_number);
        true
    }

    /// Takes an update and answers which databases it changed.
    pub(super) fn apply(&mut self, update: RouteUpdate) -> HashSet<DatabaseId> {
        let mut changed: HashSet<DatabaseId> = HashSet::new();
        let mut gone: Vec<DatabaseId> = update.removed;
        if update.complete {
            let named: HashSet<_> = update
                .routes
                .iter()
                .map(|route| route.database_id)
                .collect();
            gone.extend(self.routes.keys().filter(|id| !named.contains(id)));
        }
        changed.extend(gone.into_iter().filter(|id| self.remove(*id)));
        for route in update.routes {
            let id = route.database_id;
            if self.put(route) {
                changed.insert(id);
            }
        }
        self.cursor = Some(update.cursor);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lumadb_contract::network::AllowedNetworks;
    use lumadb_contract::route::RouteState;
    use uuid::Uuid;

    fn route(number: u32, revision: u64) -> Route {
        Route {
            database_id: DatabaseId::from_uuid(Uuid::from_u128(u128::from(number))),
            route_number: number,
            revision,
            state: RouteState::Asleep,
            connections_max: 10,
            allowed_networks: AllowedNetworks::default(),
            roles: Vec::new(),
        }
    }

    fn update(cursor: u64, routes: Vec<Route>, complete: bool) -> RouteUpdate {
        RouteUpdate {
            cursor,
            routes,
            removed: Vec::new(),
            complete,
        }
    }

    #[test]
    fn an_older_route_never_replaces_a_newer_one() {
        let mut table = RouteTable::default();
        assert!(table.put(route(1, 5)));
        assert!(!table.put(route(1, 4)));
        assert!(!table.put(route(1, 5)));
        assert!(table.put(route(1, 6)));
        assert_eq!(table.by_number(1).expect("known").route.revision, 6);
    }

    #[test]
    fn a_complete_update_removes_what_it_does_not_name() {
        let mut table = RouteTable::default();
        table.apply(update(1, vec![route(1, 1), route(2, 1)], true));
        let changed = table.apply(update(2, vec![route(2, 1), route(3, 1)], true));
        assert_eq!(table.len(), 2);
        assert!(table.by_number(1).is_none());
        assert_eq!(changed.len(), 2);
        table.apply(update(3, vec![route(4, 1)], false));
        assert_eq!((table.len(), table.cursor()), (3, Some(3)));
    }

    #[test]
    fn the_file_gives_back_the_routes_of_its_region() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("routes.json");
        assert!(RouteTable::load(&path, "eu").expect("readable").is_none());
        let mut table = RouteTable::default();
        table.apply(update(9, vec![route(1, 1)], true));
        let bytes = table.to_bytes("eu").expect("written");
        RouteTable::store(&path, &bytes).expect("stored");
        let loaded = RouteTable::load(&path, "eu").expect("readable");
        let loaded = loaded.expect("of this region");
        assert_eq!((loaded.len(), loaded.cursor()), (1, Some(9)));
        assert!(RouteTable::load(&path, "us").expect("readable").is_none());
    }
}
