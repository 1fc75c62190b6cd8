//! Tokens of pods, as kubelet mounts them.

use crate::Outcome;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

/// One of the pod's service account that ends with the pod, for one audience.
pub async fn pod_token(client: &Client, pod: &Pod, audience: &str) -> Outcome<String> {
    let namespace = pod.namespace().unwrap_or_default();
    let account = pod.spec.as_ref();
    let account = account.and_then(|spec| spec.service_account_name.clone());
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
    let asked = json!({ "spec": {
        "audiences": [audience],
        "expirationSeconds": 3600,
        "boundObjectRef": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": pod.name_any(),
            "uid": pod.uid(),
        },
    }});
    let asked = serde_json::from_value(asked)?;
    let account = account.ok_or("a pod without an account")?;
    let parameters = PostParams::default();
    let token = accounts
        .create_token_request(&account, &parameters, &asked)
        .await?;
    Ok(token.status.ok_or("no token")?.token)
}
