//! Answers, each with the fields that keep a browser from doing more with it than it should: no
//! script but our own file, no frame, no guess at what it is, no copy kept, nothing told to others.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{
        ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, SET_COOKIE, WWW_AUTHENTICATE,
    },
};
use serde_json::Value;

/// An answer.
pub(super) type Answer = Response<Full<Bytes>>;

const HTML: &str = "text/html; charset=utf-8";
/// The media type of values (RFC 8259).
pub(super) const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// What stands in every answer.
const ALWAYS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    // Nobody else is told; we are, or a browser would not say where a form comes from either.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), geolocation=(), microphone=()",
    ),
    ("cache-control", "no-store"),
];

/// An answer of this type.
pub(super) fn typed(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for (name, value) in ALWAYS {
        let name = HeaderName::from_static(name);
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// A page.
pub(super) fn html(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    typed(status, HTML, body)
}

/// A value.
pub(super) fn json(status: StatusCode, value: &Value) -> Answer {
    typed(status, JSON, value.to_string())
}

/// A sentence, ended with a line's end: it may be read in a terminal.
pub(super) fn text(status: StatusCode, sentence: &str) -> Answer {
    typed(status, TEXT, format!("{sentence}\n"))
}

/// Sends a browser to the page, with this cookie (RFC 9110 §15.4.4).
pub(super) fn to_page(cookie: &str) -> Answer {
    let mut answer = text(StatusCode::SEE_OTHER, "See /.");
    let headers = answer.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_static("/"));
    // Ours: letters, digits and signs.
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        headers.insert(SET_COOKIE, cookie);
    }
    answer
}

/// Asks for the token (RFC 9110 §11.6.1, RFC 6750 §3).
pub(super) fn asking(mut answer: Answer) -> Answer {
    let challenge = HeaderValue::from_static("Bearer realm=\"relate-imap\"");
    answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    answer
}

/// RFC 9110 §15.5.6.
pub(super) fn not_allowed(allowed: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "That cannot be done here.");
    let allowed = HeaderValue::from_static(allowed);
    answer.headers_mut().insert(ALLOW, allowed);
    answer
}
