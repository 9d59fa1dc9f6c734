//! `docs/commands.md` says what the table of commands says.
//!
//! The page is made here: run with `UPDATE=1` to write it anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test should say where"
)]

use std::{fmt::Write as _, path::Path};

use wire::{
    imap::{
        capabilities::{
            Compression, MessageLimit, Offer, PlaintextAuth, Stage, Tls, UidOnly, Unauthenticate,
        },
        table::{Expunge, Group, Property, TABLE},
    },
    sasl::{
        Mechanism,
        scram::{Binding, Hash},
    },
};

const INTRODUCTION: &str = "\
# Commands

Every command this server understands. This page is made from the table the server itself works by
(`wire/src/imap/table.rs`): do not edit it, run `UPDATE=1 cargo test -p wire --test documented`.

- **States**: *any*; *not authenticated* (before login); *authenticated* (after it, with or without a
  mailbox); *selected* (with a mailbox open).
- **EXPUNGE**: whether this session may be told, before the tagged answer, that messages are gone
  (RFC 9051 §7.5.1). It must wait where the client is using sequence numbers; so it does for a UID
  SEARCH that names some.
- **Capability**: the one that offers the command; none means that the base protocol has it.

| command | states | EXPUNGE | capability | specified in |
|---|---|---|---|---|
";

#[test]
fn the_page_of_commands_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/commands.md");
    let wanted = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == wanted,
        "docs/commands.md is not what the table says: UPDATE=1 cargo test -p wire --test documented"
    );
}

fn page() -> String {
    let rows: String = TABLE.into_iter().map(row).collect();
    let mut page = format!("{INTRODUCTION}{rows}\n## Capabilities\n\n");
    let stages = [
        (
            "Before login, in clear, where passwords may be sent",
            before(PlaintextAuth::Allowed),
        ),
        (
            "Before login, in clear, where they may not",
            before(PlaintextAuth::Refused),
        ),
        ("After login", after_login()),
    ];
    for (stage, offer) in stages {
        // The limit is configured, so its number is not part of the page.
        let list = offer.list().replace("APPENDLIMIT=0", "APPENDLIMIT=n");
        writeln!(page, "{stage}:\n\n```text\n{list}\n```\n").unwrap();
    }
    page.push_str(
        "`APPENDLIMIT` is `Limits:MessageBytes` in bytes. STARTTLS is listed only with a usable \
         certificate, and not under TLS.\nSCRAM is listed while every account that may log in has \
         what it needs, or as `Imap:OfferScram` says; its -PLUS forms under TLS.\nFurther \
         mechanisms are listed where they are configured: SCRAM-SHA-1, EXTERNAL, OAUTHBEARER, \
         XOAUTH2, ANONYMOUS.\nWhat each obliges to, and which client that is not ours drives \
         it, is in [rfc.md](rfc.md#capabilities-and-who-drives-them).\n",
    );
    page
}

/// With what is offered where nothing is configured.
fn after_login() -> Offer {
    let mechanisms = [
        Mechanism::Scram(Hash::Sha256, Binding::Without),
        Mechanism::Plain,
        Mechanism::Login,
    ];
    Offer {
        stage: Stage::AfterLogin,
        tls: Tls::Offered,
        plaintext_auth: PlaintextAuth::Allowed,
        mechanisms: mechanisms.into_iter().collect(),
        append_limit: 0,
        compression: Compression::Offered,
        unauthenticate: Unauthenticate::Offered,
        uid_only: UidOnly::Offered,
        messages: MessageLimit::None,
    }
}

fn before(plaintext_auth: PlaintextAuth) -> Offer {
    Offer {
        stage: Stage::BeforeLogin,
        plaintext_auth,
        ..after_login()
    }
}

fn row(property: &Property) -> String {
    let states = match property.group {
        Group::Any => "any",
        Group::NotAuthenticated => "not authenticated",
        Group::Authenticated => "authenticated",
        Group::Selected => "selected",
    };
    let expunge = match property.expunge {
        Expunge::May => "may be told",
        Expunge::MustWait => "must wait",
    };
    format!(
        "| {} | {states} | {expunge} | {} | {} |\n",
        property.name,
        property.capability.unwrap_or_default(),
        property.source
    )
}
