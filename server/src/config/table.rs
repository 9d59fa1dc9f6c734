//! The one table of settings. From it come the typed structs, the reader, the
//! documentation, the sample file and `config show`; a key exists nowhere else.

use std::path::PathBuf;
use std::time::Duration;

use super::resolve::Reader;
use super::value::{
    Addresses, AllowPlaintextAuth, AuthBackend, Bounds, Bytes, CertificateFiles, CertificateName,
    CollectorUrl, Durations, HttpUrl, LogFormat, LogLevels, Networks, OtlpProtocol, Password,
    ProviderUrl, Raw, Setting, TokenAlgorithms, TokenIssuers, Words,
};
use crate::quirks::Quirks;

/// A section and its keys.
#[derive(Debug)]
pub struct Section {
    /// The name as written in files.
    pub name: &'static str,
    /// What the section is about.
    pub about: &'static str,
    /// Its keys, in the order of the documentation.
    pub keys: &'static [Key],
}

/// One row: a key with everything that is said about it anywhere.
#[derive(Debug)]
pub struct Key {
    /// The section's name.
    pub section: &'static str,
    /// The key's name in its section; `LogLevel:*` accepts any last part.
    pub name: &'static str,
    /// The default as it would be written; empty for `null`.
    pub default: &'static str,
    /// What the setting does.
    pub about: &'static str,
    /// The range, where the type has one.
    pub bounds: Bounds,
    /// Whether the value is never printed.
    pub secret: bool,
    pub(super) allowed: fn(&Bounds) -> String,
    pub(super) read: fn(&Raw, &Bounds) -> Result<String, String>,
}

impl Key {
    /// `Section:Name`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}:{}", self.section, self.name)
    }

    /// What is allowed, as the end of "use ...".
    #[must_use]
    pub fn allowed(&self) -> String {
        (self.allowed)(&self.bounds)
    }

    /// What a raw value looks like once read, or what is wrong with it.
    pub fn check(&self, raw: &Raw) -> Result<String, String> {
        (self.read)(raw, &self.bounds)
    }

    /// The part before `*`, for keys that accept any last part.
    #[must_use]
    pub fn open_prefix(&self) -> Option<&'static str> {
        self.name.strip_suffix('*')
    }
}

fn show<T: Setting>(raw: &Raw, bounds: &Bounds) -> Result<String, String> {
    T::read(raw, bounds).map(|value| value.show())
}

macro_rules! settings {
    ($(
        $(#[doc = $about:literal])+
        $section:ident as $settings:ident in $place:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $ty:ty = $key:literal, $default:literal, $bounds:expr;
            )+
        }
    )+) => {
        $(
            $(#[doc = $about])+
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $settings {
                $( $(#[doc = $doc])+ pub $field: $ty, )+
            }

            impl $settings {
                fn read(reader: &mut Reader<'_>) -> Option<Self> {
                    $( let $field = reader.read::<$ty>(stringify!($section), $key); )+
                    Some(Self { $( $field: $field?, )+ })
                }
            }
        )+

        /// The whole configuration, resolved and typed.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Config {
            $( $(#[doc = $about])+ pub $place: $settings, )+
        }

        impl Config {
            pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
                // All sections are read before the first `?`, so that every
                // problem is found in one run.
                $( let $place = $settings::read(reader); )+
                Some(Self { $( $place: $place?, )+ })
            }
        }

        /// Every section and key.
        pub static TABLE: &[Section] = &[ $( Section {
            name: stringify!($section),
            about: concat!($($about,)+),
            keys: &[ $( Key {
                section: stringify!($section),
                name: $key,
                default: $default,
                about: concat!($($doc,)+),
                bounds: $bounds,
                secret: <$ty as Setting>::SECRET,
                allowed: <$ty as Setting>::allowed,
                read: show::<$ty>,
            }, )+ ],
        }, )+ ];
    };
}

const ANY: Bounds = 0..=u64::MAX;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// Counts that are only bounded so that a slip of the finger is noticed.
const MANY: u64 = 1_000_000;

settings! {
    /// The IMAP listeners, logging in, and sessions.
    Imap as ImapSettings in imap {
        /// The name in the greeting.
        server_name: String = "ServerName", "localhost", ANY;
        /// The port of the plain listener, which offers STARTTLS when there is a certificate; 0 switches it off.
        port: u16 = "Port", "143", 0..=65_535;
        /// The port of the listener with TLS from the first byte; it opens only with a certificate; 0 switches it off.
        secure_port: u16 = "SecurePort", "993", 0..=65_535;
        /// The addresses both IMAP listeners bind.
        addresses: Addresses = "Addresses", "0.0.0.0, ::", ANY;
        /// Whether clients must log in. With false every connection to the IMAP ports is in the account of PreauthAccount from its start (`* PREAUTH`): whoever reaches the ports reads that mail, so all Addresses must be loopback.
        require_authentication: bool = "RequireAuthentication", "true", ANY;
        /// Whose mail is served without a login when RequireAuthentication is false: the name or an alias of an account.
        preauth_account: Option<String> = "PreauthAccount", "", ANY;
        /// The certificate: PEM (the whole chain, the server's own first) or PKCS#12. Without it there is no TLS. When the file changes it is taken into use, at SIGHUP at once; one that cannot be used leaves the old in use.
        certificate_path: Option<PathBuf> = "CertificatePath", "", ANY;
        /// The private key in PEM, when it is not in the file of CertificatePath.
        certificate_key_path: Option<PathBuf> = "CertificateKeyPath", "", ANY;
        /// The password of a PKCS#12 file.
        certificate_password: Option<Password> = "CertificatePassword", "", ANY;
        /// Further certificates, for clients that ask for another name (SNI): each is shown for the names it is made out to, `*.` included; who asks for none of them is shown that of CertificatePath.
        certificates: CertificateFiles = "Certificates:*", "", ANY;
        /// The certificates of the authorities, in PEM, whose client certificates are taken for AUTHENTICATE EXTERNAL. With it clients are asked for a certificate; who has none may log in otherwise.
        client_ca_path: Option<PathBuf> = "ClientCaPath", "", ANY;
        /// The revocation lists of those authorities: any number in PEM, or one in DER. They are read again when the file changes.
        crl_path: Option<PathBuf> = "CrlPath", "", ANY;
        /// Whether client certificates are looked up in the lists of CrlPath; one whose authority has no list there, or an outdated one, is refused. With ClientCaPath and without CrlPath the server does not start.
        check_certificate_revocation: bool = "CheckCertificateRevocation", "true", ANY;
        /// Networks of proxies whose connections to the IMAP ports begin with a PROXY header of version 2, before TLS; the client it names counts as the peer everywhere. From these addresses a connection without the header is refused; from others none is read.
        proxy_networks: Networks = "ProxyNetworks", "", ANY;
        /// Who may log in without TLS: Loopback (peers on this machine), Never, or Always (passwords cross the network readable).
        allow_plaintext_auth: AllowPlaintextAuth = "AllowPlaintextAuth", "Loopback", ANY;
        /// Whether SCRAM is offered. null offers it while everybody who may log in has what it needs, which is made when a password is set or first shown by PLAIN or LOGIN; with true the others fail when they try it.
        offer_scram: Option<bool> = "OfferScram", "", ANY;
        /// How many sessions one account may have at a time; counted after the password is verified.
        max_connections_per_user: u32 = "MaxConnectionsPerUser", "5", 1..=MANY;
        /// How long a session may be silent before it is ended with BYE. RFC 9051 §5.4 asks for 30 minutes at least.
        session_timeout: Duration = "SessionTimeout", "00:30:00", SECOND..=7 * DAY;
        /// How many messages' data one session holds at a time; larger results are sent in batches of this size. It never hides mail.
        max_messages_per_session: u32 = "MaxMessagesPerSession", "2000", 1..=MANY;
        /// Whether LOGOUT expunges what this session marked as deleted in the selected mailbox. RFC 9051 §6.4.1 leaves that to CLOSE and EXPUNGE.
        commit_deletions_on_logout: bool = "CommitDeletionsOnLogout", "true", ANY;
        /// Whether COMPRESS=DEFLATE (RFC 4978) is offered. Who watches the network sees how long answers are; with compression that depends on what stands in them, also under TLS.
        compress: bool = "Compress", "true", ANY;
        /// Whether UNAUTHENTICATE (RFC 8437) is offered after a login: a client that acts for many users need not connect anew for each. Behind a proxy that only passes on what is said after the first login, switch it off: the next login would bypass the proxy's own rules.
        unauthenticate: bool = "Unauthenticate", "true", ANY;
        /// Which workarounds are there for clients that say by ID that they need one: All, None, or some by their names, which docs/clients.md lists. What is done for whom stands in the log, and in `who`.
        quirks: Quirks = "Quirks", "All", ANY;
        /// How many messages one command may work on (RFC 9738, MESSAGELIMIT), the newest first: of the rest a client is told to ask again. COPY and APPEND of more are refused. Clients that do not know it see only the newest messages of a larger mailbox; null is no limit.
        message_limit: Option<u32> = "MessageLimit", "", 1_000..=MANY;
        /// How many messages COPY and APPEND may take at once (RFC 9738, SAVELIMIT); more are refused. null is no limit. Not beside MessageLimit.
        save_limit: Option<u32> = "SaveLimit", "", 1_000..=MANY;
        /// How long sessions may finish what they are doing when the server stops.
        shutdown_timeout: Duration = "ShutdownTimeout", "30s", 0..=HOUR;
    }

    /// Who knows the passwords. docs/authentication.md shows each backend at work.
    Auth as AuthSettings in auth {
        /// Where passwords are looked up: Own (this server's accounts), PasswdFile, Command or Ldap. Whoever that is, mail belongs to the account of the same name.
        backend: AuthBackend = "Backend", "Own", ANY;
        /// Whether somebody whom PasswdFile, Command, Ldap or a token's issuer knows gets an account at the first login. Otherwise it must exist.
        create_accounts: bool = "CreateAccounts", "false", ANY;
        /// How long a password that Command or Ldap found right is taken as right without asking again; 0 asks each time.
        cache_time: Duration = "CacheTime", "1m", 0..=HOUR;
        /// Whether SCRAM-SHA-1 is offered as well, for clients that know nothing better. What it needs is made when a password is next shown by PLAIN or LOGIN.
        scram_sha1: bool = "ScramSha1", "false", ANY;
        /// Which names in a client certificate are accounts, for AUTHENTICATE EXTERNAL: Email (the mail addresses among the subject's alternative names), CommonName, or EmailOrCommonName (the common name where there is no address).
        certificate_name: CertificateName = "CertificateName", "Email", ANY;
        /// The account that AUTHENTICATE ANONYMOUS opens, read-only, for everybody; null offers it to nobody.
        anonymous_account: Option<String> = "AnonymousAccount", "", ANY;
        /// The file of PasswdFile: `user:{SCHEME}hash` a line, as Dovecot has it. It is read again when it changes.
        passwd_file_path: Option<PathBuf> = "PasswdFilePath", "", ANY;
        /// Whether passwords in clear, `{PLAIN}`, are taken from the file.
        passwd_file_allow_plain: bool = "PasswdFileAllowPlain", "false", ANY;
        /// The program of Command, with its whole path. It reads user and password on descriptor 3 (checkpassword).
        command_path: Option<PathBuf> = "CommandPath", "", ANY;
        /// How long the program may take, waiting for its turn included.
        command_timeout: Duration = "CommandTimeout", "10s", SECOND..=MINUTE;
        /// How many of it may run at a time.
        command_processes: u32 = "CommandProcesses", "8", 1..=1_000;
        /// The directory of Ldap, as ldaps://ldap.example.org or ldap://ldap.example.org:389.
        ldap_url: Option<String> = "LdapUrl", "", ANY;
        /// Whether an ldap:// connection is secured by StartTLS before anything else is said.
        ldap_start_tls: bool = "LdapStartTls", "true", ANY;
        /// The certificates (PEM) that the directory's is checked with; null takes those of the system.
        ldap_ca_path: Option<PathBuf> = "LdapCaPath", "", ANY;
        /// The name of a user's entry, as uid={user},ou=people,dc=example,dc=org. {name} and {domain} are the parts before and after an @.
        ldap_user_dn: Option<String> = "LdapUserDn", "", ANY;
        /// The domain of the directory's users: users of other domains are not asked for. Needed where {name} stands alone.
        ldap_domain: Option<String> = "LdapDomain", "", ANY;
        /// Where a user's entry is searched for, instead of LdapUserDn.
        ldap_base: Option<String> = "LdapBase", "", ANY;
        /// The filter of that search. It must find one entry.
        ldap_filter: String = "LdapFilter", "(mail={user})", ANY;
        /// As whom the search is made; null is as nobody.
        ldap_bind_dn: Option<String> = "LdapBindDn", "", ANY;
        /// The password of LdapBindDn.
        ldap_bind_password: Option<Password> = "LdapBindPassword", "", ANY;
        /// The attribute of the entry that names the account; null is the name the user logged in with.
        ldap_account_attribute: Option<String> = "LdapAccountAttribute", "", ANY;
        /// How long the directory may take for one login.
        ldap_timeout: Duration = "LdapTimeout", "5s", SECOND..=MINUTE;
        /// Connections to the directory at a time.
        ldap_connections: u32 = "LdapConnections", "8", 1..=1_000;
    }

    /// Tokens as proof of who somebody is: AUTHENTICATE OAUTHBEARER and XOAUTH2. They are offered when an issuer or IntrospectionUrl is set.
    OAuth as OAuthSettings in oauth {
        /// Whose signed tokens (JWT) are taken: what stands in `iss`, one of what stands in `aud`, and where the issuer's keys are, a file or an address. An issuer may say of anybody that he is there.
        issuers: TokenIssuers = "Issuers:*", "", ANY;
        /// By what tokens may be signed.
        algorithms: TokenAlgorithms = "Algorithms", "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA", ANY;
        /// What a token must be good for: each of these in `scope` (or `scp`).
        scope: Words = "Scope", "", ANY;
        /// The claim of a signed token that names the account. With `email`, an address that is not verified is nobody's; see RequireVerifiedEmail.
        account_claim: String = "AccountClaim", "email", ANY;
        /// Whether an address in `email` counts only if `email_verified` says true. Switch it off for an issuer that leaves `email_verified` out and knows only addresses that it gave out itself; one that is said not to be verified is nobody's in any case.
        require_verified_email: bool = "RequireVerifiedEmail", "true", ANY;
        /// How far the clocks of issuers and this server may be apart.
        clock_skew: Duration = "ClockSkew", "30s", 0..=10 * MINUTE;
        /// How old the keys from JwksUrl may get before they are asked for again.
        jwks_max_age: Duration = "JwksMaxAge", "1h", MINUTE..=7 * DAY;
        /// How long after keys were asked for they may be asked for again, because a token names one that is not known or the last question failed.
        jwks_pause: Duration = "JwksPause", "1m", SECOND..=HOUR;
        /// How long an issuer may take to answer.
        timeout: Duration = "Timeout", "5s", SECOND..=MINUTE;
        /// The certificates (PEM) that an issuer's is checked with; null takes those of the system.
        ca_path: Option<PathBuf> = "CaPath", "", ANY;
        /// Where it is asked what a token is good for that is no JWT (RFC 7662); without issuers, any token.
        introspection_url: Option<ProviderUrl> = "IntrospectionUrl", "", ANY;
        /// As whom it is asked there.
        introspection_client_id: Option<String> = "IntrospectionClientId", "", ANY;
        /// The password of IntrospectionClientId.
        introspection_client_secret: Option<Password> = "IntrospectionClientSecret", "", ANY;
        /// What must stand in `aud` of the answer; empty asks for nothing, and then Scope must be set.
        introspection_audience: Words = "IntrospectionAudience", "", ANY;
        /// What names the account in the answer.
        introspection_account_claim: String = "IntrospectionAccountClaim", "username", ANY;
        /// How long a token that was found good is taken without asking again, and so how long it works after it was withdrawn; 0 asks each time.
        introspection_cache_time: Duration = "IntrospectionCacheTime", "1m", 0..=HOUR;
        /// The address of the OpenID configuration that a client is told whose token is refused (RFC 7628 §3.2.2).
        open_id_configuration: Option<String> = "OpenIdConfiguration", "", ANY;
    }

    /// Delivery by LMTP (RFC 2033).
    Lmtp as LmtpSettings in lmtp {
        /// The TCP port of LMTP; 0 switches it off.
        port: u16 = "Port", "24", 0..=65_535;
        /// The addresses the TCP port binds. LMTP has no passwords: keep it where only your mail server reaches it.
        addresses: Addresses = "Addresses", "127.0.0.1, ::1", ANY;
        /// The Unix socket of LMTP; a relative path is taken from Store:Path; null switches it off.
        socket_path: Option<PathBuf> = "SocketPath", "run/lmtp.sock", ANY;
    }

    /// Where mail is kept, and how the storage engine works.
    Store as StoreSettings in store {
        /// The directory of the mail store. Its owner is the user the server runs as.
        path: PathBuf = "Path", "/var/lib/relate-imap", ANY;
        /// How much of the disk is kept free: below it no new mail is taken, but deleting and logging in go on.
        reserve_bytes: Bytes = "ReserveBytes", "192 MiB", 0..=1 << 50;
        /// How long deleted messages stay in the log before their space is given back. When free space comes close to ReserveBytes, the oldest go earlier.
        undelete_window: Duration = "UndeleteWindow", "7d", 0..=3_650 * DAY;
        /// So many expunges are remembered of each mailbox, as ranges of UIDs. A client that was away longer is told of every UID that is not there instead, which is more to send and as right.
        expunge_ranges: u32 = "ExpungeRanges", "10000", 0..=10_000_000;
        /// Memory for mailboxes nobody has selected at the moment.
        cache_bytes: Bytes = "CacheBytes", "256 MiB", MIB..=1 << 50;
        /// The size at which a log file is sealed and the next begun.
        segment_bytes: Bytes = "SegmentBytes", "128 MiB", MIB..=256 * MIB;
        /// How hard messages are compressed (zstd level); 0 keeps them as they came.
        compression_level: u16 = "CompressionLevel", "1", 0..=19;
    }

    /// Health, metrics and the status page, over HTTP. docs/status.md says who may see what.
    HealthCheck as HealthCheckSettings in health_check {
        /// Where `/healthz`, `/livez`, `/readyz`, `/metrics` and the status page are served; null switches them off.
        url: Option<HttpUrl> = "Url", "http://localhost:8083", ANY;
        /// What has to be shown for the status page and `/metrics`: as `Authorization: Bearer …`, or once in the page's form. Without it they are served on this machine only, to everybody on it. 16 characters or more, as `openssl rand -hex 16` prints them.
        token: Option<Password> = "Token", "", ANY;
        /// The file that holds the token, instead of Token: for secrets that the system hands over as files.
        token_path: Option<PathBuf> = "TokenPath", "", ANY;
        /// Further names by which this server is asked over HTTP. Others than these, Imap:ServerName, loopback names and the address that was connected to are refused with 421, so that no page of another site can read along.
        host_names: Words = "HostNames", "", ANY;
    }

    /// Telemetry.
    Otel as OtelSettings in otel {
        /// The OpenTelemetry collector to which metrics and traces are sent by OTLP; null sends nothing.
        endpoint: Option<CollectorUrl> = "Endpoint", "", ANY;
        /// How they are sent; null is HttpProtobuf to port 4318 and Grpc to any other.
        protocol: Option<OtlpProtocol> = "Protocol", "", ANY;
        /// What is sent with them, as `name=value,name=value`: collectors of others want a key there.
        headers: Option<Password> = "Headers", "", ANY;
        /// How often metrics are sent.
        export_interval: Duration = "ExportInterval", "10s", SECOND..=HOUR;
        /// Of a hundred commands so many are traced.
        trace_percent: u16 = "TracePercent", "100", 0..=100;
    }

    /// What is logged, to standard error.
    Logging as LoggingSettings in logging {
        /// The least severe message logged, by category; `Default` stands for all categories not named.
        log_level: LogLevels = "LogLevel:*", "Information", ANY;
        /// How log lines look: Human (text) or Json (one object a line).
        format: LogFormat = "Format", "Human", ANY;
    }

    /// What one peer, one session and one message may use. A peer that goes past a limit is told so.
    Limits as LimitSettings in limits {
        /// Networks whose connections are not counted against ConnectionsPerAddress, NewConnectionsPerMinute and Imap:MaxConnectionsPerUser. PreLoginPoolBytes counts them too, and wrong passwords are answered as late.
        trusted_networks: Networks = "TrustedNetworks", "127.0.0.0/8, ::1", ANY;
        /// Connections one address may have open.
        connections_per_address: u32 = "ConnectionsPerAddress", "100", 1..=MANY;
        /// New connections one address may make in a minute.
        new_connections_per_minute: u32 = "NewConnectionsPerMinute", "300", 1..=MANY;
        /// The time from connecting to having logged in, TLS included.
        pre_login_time: Duration = "PreLoginTime", "60s", SECOND..=HOUR;
        /// The time a TLS handshake may take.
        handshake_time: Duration = "HandshakeTime", "15s", SECOND..=HOUR;
        /// How often a session in IDLE or NOTIFY is sent something, so that routers keep the connection. Such a session is not ended by Imap:SessionTimeout, whichever is longer.
        idle_keep_alive: Duration = "IdleKeepAlive", "4m", SECOND..=DAY;
        /// Mailboxes, and new messages of the selected one, that a session may be told of at a time by NOTIFY (RFC 5465). When more has changed before its client reads, it is told so, and that NOTIFY is over.
        notify_backlog: u32 = "NotifyBacklog", "1000", 1..=MANY;
        /// Memory all connections that have not logged in share, those from TrustedNetworks included; when it is used up new ones are refused. A connection counts 24 KiB, 64 KiB with TLS, and what it has sent.
        pre_login_pool_bytes: Bytes = "PreLoginPoolBytes", "256 MiB", MIB..=1 << 50;
        /// Memory one session may use for a search result, or for messages that are gone while it could not be told so.
        session_bytes: Bytes = "SessionBytes", "8 MiB", 64 * KIB..=1 << 50;
        /// The longest command line before login.
        line_bytes_before_login: Bytes = "LineBytesBeforeLogin", "8 KiB", KIB..=GIB;
        /// The longest ID command (RFC 2971), before and after login.
        id_line_bytes: Bytes = "IdLineBytes", "64 KiB", KIB..=GIB;
        /// The longest AUTHENTICATE command with its initial response, and the longest response line.
        authenticate_line_bytes: Bytes = "AuthenticateLineBytes", "12 KiB", KIB..=GIB;
        /// The longest command line after login.
        line_bytes: Bytes = "LineBytes", "64 KiB", KIB..=GIB;
        /// The largest literal before login.
        literal_bytes_before_login: Bytes = "LiteralBytesBeforeLogin", "4 KiB", 0..=GIB;
        /// Literals in one command before login.
        literals_before_login: u32 = "LiteralsBeforeLogin", "4", 0..=MANY;
        /// The largest literal after login that is not a message.
        literal_bytes: Bytes = "LiteralBytes", "128 KiB", KIB..=GIB;
        /// All literals of one command together, messages aside.
        literal_bytes_sum: Bytes = "LiteralBytesSum", "1 MiB", KIB..=GIB;
        /// Literals in one command after login.
        literals: u32 = "Literals", "1000", 1..=MANY;
        /// The largest non-synchronising literal of a refused command that is read and dropped; a larger one ends the connection.
        discard_bytes: Bytes = "DiscardBytes", "1 MiB", 0..=GIB;
        /// How deep parentheses nest before login.
        nesting_before_login: u32 = "NestingBeforeLogin", "1", 1..=100;
        /// How deep parentheses nest after login.
        nesting: u32 = "Nesting", "32", 1..=100;
        /// Commands read ahead of the one that runs; what a client sends beyond that waits with the client.
        commands_in_flight: u32 = "CommandsInFlight", "8", 1..=1_000;
        /// Commands a minute above which a session is slowed down: a minute's worth may come at once, further ones are taken at this rate.
        commands_per_minute: u32 = "CommandsPerMinute", "6000", 1..=MANY;
        /// Bad commands in a row before login that end the connection.
        bad_commands_before_login: u32 = "BadCommandsBeforeLogin", "3", 1..=MANY;
        /// Bad commands in a row after login that end the connection.
        bad_commands: u32 = "BadCommands", "20", 1..=MANY;
        /// Failed logins that end the connection.
        login_failures: u32 = "LoginFailures", "3", 1..=MANY;
        /// How long the answer to a failed login waits, by how many failed before; the last one stays.
        login_failure_delays: Durations = "LoginFailureDelays", "2s, 4s, 8s, 15s", 0..=HOUR;
        /// Failed logins in a minute, from one address, after which it is refused for LoginBanTime.
        login_failures_per_minute: u32 = "LoginFailuresPerMinute", "10", 1..=MANY;
        /// Failed logins in a day, from one address, after which it is refused for LoginBanTime.
        login_failures_per_day: u32 = "LoginFailuresPerDay", "60", 1..=MANY;
        /// How long an address with too many failed logins is refused.
        login_ban_time: Duration = "LoginBanTime", "10m", 0..=DAY;
        /// Output that waits for a slow client before the session pauses.
        output_buffer_bytes: Bytes = "OutputBufferBytes", "64 KiB", 4 * KIB..=GIB;
        /// How long a client may leave output unread.
        output_timeout: Duration = "OutputTimeout", "5m", SECOND..=DAY;
        /// How long a client may leave output unread before login.
        output_timeout_before_login: Duration = "OutputTimeoutBeforeLogin", "30s", SECOND..=DAY;
        /// The largest message that is taken, by APPEND and by LMTP.
        message_bytes: Bytes = "MessageBytes", "50 MiB", KIB..=2 * GIB;
        /// How deep MIME parts of a new message nest; what is deeper is one part and not taken apart.
        mime_depth: u32 = "MimeDepth", "100", 1..=100;
        /// MIME parts of a new message; the last holds what is beyond them and is not taken apart.
        mime_parts: u32 = "MimeParts", "10000", 1..=10_000;
        /// How much of the header of a new message, or of a part of it, is looked at.
        header_bytes: Bytes = "HeaderBytes", "10 MiB", KIB..=GIB;
        /// How much of all headers of a new message is looked at.
        header_bytes_sum: Bytes = "HeaderBytesSum", "50 MiB", KIB..=GIB;
        /// MIME parameters of one header field of a new message that are looked at (RFC 2231).
        parameters_per_field: u32 = "ParametersPerField", "128", 1..=128;
        /// Mailboxes of one account.
        mailboxes: u32 = "Mailboxes", "10000", 6..=MANY;
        /// Messages of one account, whatever its quota; then it is over quota. A copy of a message costs no space on the disk, but memory while its mailbox is open.
        messages: u32 = "Messages", "5000000", 1..=u32::MAX as u64;
        /// The length of one level of the name of a new mailbox; mailboxes that are there keep their names.
        mailbox_level_bytes: Bytes = "MailboxLevelBytes", "255", 16..=255;
        /// Levels of the name of a new mailbox.
        mailbox_depth: u32 = "MailboxDepth", "16", 1..=16;
        /// The length of the whole name of a new mailbox.
        mailbox_name_bytes: Bytes = "MailboxNameBytes", "1000", 16..=1_000;
        /// The length of a keyword that is new in its mailbox.
        keyword_bytes: Bytes = "KeywordBytes", "64", 1..=64;
        /// Keywords that were ever set in one mailbox.
        keywords_per_mailbox: u32 = "KeywordsPerMailbox", "512", 32..=MANY;
        /// Keys in one SEARCH.
        search_keys: u32 = "SearchKeys", "1024", 1..=MANY;
        /// How deep SEARCH keys nest, within Nesting.
        search_depth: u32 = "SearchDepth", "32", 1..=100;
        /// The time one SEARCH may take; then it is answered NO `[LIMIT]`.
        search_time: Duration = "SearchTime", "60s", SECOND..=HOUR;
        /// Patterns in one LIST.
        list_patterns: u32 = "ListPatterns", "64", 1..=MANY;
        /// The length of one LIST pattern.
        list_pattern_bytes: Bytes = "ListPatternBytes", "1000", 16..=MIB;
        /// Recipients of one LMTP transaction.
        lmtp_recipients: u32 = "LmtpRecipients", "1000", 1..=MANY;
        /// Deliveries to one account that run at a time.
        lmtp_per_user: u32 = "LmtpPerUser", "10", 1..=MANY;
        /// How long an LMTP client may be silent.
        lmtp_idle_time: Duration = "LmtpIdleTime", "5m", SECOND..=DAY;
    }
}

/// Finds a section by its name in any case.
pub(super) fn section(name: &str) -> Option<&'static Section> {
    TABLE
        .iter()
        .find(|section| section.name.eq_ignore_ascii_case(name))
}

/// Finds a key by its names, as the table writes them.
pub(super) fn key(section_name: &str, name: &str) -> Option<&'static Key> {
    section(section_name)?
        .keys
        .iter()
        .find(|key| key.name == name)
}
