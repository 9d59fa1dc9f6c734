//! Workarounds for particular clients: one table, which says for whom each is, what is done and why.
//!
//! A client is known by the name it gives itself with ID. RFC 2971 §3 wants no server to act on that;
//! we do it all the same where a client would fail or lose mail otherwise, visibly and switchable by
//! `Imap:Quirks` (decision 0019). A workaround withholds something or leaves something undone: what
//! is sent stays what the RFCs say.

use std::fmt::Write as _;

/// What can be done otherwise for a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quirk {
    /// UIDONLY (RFC 9586) is neither offered nor enabled.
    NoUidOnly,
    /// LOGOUT leaves what its session marked as deleted.
    KeepMarked,
}

/// One workaround.
#[derive(Debug)]
pub struct Row {
    /// What it does, for the code.
    pub quirk: Quirk,
    /// Its name in `Imap:Quirks` and in the log.
    pub name: &'static str,
    /// With which words the name of such a client begins, in any case.
    pub clients: &'static [&'static str],
    /// What is done, for people.
    pub what: &'static str,
    /// Why, for people.
    pub because: &'static str,
    /// Where the defect is described.
    pub link: &'static str,
}

/// Every workaround there is.
pub static TABLE: [Row; 2] = [
    Row {
        quirk: Quirk::NoUidOnly,
        name: "no-uidonly",
        clients: &["Microsoft Office 365"],
        what: "UIDONLY is not offered, and ENABLE does not enable it",
        because: "it enables UIDONLY and then fetches by sequence numbers, so that no mail arrives",
        link: "https://github.com/modern-email/defects/issues/49",
    },
    Row {
        quirk: Quirk::KeepMarked,
        name: "keep-marked",
        clients: &["K-9 Mail", "Thunderbird"],
        what: "LOGOUT does not remove what the session marked as deleted",
        because: "it expunges by itself; where its user chose to only mark messages, they are to stay",
        link: "https://www.rfc-editor.org/rfc/rfc9051#section-6.1.3",
    },
];

impl Row {
    /// Whether it is for a client of this name, with or without a version.
    fn is_for(&self, client: &str) -> bool {
        self.clients.iter().any(|name| {
            let (begins, rest) = client.split_at_checked(name.len()).unwrap_or_default();
            begins.eq_ignore_ascii_case(name) && (rest.is_empty() || rest.starts_with(' '))
        })
    }
}

/// Which workarounds are switched on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quirks(Vec<Quirk>);

impl Quirks {
    /// Every one.
    #[must_use]
    pub fn all() -> Self {
        Self(TABLE.iter().map(|row| row.quirk).collect())
    }

    /// `All`, `None` or some by their names.
    ///
    /// # Errors
    /// The name that no workaround has.
    pub fn named<'a>(words: &[&'a str]) -> Result<Self, &'a str> {
        let is = |word: &str| matches!(words, [only] if only.eq_ignore_ascii_case(word));
        if is("All") {
            return Ok(Self::all());
        }
        if is("None") {
            return Ok(Self(Vec::new()));
        }
        let known = |word: &&'a str| {
            let row = TABLE.iter().find(|it| it.name.eq_ignore_ascii_case(word));
            row.map(|row| row.quirk).ok_or(*word)
        };
        words.iter().map(known).collect::<Result<_, _>>().map(Self)
    }

    /// The same as words.
    #[must_use]
    pub fn words(&self) -> String {
        let on = TABLE.iter().filter(|row| self.0.contains(&row.quirk));
        let names: Vec<_> = on.map(|row| row.name).collect();
        match names.len() {
            0 => "None".to_owned(),
            all if all == TABLE.len() => "All".to_owned(),
            _ => names.join(", "),
        }
    }

    /// What is done for a client that calls itself so.
    pub fn of<'a>(&'a self, client: Option<&'a str>) -> impl Iterator<Item = &'static Row> + 'a {
        let on = TABLE.iter().filter(|row| self.0.contains(&row.quirk));
        on.filter(move |row| client.is_some_and(|client| row.is_for(client)))
    }

    /// Whether this is done for a client that calls itself so.
    #[must_use]
    pub fn has(&self, quirk: Quirk, client: Option<&str>) -> bool {
        self.of(client).any(|row| row.quirk == quirk)
    }
}

/// The table as it stands in `docs/clients.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = "| name | for | what is done | because |\n|---|---|---|---|\n".to_owned();
    for row in &TABLE {
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} ([more]({})) |",
            row.name,
            row.clients.join(", "),
            row.what,
            row.because,
            row.link
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_known_by_the_first_words_of_its_name() {
        let names = |client| -> Vec<_> {
            let all = Quirks::all();
            all.of(client).map(|row| row.name).collect()
        };
        assert_eq!(
            names(Some("Microsoft Office 365 15.20.9160.4")),
            ["no-uidonly"]
        );
        assert_eq!(names(Some("thunderbird")), ["keep-marked"]);
        assert_eq!(names(Some("Thunderbird 140.1")), ["keep-marked"]);
        assert_eq!(names(Some("K-9 Mail 6.804")), ["keep-marked"]);
        for other in [
            "Thunderbirds 1",
            "My Thunderbird",
            "Thunderbir",
            "\u{fc}",
            "",
        ] {
            assert!(names(Some(other)).is_empty(), "{other}");
        }
        assert!(names(None).is_empty());
    }

    #[test]
    fn words_choose_some_and_come_back() {
        for words in ["All", "None", "no-uidonly", "keep-marked"] {
            assert_eq!(Quirks::named(&[words]).unwrap().words(), words);
        }
        let both = Quirks::named(&["KEEP-marked", "no-uidonly"]).unwrap();
        assert_eq!(both.words(), "All");
        assert_eq!(Quirks::named(&["no-uidonly", "no-mail"]), Err("no-mail"));
        assert_eq!(Quirks::named(&["All", "no-uidonly"]), Err("All"));
        let one = Quirks::named(&["no-uidonly"]).unwrap();
        assert!(!one.has(Quirk::KeepMarked, Some("Thunderbird 140")));
    }

    /// Rewritten with `UPDATE=1`.
    #[test]
    fn the_page_of_clients_has_the_table_as_docs() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/clients.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (before, rest) = page.split_once("<!-- workarounds -->\n").unwrap();
        let (table, after) = rest.split_once("<!-- end -->\n").unwrap();
        if std::env::var_os("UPDATE").is_some() {
            let new = format!(
                "{before}<!-- workarounds -->\n{}<!-- end -->\n{after}",
                markdown()
            );
            std::fs::write(path, new).unwrap();
        } else {
            assert_eq!(table, markdown(), "UPDATE=1 writes the table anew");
        }
    }
}
