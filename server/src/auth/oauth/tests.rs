//! Asking issuers: what of their answers is kept, and how often they are asked.

use std::sync::atomic::{AtomicUsize, Ordering};

use store::clock::ManualClock;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::auth::tests::{NOW, config};

/// A set without any key.
const NO_KEYS: &str = "{\"keys\":[]}";

/// An issuer on this machine that gives one answer to everybody.
struct Provider {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Provider {
    async fn answering(status: &'static str, body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let mut request = vec![0; 8_192];
                let _ = stream.read(&mut request).await;
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn with_keys(&self) -> Vec<String> {
        vec![
            "OAuth:Issuers:a:Issuer=https://id.example.org".to_owned(),
            "OAuth:Issuers:a:Audience=imap".to_owned(),
            format!(
                "OAuth:Issuers:a:JwksUrl=http://127.0.0.1:{}/keys",
                self.port
            ),
        ]
    }

    fn with_questions(&self) -> Vec<String> {
        vec![
            format!("OAuth:IntrospectionUrl=http://127.0.0.1:{}/ask", self.port),
            "OAuth:IntrospectionAudience=imap".to_owned(),
        ]
    }
}

fn oauth(set: &[String], clock: &Arc<ManualClock>) -> OAuth {
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let settings = config(&set).oauth;
    let clock = Arc::clone(clock);
    OAuth::new(&settings, clock).unwrap().unwrap()
}

/// A token of the issuer with an unknown key.
fn token() -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let header = encoded(r#"{"alg":"ES256","kid":"x"}"#);
    let claims = encoded(r#"{"iss":"https://id.example.org"}"#);
    format!("{header}.{claims}.AAAA").into_bytes()
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_once_in_a_while() {
    let provider = Provider::answering("200 OK", NO_KEYS.to_owned()).await;
    let clock = Arc::new(ManualClock::new(NOW));
    let mut set = provider.with_keys();
    set.push("OAuth:JwksPause=2m".to_owned());
    let oauth = oauth(&set, &clock);
    for _ in 0..5 {
        let refused = oauth.account(&token()).await;
        assert_eq!(refused, Err(Refusal::Unfit(Unfit::Key)));
    }
    assert_eq!(provider.asked(), 1);
    clock.set(NOW + 119);
    oauth.account(&token()).await.unwrap_err();
    assert_eq!(provider.asked(), 1);
    clock.set(NOW + 120);
    let refused = oauth.account(&token()).await;
    assert_eq!(refused, Err(Refusal::Unfit(Unfit::Key)));
    assert_eq!(provider.asked(), 2);
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_is_no_wrong_no() {
    for (status, body) in [
        ("500 Internal Server Error", NO_KEYS.to_owned()),
        ("302 Found", NO_KEYS.to_owned()),
        ("200 OK", "not JSON".to_owned()),
        (
            "200 OK",
            format!("{{\"keys\":[\"{}\"]}}", "x".repeat(600 * 1024)),
        ),
    ] {
        let provider = Provider::answering(status, body).await;
        let clock = Arc::new(ManualClock::new(NOW));
        let asked = [provider.with_keys(), provider.with_questions()];
        for (set, token) in asked.iter().zip([token(), b"opaque".to_vec()]) {
            let refused = oauth(set, &clock).account(&token).await;
            assert_eq!(refused, Err(Refusal::Unavailable), "{status}");
        }
    }
}

#[tokio::test]
async fn keys_that_are_only_old_are_used_while_somebody_asks_for_new_ones() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let keys = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"x","x":"AA","y":"AA"}]}"#;
    let provider = Provider {
        port,
        asked: Arc::default(),
    };
    let clock = Arc::new(ManualClock::new(NOW));
    let oauth = oauth(&provider.with_keys(), &clock);
    let answered = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 8_192]).await.unwrap() > 0);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", keys.len());
        stream.write_all((head + keys).as_bytes()).await.unwrap();
    };
    let token = token();
    let (known, ()) = tokio::join!(oauth.account(&token), answered);
    assert!(matches!(known, Err(Refusal::Unfit(_))), "{known:?}");
    // From now on the issuer does not answer: nobody accepts.
    clock.set(NOW + 100_000);
    tokio::select! {
        biased;
        _ = oauth.account(&token) => panic!("it does not ask"),
        again = oauth.account(&token) => assert_eq!(again, known),
    }
}

#[tokio::test]
async fn an_opaque_token_is_asked_about_and_remembered_for_a_while() {
    let answer = r#"{"active":true,"aud":"imap","username":"other","login":"tim"}"#;
    let provider = Provider::answering("200 OK", answer.to_owned()).await;
    let clock = Arc::new(ManualClock::new(NOW));
    let mut set = provider.with_questions();
    set.push("OAuth:IntrospectionAccountClaim=login".to_owned());
    set.push("OAuth:IntrospectionCacheTime=2m".to_owned());
    let oauth = oauth(&set, &clock);
    for _ in 0..3 {
        assert_eq!(oauth.account(b"opaque").await.as_deref(), Ok("tim"));
    }
    assert_eq!(provider.asked(), 1);
    oauth.account(b"another").await.unwrap();
    assert_eq!(provider.asked(), 2);
    clock.set(NOW + 119);
    oauth.account(b"opaque").await.unwrap();
    assert_eq!(provider.asked(), 2);
    clock.set(NOW + 120);
    oauth.account(b"opaque").await.unwrap();
    assert_eq!(provider.asked(), 3);
}

#[test]
fn a_refusal_says_what_is_wanted() {
    let clock = Arc::new(ManualClock::new(NOW));
    let set = [
        "OAuth:IntrospectionUrl=https://id.example.org/ask",
        "OAuth:Scope=imap, mail",
        "OAuth:OpenIdConfiguration=https://id.example.org/.well-known/openid-configuration",
    ];
    let oauth = oauth(&set.map(str::to_owned), &clock);
    let text = |mechanism, why| String::from_utf8(oauth.error(mechanism, why)).unwrap();
    assert_eq!(
        text(Mechanism::OAuthBearer, Unfit::Scope),
        r#"{"status":"insufficient_scope","scope":"imap mail","openid-configuration":"https://id.example.org/.well-known/openid-configuration"}"#
    );
    assert!(text(Mechanism::OAuthBearer, Unfit::Key).starts_with(r#"{"status":"invalid_token","#));
    assert!(
        text(Mechanism::XOAuth2, Unfit::Key).starts_with(r#"{"status":"401","schemes":"bearer","#)
    );
}

#[test]
fn what_cannot_work_is_told_before_anything_starts() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW));
    let wrong = |set: &[&str]| check(&config(set).oauth, Arc::clone(&clock)).unwrap_err();
    let url = "OAuth:IntrospectionUrl=https://id.example.org/ask";
    assert!(wrong(&[url]).starts_with("IntrospectionAudience: "));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    std::fs::write(&path, NO_KEYS).unwrap();
    let jwks = format!("OAuth:Issuers:a:JwksPath={}", path.display());
    let issuer = [
        "OAuth:Issuers:a:Issuer=i",
        "OAuth:Issuers:a:Audience=imap",
        &jwks,
    ];
    assert!(wrong(&issuer).starts_with("Issuers: "));
    std::fs::remove_file(&path).unwrap();
    assert!(wrong(&issuer).starts_with("Issuers: "));
}
