//! Tokens that only their issuer can read: it is asked what they are good for (RFC 7662).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use form_urlencoded::{Serializer, byte_serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    Refusal,
    http::{Ask, Http},
    jwt::{Claims, Demands, Unfit},
};
use crate::{
    auth::cache::Cache,
    config::{OAuthSettings, ProviderUrl},
};

/// Who is asked about tokens.
pub(super) struct Introspection {
    url: ProviderUrl,
    authorization: Zeroizing<String>,
    demands: Demands,
    /// How long an answer is taken, seconds.
    kept_secs: i64,
    known: Cache,
}

impl Introspection {
    /// What the settings name, if they name somebody.
    pub(super) fn new(settings: &OAuthSettings) -> Option<Self> {
        let id = settings.introspection_client_id.as_deref();
        let secret = settings.introspection_client_secret.as_ref();
        let secret = secret.map_or("", |secret| secret.expose());
        Some(Self {
            url: settings.introspection_url.clone()?,
            authorization: authorization(id.unwrap_or_default(), secret),
            demands: Demands {
                audiences: settings.introspection_audience.0.clone(),
                scopes: settings.scope.0.clone(),
                account_claim: settings.introspection_account_claim.clone(),
                unsaid: super::unsaid(settings),
                skew_secs: super::secs(settings.clock_skew),
            },
            kept_secs: super::secs(settings.introspection_cache_time),
            known: Cache::new(),
        })
    }

    /// The account that a token names.
    ///
    /// # Errors
    /// It is good for nothing, or nobody says.
    pub(super) async fn account(
        &self,
        http: &Http,
        token: &str,
        now: i64,
    ) -> Result<String, Refusal> {
        let key = self.known.key(&[b"token", token.as_bytes()]);
        if let Some(account) = self.known.account(&key, now) {
            return Ok(account);
        }
        let claims = self.ask(http, token).await?;
        let (account, until) = self.judge(claims, now).map_err(Refusal::Unfit)?;
        let kept_secs = until.saturating_sub(now).min(self.kept_secs);
        self.known.insert_account(key, (now, kept_secs), &account);
        Ok(account)
    }

    async fn ask(&self, http: &Http, token: &str) -> Result<Claims, Refusal> {
        let ask = Ask::Post {
            form: form(token),
            authorization: &self.authorization,
        };
        let answer = http.ask(&self.url, ask).await.inspect_err(|error| {
            tracing::error!(url = ?self.url, %error, "tokens cannot be asked about");
        });
        let answer = answer.map_err(|_| Refusal::Unavailable)?;
        serde_json::from_slice(&answer).map_err(|error| {
            tracing::error!(url = ?self.url, %error, "the answer about a token is no JSON object");
            Refusal::Unavailable
        })
    }

    /// What an answer says: the account, and until when it is good (RFC 7662 §2.2).
    fn judge(&self, mut claims: Claims, now: i64) -> Result<(String, i64), Unfit> {
        if claims.get("active") != Some(&Value::Bool(true)) {
            return Err(Unfit::Inactive);
        }
        // That it is active was said now; until when need not be said.
        let until = now.saturating_add(self.kept_secs.max(1));
        let until = claims.entry("exp").or_insert_with(|| until.into()).as_i64();
        let account = self.demands.account(&claims, now)?;
        Ok((account, until.unwrap_or(now)))
    }
}

/// The question (RFC 7662 §2.1).
fn form(token: &str) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("token", token);
    form.append_pair("token_type_hint", "access_token");
    form.finish()
}

/// Who asks, as a client of OAuth says it (RFC 6749 §2.3.1).
fn authorization(id: &str, secret: &str) -> Zeroizing<String> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let both = Zeroizing::new(format!("{}:{}", encoded(id), encoded(secret)));
    Zeroizing::new(format!("Basic {}", STANDARD.encode(both.as_bytes())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::tests::{NOW, config};

    fn asked(set: &[&str]) -> Introspection {
        let url = "OAuth:IntrospectionUrl=https://id.example.org/introspect";
        let settings = config(&[&[url, "OAuth:Scope=imap"], set].concat()).oauth;
        Introspection::new(&settings).unwrap()
    }

    fn judged(set: &[&str], answer: Value) -> Result<(String, i64), Unfit> {
        let Value::Object(claims) = answer else {
            panic!("no object");
        };
        asked(set).judge(claims, NOW)
    }

    #[test]
    fn threat_09_an_answer_must_say_that_the_token_is_good_for_us() {
        let good = json!({"active": true, "username": "tim", "scope": "a imap", "exp": NOW + 100});
        let tim = |until| Ok(("tim".to_owned(), until));
        assert_eq!(judged(&[], good.clone()), tim(NOW + 100));
        let audience = ["OAuth:IntrospectionAudience=ours"];
        assert_eq!(judged(&audience, good), Err(Unfit::Audience));
        let undated = json!({"active": true, "username": "tim", "scope": "imap", "aud": ["ours"]});
        assert_eq!(judged(&audience, undated), tim(NOW + 60));
        for (answer, why) in [
            (json!({}), Unfit::Inactive),
            (
                json!({"active": "true", "username": "tim", "scope": "imap"}),
                Unfit::Inactive,
            ),
            (
                json!({"active": false, "username": "tim", "scope": "imap"}),
                Unfit::Inactive,
            ),
            (json!({"active": true, "username": "tim"}), Unfit::Scope),
            (
                json!({"active": true, "username": "tim", "scope": "imapx"}),
                Unfit::Scope,
            ),
            (
                json!({"active": true, "scope": "imap", "sub": "tim"}),
                Unfit::Nobody,
            ),
            (
                json!({"active": true, "username": "tim", "scope": "imap", "exp": NOW - 60}),
                Unfit::Expired,
            ),
            (
                json!({"active": true, "username": "tim", "scope": "imap", "nbf": NOW + 60}),
                Unfit::NotYet,
            ),
        ] {
            assert_eq!(judged(&[], answer.clone()), Err(why), "{answer}");
        }
    }

    #[test]
    fn threat_09_an_address_counts_only_if_it_is_said_to_be_verified() {
        let answer = json!({"active": true, "email": "tim@example.org", "scope": "imap"});
        let by_address = "OAuth:IntrospectionAccountClaim=email";
        let refused = judged(&[by_address], answer.clone());
        assert_eq!(refused, Err(Unfit::Nobody));
        let trusting = [by_address, "OAuth:RequireVerifiedEmail=false"];
        let (account, _) = judged(&trusting, answer).unwrap();
        assert_eq!(account, "tim@example.org");
    }

    #[test]
    fn who_asks_is_encoded_twice() {
        let said = authorization("a b", "p:w+ö");
        let said = said.strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(said).unwrap(), b"a+b:p%3Aw%2B%C3%B6");
    }
}
