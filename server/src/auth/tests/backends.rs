//! The contract of every backend: who gets in, what everybody else is told, and what becomes of
//! somebody whom the store does not know. Each backend is real but for the directory, which
//! answers as one does as far as a login goes ([`super::directory`]).

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use super::{directory::Directory, *};
use crate::auth::password::hash_password;

/// A backend that knows tim with `tanstaaf` and new with `tanstaaf`.
struct Backend {
    name: &'static str,
    given: Given,
    _files: tempfile::TempDir,
    _directory: Option<Directory>,
}

impl Backend {
    async fn own() -> Self {
        let given = Given::new().await;
        Self {
            name: "password",
            given,
            _files: tempfile::tempdir().unwrap(),
            _directory: None,
        }
    }

    async fn file(more: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let path = files.path().join("users");
        write_users(&path, &["tim", "new"], b"tanstaaf");
        let set = [
            "Auth:Backend=PasswdFile".to_owned(),
            format!("Auth:PasswdFilePath={}", path.display()),
        ];
        Self::external("passwd-file", files, &set, more, None).await
    }

    async fn command(script: &str, more: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let path = files.path().join("check");
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let set = [
            "Auth:Backend=Command".to_owned(),
            format!("Auth:CommandPath={}", path.display()),
        ];
        Self::external("command", files, &set, more, None).await
    }

    async fn ldap(directory: Directory, more: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let set = [
            "Auth:Backend=Ldap".to_owned(),
            format!("Auth:LdapUrl={}", directory.url()),
        ];
        Self::external("ldap", files, &set, more, Some(directory)).await
    }

    async fn external(
        name: &'static str,
        files: tempfile::TempDir,
        set: &[String],
        more: &[&str],
        directory: Option<Directory>,
    ) -> Self {
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let given = Given::with(&[&set[..], more].concat()).await;
        Self {
            name,
            given,
            _files: files,
            _directory: directory,
        }
    }

    async fn by(&self, user: &str, password: &str) -> Result<String, AuthFailure> {
        self.given.by(user, password).await
    }
}

fn write_users(path: &Path, users: &[&str], password: &[u8]) {
    let hash = hash_password(password).unwrap();
    let line = |user: &&str| format!("{user}:{{ARGON2ID}}{hash}\n");
    std::fs::write(path, users.iter().map(line).collect::<String>()).unwrap();
}

/// Reads what checkpassword reads; knows tim and new, is undecided about `busy` and slow for
/// `slow`.
const CHECK: &str = r#"#!/bin/sh
input=$(tr '\0' '\n' <&3)
user=$(printf '%s\n' "$input" | sed -n 1p)
password=$(printf '%s\n' "$input" | sed -n 2p)
case "$user:$password" in
    tim:tanstaaf | new:tanstaaf) exec env USER="$user" "$@" ;;
    TIM:tanstaaf) exec env USER=tim "$@" ;;
    busy:*) exit 111 ;;
    loud:*) yes ;;
    slow:*) sleep 60 & wait ;;
    *) exit 1 ;;
esac
"#;

const NAMED: [&str; 2] = [
    "Auth:LdapUserDn=uid={user},ou=people",
    "Auth:LdapStartTls=false",
];
const SEARCHED: [&str; 5] = [
    "Auth:LdapBase=ou=people",
    "Auth:LdapFilter=(uid={user})",
    "Auth:LdapBindDn=cn=reader",
    "Auth:LdapBindPassword=reads",
    "Auth:LdapStartTls=false",
];

async fn contract(backend: Backend) {
    let name = backend.name;
    for _again in 0..2 {
        assert_eq!(backend.by("tim", "tanstaaf").await.unwrap(), name, "{name}");
    }
    for (user, password) in [
        ("tim", "tanstaag"),
        ("tim", ""),
        ("tim", "tanstaaf\0"),
        ("nobody", "tanstaaf"),
        ("nobody", ""),
        ("", "tanstaaf"),
        ("*", "tanstaaf"),
        ("tim)(uid=*", "tanstaaf"),
        ("tim,ou=people", "tanstaaf"),
        ("tim;id", "tanstaaf"),
        ("$(id)", "tanstaaf"),
        ("tim\ntim", "tanstaaf"),
    ] {
        let refused = backend.given.log_in(user, password).await.unwrap_err();
        assert_eq!(refused, AuthFailure::Wrong, "{name}: {user:?} {password:?}");
    }
    let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
    assert!(backend.by("tim", &long).await.is_err());
    // Known to the backend, not to the store, and no account is to be made.
    let unknown = backend.given.log_in("new", "tanstaaf").await;
    assert_eq!(unknown.unwrap_err(), AuthFailure::Wrong, "{name}");
    let off = AccountChange {
        enabled: Some(false),
        ..AccountChange::default()
    };
    backend.given.change("tim", off).await;
    let disabled = backend.given.log_in("tim", "tanstaaf").await;
    assert_eq!(disabled.unwrap_err(), AuthFailure::Wrong, "{name}");
}

#[tokio::test]
async fn own_accounts_fulfil_the_contract() {
    contract(Backend::own().await).await;
}

#[tokio::test]
async fn a_file_fulfils_the_contract() {
    contract(Backend::file(&[]).await).await;
}

#[tokio::test]
async fn a_command_fulfils_the_contract() {
    contract(Backend::command(CHECK, &[]).await).await;
}

#[tokio::test]
async fn a_directory_fulfils_the_contract_by_name_and_by_search() {
    contract(Backend::ldap(Directory::start().await, &NAMED).await).await;
    contract(Backend::ldap(Directory::start().await, &SEARCHED).await).await;
}

#[tokio::test]
async fn a_first_login_makes_an_account_where_that_is_wanted() {
    // Wanting SCRAM does not help where nobody has what it needs.
    let create = ["Auth:CreateAccounts=true", "Imap:OfferScram=true"];
    let directory = Directory::start().await;
    for backend in [
        Backend::file(&create).await,
        Backend::command(CHECK, &create).await,
        Backend::ldap(directory, &[&SEARCHED[..], &create].concat()).await,
    ] {
        let wrong = backend.given.log_in("new", "wrong").await;
        assert_eq!(wrong.unwrap_err(), AuthFailure::Wrong);
        assert!(backend.given.store.find_account("new").is_none());
        let identity = backend.given.log_in("new", "tanstaaf").await.unwrap();
        assert_eq!(identity.account.name, "new", "{}", backend.name);
        assert!(identity.account.password.is_none());
        assert!(!backend.given.auth.offers_scram());
        assert_eq!(backend.given.scram("tim"), None);
    }
}

/// An account made at a first login never takes what is somebody else's already: `tim+x` is where
/// tim's mail for `x` goes, and tim with an app password of that name.
#[tokio::test]
async fn threat_08_a_first_login_makes_no_account_of_a_detail_of_another() {
    let anybody = "#!/bin/sh\nexec \"$@\"\n";
    let backend = Backend::command(anybody, &["Auth:CreateAccounts=true"]).await;
    let log_in = |user: &'static str| backend.given.log_in(user, "x");
    // tim is also tim@localhost.
    for detail in [
        "tim+x",
        "TIM+x",
        "tim+",
        "tim+x+y",
        "tim+x@localhost",
        "tim+x+y@localhost",
        "tim@localhost+x",
        "tim+x@elsewhere",
    ] {
        let refused = log_in(detail).await.unwrap_err();
        assert_eq!(refused, AuthFailure::Wrong, "{detail}");
        assert!(backend.given.store.find_account(detail).is_none());
        let token = attempt(detail, Proof::Token);
        let refused = backend.given.auth.log_in(&token).await.unwrap_err();
        assert_eq!(refused, AuthFailure::Wrong, "{detail}");
    }
    for new in ["lea+x@elsewhere", "lea@elsewhere", "c++"] {
        assert_eq!(log_in(new).await.unwrap().account.name, new);
    }
    assert!(log_in("lea+y@elsewhere").await.is_err());
}

/// A program and a directory are asked about passwords only: who has a certificate or a token is
/// in them or not. A file says whose line is `nologin`.
#[tokio::test]
async fn a_certificate_or_token_is_taken_without_asking_a_program_or_directory() {
    let nobody = "#!/bin/sh\nexit 1\n";
    let directory = Directory::start().await;
    let asked = directory.binds();
    for proof in [Proof::Certificate, Proof::Token] {
        let command = Backend::command(nobody, &[]).await;
        assert!(
            command
                .given
                .auth
                .log_in(&attempt("tim", proof))
                .await
                .is_ok()
        );
        let file = Backend::file(&[]).await;
        let users = file._files.path().join("users");
        assert!(file.given.auth.log_in(&attempt("tim", proof)).await.is_ok());
        write_users(&users, &["other"], b"tanstaaf");
        let refused = file.given.auth.log_in(&attempt("tim", proof)).await;
        assert_eq!(refused.unwrap_err(), AuthFailure::Wrong);
    }
    let ldap = Backend::ldap(directory, &SEARCHED).await;
    let known = ldap.given.auth.log_in(&attempt("tim", Proof::Token)).await;
    assert!(known.is_ok());
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes() {
    let backend = Backend::file(&[]).await;
    let path = backend._files.path().join("users");
    backend.by("tim", "tanstaaf").await.unwrap();
    let new = path.with_extension("new");
    write_users(&new, &["tim"], b"other");
    std::fs::rename(&new, &path).unwrap();
    assert_eq!(backend.by("tim", "tanstaaf").await, Err(AuthFailure::Wrong));
    assert!(backend.by("tim", "other").await.is_ok());
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        backend.by("tim", "other").await,
        Err(AuthFailure::Unavailable)
    );
}

#[tokio::test]
async fn a_command_that_cannot_tell_or_does_not_end_is_unavailable() {
    let backend = Backend::command(CHECK, &["Auth:CommandTimeout=1s"]).await;
    for user in ["busy", "slow", "loud"] {
        let refused = backend.by(user, "x").await;
        assert_eq!(refused, Err(AuthFailure::Unavailable), "{user}");
    }
    assert_eq!(backend.by("TIM", "tanstaaf").await.unwrap(), "command");
}

/// A login is given up after so many seconds, as exactly as timers are.
async fn unavailable_after(backend: &Backend, (user, password): (&str, &str), secs: u128) {
    tokio::time::pause();
    let begun = Instant::now();
    let refused = backend.by(user, password).await;
    let waited = begun.elapsed().as_millis();
    tokio::time::resume();
    assert_eq!(refused, Err(AuthFailure::Unavailable));
    assert!(
        (secs * 1_000..=secs * 1_000 + 2).contains(&waited),
        "{waited}"
    );
}

#[tokio::test]
async fn a_command_has_as_long_as_is_set() {
    for secs in [2, 50] {
        let time = format!("Auth:CommandTimeout={secs}s");
        let backend = Backend::command(CHECK, &[&time]).await;
        unavailable_after(&backend, ("slow", "x"), secs).await;
    }
}

/// Ends only when two of it run at the same time; takes every password.
const TOGETHER: &str = r#"#!/bin/sh
here=$(dirname "$0")
mkdir "$here/one" || mkdir "$here/two"
until [ -d "$here/two" ]; do sleep 0.01; done
exec env USER=tim "$@"
"#;

/// Cannot tell while another one runs.
const ALONE: &str = r#"#!/bin/sh
here=$(dirname "$0")
mkdir "$here/busy" || exit 111
sleep 0.01
rmdir "$here/busy"
exec env USER=tim "$@"
"#;

#[tokio::test]
async fn as_many_commands_run_at_a_time_as_are_set() {
    let patient = "Auth:CommandTimeout=60s";
    let pair = Backend::command(TOGETHER, &["Auth:CommandProcesses=2", patient]).await;
    let (first, second) = tokio::join!(pair.by("tim", "a"), pair.by("tim", "b"));
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    let single = Backend::command(ALONE, &["Auth:CommandProcesses=1", patient]).await;
    let (a, b, c) = tokio::join!(
        single.by("tim", "a"),
        single.by("tim", "b"),
        single.by("tim", "c")
    );
    assert!(a.is_ok() && b.is_ok() && c.is_ok(), "{a:?} {b:?} {c:?}");
}

#[tokio::test]
async fn a_directory_has_as_many_connections_at_a_time_as_are_set() {
    let two = |set| async move {
        let directory = Directory::start_for(2).await;
        Backend::ldap(
            directory,
            &[&NAMED[..], &[set, "Auth:LdapTimeout=60s"]].concat(),
        )
        .await
    };
    let pair = two("Auth:LdapConnections=2").await;
    // Both are answered when both are there; of one at a time the first waits in vain.
    let (first, second) = tokio::join!(pair.by("tim", "tanstaaf"), pair.by("tim", "tanstaaf"));
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    let single = two("Auth:LdapConnections=1").await;
    tokio::time::pause();
    let (first, second) = tokio::join!(single.by("tim", "tanstaaf"), single.by("tim", "tanstaaf"));
    tokio::time::resume();
    let unavailable = Err(AuthFailure::Unavailable);
    assert_eq!((&first, &second), (&unavailable, &unavailable));
}

#[tokio::test]
async fn a_directory_has_as_long_to_answer_as_is_set() {
    for secs in [2, 9] {
        let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("Auth:LdapUrl=ldap://{}", deaf.local_addr().unwrap());
        let time = format!("Auth:LdapTimeout={secs}s");
        let set = [&NAMED[..], &[&*url, &*time]].concat();
        let backend = Backend::ldap(Directory::start().await, &set).await;
        unavailable_after(&backend, ("tim", "tanstaaf"), secs).await;
    }
}

#[tokio::test]
async fn an_attribute_of_the_entry_names_the_account() {
    let named = [&SEARCHED[..], &["Auth:LdapAccountAttribute=Owner"]].concat();
    let backend = Backend::ldap(Directory::start().await, &named).await;
    assert_eq!(backend.by("new", "tanstaaf").await.unwrap(), "ldap");
    // An entry that does not say whose mail it is has none.
    let silent = [&SEARCHED[..], &["Auth:LdapAccountAttribute=mailbox"]].concat();
    let backend = Backend::ldap(Directory::start().await, &silent).await;
    for user in ["tim", "new"] {
        assert_eq!(backend.by(user, "tanstaaf").await, Err(AuthFailure::Wrong));
    }
}

#[tokio::test]
async fn a_directory_is_asked_again_only_when_its_word_is_old() {
    let directory = Directory::start().await;
    let asked = directory.binds();
    let set = [&NAMED[..], &["Auth:CacheTime=2m"]].concat();
    let backend = Backend::ldap(directory, &set).await;
    for _ in 0..3 {
        backend.by("tim", "tanstaaf").await.unwrap();
    }
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
    backend.given.clock.set(NOW + 119);
    backend.by("tim", "tanstaaf").await.unwrap();
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
    backend.given.clock.set(NOW + 121);
    backend.by("tim", "tanstaaf").await.unwrap();
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 2);
    // No bind without a password reaches it: it would be taken as anonymous and succeed.
    assert!(backend.by("tim", "").await.is_err());
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_namesake_of_another_domain_is_somebody_else() {
    let named = [
        "Auth:LdapUserDn=uid={name},ou=people",
        "Auth:LdapDomain=LocalHost",
        "Auth:LdapStartTls=false",
    ];
    let backend = Backend::ldap(Directory::start().await, &named).await;
    let other = NewAccount {
        name: "tim@elsewhere".to_owned(),
        aliases: Vec::new(),
        password: None,
        display_name: String::new(),
        quota: Quota::default(),
    };
    backend.given.store.create_account(other).await.unwrap();
    assert_eq!(
        backend.by("tim@localhost", "tanstaaf").await.unwrap(),
        "ldap"
    );
    let refused = backend.given.log_in("tim@elsewhere", "tanstaaf").await;
    assert_eq!(refused.unwrap_err(), AuthFailure::Wrong);
}

#[tokio::test]
async fn a_directory_that_cannot_be_asked_is_unavailable() {
    let directory = Directory::start().await;
    let wrong_reader = [&SEARCHED[..], &["Auth:LdapBindPassword=forgot"]].concat();
    let backend = Backend::ldap(directory, &wrong_reader).await;
    let unavailable = Err(AuthFailure::Unavailable);
    assert_eq!(backend.by("tim", "tanstaaf").await, unavailable);
    let nobody = [&SEARCHED[..], &["Auth:LdapBindDn=cn=nobody"]].concat();
    let backend = Backend::ldap(Directory::start().await, &nobody).await;
    assert_eq!(backend.by("tim", "tanstaaf").await, unavailable);
    let gone = ["Auth:LdapUrl=ldap://127.0.0.1:1"];
    let backend = Backend::ldap(Directory::start().await, &[&NAMED[..], &gone].concat()).await;
    assert_eq!(backend.by("tim", "tanstaaf").await, unavailable);
    // It is not to be asked without TLS, and offers none.
    let backend = Backend::ldap(Directory::start().await, &NAMED[..1]).await;
    assert_eq!(backend.by("tim", "tanstaaf").await, unavailable);
}

#[tokio::test]
async fn a_directory_is_asked_over_tls() {
    for (secure, files) in [(true, tempfile::tempdir()), (false, tempfile::tempdir())] {
        let files = files.unwrap();
        let directory = Directory::start_tls(files.path(), secure).await;
        let stranger = Backend::ldap(directory, &NAMED[..1]).await;
        let refused = stranger.by("tim", "tanstaaf").await;
        assert_eq!(refused, Err(AuthFailure::Unavailable), "{secure}");
        let directory = Directory::start_tls(files.path(), secure).await;
        let ca = format!("Auth:LdapCaPath={}", files.path().join("ca.pem").display());
        let named = Backend::ldap(directory, &[NAMED[0], &ca]).await;
        assert_eq!(
            named.by("tim", "tanstaaf").await.unwrap(),
            "ldap",
            "{secure}"
        );
    }
}

#[test]
fn what_cannot_work_is_told_before_anything_starts() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW));
    for (set, key) in [
        (&["Auth:Backend=PasswdFile"][..], "PasswdFilePath"),
        (
            &["Auth:Backend=PasswdFile", "Auth:PasswdFilePath=/nowhere"],
            "PasswdFilePath",
        ),
        (&["Auth:Backend=Command"], "CommandPath"),
        (
            &["Auth:Backend=Command", "Auth:CommandPath=/"],
            "CommandPath",
        ),
        (&["Auth:Backend=Ldap"], "LdapUrl"),
        (&["Auth:Backend=Ldap", "Auth:LdapUrl=http://x"], "LdapUrl"),
        (
            &["Auth:Backend=Ldap", "Auth:LdapUrl=ldap://x"],
            "LdapUserDn",
        ),
        (
            &[
                "Auth:Backend=Ldap",
                "Auth:LdapUrl=ldap://x",
                "Auth:LdapUserDn=uid=tim",
            ],
            "LdapUserDn",
        ),
        (
            &[
                "Auth:Backend=Ldap",
                "Auth:LdapUrl=ldap://x",
                "Auth:LdapBase=ou=p",
                "Auth:LdapBindDn=cn=x",
            ],
            "LdapBindDn",
        ),
        (
            &[
                "Auth:Backend=Ldap",
                "Auth:LdapUrl=ldap://x",
                "Auth:LdapUserDn=uid={name},ou=p",
            ],
            "LdapUserDn",
        ),
        (
            &[
                "Auth:Backend=Ldap",
                "Auth:LdapUrl=ldap://x",
                "Auth:LdapBase=ou=p",
                "Auth:LdapFilter=(uid={user}",
            ],
            "LdapFilter",
        ),
        (
            &[
                "Auth:Backend=Ldap",
                "Auth:LdapUrl=ldaps://x",
                "Auth:LdapUserDn={user}",
                "Auth:LdapCaPath=/nowhere",
            ],
            "LdapCaPath",
        ),
    ] {
        let (wrong, _) = backend::check(&config(set).auth, &clock);
        let keys: Vec<&str> = wrong.iter().map(|finding| finding.key.as_str()).collect();
        assert_eq!(keys, [key], "{set:?}");
    }
    let (wrong, odd) = backend::check(&config(&[]).auth, &clock);
    assert!(wrong.is_empty() && odd.is_empty());
}
