//! The cluster's API server: what it holds of ours, and what is written there.

use super::mapping::{self, DATABASE_LABEL, MANAGER, Site};
use super::object::{DatabaseSpec, GROUP, VERSION};
use super::seen::{Read as _, Seen, SeenDatabase, SeenSecret};
use crate::runtime::RuntimeError;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
    Preconditions, ValidationDirective,
};
use kube::core::Status;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;
use std::time::Duration;

/// Longest time in which the API server answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Pause between two looks at what is still left of a database: the first, and the longest.
const LEFT_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Reads and writes in the namespace of databases.
#[derive(Clone)]
pub(super) struct Cluster {
    client: Client,
    databases: Api<DynamicObject>,
    instances: Api<DynamicObject>,
    secrets: Api<Secret>,
    site: Site,
}

impl Debug for Cluster {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Cluster")
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    pub(super) fn new(client: Client, site: Site) -> Self {
        let ours = |kind: &str, plural: &str| {
            let kind = GroupVersionKind::gvk(GROUP, VERSION, kind);
            let resource = ApiResource::from_gvk_with_plural(&kind, plural);
            Api::namespaced_with(client.clone(), &site.namespace, &resource)
        };
        Self {
            databases: ours("LumaDatabase", "lumadatabases"),
            instances: ours("LumaInstance", "lumainstances"),
            secrets: Api::namespaced(client.clone(), &site.namespace),
            client,
            site,
        }
    }

    pub(super) const fn site(&self) -> &Site {
        &self.site
    }

    /// Secrets of another namespace.
    pub(super) fn secrets_of(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Keeps up to date what is seen of this region's objects, forever.
    pub(super) async fn watch(&self, seen: &Seen) {
        let selector = self.site.selector();
        tokio::join!(
            seen.databases.follow(self.databases.clone(), &selector),
            seen.secrets.follow(self.secrets.clone(), &selector),
        );
    }

    /// Whether there is an object of that name, whatever was seen last.
    pub(super) async fn database_exists(&self, name: &str) -> Result<bool, RuntimeError> {
        let found = self.databases.get_metadata_opt(name);
        Ok(answer("reading a LumaDatabase", found).await?.is_some())
    }

    /// The object of that name as it is now.
    pub(super) async fn database_read(
        &self,
        name: &str,
    ) -> Result<Option<SeenDatabase>, RuntimeError> {
        let found = answer("reading a LumaDatabase", self.databases.get_opt(name)).await?;
        Ok(found.as_ref().and_then(SeenDatabase::of))
    }

    /// Whether a database has a claim with a volume, whatever its operator said last.
    pub(super) async fn has_volume(&self, name: &str) -> Result<bool, RuntimeError> {
        let claims: Api<PersistentVolumeClaim> =
            Api::namespaced(self.client.clone(), &self.site.namespace);
        let all = of_database(name);
        let listed = claims.list(&all);
        let found = answer("looking for a database's volume", listed).await?;
        let is_bound = |claim: &PersistentVolumeClaim| {
            let phase = claim
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref());
            phase == Some("Bound") && claim.metadata.deletion_timestamp.is_none()
        };
        Ok(found.items.iter().any(is_bound))
    }

    /// Writes the object. With a `uid` it is that one or none.
    pub(super) async fn apply_database(
        &self,
        name: &str,
        spec: &DatabaseSpec,
        uid: Option<&str>,
    ) -> Result<SeenDatabase, RuntimeError> {
        let object = mapping::database_object(&self.site, name, spec, uid);
        let written = apply(&self.databases, "writing a LumaDatabase", name, &object).await?;
        SeenDatabase::of(&written)
            .ok_or_else(|| RuntimeError::Retry("the cluster answered with no LumaDatabase".into()))
    }

    pub(super) async fn apply_secret(
        &self,
        name: &str,
        content: &str,
        owner_uid: &str,
    ) -> Result<SeenSecret, RuntimeError> {
        let object = mapping::secret_object(&self.site, name, content, owner_uid);
        let written = apply(&self.secrets, "writing a database's Secret", name, &object).await?;
        SeenSecret::of(&written)
            .ok_or_else(|| RuntimeError::Retry("the cluster answered with no Secret".into()))
    }

    /// Deletes everything of a database. Answers once nothing of it is left. With `as_read` the
    /// object is deleted only if it has not changed since.
    pub(super) async fn remove(
        &self,
        name: &str,
        as_read: Option<&SeenDatabase>,
    ) -> Result<(), RuntimeError> {
        let mut parameters = DeleteParams::background();
        parameters.preconditions = as_read.map(|read| Preconditions {
            resource_version: read.version().map(|version| version.to_string()),
            uid: Some(read.uid.clone()),
        });
        let what = "deleting a LumaDatabase";
        delete(&self.databases, what, name, &parameters).await?;
        let mut pause = LEFT_PAUSE.0;
        while self.is_left(name).await? {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LEFT_PAUSE.1);
        }
        let what = "deleting a database's Secret";
        delete(&self.secrets, what, name, &DeleteParams::background()).await
    }

    /// Whether the cluster still holds an object, a pod or a volume of a database.
    async fn is_left(&self, name: &str) -> Result<bool, RuntimeError> {
        if self.database_exists(name).await? {
            return Ok(true);
        }
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.site.namespace);
        let claims: Api<PersistentVolumeClaim> =
            Api::namespaced(self.client.clone(), &self.site.namespace);
        Ok(has_any(&pods, name).await?
            || has_any(&claims, name).await?
            || has_any(&self.instances, name).await?)
    }
}

/// What belongs to a database, whoever made it.
fn of_database(name: &str) -> ListParams {
    ListParams::default().labels(&format!("{DATABASE_LABEL}={name}"))
}

async fn has_any<K>(api: &Api<K>, name: &str) -> Result<bool, RuntimeError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let one = of_database(name).limit(1);
    let listed = api.list_metadata(&one);
    let found = answer("looking for what is left of a database", listed).await?;
    Ok(!found.items.is_empty())
}

/// Server-side apply. A field that the cluster does not know is an error, not forgotten.
pub(super) async fn apply<K>(
    api: &Api<K>,
    what: &str,
    name: &str,
    object: &Value,
) -> Result<K, RuntimeError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let parameters = PatchParams {
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply(MANAGER).force()
    };
    answer(what, api.patch(name, &parameters, &Patch::Apply(object))).await
}

async fn delete<K>(
    api: &Api<K>,
    what: &str,
    name: &str,
    parameters: &DeleteParams,
) -> Result<(), RuntimeError>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let deleted = async {
        match api.delete(name, parameters).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            result => result.map(|_| ()),
        }
    };
    answer(what, deleted).await
}

/// Waits for an answer, and says of an error whether to ask again.
pub(super) async fn answer<T>(
    what: &str,
    asked: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, RuntimeError> {
    match tokio::time::timeout(ANSWER_TIMEOUT, asked).await {
        Ok(Ok(answered)) => Ok(answered),
        Ok(Err(kube::Error::Api(status))) => Err(refusal(what, &status)),
        Ok(Err(error)) => Err(RuntimeError::Retry(format!(
            "{what}: the cluster's API server is not reached: {}",
            chain(&error)
        ))),
        Err(_) => Err(RuntimeError::Retry(format!(
            "{what}: the cluster's API server did not answer within {} s",
            ANSWER_TIMEOUT.as_secs()
        ))),
    }
}

/// How Kubernetes' authorizers begin: quotas and admission, which answer 403 too, say other words.
const RIGHT_MISSING: &str = " is forbidden: User ";

/// What the API server refuses for what was asked stays refused. What is not there yet, has just
/// changed, or is too much for it now, may work later; a right that is missing too: a server that has
/// just begun does not know all of them yet.
fn refusal(what: &str, status: &Status) -> RuntimeError {
    let message = &status.message;
    match status.code {
        403 if message.contains(RIGHT_MISSING) => {
            RuntimeError::Retry(format!("{what}: the control plane may not: {message}"))
        }
        400 | 403 | 405 | 413 | 422 => {
            RuntimeError::GiveUp(format!("{what}: the cluster refuses it: {message}"))
        }
        404 => RuntimeError::Retry(format!(
            "{what}: the cluster does not have the namespace or the definition: {message}"
        )),
        409 => RuntimeError::Retry(format!("{what}: it has just changed: {message}")),
        code => RuntimeError::Retry(format!("{what}: the cluster answered {code}: {message}")),
    }
}

/// An error with all that is behind it.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(code: u16) -> RuntimeError {
        refused_with(code, "storage.size can only grow")
    }

    fn refused_with(code: u16, message: &str) -> RuntimeError {
        let status = json!({ "code": code, "message": message });
        refusal(
            "writing",
            &serde_json::from_value(status).expect("a status"),
        )
    }

    #[test]
    fn a_right_that_is_missing_may_come() {
        let error = refused_with(
            403,
            "lumadatabases.lumadb.io \"a\" is forbidden: User \"worker\" cannot patch resource \
             \"lumadatabases\": RBAC: clusterrole not found",
        );
        assert!(matches!(error, RuntimeError::Retry(_)), "{error}");
    }

    #[test]
    fn what_a_rule_forbids_is_given_up_and_what_may_pass_is_tried_again() {
        for code in [400, 403, 413, 422] {
            let RuntimeError::GiveUp(text) = refused(code) else {
                panic!("{code} is tried again");
            };
            assert!(text.ends_with("storage.size can only grow"), "{text}");
        }
        for code in [401, 404, 409, 410, 429, 500, 503, 504] {
            let error = refused(code);
            assert!(matches!(error, RuntimeError::Retry(_)), "{code}: {error}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_tried_again() {
        let away = kube::Error::Service("connection refused".into());
        let error = answer::<()>("writing", async { Err(away) }).await;
        let error = error.expect_err("away");
        assert!(matches!(error, RuntimeError::Retry(_)), "{error}");
        assert!(error.to_string().contains("connection refused"), "{error}");
    }
}
