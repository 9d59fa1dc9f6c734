//! Every command of the property table, in every state, with every malformed argument: generated,
//! so that a command is attacked the day the table has it. Well-formed arguments are those of its
//! transcripts (`tidy` demands one for each command), which are then cut and spoiled.

use std::{collections::BTreeMap, fs, path::Path};

use wire::imap::table::{Group, Property, TABLE};

use crate::place::{Answer, Place, Talk};

/// Arguments that no command, or hardly one, is meant to take.
const HOSTILE: [&[u8]; 44] = [
    b"",
    b" ",
    b"  x",
    b" (",
    b" )",
    b" ()",
    b" ((((((((((((((((((((((((((((((((((((((((",
    b" \"",
    b" \"x",
    b" \"\"",
    b" \"\\",
    b" \\",
    b" \\Seen",
    b" {",
    b" {}",
    b" {-1}",
    b" {0}",
    b" {5}",
    b" {5+}\r\nhello",
    b" {0+}\r\n",
    b" ~{2+}\r\n\0\0",
    b" {99999999999999999999}",
    b" {18446744073709551616}",
    b" {3+}\r\na\r\n",
    b" \0",
    b" x\0y",
    b" \r",
    b" \x80",
    b" \xff\xfe\xfd",
    b" \"\xc3\x28\"",
    b" *",
    b" %",
    b" $",
    b" 0",
    b" 1:*",
    b" 1,",
    b" 4294967296",
    b" 18446744073709551616",
    b" -1",
    b" NIL",
    b" BODY[",
    b" [",
    b" ]",
    b" x y z x y z x y z",
];
/// What is put in the place of a byte.
const SPOILERS: [u8; 8] = *b"\0\x80(\"*{ 9";
/// Transcripts' arguments that are used of one command.
const SAMPLES_MAX: usize = 8;
/// Bytes of an argument that are cut and spoiled.
const SPOILED_BYTES_MAX: usize = 48;

/// Messages in INBOX of which most are removed.
const MANY: u32 = 20;

/// What stands for a literal of a transcript.
const LITERAL: &[u8] = b"{5+}\r\nhello";

/// Stands in mail, a name and a keyword of the other account, and in nothing that this one is told
/// (threat 26).
const MARKER: &str = "marker7f3a";

/// Commands that leave a connection as no other command expects it: another one is begun.
const AFRESH: [&str; 3] = ["COMPRESS", "ENABLE", "UNAUTHENTICATE"];

/// In which state a command comes.
#[derive(Clone, Copy, PartialEq, Debug)]
enum State {
    None,
    Authenticated,
    Selected,
    Examined,
}

impl State {
    const ALL: [Self; 4] = [
        Self::None,
        Self::Authenticated,
        Self::Selected,
        Self::Examined,
    ];

    fn allows(self, group: Group) -> bool {
        match group {
            Group::Any => true,
            Group::NotAuthenticated => self == Self::None,
            Group::Authenticated => self != Self::None,
            Group::Selected => matches!(self, Self::Selected | Self::Examined),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_threat_14_19_and_26_every_command_in_every_state_with_every_malformed_argument() {
    let samples = samples();
    let set = [
        "BadCommands",
        "BadCommandsBeforeLogin",
        "LoginFailures",
        "CommandsPerMinute",
    ];
    let set = set.map(|key| format!("Limits:{key}=1000000"));
    let place = Place::new(&set).await;
    let mut other = place.client("bob").await;
    other.run(&format!("CREATE {MARKER}")).await;
    other
        .append("INBOX", &format!("Subject: {MARKER}\r\n\r\n{MARKER}\r\n"))
        .await;
    other.run("SELECT INBOX").await;
    other.run(&format!("STORE 1 +FLAGS ({MARKER})")).await;
    let mut count = 0;
    for state in State::ALL {
        let mut talk = begin(&place, state).await;
        for property in TABLE {
            let known = samples.get(property.name).map_or(&[][..], Vec::as_slice);
            for argument in arguments(known, state.allows(property.group)) {
                count += 1;
                let answer = attack(&mut talk, state, property, &argument).await;
                talk = settled(talk, &place, state, property, &answer).await;
            }
        }
    }
    place.is_sound().await;
    println!("{count} commands");
}

/// Arguments of each command, as its transcripts have them.
fn samples() -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/transcripts")];
    let mut samples: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                text.lines()
                    .filter_map(sample)
                    .for_each(|(name, argument)| samples.entry(name).or_default().push(argument));
            }
        }
    }
    // What is sent well-formed decides what its spoiled forms reach: no command goes without.
    for property in TABLE {
        let name = property.name;
        assert!(samples.contains_key(name), "no transcript has {name}");
    }
    for found in samples.values_mut() {
        found.sort_by_key(|argument| (std::cmp::Reverse(argument.len()), argument.clone()));
        found.dedup();
        // Long ones and short ones alike.
        let step = (found.len() / SAMPLES_MAX).max(1);
        *found = found.iter().step_by(step).cloned().collect();
    }
    samples
}

/// Command and arguments of `C: a1 NAME ARGUMENTS`; a literal at its end becomes one of ours. What
/// holds a captured name (`<uid>`) is left out; a partial (`<0.9>`) is none.
fn sample(line: &str) -> Option<(String, Vec<u8>)> {
    let (head, rest) = line.split_once(": ")?;
    let literal = rest
        .strip_suffix("{+}")
        .or_else(|| rest.strip_suffix("{}"))
        .map(|before| format!("{before}{}", String::from_utf8_lossy(LITERAL)));
    let is_captured = |part: &str| !part.starts_with(|c: char| c.is_ascii_digit());
    if !matches!(head.split('[').next(), Some("C"))
        || rest.split('<').skip(1).any(is_captured)
        || literal.is_none() && rest.contains('{')
    {
        return None;
    }
    let rest = literal.as_deref().unwrap_or(rest);
    let (_, command) = rest.split_once(' ')?;
    let upper = command.to_ascii_uppercase();
    let fits = |name: &str| {
        upper
            .strip_prefix(name)
            .is_some_and(|r| r.is_empty() || r.starts_with(' '))
    };
    let names = TABLE
        .iter()
        .map(|property| property.name)
        .filter(|name| fits(name));
    let name = names.max_by_key(|name| name.len())?;
    Some((name.to_owned(), command.as_bytes()[name.len()..].to_vec()))
}

fn arguments(samples: &[Vec<u8>], allowed: bool) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = HOSTILE.iter().map(|bytes| bytes.to_vec()).collect();
    all.extend(samples.iter().cloned());
    if !allowed {
        return all;
    }
    for sample in samples {
        for hostile in HOSTILE.iter().filter(|hostile| hostile.len() < 8) {
            all.push([sample, *hostile].concat());
        }
        // A literal stays whole: the server would wait for the rest of it.
        let literal = sample.windows(LITERAL.len()).position(|at| at == LITERAL);
        let end = literal.unwrap_or(sample.len());
        for at in 1..end.min(SPOILED_BYTES_MAX) {
            all.push(sample[..at].to_vec());
            for spoiler in SPOILERS {
                let mut spoiled = sample.clone();
                spoiled[at] = spoiler;
                all.push(spoiled);
            }
        }
    }
    all
}

/// A connection in a state.
async fn begin(place: &Place, state: State) -> Talk {
    let user = if state == State::None { "" } else { "tim" };
    let mut talk = place.client(user).await;
    restore(&mut talk, state).await;
    talk
}

/// Selects again what the state has selected, with messages in it.
async fn restore(talk: &mut Talk, state: State) {
    let select = match state {
        State::None => return,
        State::Authenticated => {
            talk.ask("UNSELECT").await;
            return;
        }
        State::Selected => "SELECT INBOX",
        State::Examined => "EXAMINE INBOX",
    };
    let selected = talk.run(select).await;
    let exists = selected.untagged.iter().find_map(|line| {
        let count = line.strip_prefix("* ")?.strip_suffix(" EXISTS")?;
        count.parse::<u32>().ok()
    });
    match exists.unwrap_or_default() {
        0 => {
            talk.append("INBOX", "Subject: x\r\n\r\nx\r\n").await;
            talk.run("COPY 1 INBOX").await;
        }
        // What succeeds fills it, and each FETCH would tell of all of it.
        MANY.. if state == State::Selected => {
            talk.run("STORE 3:* +FLAGS.SILENT (\\Deleted)").await;
            talk.run("EXPUNGE").await;
        }
        _ => {}
    }
}

async fn attack(talk: &mut Talk, state: State, property: &Property, argument: &[u8]) -> Answer {
    let command = [b"t ", property.name.as_bytes(), argument, b"\r\n"].concat();
    talk.send(&command).await;
    let answer = talk.answer("t").await;
    let shown = String::from_utf8_lossy(&command).into_owned();
    let status = answer.tagged.split(' ').next().unwrap_or_default();
    assert!(
        matches!(status, "OK" | "NO" | "BAD"),
        "{state:?} {shown:?}: {answer:?}"
    );
    assert!(
        !answer.text().contains(MARKER),
        "{state:?} {shown:?}: {answer:?}"
    );
    assert!(
        state.allows(property.group) || status == "BAD",
        "{state:?} {shown:?} is not for this state: {answer:?}"
    );
    answer
}

/// The connection goes on where it was, or a new one does.
async fn settled(
    mut talk: Talk,
    place: &Place,
    state: State,
    property: &Property,
    answer: &Answer,
) -> Talk {
    let done = answer.tagged.starts_with("OK");
    let afresh = property.group == Group::NotAuthenticated || AFRESH.contains(&property.name);
    if answer.is_bye() || done && afresh {
        return begin(place, state).await;
    }
    let next = talk.ask("NOOP").await;
    assert!(next.tagged.starts_with("OK"), "{next:?} after {answer:?}");
    if done && property.group != Group::Any {
        restore(&mut talk, state).await;
    }
    talk
}
