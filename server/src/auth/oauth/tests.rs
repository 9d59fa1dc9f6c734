//! Asking issuers: what of their answers is kept, and how often they are asked.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use store::clock::ManualClock;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{
    jwt::tests::{Signer, claims, header, with},
    *,
};
use crate::{
    auth::tests::{NOW, config, directory::acceptor},
    listen::Transport,
};

/// A set without any key.
const NO_KEYS: &str = "{\"keys\":[]}";

/// What an issuer says about tim's opaque token.
const TIM: &str = r#"{"active":true,"aud":"imap","username":"tim"}"#;

/// An issuer on this machine that gives one answer to everybody.
struct Provider {
    port: u16,
    asked: Arc<AtomicUsize>,
    /// The head of the newest request.
    heard: Arc<Mutex<String>>,
}

impl Provider {
    async fn answering(status: &'static str, body: String) -> Self {
        Self::answering_over(None, status, body).await
    }

    async fn answering_over(tls: Option<TlsAcceptor>, status: &'static str, body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, heard) = (
            Arc::<AtomicUsize>::default(),
            Arc::<Mutex<String>>::default(),
        );
        let (count, hear) = (Arc::clone(&asked), Arc::clone(&heard));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream: Box<dyn Transport> = match &tls {
                    None => Box::new(stream),
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => Box::new(stream),
                        // Who does not trust it goes.
                        Err(_) => continue,
                    },
                };
                count.fetch_add(1, Ordering::SeqCst);
                let mut request = vec![0; 8_192];
                let length = stream.read(&mut request).await.unwrap_or(0);
                *hear.lock() = String::from_utf8_lossy(&request[..length]).into_owned();
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
                let _ = stream.write_all((head + &body).as_bytes()).await;
                let _ = stream.flush().await;
            }
        });
        Self { port, asked, heard }
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
        heard: Arc::default(),
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
async fn signed_tokens_are_good_as_far_as_is_set() {
    let signer = Signer::new();
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("keys.json");
    std::fs::write(&path, signer.set().to_string()).unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let (none, other) = (json!({}), json!({"aud": "other"}));
    let late = json!({"exp": NOW - 500});
    let tim = Ok("tim@example.org".to_owned());
    let unfit = |why| Err(Refusal::Unfit(why));
    for (set, changes, expected) in [
        ("OAuth:Issuers:a:Audience=imap", &none, tim.clone()),
        (
            "OAuth:Issuers:a:Audience=imap",
            &other,
            unfit(Unfit::Audience),
        ),
        ("OAuth:Issuers:a:Audience=other", &other, tim.clone()),
        ("OAuth:Issuers:a:Issuer=x", &none, unfit(Unfit::Issuer)),
        ("OAuth:Algorithms=EdDSA", &none, unfit(Unfit::Algorithm)),
        ("OAuth:Algorithms=EdDSA, ES256", &none, tim.clone()),
        ("OAuth:Scope=imap.access", &none, tim.clone()),
        ("OAuth:Scope=imap.access, mail", &none, unfit(Unfit::Scope)),
        ("OAuth:AccountClaim=sub", &none, Ok("7".to_owned())),
        ("OAuth:ClockSkew=9m", &late, tim.clone()),
        ("OAuth:ClockSkew=8m", &late, unfit(Unfit::Expired)),
    ] {
        let given = [
            "OAuth:Issuers:a:Issuer=https://id.example.org".to_owned(),
            "OAuth:Issuers:a:Audience=imap".to_owned(),
            format!("OAuth:Issuers:a:JwksPath={}", path.display()),
            set.to_owned(),
        ];
        let token = signer.token(&header(), &with(claims(), changes.clone()));
        let judged = oauth(&given, &clock).account(token.as_bytes()).await;
        assert_eq!(judged, expected, "{set} {changes}");
    }
}

#[tokio::test]
async fn keys_may_get_as_old_as_is_set() {
    let keys = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"x","x":"AA","y":"AA"}]}"#;
    let provider = Provider::answering("200 OK", keys.to_owned()).await;
    let clock = Arc::new(ManualClock::new(NOW));
    let mut set = provider.with_keys();
    set.extend(["OAuth:JwksMaxAge=10m", "OAuth:JwksPause=1s"].map(str::to_owned));
    let oauth = oauth(&set, &clock);
    for (secs, asked) in [(0, 1), (599, 1), (600, 2), (1_199, 2), (1_200, 3)] {
        clock.set(NOW + secs);
        let refused = oauth.account(&token()).await;
        assert!(matches!(refused, Err(Refusal::Unfit(_))), "{refused:?}");
        assert_eq!(provider.asked(), asked, "after {secs} s");
    }
}

#[tokio::test]
async fn an_issuer_has_as_long_to_answer_as_is_set() {
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let provider = Provider {
        port: deaf.local_addr().unwrap().port(),
        asked: Arc::default(),
        heard: Arc::default(),
    };
    let clock = Arc::new(ManualClock::new(NOW));
    tokio::time::pause();
    for secs in [2, 40] {
        let mut set = provider.with_questions();
        set.push(format!("OAuth:Timeout={secs}s"));
        let oauth = oauth(&set, &clock);
        let begun = tokio::time::Instant::now();
        let refused = oauth.account(b"opaque").await;
        let waited = begun.elapsed().as_millis();
        assert_eq!(refused, Err(Refusal::Unavailable));
        assert!(
            (secs * 1_000..=secs * 1_000 + 1).contains(&waited),
            "{waited}"
        );
    }
}

#[tokio::test]
async fn an_issuer_is_trusted_by_the_authorities_that_are_set() {
    let files = tempfile::tempdir().unwrap();
    let tls = acceptor(files.path());
    let provider = Provider::answering_over(Some(tls), "200 OK", TIM.to_owned()).await;
    let url = format!(
        "OAuth:IntrospectionUrl=https://localhost:{}/ask",
        provider.port
    );
    let mut set = vec![url, "OAuth:IntrospectionAudience=imap".to_owned()];
    let clock = Arc::new(ManualClock::new(NOW));
    let refused = oauth(&set, &clock).account(b"opaque").await;
    assert_eq!(refused, Err(Refusal::Unavailable));
    let authority = files.path().join("ca.pem");
    set.push(format!("OAuth:CaPath={}", authority.display()));
    let known = oauth(&set, &clock).account(b"opaque").await;
    assert_eq!(known.as_deref(), Ok("tim"));
}

#[tokio::test]
async fn who_asks_about_a_token_says_who_that_is() {
    let provider = Provider::answering("200 OK", TIM.to_owned()).await;
    let clock = Arc::new(ManualClock::new(NOW));
    for (id, secret, said) in [
        (None, None, "Basic Og=="),
        (Some("mail"), Some("s3cret"), "Basic bWFpbDpzM2NyZXQ="),
        (Some("other"), Some("s3cret"), "Basic b3RoZXI6czNjcmV0"),
    ] {
        let mut set = provider.with_questions();
        set.extend(id.map(|id| format!("OAuth:IntrospectionClientId={id}")));
        set.extend(secret.map(|secret| format!("OAuth:IntrospectionClientSecret={secret}")));
        let known = oauth(&set, &clock).account(b"opaque").await;
        assert_eq!(known.as_deref(), Ok("tim"));
        let heard = provider.heard.lock().clone();
        let line = format!("authorization: {said}\r\n");
        assert!(heard.contains(&line), "{heard}");
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
