//! App passwords: made, listed and revoked. The password itself is made and shown by the command
//! and never comes here.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{
    AccountChange, Store,
    credential::{AppPassword, CredentialChange, NewAppPassword, Scope, Scopes},
};

use super::{Kept, failed, find, moment};
use crate::problem::Problem;

/// Something to do with app passwords.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppPasswordRequest {
    /// Make one.
    Add {
        /// The account.
        account: String,
        /// Its name.
        name: String,
        /// The password as it is to be kept.
        password: Kept,
        /// The password's first letters.
        selector: String,
        /// What it may be used for.
        scopes: Vec<String>,
        /// From when on it may not be used any more, seconds since 1970.
        expires_secs: Option<i64>,
    },
    /// List those of an account.
    List {
        /// The account.
        account: String,
    },
    /// Revoke one.
    Revoke {
        /// The account.
        account: String,
        /// Its name.
        name: String,
    },
}

/// For what the server asks for a password. LMTP has no logins, and whoever administers is known by
/// the system's user.
const ASKED_FOR: [Scope; 1] = [Scope::Imap];

/// Carries a request out.
pub(super) async fn execute(
    store: &dyn Store,
    request: AppPasswordRequest,
) -> Result<Value, Problem> {
    match request {
        AppPasswordRequest::Add {
            account,
            name,
            password,
            selector,
            scopes,
            expires_secs,
        } => {
            let new = NewAppPassword {
                name: name.clone(),
                verifiers: password.into(),
                selector,
                scopes: read_scopes(&scopes)?,
                expires_secs,
            };
            change(store, &account, CredentialChange::AddApp(new), &name).await?;
            let info = find(store, &account)?;
            let made = info.app_passwords.iter().find(|app| app.is_named(&name));
            let user = format!("{}+{name}", info.name);
            Ok(made.map_or(Value::Null, |app| {
                let mut told = json!({
                    "account": info.name,
                    "name": app.name,
                    "scram_user": user,
                    "scopes": scope_names(app.scopes),
                    "expires": app.expires_secs.map(moment),
                });
                if let Some(note) = not_asked_for(app.scopes) {
                    told["note"] = json!(note);
                }
                told
            }))
        }
        AppPasswordRequest::List { account } => {
            let info = find(store, &account)?;
            Ok(info.app_passwords.iter().map(shown).collect())
        }
        AppPasswordRequest::Revoke { account, name } => {
            let revoke = CredentialChange::RevokeApp(name.clone());
            change(store, &account, revoke, &name).await?;
            Ok(Value::Null)
        }
    }
}

async fn change(
    store: &dyn Store,
    account: &str,
    credential: CredentialChange,
    name: &str,
) -> Result<(), Problem> {
    let id = find(store, account)?.id;
    let change = AccountChange {
        credentials: vec![credential],
        ..AccountChange::default()
    };
    let changed = store.change_account(id, change).await;
    changed.map(|_| ()).map_err(|error| failed(&error, name))
}

fn read_scopes(names: &[String]) -> Result<Scopes, Problem> {
    let scope = |name: &String| Scope::ALL.into_iter().find(|scope| scope.name() == name);
    let scopes: Option<Scopes> = names.iter().map(scope).collect();
    scopes
        .filter(|scopes| scopes.iter().next().is_some())
        .ok_or_else(|| {
            let what = "an app password cannot be made for this";
            Problem::new(what, names.join(", "), "use imap, lmtp and admin")
        })
}

/// What is to be told of scopes for which nothing asks.
fn not_asked_for(scopes: Scopes) -> Option<String> {
    let in_vain = scopes.iter().filter(|scope| !ASKED_FOR.contains(scope));
    let in_vain: Vec<&str> = in_vain.map(Scope::name).collect();
    (!in_vain.is_empty()).then(|| format!("nothing asks for {} so far", in_vain.join(" and ")))
}

fn scope_names(scopes: Scopes) -> Vec<&'static str> {
    scopes.iter().map(Scope::name).collect()
}

fn shown(app: &AppPassword) -> Value {
    let used = app.last_use.as_ref();
    json!({
        "name": app.name,
        "scopes": scope_names(app.scopes),
        "created": moment(app.created_secs),
        "expires": app.expires_secs.map(moment),
        "last_used": used.map(|used| moment(used.secs)),
        "last_place": used.map(|used| used.place.as_str()),
        "last_scope": used.map(|used| used.scope.name()),
        "scram": app.verifiers.scram.is_some(),
    })
}
