//! Headers that protect browsers, and the address that we believe.

use crate::http::extract::ClientAddress;
use crate::http::state::ApiState;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};
use std::net::{IpAddr, SocketAddr};

/// Set unless the answer brings its own: a page of the console knows better what it needs.
const PROTECTION: [(HeaderName, HeaderValue); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

pub(super) async fn protect(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in PROTECTION {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

pub(super) async fn client_address(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(address)| address.ip().to_canonical());
    let trusted = &state.platform.settings.trusted_proxies;
    let address = peer.map(|peer| believed(peer, request.headers(), trusted));
    request.extensions_mut().insert(ClientAddress(address));
    next.run(request).await
}

/// The last address that a proxy of ours saw. What stands before it in `X-Forwarded-For` was
/// written by whoever sent the request.
fn believed(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    if !trusted.contains(&peer) {
        return peer;
    }
    headers
        .get_all("x-forwarded-for")
        .iter()
        .rev()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.rsplit(','))
        .map_while(|hop| hop.trim().parse::<IpAddr>().ok())
        .map(|hop| hop.to_canonical())
        .find(|hop| !trusted.contains(hop))
        .unwrap_or(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forwarded_address_is_believed_of_a_trusted_proxy_alone() {
        let address = |text: &str| text.parse::<IpAddr>().expect("address");
        let (proxy, client) = (address("10.0.0.1"), address("198.51.100.7"));
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static("x-forwarded-for"),
            HeaderValue::from_static("203.0.113.9, 198.51.100.7, 10.0.0.1"),
        )]);
        assert_eq!(believed(client, &headers, &[]), client);
        assert_eq!(believed(proxy, &headers, &[]), proxy);
        assert_eq!(believed(proxy, &headers, &[proxy]), client);
        assert_eq!(believed(proxy, &HeaderMap::new(), &[proxy]), proxy);
    }
}
