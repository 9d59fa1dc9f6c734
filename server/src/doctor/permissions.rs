//! Who may read and write what the server keeps: the store, private keys, files with secrets in
//! them, and sockets. Whether the server itself may is found out by `config check` and by loading.

use std::{
    fs::{self, Metadata},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use super::Finding;
use crate::{
    config::{CertificateSource, Loaded, Source, TABLE},
    tls,
};

/// Files of a store that are looked at; a store has few.
const FILES_MAX: usize = 100_000;
/// Others may read.
const OTHERS_READ: u32 = 0o004;
/// The group or others may write.
const NOT_ONLY_OWNER_WRITES: u32 = 0o022;
/// Only owners may remove what is in a directory.
const STICKY: u32 = 0o1000;

/// Looks at all of them.
pub(super) fn check(loaded: &Loaded) -> Vec<Finding> {
    let config = &loaded.config;
    let mut findings = store(&config.store.path);
    findings.extend(above(&config.store.path));
    for source in CertificateSource::all(config) {
        let key = source
            .key_path
            .clone()
            .unwrap_or_else(|| source.path.clone());
        findings.extend(secret_file(&key, "the private key"));
    }
    for file in files_with_secrets(loaded) {
        findings.extend(secret_file(
            &file,
            "the configuration, which holds a password,",
        ));
    }
    if let Some(path) = &config.lmtp.socket_path {
        findings.extend(socket(path));
    }
    findings.extend(clients_trust(loaded));
    findings
}

/// The store's directory: its owner's alone, and so is everything in it.
fn store(path: &Path) -> Vec<Finding> {
    let place = super::place("Store:Path", &path.display());
    let Ok(directory) = fs::metadata(path) else {
        let next = "the first `relate-imap account add` or `serve` makes it; the package makes it with its user";
        return vec![Finding::warning(
            "the store's directory does not exist",
            place,
            next,
        )];
    };
    let mut findings = Vec::new();
    if directory.mode() & 0o077 != 0 {
        let what = format!(
            "others than its owner can look into the store (mode {:o})",
            directory.mode() & 0o7777
        );
        findings.push(Finding::warning(
            what,
            place.clone(),
            format!("`chmod 700 {}`", path.display()),
        ));
    }
    if let Some(strange) = strangers(path, &directory) {
        let what = format!(
            "{} belongs to another user than the store",
            strange.display()
        );
        let next = format!(
            "stop the server, then `chown -R {}:{} {}`",
            directory.uid(),
            directory.gid(),
            path.display()
        );
        findings.push(Finding::wrong(what, place.clone(), next));
    }
    if findings.is_empty() {
        findings.push(Finding::fine(
            format!("the store is user {}'s alone", directory.uid()),
            place,
        ));
    }
    findings
}

/// The first file of the store that belongs to somebody else, as root's do after an accident.
fn strangers(path: &Path, owner: &Metadata) -> Option<PathBuf> {
    let mut directories = vec![path.to_owned()];
    let mut left = FILES_MAX;
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            left = left.checked_sub(1)?;
            let Ok(found) = entry.metadata() else {
                continue;
            };
            if found.uid() != owner.uid() {
                return Some(entry.path());
            }
            if found.is_dir() {
                directories.push(entry.path());
            }
        }
    }
    None
}

/// Who may write a directory above the store may put another in its place.
fn above(path: &Path) -> Option<Finding> {
    let path = path.canonicalize().ok()?;
    let open = path.ancestors().skip(1).find(|directory| {
        fs::metadata(directory).is_ok_and(|found| {
            found.mode() & NOT_ONLY_OWNER_WRITES != 0 && found.mode() & STICKY == 0
        })
    })?;
    let what = format!(
        "others may write {}, and so put another store in the place of this one",
        open.display()
    );
    Some(Finding::warning(
        what,
        super::place("Store:Path", &path.display()),
        format!("`chmod go-w {}`", open.display()),
    ))
}

/// A file that only the server and root should read.
fn secret_file(path: &Path, name: &str) -> Option<Finding> {
    let place = path.display().to_string();
    let mode = fs::metadata(path).ok()?.mode();
    if mode & OTHERS_READ != 0 {
        let what = format!(
            "everybody on this machine can read {name} (mode {:o})",
            mode & 0o7777
        );
        let next = format!(
            "`chmod o-rwx {place}`, and give it to the server's group: `chgrp relate-imap {place}`"
        );
        return Some(Finding::wrong(what, place, next));
    }
    if mode & NOT_ONLY_OWNER_WRITES != 0 {
        let what = format!(
            "others than its owner can change {name} (mode {:o})",
            mode & 0o7777
        );
        return Some(Finding::wrong(
            what,
            &place,
            format!("`chmod go-w {place}`"),
        ));
    }
    Some(Finding::fine(
        format!(
            "{name} is readable to those who need it (mode {:o})",
            mode & 0o7777
        ),
        place,
    ))
}

/// The files that give a setting whose value is never printed.
fn files_with_secrets(loaded: &Loaded) -> Vec<PathBuf> {
    let secret = |key: &str| {
        let mut keys = TABLE.iter().flat_map(|section| section.keys);
        keys.any(|row| row.secret && row.path().eq_ignore_ascii_case(key))
            || key.ends_with(":Password")
    };
    let mut files: Vec<PathBuf> = loaded
        .effective
        .iter()
        .filter(|row| secret(&row.key))
        .filter_map(|row| match &row.source {
            Source::File { path, .. } => Some(path.clone()),
            _ => None,
        })
        .collect();
    files.dedup();
    files
}

/// The socket to which another program delivers mail must be within its reach.
fn socket(path: &Path) -> Option<Finding> {
    let place = super::place("Lmtp:SocketPath", &path.display());
    let found = fs::symlink_metadata(path).ok()?;
    if !found.file_type().is_socket() {
        return Some(Finding::wrong(
            "there is no socket, but another file",
            place,
            "move it away, or choose another path",
        ));
    }
    let closed = path.ancestors().skip(1).find(|directory| {
        !directory.as_os_str().is_empty()
            && fs::metadata(directory).is_ok_and(|found| found.mode() & 0o011 == 0)
    });
    Some(match closed {
        Some(directory) => Finding::fine(
            format!(
                "only the server's user and root deliver here, since {} is closed to others",
                directory.display()
            ),
            place,
        ),
        None => Finding::fine(
            format!(
                "the socket is open to its group (mode {:o})",
                found.mode() & 0o7777
            ),
            place,
        ),
    })
}

/// Whoever can change the list of authorities can log in as anybody.
fn clients_trust(loaded: &Loaded) -> Option<Finding> {
    let sources = tls::Sources::of(&loaded.config)?;
    sources.clients.as_ref()?;
    let path = loaded.config.imap.client_ca_path.as_ref()?;
    let mode = fs::metadata(path).ok()?.mode();
    (mode & NOT_ONLY_OWNER_WRITES != 0).then(|| {
        let place = path.display().to_string();
        let what = format!(
            "others can change whose client certificates are taken (mode {:o})",
            mode & 0o7777
        );
        Finding::wrong(what, &place, format!("`chmod go-w {place}`"))
    })
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::{
        config::{self, Options},
        doctor::Level,
    };

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_store_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        assert_eq!(store(&path)[0].level, Level::Warning);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("id"), "x").unwrap();
        mode(&path, 0o700);
        assert_eq!(store(&path)[0].level, Level::Fine);
        mode(&path, 0o755);
        assert_eq!(store(&path)[0].level, Level::Warning);
        mode(directory.path(), 0o777);
        assert_eq!(
            above(&path).map(|finding| finding.level),
            Some(Level::Warning)
        );
        mode(directory.path(), 0o700);
        assert!(above(&path).is_none());
    }

    #[test]
    fn a_file_of_another_user_in_the_store_is_found() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("log")).unwrap();
        fs::write(directory.path().join("log/1.seg"), "x").unwrap();
        let own = fs::metadata(directory.path()).unwrap();
        assert_eq!(strangers(directory.path(), &own), None);
        // A directory of another user stands for the owner: tests cannot give files away.
        let others = fs::metadata("/proc/self/..").unwrap();
        let is_root = own.uid() == others.uid();
        assert_eq!(strangers(directory.path(), &others).is_some(), !is_root);
    }

    #[test]
    fn secrets_are_not_for_everybody() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key.pem");
        assert!(secret_file(&file, "the key").is_none());
        fs::write(&file, "x").unwrap();
        for (bits, level) in [
            (0o600, Level::Fine),
            (0o640, Level::Fine),
            (0o644, Level::Wrong),
            (0o660, Level::Wrong),
        ] {
            mode(&file, bits);
            assert_eq!(
                secret_file(&file, "the key").unwrap().level,
                level,
                "{bits:o}"
            );
        }
    }

    #[test]
    fn a_configuration_with_a_password_counts_as_secret() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("appsettings.json");
        let with = |text: &str| {
            fs::write(&file, text).unwrap();
            let options = Options {
                file: Some(file.clone()),
                ..Options::default()
            };
            files_with_secrets(&config::load(&options).unwrap())
        };
        assert_eq!(
            with(r#"{ "Imap": { "Port": 1143 } }"#),
            Vec::<PathBuf>::new()
        );
        assert_eq!(
            with(r#"{ "Imap": { "CertificatePassword": "x" } }"#),
            std::slice::from_ref(&file)
        );
    }

    #[test]
    fn a_socket_is_told_from_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lmtp.sock");
        assert!(socket(&path).is_none());
        fs::write(&path, "").unwrap();
        assert_eq!(socket(&path).unwrap().level, Level::Wrong);
        fs::remove_file(&path).unwrap();
        let _bound = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(socket(&path).unwrap().level, Level::Fine);
    }
}
