//! Bearer tokens (RFC 6750) as proof of who somebody is, for OAUTHBEARER (RFC 7628) and XOAUTH2:
//! tokens with a signature are verified here, others by asking their issuer. What of a token is
//! looked at stands in [`jwt`]; a token itself is never logged.

pub(crate) mod http;
mod introspect;
pub mod jwt;
mod keys;

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;
use serde_json::json;
use store::clock::Clock;
use wire::sasl::Mechanism;

use self::{
    http::Http,
    introspect::Introspection,
    jwt::{Demands, Unfit, Unsaid, Unverified},
    keys::{KeyRing, Pace},
};
use crate::config::{KeySource, OAuthSettings};

/// Tokens of those whom the settings name.
pub(super) struct OAuth {
    clock: Arc<dyn Clock>,
    http: Http,
    algorithms: Vec<Algorithm>,
    issuers: Vec<Issuer>,
    introspection: Option<Introspection>,
    error: ErrorText,
}

struct Issuer {
    name: String,
    demands: Demands,
    keys: KeyRing,
}

/// What a client is told that is refused.
struct ErrorText {
    scope: String,
    configuration: Option<String>,
}

/// Why a token proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It is not good.
    Unfit(Unfit),
    /// It cannot be found out at the moment.
    Unavailable,
}

impl OAuth {
    /// What the settings name, if they name anybody.
    ///
    /// # Errors
    /// What cannot work, as `key: reason`.
    pub(super) fn new(
        settings: &OAuthSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, String> {
        if settings.issuers.0.is_empty() && settings.introspection_url.is_none() {
            return Ok(None);
        }
        let pace = Pace::new(settings.jwks_max_age, settings.jwks_pause);
        let issuers = settings.issuers.0.values().map(|it| Issuer {
            name: it.issuer.clone(),
            demands: Demands {
                audiences: it.audiences.clone(),
                scopes: settings.scope.0.clone(),
                account_claim: settings.account_claim.clone(),
                unsaid: unsaid(settings),
                skew_secs: secs(settings.clock_skew),
            },
            keys: KeyRing::new(it.keys.clone(), pace),
        });
        let http = Http::new(settings.ca_path.as_deref(), settings.timeout);
        Ok(Some(Self {
            clock,
            http: http.map_err(|error| format!("CaPath: {error}"))?,
            algorithms: settings.algorithms.0.clone(),
            issuers: issuers.collect(),
            introspection: Introspection::new(settings),
            error: ErrorText {
                scope: settings.scope.0.join(" "),
                configuration: settings.open_id_configuration.clone(),
            },
        }))
    }

    /// The account that a token names.
    ///
    /// # Errors
    /// It proves nothing.
    pub(super) async fn account(&self, token: &[u8]) -> Result<String, Refusal> {
        let unfit = |why| Err(Refusal::Unfit(why));
        let Ok(token) = str::from_utf8(token) else {
            return unfit(Unfit::Malformed);
        };
        let signed = !self.issuers.is_empty() && jwt::looks_like_one(token);
        match &self.introspection {
            Some(asked) if !signed => {
                let now = self.clock.now_secs();
                asked.account(&self.http, token, now).await
            }
            Some(_) | None => self.signed(token).await,
        }
    }

    async fn signed(&self, token: &str) -> Result<String, Refusal> {
        let now = self.clock.now_secs();
        let read = Unverified::read(token, &self.algorithms).map_err(Refusal::Unfit)?;
        let named = read.issuer().map_err(Refusal::Unfit)?;
        let issuer = self.issuers.iter().find(|issuer| issuer.name == named);
        let issuer = issuer.ok_or(Refusal::Unfit(Unfit::Issuer))?;
        let fits = |keys: &jwt::Keys| read.has_key_in(keys);
        let at_hand = issuer.keys.keys(&self.http, now, fits).await;
        let at_hand = at_hand.ok_or(Refusal::Unavailable)?;
        // Its key may be one that could not be asked for.
        if !at_hand.complete && !read.has_key_in(&at_hand.keys) {
            return Err(Refusal::Unavailable);
        }
        let claims = read.verified(&at_hand.keys);
        let account = claims.and_then(|claims| issuer.demands.account(&claims, now));
        account.map_err(Refusal::Unfit)
    }

    /// The JSON text that tells a client why its token does not do (RFC 7628 §3.2.2), or as
    /// XOAUTH2 has it.
    pub(super) fn error(&self, mechanism: Mechanism, why: Unfit) -> Vec<u8> {
        let scope = &self.error.scope;
        let mut text = match (mechanism, why) {
            (Mechanism::XOAuth2, _) => json!({"status": "401", "schemes": "bearer"}),
            (_, Unfit::Scope) => json!({"status": "insufficient_scope"}),
            _ => json!({"status": "invalid_token"}),
        };
        if !scope.is_empty() {
            text["scope"] = json!(scope);
        }
        if let Some(configuration) = &self.error.configuration {
            text["openid-configuration"] = json!(configuration);
        }
        text.to_string().into_bytes()
    }
}

/// What of the settings cannot work on this machine, as `key: reason`.
pub(crate) fn check(settings: &OAuthSettings, clock: Arc<dyn Clock>) -> Result<(), String> {
    OAuth::new(settings, clock)?;
    let bound = !settings.introspection_audience.0.is_empty() || !settings.scope.0.is_empty();
    if settings.introspection_url.is_some() && !bound {
        return Err(
            "IntrospectionAudience: neither it nor Scope says that a token is for this server"
                .to_owned(),
        );
    }
    if !settings.issuers.0.is_empty() && settings.algorithms.0.is_empty() {
        return Err("Algorithms: none is left".to_owned());
    }
    for issuer in settings.issuers.0.values() {
        if let KeySource::File(path) = &issuer.keys {
            let wrong = |why: &dyn std::fmt::Display| format!("Issuers: {}: {why}", path.display());
            let keys = keys::load(path).map_err(|error| wrong(&error))?;
            if keys.is_empty() {
                return Err(wrong(&"there is no key in it that verifies signatures"));
            }
        }
    }
    Ok(())
}

const fn unsaid(settings: &OAuthSettings) -> Unsaid {
    match settings.require_verified_email {
        true => Unsaid::Nobody,
        false => Unsaid::Taken,
    }
}

fn secs(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
