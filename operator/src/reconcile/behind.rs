//! Databases of which the watch has not returned yet what this operator wrote last.
//!
//! Until it does, a look would rest on a status that is known to be replaced, and its own status
//! would be refused: so nothing is done, and the return itself asks for the next look.
//!
//! A status is admitted at the version alone that it was decided on. So the version that a write
//! replaced tells a database that is behind from one that is not: versions are compared for
//! equality, never for order, and what others write in between ends the wait too.

use super::stores::Guarded;
use crate::api::LumaDatabase;
use kube::{Resource, ResourceExt};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The version that the last write replaced, by UID, while no other has been seen.
#[derive(Debug, Default)]
pub(super) struct Behind {
    replaced: Mutex<HashMap<String, String>>,
}

impl Behind {
    /// A status was written over `database`, which has the version `now` since. A write that changed
    /// nothing returns by no watch, and is not waited for.
    pub(super) fn wrote(&self, database: &LumaDatabase, now: Option<&str>) {
        let before = database.metadata.resource_version.as_deref();
        if let (Some(uid), Some(before), Some(now)) = (database.uid(), before, now)
            && before != now
        {
            self.lock().insert(uid, before.to_owned());
        }
    }

    /// Whether `database` is what was before the last write.
    pub(super) fn has(&self, database: &Guarded) -> bool {
        let metadata = database.meta();
        let Some(uid) = &metadata.uid else {
            return false;
        };
        let mut replaced = self.lock();
        let is_behind = replaced
            .get(uid)
            .is_some_and(|version| Some(version) == metadata.resource_version.as_ref());
        if !is_behind {
            replaced.remove(uid);
        }
        is_behind
    }

    /// A database is gone.
    pub(super) fn forget(&self, uid: Option<&str>) {
        if let Some(uid) = uid {
            self.lock().remove(uid);
        }
    }

    /// These are all databases that there are, by UID: others are gone.
    pub(super) fn retain(&self, there: &HashSet<String>) {
        self.lock().retain(|uid, _| there.contains(uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.replaced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::played::{Cluster, UID};
    use super::*;
    use kube::core::DeserializeGuard;
    use serde_json::json;

    fn database(version: &str) -> LumaDatabase {
        let mut database = super::super::played::database();
        database["metadata"]["resourceVersion"] = json!(version);
        serde_json::from_value(database).expect("a database")
    }

    fn found(version: &str) -> Guarded {
        DeserializeGuard(Ok(database(version)))
    }

    #[test]
    fn it_waits_for_another_version_than_the_one_that_was_replaced() {
        let behind = Behind::default();
        assert!(!behind.has(&found("7")));
        behind.wrote(&database("7"), Some("9"));
        assert!(behind.has(&found("7")));
        assert!(behind.has(&found("7")));
        // Not in order: a version has none that could be relied on.
        assert!(!behind.has(&found("6")));
        assert!(!behind.has(&found("7")));
    }

    #[test]
    fn a_write_that_changed_nothing_and_one_of_a_database_that_is_gone_are_not_waited_for() {
        let behind = Behind::default();
        behind.wrote(&database("7"), Some("7"));
        assert!(!behind.has(&found("7")));
        behind.wrote(&database("7"), Some("8"));
        behind.forget(Some(UID));
        assert!(!behind.has(&found("7")));
        behind.wrote(&database("7"), Some("8"));
        behind.retain(&HashSet::from([UID.to_owned()]));
        assert!(behind.has(&found("7")));
        behind.retain(&HashSet::new());
        assert!(!behind.has(&found("7")));
    }

    #[tokio::test]
    async fn no_status_is_written_over_one_that_was_replaced() {
        let cluster = Cluster::new();
        let operator = cluster.operator();
        let steps = async {
            // The instance's return asks for a look while the database's is held back.
            cluster.statuses_written(1).await;
            let looks = operator.looks();
            cluster.tell_of_instance();
            operator.looked_more_often_than(looks).await;
            assert_eq!(cluster.conflicts(), 0);
            // Its return asks for a look too, and what is changed then is acted upon.
            cluster.change_generation(2);
            cluster.tell_of_databases();
            cluster.generation_observed(2).await;
            assert_eq!(cluster.conflicts(), 0);
        };
        operator.works_during(steps).await;
    }
}
