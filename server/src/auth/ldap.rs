//! Passwords checked by a directory (LDAP, RFC 4511): the password is right if the directory takes
//! a simple bind with it (RFC 4513 §5.1.3). The user's entry is named by a template, or searched
//! for and then bound to.
//!
//! An empty password is refused here: a directory would take it as an anonymous bind and say yes
//! (RFC 4513 §5.1.2). What a user wrote is escaped wherever it goes (threat 7). Referrals are not
//! followed.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use ldap3::{
    LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchEntry, SearchOptions, dn_escape,
    ldap_escape,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::{sync::Semaphore, task::JoinHandle};

use super::{
    Attempt, AuthFailure, Authenticator, PASSWORD_BYTES_MAX, Proof, Proven, check_name,
    checks::Checks,
};
use crate::config::{AuthSettings, Password};

/// What the backend is called where somebody is told by what a login succeeded.
const NAME: &str = "ldap";
/// Result codes of RFC 4511 §4.1.9.
const SUCCESS: u32 = 0;
/// The codes of a bind with a wrong name or password: noSuchObject, invalidDNSyntax,
/// inappropriateAuthentication, invalidCredentials, insufficientAccessRights, unwillingToPerform.
const WRONG: [u32; 6] = [32, 34, 48, 49, 50, 53];

/// A directory that knows the passwords.
pub(super) struct Ldap {
    url: String,
    settings: LdapConnSettings,
    time_max: Duration,
    find: Find,
    /// The domain of its users, if they are all of one.
    domain: Option<String>,
    turns: Semaphore,
    checks: Arc<Checks>,
}

/// How a user's entry is found.
enum Find {
    /// Its name, with `{user}`, `{name}` and `{domain}` in it.
    Named(String),
    /// By a search.
    Searched(Search),
}

struct Search {
    base: String,
    filter: String,
    /// Who searches; nobody in particular without it.
    binds: Option<(String, Password)>,
    /// The attribute that names the account.
    account: Option<String>,
}

/// A user's entry.
struct Found {
    dn: String,
    account: Option<String>,
}

/// A connection; its driver ends with it.
struct Connection {
    ldap: ldap3::Ldap,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Ldap {
    /// The directory of the settings; nothing is asked of it yet.
    ///
    /// # Errors
    /// What of the settings cannot work, as `key: reason`.
    pub(super) fn new(settings: &AuthSettings, checks: Arc<Checks>) -> Result<Self, String> {
        let url = settings.ldap_url.clone().ok_or("LdapUrl: it is missing")?;
        let secure = url.starts_with("ldaps://");
        if !secure && !url.starts_with("ldap://") {
            return Err("LdapUrl: it begins neither with ldap:// nor with ldaps://".to_owned());
        }
        let mut connection = LdapConnSettings::new()
            .set_conn_timeout(settings.ldap_timeout)
            .set_starttls(!secure && settings.ldap_start_tls);
        if let Some(path) = &settings.ldap_ca_path {
            connection = connection.set_config(trusting(path)?);
        }
        Ok(Self {
            url,
            settings: connection,
            time_max: settings.ldap_timeout,
            find: Find::of(settings)?,
            domain: settings.ldap_domain.as_deref().map(str::to_lowercase),
            turns: Semaphore::new(settings.ldap_connections as usize),
            checks,
        })
    }

    async fn password(&self, user: &str, password: &[u8]) -> Result<Proven, AuthFailure> {
        let text = std::str::from_utf8(password).unwrap_or_default();
        let is_fit = !text.is_empty() && text.len() <= PASSWORD_BYTES_MAX;
        if check_name(user).is_err() || !is_fit || self.is_foreign(user) {
            return Err(AuthFailure::Wrong);
        }
        let asked = self.ask_in_time(user, text);
        self.checks.external(NAME, (user, password), asked).await
    }

    async fn ask_in_time(&self, user: &str, password: &str) -> Result<Option<String>, AuthFailure> {
        let asked = async {
            let _turn = self.turns.acquire().await;
            self.ask(user, password).await
        };
        match tokio::time::timeout(self.time_max, asked).await {
            Ok(Ok(account)) => Ok(account),
            Ok(Err(error)) => {
                tracing::error!(url = self.url, %error, "passwords cannot be checked by LDAP");
                Err(AuthFailure::Unavailable)
            }
            Err(_) => {
                tracing::error!(url = self.url, "LDAP takes too long");
                Err(AuthFailure::Unavailable)
            }
        }
    }

    /// Whether a user is of another domain than the directory's: somebody who has the same name
    /// there is not the same person.
    fn is_foreign(&self, user: &str) -> bool {
        match (&self.domain, user.split_once('@')) {
            (Some(own), Some((_, domain))) => domain.to_lowercase() != *own,
            _ => false,
        }
    }

    /// The account whose password this is.
    async fn ask(&self, user: &str, password: &str) -> Result<Option<String>, LdapError> {
        let mut connection = self.connect().await?;
        let found = match &self.find {
            Find::Named(template) => Some(Found {
                dn: fill(template, user, |part| dn_escape(part).into_owned()),
                account: None,
            }),
            Find::Searched(search) => search.run(&mut connection.ldap, user).await?,
        };
        // A bind that fails takes the place of one that could succeed: unknown users cost the same.
        let dn = found
            .as_ref()
            .map_or_else(|| self.nobody(), |found| found.dn.clone());
        let bound = connection.ldap.simple_bind(&dn, password).await?;
        match (bound.rc, found) {
            (SUCCESS, Some(found)) => Ok(Some(found.account.unwrap_or_else(|| user.to_owned()))),
            (SUCCESS, None) => Ok(None),
            (code, _) if WRONG.contains(&code) => Ok(None),
            _ => Err(bound.into()),
        }
    }

    async fn connect(&self) -> Result<Connection, LdapError> {
        let settings = self.settings.clone();
        let (driven, ldap) = LdapConnAsync::with_settings(settings, &self.url).await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = driven.drive().await {
                tracing::debug!(%error, "LDAP connection");
            }
        });
        Ok(Connection { ldap, driver })
    }

    /// The name of no entry.
    fn nobody(&self) -> String {
        match &self.find {
            Find::Searched(search) => format!("cn=nobody of this name,{}", search.base),
            Find::Named(_) => "cn=nobody of this name".to_owned(),
        }
    }
}

impl Find {
    fn of(settings: &AuthSettings) -> Result<Self, String> {
        let template = match (&settings.ldap_user_dn, &settings.ldap_base) {
            (Some(_), Some(_)) => {
                return Err("LdapUserDn: LdapBase asks for a search as well".to_owned());
            }
            (None, None) => return Err("LdapUserDn: neither it nor LdapBase is given".to_owned()),
            (Some(template), None) => ("LdapUserDn", template),
            (None, Some(_)) => ("LdapFilter", &settings.ldap_filter),
        };
        check_template(template, settings)?;
        let Some(base) = &settings.ldap_base else {
            return Ok(Self::Named(template.1.clone()));
        };
        let filter = fill(&settings.ldap_filter, "user", str::to_owned);
        if ldap3::parse_filter(&filter).is_err() {
            return Err("LdapFilter: it is no filter of RFC 4515".to_owned());
        }
        let password = settings.ldap_bind_password.clone();
        let binds = match (settings.ldap_bind_dn.clone(), password) {
            (Some(dn), Some(password)) => Some((dn, password)),
            (None, None) => None,
            _ => return Err("LdapBindDn: it and LdapBindPassword go together".to_owned()),
        };
        Ok(Self::Searched(Search {
            base: base.clone(),
            filter: settings.ldap_filter.clone(),
            binds,
            account: settings.ldap_account_attribute.clone(),
        }))
    }
}

impl Search {
    /// The one entry of a user.
    async fn run(&self, ldap: &mut ldap3::Ldap, user: &str) -> Result<Option<Found>, LdapError> {
        if let Some((dn, password)) = &self.binds {
            ldap.simple_bind(dn, password.expose()).await?.success()?;
        }
        let filter = fill(&self.filter, user, |part| ldap_escape(part).into_owned());
        // `1.1` asks for no attributes (RFC 4511 §4.5.1.8).
        let attribute = self.account.as_deref().unwrap_or("1.1");
        let found = ldap
            .with_search_options(SearchOptions::new().sizelimit(2))
            .search(&self.base, Scope::Subtree, &filter, [attribute])
            .await?;
        let mut entries = found
            .0
            .into_iter()
            .filter(|entry| !entry.is_ref() && !entry.is_intermediate());
        let (Some(entry), None) = (entries.next(), entries.next()) else {
            return Ok(None);
        };
        let SearchEntry { dn, mut attrs, .. } = SearchEntry::construct(entry);
        let Some(attribute) = &self.account else {
            return Ok(Some(Found { dn, account: None }));
        };
        // An entry that does not say whose mail it is has none.
        let named = attrs
            .iter_mut()
            .find(|(name, _)| name.eq_ignore_ascii_case(attribute));
        let account = named.and_then(|(_, values)| values.first().cloned());
        Ok(account.map(|account| Found {
            dn,
            account: Some(account),
        }))
    }
}

/// A template with a user in it, each part escaped. What a user wrote is not looked at again.
fn fill(template: &str, user: &str, escape: impl Fn(&str) -> String) -> String {
    let (name, domain) = user.split_once('@').unwrap_or((user, ""));
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let values = [("user}", user), ("name}", name), ("domain}", domain)];
        let known = values
            .iter()
            .find_map(|(variable, value)| Some((after.strip_prefix(variable)?, value)));
        match known {
            Some((behind, value)) => {
                filled.push_str(&escape(value));
                rest = behind;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// Whether a template tells users apart: by all that they wrote, or by their names and something
/// that says of which domain those are.
fn check_template((key, template): (&str, &String), settings: &AuthSettings) -> Result<(), String> {
    let named = settings.ldap_account_attribute.is_some() && settings.ldap_base.is_some();
    if template.contains("{user}") {
        Ok(())
    } else if !template.contains("{name}") {
        Err(format!("{key}: neither {{user}} nor {{name}} is in it"))
    } else if template.contains("{domain}") || settings.ldap_domain.is_some() || named {
        Ok(())
    } else {
        Err(format!(
            "{key}: with {{name}} alone somebody could open the mail of a namesake in another domain; \
             set LdapDomain, or use {{domain}}"
        ))
    }
}

/// TLS that trusts the certificates of a file, and no others.
fn trusting(path: &Path) -> Result<Arc<ClientConfig>, String> {
    let bad = |error: &dyn std::fmt::Display| format!("LdapCaPath: {}: {error}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(&error))? {
        let certificate = certificate.map_err(|error| bad(&error))?;
        roots.add(certificate).map_err(|error| bad(&error))?;
    }
    if roots.is_empty() {
        return Err(bad(&"there is no certificate in it"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&error))?;
    Ok(Arc::new(
        config.with_root_certificates(roots).with_no_client_auth(),
    ))
}

#[async_trait]
impl Authenticator for Ldap {
    async fn authenticate(&self, attempt: &Attempt<'_>) -> Result<Proven, AuthFailure> {
        match attempt.proof {
            Proof::Password(password) => self.password(attempt.user, password).await,
            other => other.vouched(attempt.user),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threat_07_what_a_user_wrote_is_escaped() {
        let dn = |user| fill("uid={user},ou=p", user, |part| dn_escape(part).into_owned());
        let filter = |user| {
            fill("(&(mail={user})(uid={name})(dc={domain}))", user, |part| {
                ldap_escape(part).into_owned()
            })
        };
        assert_eq!(dn("tim"), "uid=tim,ou=p");
        assert_eq!(dn("tim,ou=admins"), "uid=tim\\2cou\\3dadmins,ou=p");
        assert_eq!(dn("{name}"), "uid={name},ou=p", "not filled again");
        assert_eq!(filter("a@b"), "(&(mail=a@b)(uid=a)(dc=b))");
        assert_eq!(
            filter("*)(x=*"),
            "(&(mail=\\2a\\29\\28x=\\2a)(uid=\\2a\\29\\28x=\\2a)(dc=))"
        );
        assert_eq!(filter("a\\b"), "(&(mail=a\\5cb)(uid=a\\5cb)(dc=))");
        assert_eq!(fill("{x}{user", "u", str::to_owned), "{x}{user");
    }
}
