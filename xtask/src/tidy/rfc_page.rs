//! The second half of `docs/rfc.md`: every capability with who drives it, and every duty with its
//! test, made from `docs/rfc/*.tsv`, the scripts of foreign clients and the transcripts.

use super::{
    Tree, capabilities,
    duties::{self, Answer, Duty, Table},
    page::Page,
};

/// `cargo xtask duties`.
pub(crate) const PAGE: Page = Page {
    path: "docs/rfc.md",
    command: "cargo xtask duties",
    text: page,
};

/// What is made begins with this line.
const BEGINS: &str = "\n## Capabilities, and who drives them\n";

const CAPABILITIES: &str = "
From here on this page is made by `cargo xtask duties`. A capability is driven by clients and
libraries that are not ours (`tests/clients`), or else by transcripts that somebody wrote from the
RFC without having read the code. What a capability obliges to is listed below, or held to by
[rules.md](rules.md).

| capability | obliges to | driven by |
|---|---|---|
";

const DUTIES: &str = "
## Duties, and their tests

What each RFC demands of a server, in our own words; what it demands of clients is left out. A
SHOULD that is not met says why; *does not apply* is what is demanded only of servers that have
something else.
";

fn page(tree: &Tree) -> String {
    let text = tree.text(PAGE.path).unwrap_or_default();
    let own = text.split(BEGINS).next().unwrap_or_default();
    let tables = duties::tables(tree);
    let sections = tables.iter().map(section);
    own.to_owned()
        + BEGINS
        + CAPABILITIES
        + &rows(tree, &tables)
        + DUTIES
        + &sections.collect::<String>()
}

/// The table of capabilities.
fn rows(tree: &Tree, tables: &[Table<'_>]) -> String {
    let drivers = capabilities::drivers(tree);
    let rows = capabilities::listed(tree).into_iter().map(|listed| {
        let name = listed.name.as_str();
        let by = drivers.get(name).into_iter().flatten();
        let by: Vec<String> = by.map(|(path, name)| link(name, path)).collect();
        let duties = tables.iter().find(|table| table.offers.contains(&name));
        let duties = duties.map(|table| {
            let anchor = title(table).to_lowercase().replace(' ', "-");
            format!("[{}](#{anchor})", title(table))
        });
        let earlier = capabilities::earlier(tree).find(|(_, it, _)| *it == name);
        let earlier = earlier.map(|(_, _, rfc)| rfc.to_owned());
        let duties = duties.or(earlier).unwrap_or_default();
        format!("| {name} | {duties} | {} |\n", by.join(", "))
    });
    rows.collect()
}

fn title(table: &Table<'_>) -> String {
    match table.number() {
        Some(number) => format!("RFC {number}"),
        None => table.name.to_owned(),
    }
}

/// The duties of one RFC.
fn section(table: &Table<'_>) -> String {
    let rows: String = table.duties.iter().map(row).collect();
    format!(
        "\n### {}\n\n| § | | what a server does | tested by |\n|---|---|---|---|\n{rows}",
        title(table)
    )
}

fn row(duty: &Duty<'_>) -> String {
    let answer = match &duty.answer {
        Answer::Unmet(reason) => format!("not met: {reason}"),
        Answer::DoesNotApply(reason) => format!("does not apply: {reason}"),
        Answer::Tests(tests) => {
            let links = tests.iter().map(|test| {
                let (path, name) = test.split_once("::").unwrap_or((test, test));
                let name = name.trim_start_matches("tests/transcripts/");
                link(name.trim_end_matches(".txt"), path)
            });
            links.collect::<Vec<_>>().join(", ")
        }
    };
    let statement = duty.statement.replace('|', "\\|");
    format!(
        "| {} | {} | {statement} | {answer} |\n",
        duty.section, duty.level
    )
}

fn link(name: &str, path: &str) -> String {
    format!("[{name}](../{path})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_by_hand_stays_and_the_rest_is_made() {
        let tree = Tree::of(&[
            (
                "docs/rfc.md",
                "# By hand\n\n## Capabilities, and who drives them\nold\n",
            ),
            (
                "docs/rfc/7.tsv",
                "# offers: SEVEN\n1\tMUST\tone | two\ttests/transcripts/a/b.txt a/b.rs::c\n\
                 1\tSHOULD\tthree\treason: so\n2\tMUST\tfour\tdoes not apply: X is not offered\n",
            ),
            ("docs/rfc/earlier.tsv", "# names\nONE\tRFC 1\n"),
            ("wire/src/imap/capabilities.rs", "&[\"SEVEN\", \"ONE\"]\n"),
            (
                "tests/clients/x.py",
                "@check(\"ONE\")\ndef works(server):\n",
            ),
            (
                "tests/transcripts/a/b.txt",
                "# written from the RFC: SEVEN\n",
            ),
        ]);
        let page = page(&tree);
        assert!(
            page.starts_with("# By hand\n\n## Cap") && !page.contains("\nold\n"),
            "{page}"
        );
        for line in [
            "| SEVEN | [RFC 7](#rfc-7) | [b](../tests/transcripts/a/b.txt) |",
            "| ONE | RFC 1 | [works](../tests/clients/x.py) |",
            "### RFC 7",
            "| 1 | MUST | one \\| two | [a/b](../tests/transcripts/a/b.txt), [c](../a/b.rs) |",
            "| 1 | SHOULD | three | not met: so |",
            "| 2 | MUST | four | does not apply: X is not offered |",
        ] {
            assert!(page.lines().any(|it| it == line), "{line}: {page}");
        }
    }
}
