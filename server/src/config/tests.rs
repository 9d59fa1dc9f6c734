//! Tests of the configuration: a table for every rule of reading, merging,
//! refusing and warning, and the generated files against the table.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::*;

/// A directory with configuration files, and the options that read it.
struct Place {
    directory: TempDir,
    options: Options,
}

fn place(files: &[(&str, &str)]) -> Place {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let options = Options {
        directories: vec![directory.path().to_owned()],
        ..Options::default()
    };
    Place { directory, options }
}

impl Place {
    fn environment(mut self, variables: &[(&str, &str)]) -> Self {
        let pair = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
        self.options.environment = variables.iter().map(pair).collect();
        self
    }

    fn set(mut self, sets: &[&str]) -> Self {
        self.options.set = sets.iter().map(|set| (*set).to_owned()).collect();
        self
    }

    fn up(mut self) -> Self {
        self.options.preset = Preset::Up;
        self
    }

    fn load(&self) -> Loaded {
        load(&self.options).unwrap()
    }

    fn problems(&self) -> Vec<Problem> {
        load(&self.options).unwrap_err().0
    }
}

fn set(sets: &[&str]) -> Place {
    place(&[]).set(sets)
}

fn value(loaded: &Loaded, key: &str) -> String {
    loaded
        .effective
        .iter()
        .find(|row| row.key == key)
        .unwrap()
        .value
        .clone()
}

#[test]
fn without_any_source_the_defaults_of_the_replaced_server_hold() {
    let loaded = place(&[]).load();
    let imap = &loaded.config.imap;
    assert_eq!(imap.server_name, "localhost");
    assert_eq!((imap.port, imap.secure_port), (143, 993));
    assert!(imap.require_authentication && imap.check_certificate_revocation);
    assert_eq!(
        (&imap.certificate_path, &imap.certificate_password),
        (&None, &None)
    );
    assert_eq!(imap.max_connections_per_user, 5);
    assert_eq!(imap.session_timeout, Duration::from_secs(1800));
    assert_eq!(imap.max_messages_per_session, 2000);
    assert_eq!(imap.allow_plaintext_auth, AllowPlaintextAuth::Loopback);
    assert!(imap.commit_deletions_on_logout);
    assert_eq!(imap.shutdown_timeout, Duration::from_secs(30));
    assert_eq!(loaded.config.lmtp.port, 24);
    assert_eq!(
        loaded.config.lmtp.socket_path,
        Some(PathBuf::from("/var/lib/relate-imap/run/lmtp.sock"))
    );
    assert_eq!(loaded.config.limits.message_bytes, Bytes(50 << 20));
    assert!(
        loaded
            .effective
            .iter()
            .all(|row| row.source == Source::Default)
    );
    assert!(loaded.files.is_empty());
}

#[test]
fn every_default_is_allowed_by_its_own_row() {
    for section in TABLE {
        for key in section.keys {
            let raw = match key.default {
                "" => Raw::Null,
                text => Raw::Text(text.to_owned()),
            };
            assert!(
                key.check(&raw).is_ok(),
                "{}: {:?}",
                key.path(),
                key.check(&raw)
            );
            assert!(key.about.trim().ends_with('.'), "{}", key.path());
            assert!(
                !key.about.contains('|') && !key.allowed().contains('|'),
                "{}",
                key.path()
            );
        }
    }
}

#[test]
fn layers_override_in_order_and_every_value_has_its_source() {
    let base = r#"{ "Imap": { "ServerName": "file", "Port": 1, "SecurePort": 2,
                    "MaxConnectionsPerUser": 3 } }"#;
    let named = "{\n \"imap\": { \"port\": 10, \"SECUREPORT\": 20 } }";
    let place = place(&[("appsettings.json", base), ("appsettings.Test.json", named)])
        .environment(&[("DOTNET_ENVIRONMENT", "Test"), ("IMAP__SECUREPORT", "200")])
        .set(&["imap:serverName=line"]);
    let loaded = place.load();
    let file = |name: &str, line| Source::File {
        path: place.directory.path().join(name),
        line,
    };
    for (key, value_wanted, source) in [
        ("Imap:ServerName", "line", Source::CommandLine("--set")),
        ("Imap:Port", "10", file("appsettings.Test.json", 2)),
        (
            "Imap:SecurePort",
            "200",
            Source::Environment("IMAP__SECUREPORT".to_owned()),
        ),
        (
            "Imap:MaxConnectionsPerUser",
            "3",
            file("appsettings.json", 2),
        ),
        ("Imap:SessionTimeout", "30m", Source::Default),
    ] {
        assert_eq!(value(&loaded, key), value_wanted, "{key}");
        assert_eq!(loaded.source(key), source, "{key}");
    }
    assert!(loaded.is_given("Imap:Port") && !loaded.is_given("Imap:SessionTimeout"));
    assert_eq!(loaded.files.len(), 2);
}

#[test]
fn the_environment_is_named_as_dotnet_names_it() {
    let file = |port: u16| format!("{{ \"Imap\": {{ \"Port\": {port} }} }}");
    let files = [
        ("appsettings.Production.json", file(1)),
        ("appsettings.A.json", file(2)),
        ("appsettings.B.json", file(3)),
    ];
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    for (variables, port) in [
        (vec![], 1),
        (vec![("ASPNETCORE_ENVIRONMENT", "B")], 3),
        (
            vec![("ASPNETCORE_ENVIRONMENT", "B"), ("DOTNET_ENVIRONMENT", "A")],
            2,
        ),
        (vec![("DOTNET_ENVIRONMENT", "")], 1),
        (vec![("DOTNET_ENVIRONMENT", "../../B")], 143),
    ] {
        let loaded = place(&files).environment(&variables).load();
        assert_eq!(loaded.config.imap.port, port, "{variables:?}");
    }
}

#[test]
fn the_first_directory_with_a_file_is_used_and_config_searches_nothing() {
    let first = place(&[]);
    let second = place(&[("appsettings.json", r#"{"Imap": {"Port": 2}}"#)]);
    let third = place(&[
        ("appsettings.json", r#"{"Imap": {"Port": 3}}"#),
        ("mine.json", r#"{"Imap": {"Port": 4}}"#),
        ("mine.Production.json", r#"{"Imap": {"SecurePort": 5}}"#),
    ]);
    let directories = [&first, &second, &third].map(|p| p.directory.path().to_owned());
    let mut options = Options {
        directories: directories.to_vec(),
        ..Options::default()
    };
    assert_eq!(load(&options).unwrap().config.imap.port, 2);
    options.file = Some(third.directory.path().to_owned());
    assert_eq!(load(&options).unwrap().config.imap.port, 3);
    options.file = Some(third.directory.path().join("mine.json"));
    let imap = load(&options).unwrap().config.imap;
    assert_eq!((imap.port, imap.secure_port), (4, 5));
    options.file = Some(third.directory.path().join("absent.json"));
    let problems = load(&options).unwrap_err();
    assert!(
        problems.to_string().contains("does not exist"),
        "{problems}"
    );
}

#[test]
fn limits_on_messages_are_a_thousand_or_more_and_one_of_two() {
    for key in ["Imap:MessageLimit", "Imap:SaveLimit"] {
        let problems = set(&[&format!("{key}=999")]).problems();
        assert!(problems[0].what.contains("too small"), "{}", problems[0]);
    }
    let both = ["Imap:MessageLimit=5000", "Imap:SaveLimit=1000"];
    let problem = set(&both).problems().remove(0);
    assert!(problem.what.contains("two limits"), "{problem}");
    assert!(problem.to_what.contains("Imap:SaveLimit"), "{problem}");
}

#[test]
fn durations_are_read_in_both_forms_and_refused_without_a_unit() {
    for (text, seconds) in [
        ("00:30:00", 1_800.0),
        ("30m", 1_800.0),
        ("1.00:00:00", 86_400.0),
        ("00:45", 2_700.0),
        ("00:30:00.5", 1_800.5),
        ("1h30m", 5_400.0),
        ("2d", 172_800.0),
        ("1500ms", 1.5),
        ("90 s", 90.0),
    ] {
        let loaded = set(&[&format!("Imap:SessionTimeout={text}")]).load();
        assert!(
            (loaded.config.imap.session_timeout.as_secs_f64() - seconds).abs() < 1e-9,
            "{text}"
        );
    }
    for (text, why) in [
        ("30", "30 seconds or, as .NET reads it, 30 days"),
        ("1.5", "1.5 seconds or"),
        ("24:00:00", "hours above 23"),
        ("00:60:00", "minutes or seconds above 59"),
        ("1:2:3:4", "not of the form"),
        ("-00:30:00", "not of the form"),
        ("30 minutes", "is not a duration"),
        ("m", "is not a duration"),
        ("", "is not a duration"),
        ("99999999999999999999d", "is not a duration"),
        ("8d", "is too large"),
        ("10ms", "is too small"),
    ] {
        let problems = set(&[&format!("Imap:SessionTimeout={text}")]).problems();
        assert!(problems[0].what.contains(why), "{text}: {}", problems[0]);
        assert!(
            problems[0].next.contains("from 1s to 7d"),
            "{}",
            problems[0]
        );
    }
    assert!(
        place(&[("appsettings.json", r#"{"Imap": {"SessionTimeout": 30}}"#)]).problems()[0]
            .what
            .contains("has no unit")
    );
}

#[test]
fn sizes_name_their_unit() {
    for (text, bytes) in [
        ("1048576", 1_048_576),
        ("1MiB", 1_048_576),
        ("1 mib", 1_048_576),
        ("2 GiB", 2_147_483_648),
        ("50 MB", 50_000_000),
        ("4096B", 4_096),
    ] {
        let loaded = set(&[&format!("Limits:MessageBytes={text}")]).load();
        assert_eq!(loaded.config.limits.message_bytes, Bytes(bytes), "{text}");
    }
    for (text, why) in [
        ("50M", "write 50 MiB or 50 MB"),
        ("ten", "is not a number of bytes"),
        ("-1", "is not a number of bytes"),
        ("1.5 GiB", "is not a number of bytes"),
        ("99999999999 TiB", "is too large"),
        ("1", "is too small"),
    ] {
        let problems = set(&[&format!("Limits:MessageBytes={text}")]).problems();
        assert!(problems[0].what.contains(why), "{text}: {}", problems[0]);
    }
}

#[test]
fn lists_are_merged_item_by_item_and_replaced_by_one_text() {
    let file = r#"{ "Imap": { "Addresses": ["127.0.0.1", "::1"] } }"#;
    for (variables, wanted) in [
        (vec![], "127.0.0.1, ::1"),
        (
            vec![("Imap__Addresses__1", "127.0.0.2")],
            "127.0.0.1, 127.0.0.2",
        ),
        (
            vec![("Imap__Addresses__2", "127.0.0.9")],
            "127.0.0.1, ::1, 127.0.0.9",
        ),
        (vec![("Imap__Addresses", "[::1]")], "::1"),
    ] {
        let loaded = place(&[("appsettings.json", file)])
            .environment(&variables)
            .load();
        assert_eq!(value(&loaded, "Imap:Addresses"), wanted);
    }
    for (setting, why) in [
        ("Imap:Addresses=", "names no address"),
        ("Imap:Addresses=localhost", "not an IP address"),
        ("Imap:Addresses=::1, ::1", "twice"),
        ("Imap:Addresses:x=::1", "without a number"),
        ("Imap:Port:0=1", "is one value"),
    ] {
        let problems = set(&[setting]).problems();
        assert!(problems[0].what.contains(why), "{setting}: {}", problems[0]);
    }
}

#[test]
fn trusted_networks_may_be_empty_and_know_their_peers() {
    let empty = place(&[("appsettings.json", r#"{"Limits": {"TrustedNetworks": []}}"#)]).load();
    assert!(empty.config.limits.trusted_networks.0.is_empty());
    let networks = place(&[]).load().config.limits.trusted_networks;
    for (peer, trusted) in [
        ("127.0.0.1", true),
        ("127.255.0.9", true),
        ("128.0.0.1", false),
        ("::1", true),
        ("::2", false),
        ("::ffff:127.0.0.1", true),
        ("::ffff:10.0.0.1", false),
    ] {
        assert_eq!(networks.contains(peer.parse().unwrap()), trusted, "{peer}");
    }
    let all = set(&["Limits:TrustedNetworks=0.0.0.0/0,::/0"])
        .load()
        .config
        .limits
        .trusted_networks;
    assert!(all.contains("8.8.8.8".parse().unwrap()) && all.contains("fe80::1".parse().unwrap()));
    assert_eq!(all.show(), "0.0.0.0/0, ::/0");
    for text in [
        "10.0.0.0/33",
        "10.0.0.0/",
        "::/129",
        "office",
        "10.0.0.0/-1",
    ] {
        assert!(
            load(&set(&[&format!("Limits:TrustedNetworks={text}")]).options).is_err(),
            "{text}"
        );
    }
}

#[test]
fn bad_values_name_key_value_source_and_what_is_allowed() {
    let file = "{\n\"Imap\": {\n\"Port\": 70000 } }";
    let place = place(&[("appsettings.json", file)]);
    let problem = place.problems().remove(0);
    let path = place.directory.path().join("appsettings.json");
    assert_eq!(problem.what, "Imap:Port = \"70000\" is too large");
    assert_eq!(
        problem.to_what,
        format!("Imap:Port, given by {}:3", path.display())
    );
    assert_eq!(problem.next, "use a whole number from 0 to 65535");
    for (setting, why, next) in [
        ("Imap:Port=", "is not a whole number", "from 0 to"),
        (
            "Imap:RequireAuthentication=yes",
            "neither true nor false",
            "true or false",
        ),
        (
            "Imap:AllowPlaintextAuth=Sometimes",
            "allowed words",
            "Loopback, Never, Always",
        ),
        ("Imap:ServerName=a\nb", "control character", "text"),
        ("Logging:Format=xml", "allowed words", "Human, Json"),
        (
            "Logging:LogLevel:Default=Info",
            "Default is not one",
            "Trace, Debug, Information",
        ),
        (
            "HealthCheck:Url=https://localhost:1",
            "not an http address",
            "http://HOST:PORT",
        ),
        (
            "HealthCheck:Url=http://localhost:0",
            "not an http address",
            "http://HOST:PORT",
        ),
        (
            "HealthCheck:Url=http://nowhere.example:1",
            "not an http address",
            "http://HOST:PORT",
        ),
        (
            "Store:SegmentBytes=1 KiB",
            "is too small",
            "1 MiB to 256 MiB",
        ),
        ("Store:Path=", "is not a path", "a path"),
    ] {
        let problem = set(&[setting]).problems().remove(0);
        assert!(problem.what.contains(why), "{setting}: {problem}");
        assert!(problem.next.contains(next), "{setting}: {problem}");
        assert!(problem.to_what.contains("--set"), "{setting}: {problem}");
    }
}

#[test]
fn all_problems_come_together() {
    let place = place(&[(
        "appsettings.json",
        "{ \"Imap\": { \"Prt\": 1, \"Port\": \"x\" } }",
    )])
    .environment(&[("Store__SegmentBytes", "1"), ("Lmtp__Port", "-1")])
    .set(&["Imap:SessionTimeout=30", "nonsense"]);
    assert_eq!(place.problems().len(), 6, "{:#?}", place.problems());
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_known_one() {
    for (name, meant) in [
        ("Imap:Prt", "Imap:Port"),
        ("Imap:SessionTimout", "Imap:SessionTimeout"),
        (
            "imap:max_connections_per_user",
            "Imap:MaxConnectionsPerUser",
        ),
        ("Imap:MessageBytes", "Limits:MessageBytes"),
        ("Store:Pth", "Store:Path"),
        ("Logging:Loglevels", "Logging:LogLevel:*"),
        ("Limits:TrustedNetwork", "Limits:TrustedNetworks"),
    ] {
        let problem = set(&[&format!("{name}=secret")]).problems().remove(0);
        assert_eq!(problem.next, format!("did you mean {meant}?"), "{problem}");
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }
    let problem = set(&["Imap:Zebra=1"]).problems().remove(0);
    assert!(problem.next.starts_with("remove it"), "{problem}");
}

#[test]
fn other_sections_and_other_variables_are_ignored() {
    let file = r#"{ "Smtp": { "Port": 25 }, "ConnectionStrings": { "Default": "x" }, "Port": 1 }"#;
    let variables = [
        ("Smtp__Port", "x"),
        ("IMAP", "x"),
        ("HOME", "/"),
        ("Store_Path", "/x"),
        ("Zmap__A", "1"),
    ];
    let loaded = place(&[("appsettings.json", file)])
        .environment(&variables)
        .load();
    assert!(
        loaded
            .effective
            .iter()
            .all(|row| row.source == Source::Default)
    );
}

#[test]
fn a_key_given_twice_in_one_source_is_refused() {
    let twice = "{ \"Imap\": { \"Port\": 1 },\n \"imap\": { \"PORT\": 2 } }";
    let problem = place(&[("appsettings.json", twice)]).problems().remove(0);
    assert!(
        problem.what.contains("imap:PORT is given twice"),
        "{problem}"
    );
    assert!(
        problem.to_what.contains("json:1") && problem.to_what.contains("json:2"),
        "{problem}"
    );
    let variables = [("Imap__Port", "1"), ("IMAP__PORT", "1")];
    let problem = place(&[]).environment(&variables).problems().remove(0);
    assert!(problem.to_what.contains("Imap__Port") && problem.to_what.contains("IMAP__PORT"));
    assert!(load(&set(&["Imap:Port=1", "imap__port=2"]).options).is_err());
    // The same key in two sources is what overriding means.
    assert_eq!(
        place(&[])
            .environment(&variables[..1])
            .set(&["Imap:Port=9"])
            .load()
            .config
            .imap
            .port,
        9
    );
}

#[test]
fn null_is_no_value_where_there_may_be_none_and_the_default_elsewhere() {
    let file = r#"{ "Imap": { "Port": null, "CertificatePath": null },
                    "Lmtp": { "SocketPath": null }, "HealthCheck": { "Url": null } }"#;
    let config = place(&[("appsettings.json", file)]).load().config;
    assert_eq!(config.imap.port, 143);
    assert_eq!(config.imap.certificate_path, None);
    assert_eq!(config.lmtp.socket_path, None);
    assert_eq!(config.health_check.url, None);
    let config = place(&[])
        .environment(&[("HealthCheck__Url", "")])
        .load()
        .config;
    assert_eq!(config.health_check.url, None);
}

#[test]
fn further_certificates_have_labels_and_their_passwords_are_masked() {
    let file = r#"{ "Imap": { "CertificatePath": "a.pem", "Certificates": {
        "Shop": { "Path": "shop.p12", "Password": " geheim " },
        "list": { "path": "list.pem", "KeyPath": "list.key" } } } }"#;
    let place = place(&[("appsettings.json", file)])
        .environment(&[("Imap__Certificates__shop__Path", "other.p12")]);
    let loaded = place.load();
    let files = &loaded.config.imap.certificates.0;
    assert_eq!(files.len(), 2);
    let shop = files.values().find(|file| file.password.is_some()).unwrap();
    assert_eq!(shop.path, Path::new("other.p12"));
    assert_eq!(shop.password.as_ref().unwrap().expose(), " geheim ");
    let shown = docs::show(&loaded.effective);
    assert!(shown.contains("Imap:Certificates:Shop:Password"), "{shown}");
    assert!(!shown.contains("geheim"), "{shown}");
    for (setting, what) in [
        ("Imap:Certificates:shop:KeyPath=k.pem", "without shop:Path"),
        (
            "Imap:Certificates:shop=k.pem",
            "without the name of a field",
        ),
        ("Imap:Certificates:shop:Paht=k.pem", "not known"),
    ] {
        let secret = "Imap:Certificates:shop:Password=geheim";
        let problems = Problems(set(&[setting, secret]).problems()).to_string();
        assert!(problems.contains(what), "{problems}");
        assert!(!problems.contains("geheim"), "{problems}");
    }
    let alone = Problems(set(&["Imap:Certificates:shop:Path=s.pem"]).problems()).to_string();
    assert!(alone.contains("set Imap:CertificatePath"), "{alone}");
}

#[test]
fn log_levels_accept_any_category() {
    let file = r#"{ "Logging": { "LogLevel": { "Default": "Warning", "Microsoft.Hosting": "None",
                    "server.session": "debug", "a b": "Trace" } } }"#;
    let place = place(&[("appsettings.json", file)])
        .environment(&[("Logging__LogLevel__default", "Error")]);
    let loaded = place.load();
    assert_eq!(
        loaded.config.logging.log_level.directives(),
        "error,Microsoft::Hosting=off,server::session=debug"
    );
    let row = loaded
        .effective
        .iter()
        .find(|row| row.key == "Logging:LogLevel:default")
        .unwrap();
    assert_eq!(
        row.source.to_string(),
        "environment variable Logging__LogLevel__default"
    );
    assert_eq!(
        set(&[]).load().config.logging.log_level.directives(),
        "info"
    );
}

#[test]
fn health_check_addresses_are_understood() {
    for (url, addresses) in [
        ("http://localhost:8083", "127.0.0.1:8083 [::1]:8083"),
        ("http://127.0.0.1:80/", "127.0.0.1:80"),
        ("http://[::1]:9", "[::1]:9"),
        ("http://[::1]", "[::1]:80"),
        ("http://+:8083", "0.0.0.0:8083 [::]:8083"),
    ] {
        let config = set(&[&format!("HealthCheck:Url={url}")]).load().config;
        let bound = config.health_check.url.unwrap().addresses();
        let bound: Vec<String> = bound.iter().map(ToString::to_string).collect();
        assert_eq!(bound.join(" "), addresses, "{url}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let marker = "Xyzzy-7";
    let loaded = set(&[&format!("Imap:CertificatePassword={marker}")]).load();
    assert_eq!(
        loaded
            .config
            .imap
            .certificate_password
            .as_ref()
            .unwrap()
            .expose(),
        marker
    );
    assert_eq!(value(&loaded, "Imap:CertificatePassword"), "***");
    let twice = format!("{{\"Imap\": {{\"CertificatePassword\": [\"{marker}\"]}}}}");
    let problem = place(&[("appsettings.json", &twice)]).problems().remove(0);
    let bad_set = set(&[&format!("CertificatePassword={marker}")])
        .problems()
        .remove(0);
    for shown in [
        format!("{loaded:?}"),
        docs::show(&loaded.effective),
        docs::show_json(&loaded.effective),
        problem.to_string(),
        bad_set.to_string(),
    ] {
        assert!(!shown.contains(marker), "{shown}");
    }
}

#[test]
fn two_listeners_on_one_port_are_refused_and_zero_switches_off() {
    for (sets, first, second) in [
        (vec!["Imap:SecurePort=143"], "Imap:Port", "Imap:SecurePort"),
        (vec!["Lmtp:Port=143"], "Imap:Port", "Lmtp:Port"),
        (
            vec!["HealthCheck:Url=http://127.0.0.1:993"],
            "Imap:SecurePort",
            "HealthCheck:Url",
        ),
    ] {
        let problems = set(&sets).problems();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(
            problems[0]
                .what
                .starts_with(&format!("{first} and {second} both")),
            "{}",
            problems[0]
        );
        assert!(
            problems[0].to_what.contains("given by default"),
            "{}",
            problems[0]
        );
    }
    for sets in [
        vec![
            "Imap:Port=0",
            "Imap:SecurePort=0",
            "Lmtp:Port=0",
            "HealthCheck:Url=",
        ],
        vec!["Imap:Addresses=127.0.0.2", "Lmtp:Port=143"],
        vec![
            "Imap:Addresses=::",
            "Lmtp:Addresses=127.0.0.1",
            "Lmtp:Port=143",
        ],
    ] {
        assert!(load(&set(&sets).options).is_ok(), "{sets:?}");
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let long = format!("Lmtp:SocketPath=/{}", "a".repeat(107));
    for (setting, what) in [
        (long.as_str(), "longer than 107 bytes"),
        ("Imap:CertificateKeyPath=k", "no certificate"),
    ] {
        let problems = set(&[setting]).problems();
        assert!(problems[0].what.contains(what), "{}", problems[0]);
    }
    assert!(load(&set(&[&long[..long.len() - 1]]).options).is_ok());
}

#[test]
fn without_a_login_an_account_is_named_and_nobody_comes_from_elsewhere() {
    let without = "Imap:RequireAuthentication=false";
    let account = "Imap:PreauthAccount=tim";
    let local = "Imap:Addresses=127.0.0.1, ::1";
    for (sets, what, to_what, next) in [
        (
            [without, local, ""],
            "it is not said whose mail",
            "Imap:RequireAuthentication = false, given by --set",
            "set Imap:PreauthAccount",
        ),
        (
            [without, account, "Imap:Addresses=127.0.0.1, 192.0.2.1"],
            "others than those on this machine",
            "Imap:Addresses = 192.0.2.1, given by --set",
            "127.0.0.1 and ::1",
        ),
        (
            [without, account, ""],
            "others than those on this machine",
            "Imap:Addresses = 0.0.0.0, given by default",
            "allowed are loopback addresses",
        ),
    ] {
        let sets: Vec<_> = sets.into_iter().filter(|set| !set.is_empty()).collect();
        let problems = set(&sets).problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].what.contains(what), "{}", problems[0]);
        assert_eq!(problems[0].to_what, to_what);
        assert!(problems[0].next.contains(next), "{}", problems[0]);
    }
    let proxy = "Imap:ProxyNetworks=127.0.0.1/32";
    let problems = set(&[without, account, local, proxy]).problems();
    assert!(problems[0].what.contains("a proxy"), "{}", problems[0]);
    let loaded = set(&[without, account, local]).load();
    assert!(loaded.warnings.is_empty());
}

#[test]
fn start_up_warns_of_what_was_hardly_meant() {
    let local = "Imap:Addresses=127.0.0.1, ::1";
    for (sets, warned) in [
        (vec![], vec!["nobody outside"]),
        (vec![local], vec![]),
        (vec!["Imap:AllowPlaintextAuth=Always"], vec![]),
        (
            vec!["Imap:AllowPlaintextAuth=Never"],
            vec!["nobody outside"],
        ),
        (vec!["Imap:CertificatePath=c.pem"], vec![]),
        (
            vec![local, "Imap:SessionTimeout=29m"],
            vec!["RFC 9051 §5.4"],
        ),
        (
            vec![local, "Imap:PreauthAccount=tim"],
            vec!["clients must log in"],
        ),
        (vec![local, "Imap:Port=0"], vec!["no IMAP listener"]),
    ] {
        let warnings = set(&sets).load().warnings;
        assert_eq!(warnings.len(), warned.len(), "{sets:?}: {warnings:#?}");
        for (warning, part) in warnings.iter().zip(warned) {
            assert!(warning.0.what.contains(part), "{}", warning.0);
        }
    }
    let next = &set(&[]).load().warnings[0].0.next;
    assert!(next.contains("Imap:CertificatePath") && next.contains("Imap:AllowPlaintextAuth"));
}

#[test]
fn up_keeps_to_this_machine_and_directory_unless_told_otherwise() {
    let none = place(&[]).up().load();
    assert_eq!(value(&none, "Imap:Addresses"), "127.0.0.1, ::1");
    assert_eq!(none.config.store.path, Path::new("./data"));
    assert_eq!(
        none.config.lmtp.socket_path,
        Some(PathBuf::from("./data/run/lmtp.sock"))
    );
    assert_eq!(none.config.lmtp.port, 1124);
    assert_eq!(none.config.imap.max_connections_per_user, 20);
    assert!(none.warnings.is_empty() && !none.is_given("Store:Path"));

    let file = place(&[("appsettings.json", "{}")]).up().load();
    assert_eq!(file.config.store.path, Path::new("/var/lib/relate-imap"));
    assert_eq!(file.config.imap.max_connections_per_user, 20);

    let set = place(&[])
        .up()
        .environment(&[
            ("Store__Path", "/x"),
            ("Imap__Port", "1"),
            ("Imap__MaxConnectionsPerUser", "7"),
        ])
        .load();
    assert_eq!(set.config.store.path, Path::new("/x"));
    assert_eq!(set.config.imap.max_connections_per_user, 7);
    assert!(set.is_given("Imap:Port"));
}

#[test]
fn a_store_that_cannot_be_written_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let now = std::time::UNIX_EPOCH;
    for (path, refused) in [
        (directory.path().to_owned(), false),
        (directory.path().join("new/and/deeper"), false),
        (file.clone(), true),
        (file.join("below"), true),
    ] {
        let loaded = set(&[&format!("Store:Path={}", path.display())]).load();
        let checked = loaded.check_machine(now);
        assert_eq!(checked.is_err(), refused, "{}", path.display());
        if let Err(problems) = checked {
            let problem = &problems.0[0];
            assert!(problem.to_what.contains("--set") && problem.to_what.contains("Store:Path"));
        }
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_with_its_source() {
    let directory = tempfile::tempdir().unwrap();
    let sets = [
        format!("Store:Path={}", directory.path().display()),
        format!(
            "Imap:CertificatePath={}",
            directory.path().join("none.pem").display()
        ),
    ];
    let loaded = set(&[&sets[0], &sets[1]]).load();
    let problem = loaded
        .check_machine(std::time::UNIX_EPOCH)
        .unwrap_err()
        .0
        .remove(0);
    assert!(problem.what.contains("cannot be read"), "{problem}");
    assert!(
        problem
            .to_what
            .contains("none.pem (Imap:CertificatePath, given by --set)"),
        "{problem}"
    );
}

#[test]
fn a_certificate_is_checked_against_its_key_and_the_clock() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls");
    let directory = tempfile::tempdir().unwrap();
    let store = format!("Store:Path={}", directory.path().display());
    let certificate = |name: &str| format!("Imap:CertificatePath={}", data.join(name).display());
    let key = format!(
        "Imap:CertificateKeyPath={}",
        data.join("leaf.key").display()
    );
    let checked = |name: &str, at: SystemTime| {
        set(&[&store, &certificate(name), &key])
            .load()
            .check_machine(at)
    };
    let epoch = std::time::UNIX_EPOCH;
    let valid = epoch + Duration::from_secs(90 * 365 * 86_400);
    assert!(checked("leaf.pem", valid).unwrap().is_empty());
    let problem = checked("root.pem", valid).unwrap_err().0.remove(0);
    assert!(
        problem.what.contains("does not match the private key"),
        "{problem}"
    );
    assert!(
        problem
            .to_what
            .contains("leaf.key (Imap:CertificatePath, given by --set)"),
        "{problem}"
    );
    // Dates are a warning: refusing to start would stop delivery as well.
    let warnings = checked("leaf.pem", epoch).unwrap();
    assert!(
        warnings[0].0.what.contains("valid only from"),
        "{}",
        warnings[0].0
    );
}

#[test]
fn paths_are_shown_as_they_will_be_used() {
    let loaded = set(&["Store:Path=/x"]).load();
    assert_eq!(value(&loaded, "Lmtp:SocketPath"), "/x/run/lmtp.sock");
    let loaded = set(&["Lmtp:SocketPath=/run/l.sock"]).load();
    assert_eq!(value(&loaded, "Lmtp:SocketPath"), "/run/l.sock");
    assert_eq!(value(&loaded, "Limits:ListPatternBytes"), "1000");
    assert_eq!(value(&loaded, "Limits:LineBytes"), "64 KiB");
}

#[test]
fn show_has_a_line_for_every_key() {
    let loaded = place(&[]).load();
    let keys: usize = TABLE.iter().map(|section| section.keys.len()).sum();
    let text = docs::show(&loaded.effective);
    assert_eq!(text.lines().filter(|line| !line.is_empty()).count(), keys);
    assert!(text.contains("Imap:SessionTimeout"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&docs::show_json(&loaded.effective)).unwrap();
    assert_eq!(json.as_array().unwrap().len(), keys);
    assert_eq!(json[0]["source"], "default");
}

/// Compares a committed file with what the table generates; `UPDATE=1` writes it.
fn check_generated(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "docs/{name} is old: run `UPDATE=1 cargo test -p server config`"
    );
}

#[test]
fn the_documentation_is_generated_from_the_table() {
    check_generated("configuration.md", &docs::markdown());
    check_generated("appsettings.sample.json", &docs::sample());
    check_generated("metrics.md", &crate::observe::docs::markdown());
}

#[test]
fn the_sample_file_is_the_defaults() {
    let loaded = place(&[("appsettings.json", &docs::sample())]).load();
    assert_eq!(loaded.config, place(&[]).load().config);
}
