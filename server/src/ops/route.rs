//! What is answered to which request.
//!
//! | path | what | who |
//! |---|---|---|
//! | `/livez` | it runs | everybody |
//! | `/readyz` | it serves without waiting | everybody |
//! | `/healthz` | what each check found; only the word for strangers | everybody |
//! | `/`, `/api/status`, `/api/health` | the status page and its data | operators |
//! | `/metrics` | figures for Prometheus | operators |
//! | `/sign-in`, `/sign-out` | a cookie for the token, and away with it | everybody |

use std::{convert::Infallible, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Limited};
use hyper::{HeaderMap, Method, Request, StatusCode, body::Incoming};
use serde_json::{Value, json};

use crate::{
    listen::Peer,
    observe::prometheus,
    refused::{self, Claims, Reason},
};

use super::{
    Ops,
    access::{Access, Ends, Standing, relayed_for},
    answer::{self, Answer},
    checks::{self, Question},
    page,
    report::{Report, Status},
    status,
};

/// How long an answer may take; the checks end sooner.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);
/// The body of a form, bytes.
const FORM_BYTES_MAX: usize = 4 * 1024;
/// What a proxy says of whom it relays, in the log, characters.
const CLAIM_CHARS_MAX: usize = 64;
/// How long the answer to a wrong token waits.
const WRONG_TOKEN_PAUSE: Duration = Duration::from_secs(1);

const ONLY_HERE: &str = "This is shown on the server's own machine only, because no token is set. \
    Set HealthCheck:Token to see it from elsewhere.";

/// Answers a request, in any case.
pub(super) async fn answer(
    ops: &Ops,
    ends: Ends,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let answered = tokio::time::timeout(ANSWER_TIME_MAX, respond(ops, &ends, request)).await;
    Ok(answered.unwrap_or_else(|_| {
        answer::text(
            StatusCode::SERVICE_UNAVAILABLE,
            "The answer takes too long.",
        )
    }))
}

async fn respond(ops: &Ops, ends: &Ends, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    match ops.access.is_for_us(&request, ends) {
        Some(true) => {}
        // Old monitors speak HTTP/1.0 and name nobody; browsers never do.
        None if matches!(&*path, "/livez" | "/readyz" | "/healthz") => {}
        Some(false) | None => {
            return answer::text(
                StatusCode::MISDIRECTED_REQUEST,
                "This server has another name. HealthCheck:HostNames lists further ones.",
            );
        }
    }
    let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
    let now_secs = ops.service.now_secs();
    let standing = ops.access.standing(request.headers(), ends, now_secs);
    if standing == Standing::WrongToken {
        note_wrong_token(ops, ends, request.headers());
    }
    match &*path {
        "/sign-in" | "/sign-out" if request.method() != Method::POST => answer::not_allowed("POST"),
        "/sign-in" | "/sign-out" if !ops.access.is_own_form(request.headers(), ends) => {
            answer::text(StatusCode::FORBIDDEN, "That form is not from this page.")
        }
        "/sign-in" => sign_in(ops, ends, request).await,
        "/sign-out" => answer::to_page(&Access::no_cookie()),
        _ if !is_get => answer::not_allowed("GET, HEAD"),
        "/livez" => answer::json(StatusCode::OK, &word(Status::Healthy)),
        "/readyz" => health(ops, Question::Ready, standing).await,
        "/healthz" => {
            let for_container = value_of(&request, "for").as_deref() == Some("container");
            let question = if for_container {
                Question::Serves
            } else {
                Question::Well
            };
            health(ops, question, standing).await
        }
        "/" => match value_of(&request, "token") {
            Some(token) => with_token(ops, ends, request.headers(), &token).await,
            None => match refused(ops, standing, Form::Page).await {
                Some(refused) => refused,
                None => answer::html(StatusCode::OK, page::PAGE),
            },
        },
        "/api/status" | "/api/health" | "/metrics" => {
            match refused(ops, standing, Form::Data).await {
                Some(refused) => refused,
                None if path == "/metrics" => metrics(ops).await,
                // Said with 200 in any case: the page has not failed when the server is unhealthy.
                None if path == "/api/health" => {
                    answer::json(StatusCode::OK, &report(ops, Question::Well).await.json())
                }
                None => status(ops).await,
            }
        }
        _ => match page::ASSETS.iter().find(|asset| asset.path == path) {
            Some(asset) => answer::typed(StatusCode::OK, asset.kind, asset.body),
            None => answer::text(StatusCode::NOT_FOUND, "There is no such page."),
        },
    }
}

/// For whom an answer is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// People: they can fill in a form.
    Page,
    /// Programs.
    Data,
}

/// The answer to who may not see what only operators see.
async fn refused(ops: &Ops, standing: Standing, form: Form) -> Option<Answer> {
    match standing {
        Standing::Operator => return None,
        Standing::Stranger if !ops.access.has_token() => {
            return Some(answer::text(StatusCode::FORBIDDEN, ONLY_HERE));
        }
        Standing::WrongToken => tokio::time::sleep(WRONG_TOKEN_PAUSE).await,
        Standing::Here | Standing::Stranger => {}
    }
    Some(answer::asking(match form {
        Form::Page => answer::html(StatusCode::UNAUTHORIZED, page::SIGN_IN),
        Form::Data => answer::text(StatusCode::UNAUTHORIZED, "The token is asked for."),
    }))
}

async fn status(ops: &Ops) -> Answer {
    match status::json(ops).await {
        Ok(text) => answer::typed(StatusCode::OK, answer::JSON, text),
        Err(error) => {
            tracing::error!(%error, "the status page has no data");
            let what = "The data cannot be written; the log says why.";
            answer::text(StatusCode::INTERNAL_SERVER_ERROR, what)
        }
    }
}

async fn metrics(ops: &Ops) -> Answer {
    answer::typed(
        StatusCode::OK,
        prometheus::CONTENT_TYPE,
        prometheus::text(&ops.service).await,
    )
}

/// The token of the form.
async fn sign_in(ops: &Ops, ends: &Ends, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, FORM_BYTES_MAX).collect();
    let Ok(body) = body.await else {
        return answer::text(StatusCode::PAYLOAD_TOO_LARGE, "That is no token.");
    };
    let body = body.to_bytes();
    let mut fields = form_urlencoded::parse(&body);
    let token = fields.find(|(name, _)| name == "token");
    let token = token.map(|(_, token)| token).unwrap_or_default();
    with_token(ops, ends, &head.headers, token.trim()).await
}

/// The page for who shows the token. The answer takes it out of the address.
async fn with_token(ops: &Ops, ends: &Ends, headers: &HeaderMap, token: &str) -> Answer {
    match ops.access.cookie(token, ops.service.now_secs()) {
        Some(cookie) => answer::to_page(&cookie),
        None if !ops.access.has_token() => answer::to_page(&Access::no_cookie()),
        None => {
            note_wrong_token(ops, ends, headers);
            tokio::time::sleep(WRONG_TOKEN_PAUSE).await;
            answer::asking(answer::html(
                StatusCode::UNAUTHORIZED,
                page::sign_in_again(),
            ))
        }
    }
}

/// A wrong token is a refusal like a wrong password. Of a request that was relayed only the proxy's
/// address is known; whom it was relayed for is what somebody says.
fn note_wrong_token(ops: &Ops, ends: &Ends, headers: &HeaderMap) {
    let peer = Peer::of_tcp(ends.remote, ends.local, &ops.service.config);
    let relayed_for = relayed_for(headers);
    let shown = relayed_for.map(|said| said.chars().take(CLAIM_CHARS_MAX).collect::<String>());
    let claims = Claims {
        user: None,
        client: shown.as_deref(),
    };
    refused::log(&ops.service, Reason::StatusToken, &peer, claims);
}

/// A value of the request's query.
fn value_of<B>(request: &Request<B>, name: &str) -> Option<String> {
    let query = request.uri().query()?;
    let mut values = form_urlencoded::parse(query.as_bytes());
    let (_, value) = values.find(|(key, _)| key == name)?;
    Some(value.into_owned())
}

async fn health(ops: &Ops, question: Question, standing: Standing) -> Answer {
    // Or it would tell at once, to whoever guesses, whether a token is right.
    if standing == Standing::WrongToken {
        tokio::time::sleep(WRONG_TOKEN_PAUSE).await;
    }
    let report = match standing {
        Standing::Operator | Standing::Here => Arc::new(report(ops, question).await),
        Standing::Stranger | Standing::WrongToken => {
            let make = || report(ops, question);
            ops.recent.report(question, make).await
        }
    };
    let status = match question.is_yes(&report) {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    match standing {
        Standing::Operator | Standing::Here => answer::json(status, &report.json()),
        Standing::Stranger | Standing::WrongToken => answer::json(status, &word(report.status())),
    }
}

async fn report(ops: &Ops, question: Question) -> Report {
    // Never closed.
    let _turn = ops.reports.acquire().await;
    checks::run(&ops.service, ops.target, question).await
}

fn word(status: Status) -> Value {
    json!({ "status": status.word() })
}
