//! A certificate of our own making, for `up`: private, long-lived, and made again when it no
//! longer serves.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{CertificateSource, certificate::load};
use crate::{private, problem::Problem};

/// How long a self-signed certificate is valid: the longest that clients take.
const SELF_SIGNED_DAYS: u64 = 825;
/// Clocks of clients may be a little behind.
const SELF_SIGNED_BACKDATE: Duration = Duration::from_secs(24 * 60 * 60);

/// The certificate and key in `directory`, made there if they are missing, unusable
/// or past their dates. The files can be read by their owner alone.
pub fn self_signed(directory: &Path, now: SystemTime) -> Result<CertificateSource, Problem> {
    let source = CertificateSource {
        path: directory.join("cert.pem"),
        key_path: Some(directory.join("key.pem")),
        password: None,
    };
    let kept = load(&source).and_then(|certificate| certificate.check_dates(now));
    if kept.is_ok() {
        return Ok(source);
    }
    let (certificate, key) = generate(now).map_err(|error| {
        let what = format!("a certificate could not be made: {error}");
        Problem::new(
            what,
            directory.display().to_string(),
            "set Imap:CertificatePath to one",
        )
    })?;
    let written = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .and_then(|()| private::write(&directory.join("key.pem"), key.as_bytes()))
        .and_then(|()| private::write(&directory.join("cert.pem"), certificate.as_bytes()));
    written.map(|()| source).map_err(|error| {
        let what = format!("a certificate could not be written: {error}");
        let next = "let the user that runs relate-imap write there";
        Problem::new(what, directory.display().to_string(), next)
    })
}

fn generate(now: SystemTime) -> Result<(String, String), rcgen::Error> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = rcgen::CertificateParams::new(names)?;
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since.saturating_sub(SELF_SIGNED_BACKDATE);
    params.not_after = params.not_before + Duration::from_secs(SELF_SIGNED_DAYS * 24 * 60 * 60);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "localhost");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = rcgen::KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}
