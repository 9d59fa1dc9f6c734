//! Users in a file, as Dovecot's passwd-file has them:
//!
//! ```text
//! user:{SCHEME}hash:uid:gid:gecos:home:shell:extra=fields nologin
//! ```
//!
//! Of the extra fields those are heeded that decide who may log in: `nologin`, `allow_nets=` and
//! `user=`; uid, gid and home mean nothing here. The file is read again when it has changed; one
//! that cannot be read leaves nobody logged in rather than the wrong one.

use std::{
    collections::HashMap,
    fs::File,
    hash::{BuildHasher as _, RandomState},
    io::{self, Read as _},
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{
    Attempt, AuthFailure, Authenticator, Credential, Proof, Proven,
    checks::Checks,
    scheme::{self, Clear, Stored},
    stamp::Stamp,
};
use crate::config::Network;

/// The largest file, bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// What the backend is called where somebody is told by what a login succeeded.
const NAME: &str = "passwd-file";

/// Users in a file.
pub(super) struct PasswdFile {
    path: PathBuf,
    clear: Clear,
    checks: Arc<Checks>,
    seed: RandomState,
    read: Mutex<Option<(Stamp, Arc<Users>)>>,
}

/// The users of a file.
#[derive(Default)]
pub(super) struct Users {
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    /// The numbers of the lines that are left out, and why.
    pub(super) bad: Vec<(usize, String)>,
}

struct Entry {
    /// The account, if it is called otherwise.
    user: String,
    /// What stands in the second field.
    password: String,
    login: Login,
    /// From where; empty is from anywhere.
    networks: Vec<Network>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Login {
    Allowed,
    Refused,
}

impl Users {
    /// Reads a file's text. Lines that cannot be used are left out and named.
    fn parse(text: &str, clear: Clear) -> Self {
        let mut users = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_end_matches('\r');
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            match Entry::parse(line, clear) {
                Ok((name, entry)) => {
                    users
                        .by_name
                        .insert(name.to_lowercase(), users.entries.len());
                    users.entries.push(entry);
                }
                Err(why) => users.bad.push((number, why)),
            }
        }
        users
    }

    fn find(&self, user: &str) -> Option<&Entry> {
        self.entries.get(*self.by_name.get(&user.to_lowercase())?)
    }
}

impl Entry {
    fn parse(line: &str, clear: Clear) -> Result<(&str, Self), String> {
        let mut fields = line.splitn(8, ':');
        let name = fields.next().unwrap_or_default();
        let password = fields.next().unwrap_or_default();
        super::check_name(name).map_err(|unfit| format!("the user name: {unfit}"))?;
        scheme::read(password, clear).map_err(|bad| format!("the password: {bad}"))?;
        let mut entry = Self {
            user: name.to_owned(),
            password: password.to_owned(),
            login: Login::Allowed,
            networks: Vec::new(),
        };
        for field in fields.nth(5).unwrap_or_default().split_whitespace() {
            entry.extra(field)?;
        }
        Ok((name, entry))
    }

    fn extra(&mut self, field: &str) -> Result<(), String> {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        match key {
            "nologin" => self.login = Login::Refused,
            "user" => {
                super::check_name(value).map_err(|unfit| format!("user=: {unfit}"))?;
                value.clone_into(&mut self.user);
            }
            "allow_nets" => {
                let network = |text: &str| Network::parse(text).ok_or("allow_nets= has no network");
                let networks: Result<Vec<_>, _> = value.split(',').map(network).collect();
                self.networks = networks?;
            }
            _ => {}
        }
        Ok(())
    }

    fn lets_in(&self, address: Option<IpAddr>) -> bool {
        let inside = |address| {
            self.networks
                .iter()
                .any(|network| network.contains(address))
        };
        self.login == Login::Allowed && (self.networks.is_empty() || address.is_some_and(inside))
    }
}

/// Reads a file of users.
pub(super) fn load(path: &Path, clear: Clear) -> io::Result<Users> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(Users::parse(&text, clear))
}

impl PasswdFile {
    pub(super) fn new(path: PathBuf, clear: Clear, checks: Arc<Checks>) -> Self {
        Self {
            path,
            clear,
            checks,
            seed: RandomState::new(),
            read: Mutex::default(),
        }
    }

    /// The users as the file has them now.
    async fn users(&self) -> Result<Arc<Users>, AuthFailure> {
        let known = self.read.lock().clone();
        let (path, clear) = (self.path.clone(), self.clear);
        let read = tokio::task::spawn_blocking(move || {
            let stamp = Stamp::from(&std::fs::metadata(&path)?);
            match known {
                Some((old, users)) if old == stamp => Ok((stamp, users)),
                _ => Ok((stamp, Arc::new(load(&path, clear)?))),
            }
        });
        let read: io::Result<_> = read.await.map_err(io::Error::other).flatten();
        match read {
            Ok((stamp, users)) => {
                let old = self.read.lock().replace((stamp, Arc::clone(&users)));
                if old.is_none_or(|(old, _)| old != stamp) {
                    self.tell(&users);
                }
                Ok(users)
            }
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "the file of users cannot be read");
                Err(AuthFailure::Unavailable)
            }
        }
    }

    fn tell(&self, users: &Users) {
        let path = self.path.display();
        tracing::info!(%path, users = users.entries.len(), "users read");
        for (line, why) in &users.bad {
            tracing::warn!(%path, line, why, "a user is left out");
        }
    }

    async fn password(
        &self,
        attempt: &Attempt<'_>,
        password: &[u8],
    ) -> Result<Proven, AuthFailure> {
        let users = self.users().await?;
        let address = attempt.peer.address.map(|address| address.ip());
        let found = users
            .find(attempt.user)
            .filter(|entry| entry.lets_in(address));
        let Some(entry) = found else {
            self.pretend(&users, attempt.user, password).await?;
            return Err(AuthFailure::Wrong);
        };
        let parts = [
            &b"file"[..],
            entry.user.as_bytes(),
            entry.password.as_bytes(),
            password,
        ];
        let key = self.checks.key(&parts);
        if !self.checks.remembers(&key) {
            if !self.is_right(entry, password).await? {
                return Err(AuthFailure::Wrong);
            }
            self.checks.remember(key);
        }
        Ok(entry.proven(Credential::Backend(NAME)))
    }

    async fn is_right(&self, entry: &Entry, password: &[u8]) -> Result<bool, AuthFailure> {
        match scheme::read(&entry.password, self.clear) {
            Ok(Stored::Hash(hash)) => self.checks.matches(hash, password).await,
            // Digests are compared in constant time.
            Ok(Stored::Clear(clear)) => {
                Ok(blake3::hash(clear.as_bytes()) == blake3::hash(password))
            }
            Err(_) => Err(AuthFailure::Unavailable),
        }
    }

    /// Takes as long for an unknown user as for one of the file: each unknown name stands for one
    /// that is known, always the same, so that their times are spread alike.
    async fn pretend(&self, users: &Users, user: &str, password: &[u8]) -> Result<(), AuthFailure> {
        let hash = self.seed.hash_one(user.to_lowercase());
        let count = users.entries.len() as u64;
        let place = hash.checked_rem(count).unwrap_or_default();
        match usize::try_from(place)
            .ok()
            .and_then(|place| users.entries.get(place))
        {
            Some(entry) => self.is_right(entry, password).await.map(|_| ()),
            None => self.checks.pretend(password).await,
        }
    }
}

impl Entry {
    fn proven(&self, credential: Credential) -> Proven {
        Proven {
            user: self.user.clone(),
            credential,
        }
    }
}

#[async_trait]
impl Authenticator for PasswdFile {
    async fn authenticate(&self, attempt: &Attempt<'_>) -> Result<Proven, AuthFailure> {
        let credential = match attempt.proof {
            Proof::Password(password) => return self.password(attempt, password).await,
            Proof::Certificate => Credential::Certificate,
            Proof::Token => Credential::Token,
            Proof::Scram(_) | Proof::Anonymous => return Err(AuthFailure::Wrong),
        };
        let users = self.users().await?;
        let address = attempt.peer.address.map(|address| address.ip());
        let entry = users
            .find(attempt.user)
            .filter(|entry| entry.lets_in(address));
        entry
            .map(|entry| entry.proven(credential))
            .ok_or(AuthFailure::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_dovecot_are_read() {
        let hash = "{BLF-CRYPT}$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
        let text = format!(
            "# users\n\nTim:{hash}\r\nann@example.org:{hash}:1000:1000::/home/ann::userdb_x=y nologin\n\
             bob:{hash}::::::allow_nets=192.0.2.0/24,::1 user=robert\n\
             eve:{{PLAIN}}marker7\nsue\n:{hash}\nx y:{hash}\nnet:{hash}::::::allow_nets=home\n"
        );
        let users = Users::parse(&text, Clear::Refused);
        let lines: Vec<usize> = users.bad.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [6, 7, 8, 9, 10]);
        assert!(!format!("{:?}", users.bad).contains("marker7"));
        let lets_in = |user, address: &str| {
            let address = Some(address.parse().unwrap());
            users.find(user).unwrap().lets_in(address)
        };
        assert!(lets_in("tim", "192.0.2.1"));
        assert!(!lets_in("ANN@example.org", "192.0.2.1"));
        assert!(lets_in("bob", "192.0.2.1") && !lets_in("bob", "198.51.100.1"));
        assert!(!users.find("bob").unwrap().lets_in(None));
        assert_eq!(users.find("bob").unwrap().user, "robert");
        assert!(users.find("eve").is_none());
        assert!(Users::parse(&text, Clear::Taken).find("eve").is_some());
    }
}
