//! The built server as monitors and browsers see it over HTTP: what the checks say, and who may see
//! what.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test should say where"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    sync::mpsc,
    time::{Duration, UNIX_EPOCH},
};

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

#[path = "support/settings.rs"]
mod settings;
mod support;

use settings::set_instead;
use support::{Killed, free_port, output, program};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const DAY: u64 = 24 * 60 * 60;
/// How long anything may take: generous, since only a hang should reach it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Who comes through a proxy is not on this machine.
const RELAYED: &str = "X-Forwarded-For: 192.0.2.9";

struct Place {
    directory: TempDir,
    imap: u16,
    http: u16,
    settings: Vec<String>,
}

struct Serving {
    _child: Killed,
    log: mpsc::Receiver<String>,
}

impl Serving {
    /// The lines of the log up to the first with this text.
    fn logs(&self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.log.recv_timeout(PATIENCE).expect(text);
            let found = line.contains(text);
            lines.push(line);
            if found {
                return lines;
            }
        }
    }
}

/// An answer over HTTP.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The field of this name.
    fn field(&self, name: &str) -> Option<&str> {
        let named = |line: &'_ &str| {
            let found = line.split_once(':');
            found.is_some_and(|(field, _)| field.eq_ignore_ascii_case(name))
        };
        let line = self.head.lines().find(named)?;
        Some(line.split_once(':')?.1.trim())
    }

    /// A check's entry in what `/healthz` says.
    fn check(&self, name: &str) -> Value {
        let value = self.json();
        let mut checks = value["checks"].as_array().unwrap().iter();
        checks.find(|check| check["name"] == name).unwrap().clone()
    }
}

impl Place {
    fn new(set: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (imap, http) = (free_port(), free_port());
        let settings = vec![
            format!("Store:Path={}", directory.path().join("store").display()),
            "Imap:Addresses=127.0.0.1".to_owned(),
            format!("Imap:Port={imap}"),
            "Imap:SecurePort=0".to_owned(),
            "Lmtp:Port=0".to_owned(),
            format!("HealthCheck:Url=http://127.0.0.1:{http}"),
        ];
        Self {
            directory,
            imap,
            http,
            settings,
        }
        .and(set)
    }

    /// With further settings, each instead of one of the same key.
    fn and(mut self, set: &[&str]) -> Self {
        set_instead(&mut self.settings, set);
        self
    }

    /// With a certificate that ends so many seconds from now.
    fn with_certificate(end_secs: i64, set: &[&str]) -> Self {
        let mut place = Self::new(&[]);
        let (certificate, key) = write_certificate(place.directory.path(), end_secs);
        place
            .settings
            .push(format!("Imap:CertificatePath={certificate}"));
        place
            .settings
            .push(format!("Imap:CertificateKeyPath={key}"));
        place.and(set)
    }

    fn serve(&self) -> Serving {
        let command = program(self.directory.path(), &self.settings, &["serve"]).spawn();
        let mut child = command.unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, log) = mpsc::sync_channel(100_000);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Nobody listens any more when the test is over.
                let _ = sender.send(line);
            }
        });
        let serving = Serving {
            _child: Killed(child),
            log,
        };
        serving.logs("serving");
        serving
    }

    /// The exit code and what `relate-imap healthcheck` says.
    fn healthcheck(&self) -> (i32, String) {
        let done = output(
            program(self.directory.path(), &self.settings, &["healthcheck"]),
            "",
        );
        let text = String::from_utf8(done.stdout).unwrap() + &String::from_utf8_lossy(&done.stderr);
        (done.status.code().unwrap(), text)
    }

    fn get(&self, target: &str) -> Answer {
        self.get_with(target, &[])
    }

    fn get_with(&self, target: &str, fields: &[&str]) -> Answer {
        let mut all = vec!["Host: localhost"];
        all.extend(fields);
        self.ask(&format!("GET {target} HTTP/1.1"), &all, "")
    }

    fn post(&self, target: &str, body: &str) -> Answer {
        let length = format!("Content-Length: {}", body.len());
        let form = "Content-Type: application/x-www-form-urlencoded";
        let fields = ["Host: localhost", RELAYED, form, &length];
        self.ask(&format!("POST {target} HTTP/1.1"), &fields, body)
    }

    fn ask(&self, line: &str, fields: &[&str], body: &str) -> Answer {
        let mut stream = self.connect();
        let fields = fields.join("\r\n");
        let request = format!("{line}\r\nConnection: close\r\n{fields}\r\n\r\n{body}");
        // Who is refused early is not listened to.
        let _ = stream.write_all(request.as_bytes());
        answer(stream)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.http)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

fn answer(mut stream: TcpStream) -> Answer {
    let mut text = Vec::new();
    // What was not read of a request makes the end a reset.
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Answer {
        status: status.unwrap_or_else(|| panic!("no answer: {text:?}")),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// A certificate for localhost that ends so many seconds from now.
fn write_certificate(directory: &Path, end_secs: i64) -> (String, String) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let now = server::serve::system_time()
        .duration_since(UNIX_EPOCH)
        .unwrap();
    let end = now.as_secs().checked_add_signed(end_secs).unwrap();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(now.as_secs() - 90 * DAY);
    params.not_after = epoch + Duration::from_secs(end);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let path = |name: &str| directory.join(name).display().to_string();
    let (certificate_path, key_path) = (path("cert.pem"), path("key.pem"));
    fs::write(&certificate_path, certificate.pem()).unwrap();
    fs::write(&key_path, key.serialize_pem()).unwrap();
    (certificate_path, key_path)
}

#[test]
fn health_is_told_with_an_entry_a_check() {
    let place = Place::new(&[]);
    let _serving = place.serve();
    let well = place.get("/healthz");
    assert_eq!(well.status, 200, "{well:?}");
    assert_eq!(well.field("content-type"), Some("application/json"));
    let value = well.json();
    assert!(value["totalDuration"].as_f64() > Some(0.0), "{value}");
    let names: Vec<&str> = value["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| {
            for field in ["status", "description"] {
                assert!(check[field].is_string(), "{check}");
            }
            assert!(
                check["duration"].is_f64() && check["tags"].is_array() && check["data"].is_object()
            );
            check["name"].as_str().unwrap()
        })
        .collect();
    assert_eq!(names, ["imap", "certificate", "disk", "store", "index"]);
    let imap = well.check("imap");
    assert_eq!(imap["description"], "IMAP greets with OK.");
    assert_eq!(imap["data"]["address"], format!("127.0.0.1:{}", place.imap));
    let certificate = well.check("certificate");
    assert_eq!(certificate["description"], "No TLS certificate configured");
    assert_eq!(certificate["status"], "Healthy");
    assert!(well.check("disk")["data"]["freeBytes"].is_u64());
    assert!(well.check("store")["data"]["liveBytes"].is_u64());
    for path in ["/livez", "/readyz"] {
        let ready = place.get(path);
        assert_eq!(
            (ready.status, &ready.json()["status"]),
            (200, &Value::from("Healthy"))
        );
    }
    let head = place.ask("HEAD /healthz HTTP/1.1", &["Host: localhost"], "");
    assert_eq!((head.status, &*head.body), (200, ""));
    let (code, text) = place.healthcheck();
    assert_eq!(code, 0, "{text}");
    assert!(
        text.starts_with("status  Healthy\n") && text.contains("IMAP greets"),
        "{text}"
    );
}

#[test]
fn the_probe_of_imap_is_neither_logged_nor_counted() {
    for secure in [false, true] {
        let imaps = free_port();
        let mut settings = vec![
            "Limits:TrustedNetworks=".to_owned(),
            "Limits:NewConnectionsPerMinute=1".to_owned(),
        ];
        if secure {
            settings.extend(["Imap:Port=0".to_owned(), format!("Imap:SecurePort={imaps}")]);
        }
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let place = Place::with_certificate(90 * 86_400, &settings);
        let serving = place.serve();
        for _ in 0..5 {
            let imap = place.get("/healthz").check("imap");
            assert_eq!(imap["status"], "Healthy", "{imap}");
            assert_eq!(imap["data"]["tls"], secure);
        }
        // A client that is one too many would be refused: this is the first.
        let port = if secure { imaps } else { place.imap };
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.write_all(b"a LOGOUT\r\n").unwrap();
        let mut said = Vec::new();
        let _ = client.read_to_end(&mut said);
        let end = if secure {
            "tls-handshake"
        } else {
            "connection closed"
        };
        let lines = serving.logs(end);
        let quiet = |line: &&String| line.contains("connection closed") || line.contains("refused");
        let told: Vec<_> = lines.iter().filter(quiet).collect();
        assert_eq!(told.len(), 1, "{lines:#?}");
    }
}

#[test]
fn a_certificate_that_ends_does_not_take_the_server_out_of_service_until_it_has() {
    const DAYS: i64 = 86_400;
    for (end, word, well, ready) in [
        (90 * DAYS, "Healthy", 200, 200),
        (20 * DAYS, "Degraded", 200, 200),
        (3 * DAYS, "Unhealthy", 503, 200),
        (-DAYS, "Unhealthy", 503, 503),
    ] {
        let place = Place::with_certificate(end, &[]);
        let _serving = place.serve();
        let found = place.get("/healthz");
        assert_eq!(found.status, well, "{found:?}");
        assert_eq!(found.json()["status"], word);
        let certificate = found.check("certificate");
        assert_eq!(certificate["status"], word, "{certificate}");
        assert_eq!(
            certificate["data"]["certificates"][0]["names"][0],
            "localhost"
        );
        assert_eq!(place.get("/readyz").status, ready, "{end}");
        let (code, text) = place.healthcheck();
        assert_eq!(code == 0, ready == 200, "{text}");
    }
}

#[test]
fn an_imap_that_does_not_greet_is_unhealthy() {
    // Nobody gets memory for a connection, so the server says BYE.
    let place = Place::new(&["Imap:ProxyNetworks=127.0.0.0/8", "Imap:ServerName=mail"]);
    let _serving = place.serve();
    assert_eq!(place.get("/healthz").status, 200);
    let preauth = Place::new(&[
        "Imap:RequireAuthentication=false",
        "Imap:PreauthAccount=nobody",
    ]);
    let _serving = preauth.serve();
    let ill = preauth.get("/healthz");
    assert_eq!(ill.status, 503, "{ill:?}");
    let imap = ill.check("imap");
    assert_eq!(imap["status"], "Unhealthy");
    assert!(
        imap["description"].as_str().unwrap().contains("* BYE"),
        "{imap}"
    );
    assert_eq!(preauth.get("/readyz").status, 503);
    assert_eq!(preauth.get("/livez").status, 200);
    let (code, text) = preauth.healthcheck();
    assert!(code != 0 && text.contains("* BYE"), "{text}");
}

#[test]
fn the_files_of_the_page_are_served_as_they_stand() {
    let place = Place::new(&[]);
    let _serving = place.serve();
    let page = place.get("/");
    assert_eq!(page.status, 200);
    assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ops/page");
    for (path, kind) in [
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/format.js", "text/javascript; charset=utf-8"),
        ("/chart.js", "text/javascript; charset=utf-8"),
        ("/table.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let served = place.get(path);
        assert_eq!(
            (served.status, served.field("content-type")),
            (200, Some(kind))
        );
        assert_eq!(
            served.body,
            fs::read_to_string(format!("{files}{path}")).unwrap()
        );
    }
    // What the page names is there.
    for named in ["page.css", "page.js", "icon.svg"] {
        assert!(page.body.contains(named), "{named}");
    }
}

#[test]
fn what_the_page_shows_is_what_there_is() {
    let place = Place::new(&[]);
    let _serving = place.serve();
    let sessions = || {
        let all = place.get("/api/status").json();
        all["sessions"].as_array().map_or(0, Vec::len)
    };
    let metric = || {
        let text = place.get("/metrics").body;
        let line = text
            .lines()
            .find(|line| line.starts_with("imap_sessions_active "));
        line.unwrap().split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!((sessions(), metric()), (0, "0".to_owned()));
    let mut line = String::new();
    let mut imap = BufReader::new(TcpStream::connect(("127.0.0.1", place.imap)).unwrap());
    imap.read_line(&mut line).unwrap();
    assert!(line.starts_with("* OK"), "{line}");
    assert_eq!((sessions(), metric()), (1, "1".to_owned()));
    let health = place.get("/api/health");
    assert_eq!(health.status, 200, "{health:?}");
    assert_eq!(health.check("imap")["status"], "Healthy");
    assert_eq!(
        health.json()["status"],
        place.get("/healthz").json()["status"]
    );
}

#[test]
fn threat_36_another_name_is_refused() {
    let place = Place::new(&["HealthCheck:HostNames=status.example.org"]);
    let _serving = place.serve();
    let port = place.http;
    for (host, status) in [
        ("localhost", 200),
        (&*format!("localhost:{port}"), 200),
        (&*format!("127.0.0.1:{port}"), 200),
        ("[::1]", 200),
        ("status.example.org", 200),
        ("evil.example", 421),
        ("192.0.2.1", 421),
        ("localhost.evil.example", 421),
    ] {
        for target in [
            "/",
            "/healthz",
            "/livez",
            "/page.js",
            "/api/status",
            "/metrics",
        ] {
            let host = format!("Host: {host}");
            let found = place.ask(&format!("GET {target} HTTP/1.1"), &[&host], "");
            assert_eq!(found.status, status, "{host} {target}: {found:?}");
        }
    }
    let twice = ["Host: localhost", "Host: evil.example"];
    assert_eq!(place.ask("GET / HTTP/1.1", &twice, "").status, 421);
    let foreign = place.ask(
        "GET http://evil.example/ HTTP/1.1",
        &["Host: localhost"],
        "",
    );
    assert_eq!(foreign.status, 421);
    // Old monitors say no name; browsers always do.
    for (target, status) in [
        ("/readyz", 200),
        ("/healthz", 200),
        ("/", 421),
        ("/metrics", 421),
    ] {
        let found = place.ask(&format!("GET {target} HTTP/1.0"), &["Accept: */*"], "");
        assert_eq!(found.status, status, "{target}");
    }
}

#[test]
fn without_a_token_others_learn_one_word() {
    let place = Place::new(&[]);
    let _serving = place.serve();
    for target in ["/", "/api/status", "/metrics", "/?token=x"] {
        let refused = place.get_with(target, &[RELAYED]);
        assert_ne!(refused.status, 200, "{target}: {refused:?}");
        assert!(!refused.body.contains("<table"), "{refused:?}");
    }
    let told = place.get_with("/", &[RELAYED]);
    assert_eq!(told.status, 403);
    assert!(told.body.contains("HealthCheck:Token"), "{told:?}");
    let health = place.get_with("/healthz", &[RELAYED]);
    assert_eq!(
        (health.status, &*health.body),
        (200, r#"{"status":"Healthy"}"#)
    );
    for target in ["/livez", "/readyz"] {
        assert_eq!(place.get_with(target, &[RELAYED]).status, 200);
    }
    for target in ["/", "/api/status", "/metrics"] {
        assert_eq!(place.get(target).status, 200, "{target}");
    }
}

#[test]
fn threat_38_the_token_is_asked_of_everybody() {
    let place = Place::new(&[]);
    let secret = place.directory.path().join("token");
    fs::write(&secret, format!("{TOKEN}\n")).unwrap();
    let mut place = place;
    place
        .settings
        .push(format!("HealthCheck:TokenPath={}", secret.display()));
    let _serving = place.serve();
    let bearer = format!("Authorization: Bearer {TOKEN}");
    for target in ["/", "/api/status", "/metrics"] {
        for fields in [vec![], vec![RELAYED], vec!["Authorization: Basic eDp5"]] {
            let refused = place.get_with(target, &fields);
            assert_eq!(refused.status, 401, "{target} {fields:?}");
            assert!(
                refused
                    .field("www-authenticate")
                    .unwrap()
                    .starts_with("Bearer ")
            );
            assert!(!refused.body.contains(TOKEN));
        }
        let shown = place.get_with(target, &[RELAYED, &bearer]);
        assert_eq!(shown.status, 200, "{target}: {shown:?}");
    }
    let wrong = "Authorization: Bearer 0123456789abcdef0123456789abcdeF";
    assert_eq!(place.get_with("/metrics", &[wrong]).status, 401);
    // On this machine health needs no token; elsewhere it is a word without.
    assert_eq!(place.get("/healthz").check("imap")["status"], "Healthy");
    let word = place.get_with("/healthz", &[RELAYED]);
    assert_eq!(word.json(), serde_json::json!({ "status": "Healthy" }));
    let all = place.get_with("/healthz", &[RELAYED, &bearer]);
    assert_eq!(all.check("imap")["status"], "Healthy");
    let (code, text) = place.healthcheck();
    assert!(code == 0 && text.contains("IMAP greets"), "{text}");
}

#[test]
fn threat_38_the_form_and_the_address_make_a_cookie_of_the_token() {
    let place = Place::new(&[&format!("HealthCheck:Token={TOKEN}")]);
    let _serving = place.serve();
    let by_form = place.post("/sign-in", &format!("token={TOKEN}"));
    let by_address = place.get_with(&format!("/?token={TOKEN}"), &[RELAYED]);
    for signed_in in [by_form, by_address] {
        assert_eq!(signed_in.status, 303, "{signed_in:?}");
        assert_eq!(signed_in.field("location"), Some("/"));
        let set = signed_in.field("set-cookie").unwrap();
        assert!(
            set.contains("HttpOnly") && set.contains("SameSite=Strict"),
            "{set}"
        );
        assert!(!set.contains(TOKEN), "{set}");
        let cookie = format!("Cookie: {}", set.split(';').next().unwrap());
        for target in ["/", "/api/status", "/metrics"] {
            let shown = place.get_with(target, &[RELAYED, &cookie]);
            assert_eq!(shown.status, 200, "{target}: {shown:?}");
        }
        let altered = cookie.replace('-', "0-");
        assert_eq!(place.get_with("/", &[RELAYED, &altered]).status, 401);
    }
    for refused in [
        place.post("/sign-in", "token=0123456789abcdeX"),
        place.post("/sign-in", ""),
        place.get_with("/?token=0123456789abcdeX", &[RELAYED]),
    ] {
        assert_eq!(refused.status, 401, "{refused:?}");
        assert!(refused.body.contains("another token") && refused.field("set-cookie").is_none());
    }
    let out = place.post("/sign-out", "");
    assert_eq!(out.status, 303);
    assert!(
        out.field("set-cookie").unwrap().contains("Max-Age=0"),
        "{out:?}"
    );
}

#[test]
fn the_page_of_another_site_cannot_sign_anybody_in_or_out() {
    let place = Place::new(&[&format!("HealthCheck:Token={TOKEN}")]);
    let serving = place.serve();
    let own = format!("Origin: http://localhost:{}", place.http);
    for (field, status) in [
        ("Sec-Fetch-Site: cross-site", 403),
        ("Sec-Fetch-Site: same-site", 403),
        ("Origin: https://evil.example", 403),
        ("Origin: null", 403),
        ("Sec-Fetch-Site: same-origin", 303),
        ("Accept: */*", 303),
        (&own, 303),
    ] {
        for (target, body) in [("/sign-out", ""), ("/sign-in", &*format!("token={TOKEN}"))] {
            let length = format!("Content-Length: {}", body.len());
            let line = format!("POST {target} HTTP/1.1");
            let done = place.ask(&line, &["Host: localhost", field, &length], body);
            assert_eq!(done.status, status, "{target}, {field}: {done:?}");
            assert_eq!(done.field("set-cookie").is_some(), status == 303);
        }
    }
    // A wrong token is a line of the log.
    let wrong = place.get_with("/?token=0123456789abcdeX", &[RELAYED]);
    assert_eq!(wrong.status, 401);
    let line = serving.logs("status-token").pop().unwrap();
    assert!(
        line.contains("refused reason=status-token address=127.0.0.1 client=\"192.0.2.9\""),
        "{line}"
    );
}

#[test]
fn threat_39_requests_and_connections_have_limits() {
    let place = Place::new(&[]);
    let _serving = place.serve();
    let long = format!("X: {}", "x".repeat(20_000));
    assert_eq!(place.get_with("/livez", &[&long]).status, 431);
    let many: Vec<String> = (0..100).map(|n| format!("X-{n}: y")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(place.get_with("/livez", &many).status, 431);
    assert_eq!(place.post("/sign-in", &"x".repeat(5_000)).status, 413);
    assert_eq!(place.get("/nothing").status, 404);
    assert_eq!(place.get("/../etc/passwd").status, 404);
    for (line, allowed) in [
        ("POST /healthz HTTP/1.1", "GET, HEAD"),
        ("DELETE / HTTP/1.1", "GET, HEAD"),
        ("GET /sign-in HTTP/1.1", "POST"),
        ("GET /sign-out HTTP/1.1", "POST"),
    ] {
        let refused = place.ask(line, &["Host: localhost"], "");
        assert_eq!(
            (refused.status, refused.field("allow")),
            (405, Some(allowed)),
            "{line}"
        );
    }
    // Those who connect and say nothing are counted; one more finds nobody.
    let mut silent: Vec<TcpStream> = (0..64).map(|_| place.connect()).collect();
    let mut one_more = place.connect();
    let read = one_more.read(&mut [0; 1]);
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    // A place that becomes free is given to the next.
    let mut served = silent.swap_remove(0);
    served
        .write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    assert_eq!(answer(served).status, 200);
    drop(silent);
}

#[test]
fn threat_37_no_script_runs_but_our_own_file() {
    let place = Place::new(&[]);
    let _serving = place.serve();
    for target in [
        "/",
        "/page.js",
        "/page.css",
        "/icon.svg",
        "/api/status",
        "/metrics",
        "/healthz",
        "/x",
    ] {
        let found = place.get(target);
        let policy = found.field("content-security-policy").unwrap();
        for rule in [
            "default-src 'none'",
            "script-src 'self';",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(rule), "{target}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(found.field("x-content-type-options"), Some("nosniff"));
        assert_eq!(found.field("referrer-policy"), Some("same-origin"));
        assert_eq!(found.field("cache-control"), Some("no-store"));
    }
    // Nothing is asked of other servers, and no script or handler stands in the page.
    let page = place.get("/").body;
    for foreign in ["http://", "https://", "//cdn", "<style", " on", "style="] {
        let lines: Vec<_> = page.lines().filter(|line| line.contains(foreign)).collect();
        let harmless = |line: &&&str| foreign == " on" && !line.contains("=\"");
        assert!(
            lines.iter().filter(|line| !harmless(line)).count() == 0,
            "{foreign}: {lines:?}"
        );
    }
}
