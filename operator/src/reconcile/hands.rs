//! Carries actions out, and tells what the cluster answered.

use super::metrics::Metrics;
use crate::api::{LumaDatabase, LumaDatabaseStatus, LumaInstance, LumaInstanceStatus};
use crate::build::{self, FIELD_MANAGER, PASSWORD_KEY, mark_patch};
use crate::clock;
use crate::decide::{Action, Note};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ObjectReference, Pod, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::Status;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource, ResourceExt};
use lumadb_contract::scram::ScramVerifier;
use lumadb_contract::secret::Secret as Password;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// Longest time in which the API server answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Why an action was not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The cluster will not do it, however often it is asked.
    #[error("{what}: {message}")]
    Refused { what: &'static str, message: String },
    /// It may do it another time.
    #[error("{what}: {source}")]
    Failed {
        what: &'static str,
        source: Box<kube::Error>,
    },
    #[error("{0}: the API server did not answer in time")]
    Silent(&'static str),
    /// What was decided rests on something that has changed since.
    #[error("{0}: the object has changed since it was read")]
    Outdated(&'static str),
}

/// Writes to the cluster.
pub(super) struct Hands {
    client: Client,
    reporter: Reporter,
    /// Tells of what goes wrong, again and again perhaps: that is counted, by what is remembered of it for
    /// minutes. Of what goes well nothing is remembered.
    warnings: Recorder,
    metrics: Arc<Metrics>,
}

impl Hands {
    pub(super) fn new(client: Client, identity: String, metrics: Arc<Metrics>) -> Self {
        let reporter = Reporter {
            controller: format!("{}/{FIELD_MANAGER}", crate::api::GROUP),
            instance: Some(identity),
        };
        Self {
            warnings: Recorder::new(client.clone(), reporter.clone()),
            reporter,
            client,
            metrics,
        }
    }

    fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Does it. What was done before is done as well: whether it was done now is the answer.
    pub(super) async fn carry_out(
        &self,
        namespace: &str,
        action: &Action,
    ) -> Result<bool, Trouble> {
        let what = action.name();
        self.metrics.action(what);
        match action {
            Action::ApplyAuthority(object) => self.apply(namespace, what, &**object).await,
            Action::ApplyServiceAccount(object) => self.apply(namespace, what, &**object).await,
            Action::MakeSecrets(database) => self.make_secrets(namespace, what, database).await,
            Action::ApplyNetworkPolicy(object) => self.apply(namespace, what, &**object).await,
            Action::ApplyService(object) => self.apply(namespace, what, &**object).await,
            Action::ApplyInstance(object) => self.apply(namespace, what, &**object).await,
            Action::ApplyClaim { claim, .. } => self.apply(namespace, what, &**claim).await,
            Action::CreatePod(pod) => self.create(namespace, what, pod).await,
            Action::DeletePod { name, uid, .. } => self.delete(namespace, what, name, uid).await,
            Action::ResizePod {
                name,
                resources,
                or_delete,
            } => {
                let api: Api<Pod> = self.api(namespace);
                let parameters = manager();
                let patch = Patch::Strategic(resources.patch());
                let asked = api.patch_resize(name, &parameters, &patch);
                match (answer(what, asked).await, or_delete) {
                    (Err(Trouble::Refused { message, .. }), Some(uid)) => {
                        tracing::info!(pod = name, message, "resized by a restart instead");
                        self.delete(namespace, what, name, uid).await
                    }
                    (result, _) => result.map(|_| true),
                }
            }
            Action::MarkPod { name, uid, volume } => {
                let api: Api<Pod> = self.api(namespace);
                let parameters = manager();
                let patch = Patch::Merge(mark_patch(uid, volume));
                match answer(what, api.patch(name, &parameters, &patch)).await {
                    // Another of its name, or none.
                    Err(Trouble::Outdated(_)) => Ok(false),
                    result => result.map(|_| true),
                }
            }
        }
    }

    /// Server-side apply: what we built is ours, whoever wrote it last; what others added stays.
    async fn apply<K>(
        &self,
        namespace: &str,
        what: &'static str,
        object: &K,
    ) -> Result<bool, Trouble>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Serialize
            + DeserializeOwned
            + Clone
            + Debug,
    {
        let api: Api<K> = self.api(namespace);
        let name = object.name_any();
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(object);
        answer(what, api.patch(&name, &parameters, &patch)).await?;
        Ok(true)
    }

    /// A password that was given out before stays.
    async fn make_secrets(
        &self,
        namespace: &str,
        what: &'static str,
        database: &LumaDatabase,
    ) -> Result<bool, Trouble> {
        let api: Api<Secret> = self.api(namespace);
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PostParams::default()
        };
        let password = new_password();
        let wanted = build::owner_secret(database, &password);
        let password = match answer(what, api.create(&parameters, &wanted)).await {
            Ok(_) => password,
            Err(Trouble::Outdated(_)) => {
                let found = answer(what, api.get(&wanted.name_any())).await?;
                let data = found.data.unwrap_or_default();
                let known = data.get(PASSWORD_KEY).map(|known| known.0.clone());
                let known = known.and_then(|known| String::from_utf8(known).ok());
                Password::new(known.ok_or_else(|| Trouble::Refused {
                    what,
                    message: format!("{} holds no password", wanted.name_any()),
                })?)
            }
            Err(trouble) => return Err(trouble),
        };
        let refused = |error: &dyn std::error::Error| Trouble::Refused {
            what,
            message: error.to_string(),
        };
        let verifier = ScramVerifier::of_password(&password, &rand::random())
            .map_err(|error| refused(&error))?;
        let secret = build::instance_secret(database, verifier).map_err(|error| refused(&error))?;
        match answer(what, api.create(&parameters, &secret)).await {
            Ok(_) => Ok(true),
            Err(Trouble::Outdated(_)) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// Not applied but created: a pod of before that is still ending is not to be changed.
    async fn create(
        &self,
        namespace: &str,
        what: &'static str,
        pod: &Pod,
    ) -> Result<bool, Trouble> {
        let api: Api<Pod> = self.api(namespace);
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PostParams::default()
        };
        match answer(what, api.create(&parameters, pod)).await {
            Ok(_) => Ok(true),
            // One of that name is there: the store will show it.
            Err(Trouble::Outdated(_)) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    async fn delete(
        &self,
        namespace: &str,
        what: &'static str,
        name: &str,
        uid: &str,
    ) -> Result<bool, Trouble> {
        let api: Api<Pod> = self.api(namespace);
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.into()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match answer(what, api.delete(name, &parameters)).await {
            Ok(_) => Ok(true),
            // Another of its name, or none: that one has ended.
            Err(Trouble::Outdated(_)) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// Writes a database's status, provided that nobody has written to it since it was read. The
    /// answer is the version that the database has since.
    pub(super) async fn database_status(
        &self,
        database: &LumaDatabase,
        status: &LumaDatabaseStatus,
    ) -> Result<Option<String>, Trouble> {
        let what = "database_status";
        self.metrics.action(what);
        let api: Api<LumaDatabase> = self.api(&database.namespace().unwrap_or_default());
        let name = database.name_any();
        let body = json!({
            "apiVersion": LumaDatabase::api_version(&()),
            "kind": LumaDatabase::kind(&()),
            "metadata": {"name": name, "resourceVersion": database.resource_version()},
            "status": status,
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(body);
        let written = answer(what, api.patch_status(&name, &parameters, &patch)).await?;
        Ok(written.metadata.resource_version)
    }

    /// Writes those fields of an instance's status that are the operator's.
    pub(super) async fn instance_status(
        &self,
        namespace: &str,
        name: &str,
        status: &LumaInstanceStatus,
    ) -> Result<(), Trouble> {
        let what = "instance_status";
        self.metrics.action(what);
        let api: Api<LumaInstance> = self.api(namespace);
        let body = json!({
            "apiVersion": LumaInstance::api_version(&()),
            "kind": LumaInstance::kind(&()),
            "metadata": {"name": name},
            "status": status,
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(body);
        answer(what, api.patch_status(name, &parameters, &patch)).await?;
        Ok(())
    }

    /// Says of a database that could not be read why nothing is done about it. Of its status nothing
    /// else is touched.
    pub(super) async fn not_understood(
        &self,
        namespace: &str,
        name: &str,
        generation: Option<i64>,
        error: &str,
    ) -> Result<(), Trouble> {
        let what = "database_status";
        self.metrics.action(what);
        let message = format!("this version of the operator does not understand it: {error}");
        let since = clock::now().to_string();
        let conditions = [
            ("Ready", "False"),
            ("Reconciling", "False"),
            ("Stalled", "True"),
        ]
        .map(|(kind, status)| {
            json!({
                "type": kind,
                "status": status,
                "reason": "NotUnderstood",
                "message": message,
                "lastTransitionTime": since,
                "observedGeneration": generation,
            })
        });
        let body = json!({"status": {
            "observedGeneration": generation,
            "phase": "Stalled",
            "conditions": conditions,
        }});
        // The object's own type cannot read it: the answer is taken as it comes.
        let resource = kube::core::ApiResource::erase::<LumaDatabase>(&());
        let api: Api<kube::core::DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        answer(
            what,
            api.patch_status(name, &manager(), &Patch::Merge(body)),
        )
        .await?;
        Ok(())
    }

    /// Tells of it on the database. That nobody hears it is no reason to stop.
    pub(super) async fn tell(&self, about: &ObjectReference, kind: EventType, note: Note) {
        let event = Event {
            type_: kind,
            reason: note.reason.into(),
            note: Some(note.text),
            action: note.action.into(),
            secondary: None,
        };
        let written = match kind {
            EventType::Warning => self.warnings.publish(&event, about).await,
            EventType::Normal => {
                let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
                recorder.publish(&event, about).await
            }
        };
        if let Err(error) = written {
            tracing::debug!(%error, "an event was not written");
        }
    }
}

/// 192 random bits in letters that a connection string takes as they are.
fn new_password() -> Password {
    Password::new(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>()))
}

fn manager() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    }
}

/// Waits for an answer and sorts it.
async fn answer<T>(
    what: &'static str,
    asked: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Trouble> {
    let answered = tokio::time::timeout(ANSWER_TIMEOUT, asked).await;
    let result = answered.map_err(|_| Trouble::Silent(what))?;
    result.map_err(|error| match error {
        kube::Error::Api(status) => sort(what, status),
        source => Trouble::Failed {
            what,
            source: Box::new(source),
        },
    })
}

fn sort(what: &'static str, status: Box<Status>) -> Trouble {
    let names_object = status
        .details
        .as_ref()
        .is_some_and(|details| !details.name.is_empty());
    match status.code {
        404 if names_object => Trouble::Outdated(what),
        409 => Trouble::Outdated(what),
        400 | 403 | 404 | 405 | 413 | 422 => Trouble::Refused {
            what,
            message: status.message.clone(),
        },
        _ => Trouble::Failed {
            what,
            source: Box::new(kube::Error::Api(status)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(code: u16, name: &str) -> Trouble {
        let status = json!({
            "code": code,
            "message": "text",
            "details": {"name": name},
        });
        let status: Status = serde_json::from_value(status).expect("a status");
        sort("test", Box::new(status))
    }

    #[test]
    fn an_answer_says_whether_to_ask_again() {
        for code in [400, 403, 422] {
            assert!(matches!(sorted(code, "x"), Trouble::Refused { .. }));
        }
        for code in [401, 429, 500, 503] {
            assert!(matches!(sorted(code, "x"), Trouble::Failed { .. }));
        }
        assert!(matches!(sorted(409, "x"), Trouble::Outdated(_)));
        // An object that is gone; and a path that this server does not know.
        assert!(matches!(sorted(404, "x"), Trouble::Outdated(_)));
        assert!(matches!(sorted(404, ""), Trouble::Refused { .. }));
    }
}
