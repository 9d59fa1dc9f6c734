//! Which backend knows the passwords, by the settings of section `Auth`; and what of them cannot
//! work, before anything starts.

use std::sync::Arc;

use async_trait::async_trait;
use store::{Store, clock::Clock};

use super::{
    Attempt, AuthFailure, Authenticator, Proven,
    checks::Checks,
    command::CommandCheck,
    ldap::Ldap,
    own::OwnAccounts,
    passwd_file::{self, PasswdFile},
    scheme::Clear,
    scram,
};
use crate::config::{AuthBackend, AuthSettings};

/// The backend of the settings. One that cannot work was told of by [`check`]; with it nobody
/// logs in.
pub(super) fn open(
    settings: &AuthSettings,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
) -> Box<dyn Authenticator> {
    let checks = Arc::new(Checks::new(Arc::clone(clock), settings.cache_time));
    match (
        settings.backend,
        &settings.passwd_file_path,
        &settings.command_path,
    ) {
        (AuthBackend::Own, ..) => Box::new(OwnAccounts::new(
            Arc::clone(store),
            checks,
            Arc::clone(clock),
            scram::hashes(settings.scram_sha1),
        )),
        (AuthBackend::PasswdFile, Some(path), _) => {
            Box::new(PasswdFile::new(path.clone(), clear(settings), checks))
        }
        (AuthBackend::Command, _, Some(path)) => {
            let bounds = (
                settings.command_timeout,
                settings.command_processes as usize,
            );
            Box::new(CommandCheck::new(
                path.clone(),
                bounds,
                checks,
                Arc::clone(clock),
            ))
        }
        (AuthBackend::Ldap, ..) => match Ldap::new(settings, checks) {
            Ok(ldap) => Box::new(ldap),
            Err(_) => Box::new(Nobody),
        },
        (AuthBackend::PasswdFile | AuthBackend::Command, ..) => Box::new(Nobody),
    }
}

const fn clear(settings: &AuthSettings) -> Clear {
    if settings.passwd_file_allow_plain {
        Clear::Taken
    } else {
        Clear::Refused
    }
}

/// Knows nobody.
struct Nobody;

#[async_trait]
impl Authenticator for Nobody {
    async fn authenticate(&self, _: &Attempt<'_>) -> Result<Proven, AuthFailure> {
        Err(AuthFailure::Unavailable)
    }
}

/// Something of the settings that cannot work, or hardly as it was meant.
pub(crate) struct Finding {
    /// The key of section `Auth`.
    pub(crate) key: String,
    /// What is wrong with it.
    pub(crate) what: String,
}

impl Finding {
    fn new(key: &str, what: impl Into<String>) -> Self {
        Self {
            key: key.to_owned(),
            what: what.into(),
        }
    }
}

/// What of the settings cannot work on this machine, and what an operator should know.
pub(crate) fn check(
    settings: &AuthSettings,
    clock: &Arc<dyn Clock>,
) -> (Vec<Finding>, Vec<Finding>) {
    let (mut wrong, mut odd) = (Vec::new(), Vec::new());
    match settings.backend {
        AuthBackend::Own => {}
        AuthBackend::PasswdFile => match &settings.passwd_file_path {
            None => wrong.push(Finding::new("PasswdFilePath", "it is missing")),
            Some(path) => match passwd_file::load(path, clear(settings)) {
                Ok(users) => odd.extend(users.bad.iter().map(|(line, why)| {
                    Finding::new("PasswdFilePath", format!("line {line} is left out: {why}"))
                })),
                Err(error) => {
                    let what = format!("{} cannot be read: {error}", path.display());
                    wrong.push(Finding::new("PasswdFilePath", what));
                }
            },
        },
        AuthBackend::Command => wrong.extend(check_command(settings)),
        AuthBackend::Ldap => {
            let checks = Arc::new(Checks::new(Arc::clone(clock), settings.cache_time));
            if let Err(text) = Ldap::new(settings, checks) {
                let (key, what) = text.split_once(": ").unwrap_or(("LdapUrl", &text));
                wrong.push(Finding::new(key, what));
            } else if settings
                .ldap_url
                .iter()
                .any(|url| url.starts_with("ldap://"))
                && !settings.ldap_start_tls
            {
                odd.push(Finding::new(
                    "LdapStartTls",
                    "passwords go to the directory in clear",
                ));
            }
        }
    }
    (wrong, odd)
}

fn check_command(settings: &AuthSettings) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(path) = &settings.command_path else {
        return Some(Finding::new("CommandPath", "it is missing"));
    };
    let what = match std::fs::metadata(path) {
        _ if !path.is_absolute() => "it is no absolute path".to_owned(),
        Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => return None,
        Ok(_) => "it is no program".to_owned(),
        Err(error) => error.to_string(),
    };
    Some(Finding::new("CommandPath", what))
}
