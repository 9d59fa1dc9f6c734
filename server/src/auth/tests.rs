//! Logging in as a whole: who gets in by what, and what everybody else is told when.

use std::{net::SocketAddr, time::Duration};

use store::{
    AccountChange, NewAccount, Quota,
    clock::ManualClock,
    credential::{ActAs, CredentialChange, NewAppPassword, Scopes},
    embedded::EmbeddedStore,
};

use super::*;
use crate::{config, listen::Protection, service::Trust};

mod backends;
pub(super) mod directory;

pub(super) const NOW: i64 = 1_795_305_600;

/// Logins to a store with tim and ann, whose password is `tanstaaf`.
pub(super) struct Given {
    pub(super) auth: Auth,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<ManualClock>,
    _directory: tempfile::TempDir,
}

impl Given {
    pub(super) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With these settings.
    pub(super) async fn with(set: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(NOW));
        let options = store::Options::default();
        let opened = EmbeddedStore::open(directory.path(), options, Arc::clone(&clock) as _);
        let store: Arc<dyn Store> = opened.unwrap();
        let config = config(set);
        for name in ["tim", "ann"] {
            let new = NewAccount {
                name: name.to_owned(),
                aliases: vec![format!("{name}@localhost")],
                password: Some(keep_password(b"tanstaaf").unwrap()),
                display_name: String::new(),
                quota: Quota::default(),
            };
            store.create_account(new).await.unwrap();
        }
        Self {
            auth: Auth::new(Arc::clone(&store), Arc::clone(&clock) as _, &config),
            store,
            clock,
            _directory: directory,
        }
    }

    async fn change(&self, name: &str, change: AccountChange) {
        let id = self.store.find_account(name).unwrap().id;
        self.store.change_account(id, change).await.unwrap();
    }

    pub(super) async fn credential(&self, name: &str, change: CredentialChange) {
        let change = AccountChange {
            credentials: vec![change],
            ..AccountChange::default()
        };
        self.change(name, change).await;
    }

    async fn app(&self, name: &str, password: &str, scopes: &[Scope]) {
        let new = NewAppPassword {
            name: name.to_owned(),
            verifiers: keep_password(password.as_bytes()).unwrap(),
            selector: password[..4].to_owned(),
            scopes: scopes.iter().copied().collect::<Scopes>(),
            expires_secs: Some(NOW + 100),
        };
        self.credential("tim", CredentialChange::AddApp(new)).await;
    }

    async fn log_in(&self, user: &str, password: &str) -> Result<Identity, AuthFailure> {
        let attempt = attempt(user, Proof::Password(password.as_bytes()));
        self.auth.log_in(&attempt).await
    }

    /// What a right SCRAM proof of this user would mean.
    pub(super) fn scram(&self, user: &str) -> Option<ScramClaim> {
        self.auth.scram(user, Hash::Sha256, Scope::Imap).1
    }

    /// By what somebody got in.
    async fn by(&self, user: &str, password: &str) -> Result<String, AuthFailure> {
        let identity = self.log_in(user, password).await?;
        assert_eq!(identity.account.name, "tim");
        Ok(identity.credential.to_string())
    }
}

pub(super) fn config(set: &[&str]) -> Config {
    // The last one of a key counts, so that a test can replace what others set.
    let mut last: Vec<String> = Vec::new();
    for given in set {
        let key = |text: &str| text.split('=').next().map(str::to_owned);
        last.retain(|other| key(other) != key(given));
        last.push((*given).to_owned());
    }
    let options = config::Options {
        set: last,
        ..config::Options::default()
    };
    config::load(&options).unwrap().config
}

pub(super) const fn attempt<'a>(user: &'a str, proof: Proof<'a>) -> Attempt<'a> {
    Attempt {
        user,
        proof,
        scope: Scope::Imap,
        peer: &Peer::LOCAL,
        act_as: None,
    }
}

#[tokio::test]
async fn a_password_is_that_of_its_account_by_any_name() {
    let given = Given::new().await;
    for user in ["tim", "TIM", "tim@localhost"] {
        assert_eq!(given.by(user, "tanstaaf").await.unwrap(), "password");
    }
    for (user, password) in [
        ("tim", "tanstaag"),
        ("tim", ""),
        ("nobody", "tanstaaf"),
        ("", "tanstaaf"),
        ("tim\0", "tanstaaf"),
        ("tim+", "tanstaaf"),
        ("tim+phone", "tanstaaf"),
    ] {
        let refused = given.log_in(user, password).await.unwrap_err();
        assert_eq!(refused, AuthFailure::Wrong, "{user}");
    }
    let off = AccountChange {
        enabled: Some(false),
        ..AccountChange::default()
    };
    given.change("tim", off).await;
    let disabled = given.log_in("tim", "tanstaaf").await.unwrap_err();
    assert_eq!(disabled, AuthFailure::Wrong);
}

#[tokio::test]
async fn threat_10_a_changed_password_is_forgotten_at_once() {
    let given = Given::new().await;
    given.by("tim", "tanstaaf").await.unwrap();
    let new = keep_password(b"other").unwrap();
    given
        .credential("tim", CredentialChange::Password(new))
        .await;
    assert!(given.by("tim", "tanstaaf").await.is_err());
    assert!(given.by("tim", "other").await.is_ok());
}

#[tokio::test]
async fn an_app_password_is_found_by_its_first_letters_and_by_its_name() {
    let given = Given::new().await;
    given.app("phone", "abcd-efgh-jkmn", &[Scope::Imap]).await;
    for user in ["tim", "tim+phone", "tim@localhost+phone"] {
        let by = given.by(user, "abcd-efgh-jkmn").await;
        assert_eq!(by.unwrap(), "app password phone", "{user}");
    }
    assert!(given.by("tim+tablet", "abcd-efgh-jkmn").await.is_err());
    assert!(given.by("tim", "abcd-efgh-jkmm").await.is_err());
    assert_eq!(given.by("tim", "tanstaaf").await.unwrap(), "password");
    let attempt = Attempt {
        scope: Scope::Admin,
        ..attempt("tim+phone", Proof::Password(b"abcd-efgh-jkmn"))
    };
    let refused = given.auth.log_in(&attempt).await.unwrap_err();
    assert_eq!(refused, AuthFailure::Wrong);
    given.clock.set(NOW + 100);
    assert!(given.by("tim", "abcd-efgh-jkmn").await.is_err(), "expired");
    given.clock.set(NOW);
    let revoke = CredentialChange::RevokeApp("phone".to_owned());
    given.credential("tim", revoke).await;
    assert!(given.by("tim", "abcd-efgh-jkmn").await.is_err(), "revoked");
}

#[tokio::test]
async fn a_main_password_may_begin_as_an_app_password_does() {
    let given = Given::new().await;
    given.app("phone", "tans-efgh-jkmn", &[Scope::Imap]).await;
    assert_eq!(given.by("tim", "tanstaaf").await.unwrap(), "password");
}

#[tokio::test]
async fn scram_compares_with_the_verifier_of_what_the_name_stands_for() {
    let given = Given::new().await;
    assert!(given.auth.offers_scram());
    let change = CredentialChange::Password(keep_password(b"tanstaaf").unwrap());
    let claim = given.scram("tim@localhost").unwrap();
    let attempt = attempt("tim", Proof::Scram(claim));
    let identity = given.auth.log_in(&attempt).await.unwrap();
    let main = given.store.find_account("tim").unwrap().password.clone();
    assert_eq!(identity.credential, Credential::Main(main.unwrap().id));
    // Changed while the exchange ran: what was proved is over.
    given.credential("tim", change).await;
    assert!(given.auth.log_in(&attempt).await.is_err());
    let imported = CredentialChange::Password(store::credential::Verifiers {
        scram: None,
        ..keep_password(b"tanstaaf").unwrap()
    });
    given.credential("ann", imported).await;
    for user in ["nobody", "ann", "tim+phone"] {
        assert_eq!(given.scram(user), None, "{user}");
    }
    assert!(!given.auth.offers_scram());
}

/// Somebody without a verifier is asked as everybody else is, and always the same.
#[tokio::test]
async fn threat_11_scram_asks_everybody_alike() {
    let given = Given::new().await;
    let off = AccountChange {
        enabled: Some(false),
        ..AccountChange::default()
    };
    given.change("ann", off).await;
    let asked = |user: &str| given.auth.scram(user, Hash::Sha256, Scope::Imap);
    given.app("tablet", "abcd-efgh-jkmn", &[Scope::Imap]).await;
    let (tablet, claim) = asked("tim+tablet");
    assert!(claim.is_some());
    // In another case it is the same too, as decoys are.
    assert_eq!(asked("tim+TABLET").0, tablet);
    let (tim, claim) = asked("tim");
    assert!(claim.is_some());
    for user in ["nobody", "ann", "tim+phone", "a b"] {
        let (decoy, claim) = asked(user);
        assert_eq!(claim, None, "{user}");
        assert_eq!(decoy, asked(&user.to_uppercase()).0);
        let shape = |it: &ScramVerifier| (it.salt.len(), it.iterations, it.stored_key.len());
        assert_eq!(shape(&decoy), shape(&tim));
    }
    assert_ne!(asked("nobody").0.salt, asked("nobody2").0.salt);
    // There is no SHA-1 verifier as long as nobody asked for one.
    assert_eq!(given.auth.scram("tim", Hash::Sha1, Scope::Imap).1, None);
}

/// The salt is the password's: who asks for both learns that an alias is of the account, as a
/// message to it would tell. Of names that are nobody's each has its own.
#[tokio::test]
async fn scram_asks_an_alias_as_its_account() {
    let given = Given::new().await;
    let asked = |user: &str| given.auth.scram(user, Hash::Sha256, Scope::Imap).0.salt;
    assert_eq!(asked("tim"), asked("tim@localhost"));
    assert_ne!(asked("nobody"), asked("nobody@localhost"));
}

#[tokio::test]
async fn scram_is_offered_when_all_can_use_it_or_the_operator_says_so() {
    for (setting, all, some) in [
        ("", true, false),
        ("Imap:OfferScram=true", true, true),
        ("Imap:OfferScram=false", false, false),
    ] {
        let set: Vec<&str> = [setting].into_iter().filter(|it| !it.is_empty()).collect();
        let given = Given::with(&set).await;
        assert_eq!(given.auth.offers_scram(), all, "{setting}");
        let imported = CredentialChange::Password(store::credential::Verifiers {
            scram: None,
            ..keep_password(b"tanstaaf").unwrap()
        });
        given.credential("ann", imported).await;
        assert_eq!(given.auth.offers_scram(), some, "{setting}");
    }
}

#[tokio::test]
async fn a_password_gets_what_scram_sha_1_needs_where_that_is_wanted() {
    let given = Given::with(&["Auth:ScramSha1=true"]).await;
    let claim = |hash| given.auth.scram("tim", hash, Scope::Imap).1;
    let main = claim(Hash::Sha256);
    assert_eq!(claim(Hash::Sha1), None);
    given.by("tim", "tanstaaf").await.unwrap();
    assert_eq!(claim(Hash::Sha1), main);
    assert_eq!(claim(Hash::Sha256), main);
}

#[tokio::test]
async fn who_says_nothing_is_the_account_for_such_people_and_reads() {
    let given = Given::new().await;
    let anonymous = |user| attempt(user, Proof::Anonymous);
    let refused = given.auth.log_in(&anonymous("tim")).await.unwrap_err();
    assert_eq!(refused, AuthFailure::Wrong);
    let given = Given::with(&["Auth:AnonymousAccount=ann"]).await;
    let identity = given.auth.log_in(&anonymous("ann")).await.unwrap();
    assert_eq!(identity.account.name, "ann");
    assert_eq!(identity.credential.access(), store::Access::ReadOnly);
    let refused = given.auth.log_in(&anonymous("tim")).await.unwrap_err();
    assert_eq!(refused, AuthFailure::Wrong);
}

#[tokio::test]
async fn threat_08_a_certificate_is_one_name_and_no_app_password() {
    let given = Given::with(&["Auth:CreateAccounts=true"]).await;
    let own = attempt("tim@localhost", Proof::Certificate);
    assert_eq!(given.auth.log_in(&own).await.unwrap().account.name, "tim");
    given.app("phone", "abcd-efgh-jkmn", &[Scope::Imap]).await;
    for nobody in ["", "new", "tim+phone", "tim\0"] {
        // An authority that may say who somebody is may not make accounts.
        let attempt = attempt(nobody, Proof::Certificate);
        let refused = given.auth.log_in(&attempt).await.unwrap_err();
        assert_eq!(refused, AuthFailure::Wrong, "{nobody}");
    }
}

#[tokio::test]
async fn threat_08_a_name_given_elsewhere_is_not_folded_into_another() {
    let given = Given::new().await;
    let kim = NewAccount {
        name: "kim@localhost".to_owned(),
        aliases: Vec::new(),
        password: None,
        display_name: String::new(),
        quota: Quota::default(),
    };
    given.store.create_account(kim).await.unwrap();
    for proof in [Proof::Certificate, Proof::Token] {
        assert!(
            given
                .auth
                .log_in(&attempt("Kim@localhost", proof))
                .await
                .is_ok()
        );
        let kelvin = attempt("\u{212a}im@localhost", proof);
        let refused = given.auth.log_in(&kelvin).await.unwrap_err();
        assert_eq!(refused, AuthFailure::Wrong);
    }
}

#[tokio::test]
async fn threat_08_acting_as_another_needs_the_right() {
    let given = Given::new().await;
    let tim = &given;
    let as_other = |act_as| async move {
        let attempt = Attempt {
            act_as: Some(act_as),
            ..attempt("tim", Proof::Password(b"tanstaaf"))
        };
        tim.auth.log_in(&attempt).await
    };
    let own = as_other("tim@localhost").await.unwrap();
    assert_eq!(own.account.name, "tim");
    given.app("phone", "abcd-efgh-jkmn", &[Scope::Imap]).await;
    // Who names itself twice, the app password in the name included (RFC 4616 §2), is itself.
    let twice = Attempt {
        act_as: Some("tim+phone"),
        ..attempt("tim+phone", Proof::Password(b"abcd-efgh-jkmn"))
    };
    assert_eq!(given.auth.log_in(&twice).await.unwrap().account.name, "tim");
    for other in ["ann", "nobody", ""] {
        let refused = as_other(other).await.unwrap_err();
        assert_eq!(refused, AuthFailure::MayNotActAs, "{other}");
    }
    let ann = given.store.find_account("ann").unwrap().id;
    for right in [ActAs::These(vec![ann]), ActAs::Anyone] {
        let change = AccountChange {
            may_act_as: Some(right),
            ..AccountChange::default()
        };
        given.change("tim", change).await;
        let identity = as_other("ann").await.unwrap();
        assert_eq!(identity.account.name, "ann");
        assert_eq!(identity.authenticated.name, "tim");
        assert!(as_other("nobody").await.is_err());
    }
    let attempt = Attempt {
        act_as: Some("tim"),
        ..attempt("tim", Proof::Password(b"wrong"))
    };
    let wrong = given.auth.log_in(&attempt).await.unwrap_err();
    assert_eq!(wrong, AuthFailure::Wrong);
}

#[tokio::test]
async fn threat_11_every_failure_is_told_at_the_same_time() {
    let given = Given::new().await;
    tokio::time::pause();
    let address: SocketAddr = "192.0.2.1:1".parse().unwrap();
    let peer = Peer {
        address: Some(address),
        local: None,
        loopback: false,
        protection: Protection::Tls,
        ..Peer::LOCAL
    };
    for user in ["tim", "nobody", "tim+phone", "a b"] {
        let arrived = Instant::now();
        let attempt = Attempt {
            peer: &peer,
            ..attempt(user, Proof::Password(b"wrong"))
        };
        let refused = given.auth.log_in(&attempt).await.unwrap_err();
        assert_eq!(refused, AuthFailure::Wrong);
        assert!(arrived.elapsed() >= Duration::from_secs(2), "{user}");
        // The timer's step is a millisecond.
        let waited = arrived.elapsed().saturating_sub(Duration::from_secs(2));
        assert!(waited <= Duration::from_millis(2), "{user}: {waited:?}");
    }
}

/// Guesses made at the same time count as those made one after another.
#[tokio::test]
async fn threat_12_guesses_beyond_the_ban_learn_nothing() {
    let given = Given::with(&["Limits:LoginFailuresPerMinute=3"]).await;
    tokio::time::pause();
    let peer = Peer {
        address: Some("192.0.2.1:1".parse().unwrap()),
        loopback: false,
        trust: Trust::Counted,
        ..Peer::LOCAL
    };
    let guess = |password| Attempt {
        peer: &peer,
        ..attempt("tim", Proof::Password(password))
    };
    for _ in 0..3 {
        let refused = given.auth.log_in(&guess(b"wrong")).await.unwrap_err();
        assert_eq!(refused, AuthFailure::Wrong);
    }
    assert!(given.auth.is_banned(&peer));
    for late in [&b"wrong"[..], b"tanstaaf"] {
        let refused = given.auth.log_in(&guess(late)).await.unwrap_err();
        assert_eq!(refused, AuthFailure::Unavailable);
    }
}

#[tokio::test]
async fn an_imported_hash_is_kept_anew_at_its_first_login() {
    let given = Given::new().await;
    for hash in [
        "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
        "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA",
    ] {
        let imported = store::credential::Verifiers {
            hash: imported(hash).unwrap().to_owned(),
            scram: None,
        };
        let change = CredentialChange::Password(imported.clone());
        given.credential("tim", change).await;
        let before = given.store.find_account("tim").unwrap().password.clone();
        assert!(given.by("tim", "wrong").await.is_err());
        assert_eq!(given.store.find_account("tim").unwrap().password, before);
        given.by("tim", "secret").await.unwrap();
        let after = given.store.find_account("tim").unwrap().password.clone();
        let (before, after) = (before.unwrap(), after.unwrap());
        assert_eq!(before.id, after.id, "sessions do not end");
        assert!(after.verifiers.hash.starts_with("$argon2id$"));
        assert!(given.scram("tim").is_some());
        given.by("tim", "secret").await.unwrap();
    }
}

#[tokio::test]
async fn uses_of_app_passwords_are_written_together() {
    let given = Given::new().await;
    given.app("phone", "abcd-efgh-jkmn", &[Scope::Imap]).await;
    let used = || {
        given.store.find_account("tim").unwrap().app_passwords[0]
            .last_use
            .clone()
    };
    given.by("tim", "abcd-efgh-jkmn").await.unwrap();
    assert_eq!(used(), None);
    given.auth.write_uses().await;
    let last_use = used().unwrap();
    assert_eq!((last_use.secs, &*last_use.place), (NOW, "this machine"));
    assert_eq!(last_use.scope, Scope::Imap);
}

#[tokio::test]
async fn threat_10_each_user_is_remembered_as_itself() {
    let given = Given::new().await;
    for _ in 0..3 {
        for name in ["tim", "ann"] {
            let identity = given.log_in(name, "tanstaaf").await.unwrap();
            assert_eq!(identity.account.name, name);
        }
    }
}
