//! What a request is, and what may go wrong with it.

use http::{Method, Uri};
use serde_json::{Value, json};

/// A request that passed the proxy.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The first one of a proxy is 1.
    pub number: u64,
    pub method: Method,
    /// Path and query.
    pub path: String,
    pub sort: Sort,
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Read,
    Watch,
    /// It changes an object that is part of the work.
    Write,
    /// It renews a lease, tells an event, asks for a review or a token, or only tries.
    Aside,
}

impl Sort {
    pub(super) fn of(method: &Method, uri: &Uri) -> Self {
        let query = |wanted: &str| {
            let mut pairs = uri.query().unwrap_or_default().split('&');
            pairs.any(|pair| pair == wanted)
        };
        if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return if query("watch=true") || query("watch=1") {
                Self::Watch
            } else {
                Self::Read
            };
        }
        let aside = uri.path().split('/').any(|part| {
            matches!(
                part,
                "authentication.k8s.io"
                    | "authorization.k8s.io"
                    | "coordination.k8s.io"
                    | "events.k8s.io"
                    | "events"
                    | "token"
            )
        });
        if aside || query("dryRun=All") {
            Self::Aside
        } else {
            Self::Write
        }
    }
}

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 429: too many requests, try again after a second.
    TooMany,
    /// 410: the version that was named is forgotten.
    Gone,
    /// 500, and nothing was done.
    Internal,
    /// The connection ends before the request reaches the API server.
    Lost,
    /// The request is done; its answer is lost with the connection.
    AnswerLost,
}

impl Fault {
    /// The answer in the API server's place, where there is one.
    pub(super) fn status(self) -> Option<(u16, Value)> {
        let (code, reason, message) = match self {
            Self::TooMany => (429, "TooManyRequests", "too many requests, try again later"),
            Self::Gone => (410, "Expired", "too old resource version"),
            Self::Internal => (500, "InternalError", "an error on the server"),
            Self::Lost | Self::AnswerLost => return None,
        };
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        });
        if self == Self::TooMany {
            status["details"] = json!({ "retryAfterSeconds": 1 });
        }
        Some((code, status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_sorted_by_what_they_change() {
        let cases = [
            ("GET", "/api/v1/pods", Sort::Read),
            ("GET", "/api/v1/pods?limit=5&watch=true", Sort::Watch),
            ("POST", "/api/v1/namespaces/a/pods", Sort::Write),
            ("PUT", "/api/v1/namespaces/a/pods/b/status", Sort::Write),
            ("PATCH", "/apis/lumadb.com/v1/namespaces/a/x/b", Sort::Write),
            ("DELETE", "/api/v1/namespaces/a/pods/b", Sort::Write),
            ("POST", "/api/v1/namespaces/a/pods?dryRun=All", Sort::Aside),
            ("POST", "/api/v1/namespaces/a/events", Sort::Aside),
            (
                "POST",
                "/apis/events.k8s.io/v1/namespaces/a/events",
                Sort::Aside,
            ),
            (
                "PUT",
                "/apis/coordination.k8s.io/v1/namespaces/a/leases/b",
                Sort::Aside,
            ),
            (
                "POST",
                "/apis/authentication.k8s.io/v1/tokenreviews",
                Sort::Aside,
            ),
            (
                "POST",
                "/api/v1/namespaces/a/serviceaccounts/b/token",
                Sort::Aside,
            ),
        ];
        for (method, uri, sort) in cases {
            let found = Sort::of(&method.parse().unwrap(), &uri.parse().unwrap());
            assert_eq!(found, sort, "{method} {uri}");
        }
    }
}
