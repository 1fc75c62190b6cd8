//! A pod's token for a certificate, by word of the API server.

use super::authority::{Authority, AuthorityError, NODE_LIFETIME};
use super::names::NodeNames;
use super::nodes::Nodes;
use crate::build;
use crate::clock;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, Client};
use lumadb_contract::enrollment::{Enrollment, EnrollmentRequest, TOKEN_AUDIENCE};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::rpc::NodeEnrollment;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::{Code, Request, Response, Status};

/// Tokens that are reviewed at once; others wait.
const REVIEWS_MAX: usize = 8;

/// Longest time in which the API server reviews a token.
const REVIEW_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest token that is handed on, bytes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// What the API server says of the pod that a token is bound to.
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";

/// Why a node gets no certificate.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there is no such database here")]
    UnknownDatabase,
    #[error("the token is too long")]
    TooLong,
    #[error("the API server does not take the token: {0}")]
    Token(String),
    #[error("the token is not for {TOKEN_AUDIENCE}")]
    Audience,
    #[error("the token is of `{0}`, not of the database's account")]
    Account(String),
    #[error("the token is bound to no pod, or to another than the database has")]
    Pod,
    #[error("the public key is not usable: {0}")]
    Key(#[from] AuthorityError),
    #[error("the public key is no base64")]
    Encoding,
    #[error("the database's pod is not known yet")]
    NoPod,
    #[error("the API server did not review the token: {0}")]
    NotReviewed(String),
}

impl Refusal {
    /// A word for metrics, and what kind of answer it is.
    const fn sort(&self) -> (&'static str, Code) {
        match self {
            Self::UnknownDatabase => ("unknown_database", Code::NotFound),
            Self::TooLong | Self::Token(_) => ("token", Code::Unauthenticated),
            Self::Audience => ("audience", Code::Unauthenticated),
            Self::Account(_) => ("other_account", Code::PermissionDenied),
            Self::Pod => ("other_pod", Code::PermissionDenied),
            Self::Key(_) | Self::Encoding => ("key", Code::InvalidArgument),
            Self::NoPod => ("no_pod", Code::Unavailable),
            Self::NotReviewed(_) => ("not_reviewed", Code::Unavailable),
        }
    }
}

/// Whom a reviewed token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Reviewed {
    user: String,
    pod_name: Option<String>,
    pod_uid: Option<String>,
}

/// The service that nodes ask for certificates.
#[derive(Clone)]
pub(super) struct Enroller {
    reviews: Api<TokenReview>,
    nodes: Arc<Nodes>,
    authority: Arc<Authority>,
    places: Arc<Semaphore>,
}

impl std::fmt::Debug for Enroller {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Enroller").finish_non_exhaustive()
    }
}

impl Enroller {
    pub(super) fn new(client: Client, nodes: Arc<Nodes>, authority: Arc<Authority>) -> Self {
        Self {
            reviews: Api::all(client),
            nodes,
            authority,
            places: Arc::new(Semaphore::new(REVIEWS_MAX)),
        }
    }

    async fn certify(&self, request: &EnrollmentRequest) -> Result<String, Refusal> {
        let database_id = request.database_id;
        let parent = self.nodes.parent();
        let expected = parent.find(database_id).ok_or(Refusal::UnknownDatabase)?;
        let pod_uid = expected.identity().pod_uid().ok_or(Refusal::NoPod)?;
        let point = STANDARD
            .decode(&request.public_key)
            .map_err(|_| Refusal::Encoding)?;
        let reviewed = self.review(request.token.expose()).await?;
        let namespace = &expected.identity().namespace;
        check(&reviewed, database_id, namespace, &pod_uid)?;
        let names = NodeNames {
            database_id,
            incarnation_id: request.incarnation_id,
            pod_uid,
        };
        Ok(self.authority.node(&names, &point, clock::utc())?)
    }

    async fn review(&self, token: &str) -> Result<Reviewed, Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        let review = TokenReview {
            metadata: ObjectMeta::default(),
            spec: TokenReviewSpec {
                audiences: Some(vec![TOKEN_AUDIENCE.into()]),
                token: Some(token.into()),
            },
            status: None,
        };
        let parameters = PostParams::default();
        let answer = timeout(REVIEW_TIMEOUT, async {
            let _place = self.places.acquire().await;
            self.reviews.create(&parameters, &review).await
        });
        let answer = answer
            .await
            .map_err(|_| Refusal::NotReviewed("no answer in time".into()))?
            .map_err(|error| Refusal::NotReviewed(error.to_string()))?;
        read(answer.status.unwrap_or_default())
    }
}

fn read(status: TokenReviewStatus) -> Result<Reviewed, Refusal> {
    if status.authenticated != Some(true) {
        let why = status.error.unwrap_or_else(|| "it is not valid".into());
        return Err(Refusal::Token(why));
    }
    // A server that says no audience has not looked at it.
    let audiences = status.audiences.unwrap_or_default();
    if !audiences.iter().any(|audience| audience == TOKEN_AUDIENCE) {
        return Err(Refusal::Audience);
    }
    let user = status.user.unwrap_or_default();
    let extra = user.extra.unwrap_or_default();
    let one = |key: &str| match extra.get(key).map(Vec::as_slice) {
        Some([value]) => Some(value.clone()),
        _ => None,
    };
    Ok(Reviewed {
        user: user.username.unwrap_or_default(),
        pod_name: one(POD_NAME),
        pod_uid: one(POD_UID),
    })
}

/// Whether that is the pod of the database's one instance.
fn check(
    reviewed: &Reviewed,
    database_id: DatabaseId,
    namespace: &str,
    pod_uid: &str,
) -> Result<(), Refusal> {
    let name = database_id.host_label();
    if reviewed.user != format!("system:serviceaccount:{namespace}:{name}") {
        return Err(Refusal::Account(reviewed.user.clone()));
    }
    let instance = build::instance_name_of(&name);
    let is_pod = reviewed.pod_uid.as_deref() == Some(pod_uid)
        && reviewed.pod_name.as_deref() == Some(instance.as_str());
    if is_pod { Ok(()) } else { Err(Refusal::Pod) }
}

#[tonic::async_trait]
impl NodeEnrollment for Enroller {
    async fn enroll(
        &self,
        request: Request<EnrollmentRequest>,
    ) -> Result<Response<Enrollment>, Status> {
        let request = request.into_inner();
        let database = request.database_id;
        match self.certify(&request).await {
            Ok(certificate_pem) => {
                self.nodes.counters().certified();
                let incarnation = request.incarnation_id;
                tracing::debug!(%database, %incarnation, "a node was certified");
                let lifetime_seconds = NODE_LIFETIME.whole_seconds();
                Ok(Response::new(Enrollment {
                    certificate_pem,
                    lifetime_seconds: u32::try_from(lifetime_seconds).unwrap_or_default(),
                }))
            }
            Err(refusal) => {
                let (why, code) = refusal.sort();
                self.nodes.counters().refused(why);
                tracing::warn!(%database, %refusal, "a node was not certified");
                Err(Status::new(code, refusal.to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::authentication::v1::UserInfo;
    use std::collections::BTreeMap;

    const NAME: &str = "db-01jdk3x5v9e8rb6w4q2n7m0c1a";

    fn status(audience: &str) -> TokenReviewStatus {
        let extra = [
            (POD_UID, "uid-1"),
            (POD_NAME, "db-01jdk3x5v9e8rb6w4q2n7m0c1a-1"),
        ];
        let extra = extra.map(|(key, value)| (key.to_owned(), vec![value.to_owned()]));
        TokenReviewStatus {
            authenticated: Some(true),
            audiences: Some(vec![audience.into()]),
            error: None,
            user: Some(UserInfo {
                extra: Some(BTreeMap::from(extra)),
                username: Some(format!("system:serviceaccount:tenants:{NAME}")),
                ..UserInfo::default()
            }),
        }
    }

    fn judge(
        status: TokenReviewStatus,
        name: &str,
        namespace: &str,
        pod_uid: &str,
    ) -> Result<(), &'static str> {
        let id = DatabaseId::parse_label(name).expect("an ID");
        read(status)
            .and_then(|reviewed| check(&reviewed, id, namespace, pod_uid))
            .map_err(|refusal| refusal.sort().0)
    }

    #[test]
    fn only_the_databases_own_pod_is_it() {
        let right = || status(TOKEN_AUDIENCE);
        assert_eq!(judge(right(), NAME, "tenants", "uid-1"), Ok(()));
        let other = "db-01jdk3x5v9e8rb6w4q2n7m0c1z";
        for (status, name, namespace, pod, why) in [
            (
                status("https://kubernetes.default.svc"),
                NAME,
                "tenants",
                "uid-1",
                "audience",
            ),
            (right(), other, "tenants", "uid-1", "other_account"),
            (right(), NAME, "others", "uid-1", "other_account"),
            (right(), NAME, "tenants", "uid-2", "other_pod"),
            (
                TokenReviewStatus::default(),
                NAME,
                "tenants",
                "uid-1",
                "token",
            ),
        ] {
            assert_eq!(judge(status, name, namespace, pod), Err(why));
        }
        let mut unbound = right();
        unbound.user.as_mut().expect("a user").extra = None;
        assert_eq!(judge(unbound, NAME, "tenants", "uid-1"), Err("other_pod"));
        let mut blind = right();
        blind.audiences = None;
        assert_eq!(judge(blind, NAME, "tenants", "uid-1"), Err("audience"));
    }
}
