//! What a request is answered.

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::address::PageAddress;
use super::site::{ServedFile, ServedSite};

/// What the page may do: nothing but load its own files, and show what it draws.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const PLAIN: &str = "text/plain; charset=utf-8";

/// The answer to a request.
pub async fn answer<B>(
    request: &Request<B>,
    site: &Arc<ServedSite>,
    address: &PageAddress,
) -> Response<Full<Bytes>> {
    let own = format!("open {}", address.url());
    if !is_for(address, request) {
        let other = format!("{own}, or name the address or the name that you use with --host");
        return refusal(StatusCode::MISDIRECTED_REQUEST, &other);
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, &own);
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allowed);
        return response;
    }
    match ServedSite::file(site, request.uri().path()).await {
        None => refusal(StatusCode::NOT_FOUND, &own),
        Some(Err(problem)) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &problem),
        Some(Ok(file)) => found(file, request),
    }
}

/// Whether the request names this server, once.
fn is_for<B>(address: &PageAddress, request: &Request<B>) -> bool {
    let mut names = request.headers().get_all(header::HOST).iter();
    let (Some(name), None) = (names.next(), names.next()) else {
        return false;
    };
    let in_target = request.uri().authority().map(|name| name.as_str());
    name.to_str().is_ok_and(|name| address.is_called(name))
        && in_target.is_none_or(|name| address.is_called(name))
}

/// A file, or the answer that the client has it already.
fn found<B>(file: ServedFile, request: &Request<B>) -> Response<Full<Bytes>> {
    let held = request.headers().get_all(header::IF_NONE_MATCH).iter();
    let tags = held.filter_map(|held| held.to_str().ok());
    let tags = tags.flat_map(|tags| tags.split(','));
    let is_held = tags.map(str::trim).any(|tag| file.tag == tag);
    let mut response = match is_held {
        true => respond(StatusCode::NOT_MODIFIED, file.kind, Bytes::new()),
        false => respond(StatusCode::OK, file.kind, file.bytes),
    };
    response.headers_mut().insert(header::ETAG, file.tag);
    response
}

/// A line of text.
fn refusal(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    respond(status, PLAIN, Bytes::from(format!("{text}\n")))
}

fn respond(status: StatusCode, kind: &'static str, bytes: Bytes) -> Response<Full<Bytes>> {
    let length = bytes.len();
    let mut response = Response::new(Full::new(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Also for HEAD, which gets no body. An answer that nothing has changed has no length.
    if status != StatusCode::NOT_MODIFIED {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    response
}
