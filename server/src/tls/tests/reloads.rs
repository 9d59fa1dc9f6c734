//! Certificates that change on disk: what is taken into use, when, and what is not.

use super::handshakes::Client;
use super::watch::{Look, Watch};
use super::*;

/// Files that are watched, and the server's side.
struct Place {
    directory: tempfile::TempDir,
    tls: Tls,
    watch: Watch,
}

impl Place {
    /// A certificate and its key beside it, of our own making.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let own = self_signed(directory.path(), now()).unwrap();
        Self::watching(directory, own)
    }

    fn watching(directory: tempfile::TempDir, own: CertificateSource) -> Self {
        let sources = Sources {
            certificates: vec![own],
            clients: None,
        };
        let tls = Tls::with(sources.load().unwrap()).unwrap();
        Self {
            watch: Watch::new(tls.clone(), sources),
            directory,
            tls,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Another certificate and key, elsewhere.
    fn renewed(&self) -> CertificateSource {
        self_signed(&self.path("renewed"), now()).unwrap()
    }

    fn in_use(&self) -> Vec<u8> {
        self.tls.certificates()[0].der().to_vec()
    }

    fn looks(&mut self, expected: &[Look]) {
        for look in expected {
            assert_eq!(&self.watch.look(now()), look);
        }
    }
}

fn der(path: &Path) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject;
    let read = rustls::pki_types::CertificateDer::from_pem_file(path);
    read.unwrap().to_vec()
}

#[tokio::test]
async fn files_renamed_into_place_are_taken_when_they_stand_still() {
    let mut place = Place::new();
    let before = place.in_use();
    place.looks(&[Look::Unchanged, Look::Unchanged]);
    let renewed = place.renewed();
    // The certificate alone does not fit the key; the key comes a look later.
    fs::rename(&renewed.path, place.path("cert.pem")).unwrap();
    place.looks(&[Look::Changing]);
    fs::rename(renewed.key_path.unwrap(), place.path("key.pem")).unwrap();
    place.looks(&[Look::Changing, Look::Taken, Look::Unchanged]);
    assert_ne!(place.in_use(), before);
    assert_eq!(place.in_use(), der(&place.path("cert.pem")));
    let mut client = Client::trusting(&place.path("cert.pem"));
    client.name = "localhost";
    client.meet(&place.tls).await.unwrap();
}

#[test]
fn a_half_done_change_is_said_once_and_mended_later() {
    let mut place = Place::new();
    let before = place.in_use();
    let renewed = place.renewed();
    fs::rename(&renewed.path, place.path("cert.pem")).unwrap();
    place.looks(&[Look::Changing]);
    let Look::Refused(problem) = place.watch.look(now()) else {
        panic!("a certificate without its key was taken");
    };
    assert!(problem.what.contains("does not match"), "{problem}");
    place.looks(&[Look::Unchanged, Look::Unchanged]);
    assert_eq!(place.in_use(), before);
    fs::rename(renewed.key_path.unwrap(), place.path("key.pem")).unwrap();
    place.looks(&[Look::Changing, Look::Taken]);
    assert_eq!(place.in_use(), der(&place.path("cert.pem")));
}

#[test]
fn links_may_be_swapped_and_files_written_in_place() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (directory.path().join("1"), directory.path().join("2"));
    self_signed(&one, now()).unwrap();
    self_signed(&two, now()).unwrap();
    let live = directory.path().join("live");
    std::os::unix::fs::symlink(&one, &live).unwrap();
    let own = CertificateSource {
        path: live.join("cert.pem"),
        key_path: Some(live.join("key.pem")),
        password: None,
    };
    let mut place = Place::watching(directory, own);
    std::os::unix::fs::symlink(&two, place.path("next")).unwrap();
    fs::rename(place.path("next"), &live).unwrap();
    place.looks(&[Look::Changing, Look::Taken, Look::Unchanged]);
    assert_eq!(place.in_use(), der(&two.join("cert.pem")));
    for file in ["key.pem", "cert.pem"] {
        fs::write(two.join(file), fs::read(one.join(file)).unwrap()).unwrap();
    }
    place.looks(&[Look::Changing, Look::Taken]);
    assert_eq!(place.in_use(), der(&one.join("cert.pem")));
}

#[test]
fn a_file_that_is_gone_broken_or_past_its_dates_changes_nothing() {
    let mut place = Place::new();
    let (certificate, key) = (place.path("cert.pem"), place.path("key.pem"));
    let kept = (fs::read(&certificate).unwrap(), fs::read(&key).unwrap());
    let before = place.in_use();
    let refused = |what: &str, place: &mut Place| {
        place.looks(&[Look::Changing]);
        match place.watch.look(now()) {
            Look::Refused(problem) => assert!(problem.what.contains(what), "{problem}"),
            other => panic!("{what}: {other:?}"),
        }
        place.looks(&[Look::Unchanged]);
        assert_eq!(place.in_use(), before);
    };
    fs::remove_file(&certificate).unwrap();
    refused("cannot be read", &mut place);
    fs::write(&certificate, "-----BEGIN CERTIFICATE-----\n").unwrap();
    refused("PEM", &mut place);
    let past = now() - Duration::from_secs(2_000 * 86_400);
    let old = self_signed(&place.path("old"), past).unwrap();
    fs::rename(old.path, &certificate).unwrap();
    fs::rename(old.key_path.unwrap(), &key).unwrap();
    refused("expired", &mut place);
    // SIGHUP says it every time.
    place.watch.reload(now()).unwrap_err();
    place.watch.reload(now()).unwrap_err();
    fs::write(&certificate, kept.0).unwrap();
    fs::write(&key, kept.1).unwrap();
    place.looks(&[Look::Changing, Look::Taken, Look::Unchanged]);
    assert_eq!(place.in_use(), before);
}

#[test]
fn an_end_that_is_near_is_said_once_a_day() {
    let mut place = Place::new();
    assert_eq!(place.watch.notices(now()), []);
    let day = Duration::from_secs(86_400);
    let near = now() + day * 815;
    let notices = place.watch.notices(near);
    assert!(notices[0].what.contains("ends on"), "{notices:?}");
    assert_eq!(place.watch.notices(near + day / 2), []);
    let over = place.watch.notices(near + day * 20);
    assert!(over[0].what.contains("expired"), "{over:?}");
}
