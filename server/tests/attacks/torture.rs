//! Plays `tests/torture/*.t`: a thousand commands with their answers, each followed by one that
//! must work.

use std::{fs, path::Path};

use server::listen::Peer;

use crate::{
    case::{self, Case, Cases, Piece},
    place::{Answer, Place, Talk},
};

/// What the files together hold at least (issue 3).
const CASES_MIN: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threat_04_05_07_14_15_and_19_torture_cases_are_answered_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/torture");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "t"))
        .collect();
    paths.sort();
    let (mut count, mut wrong) = (0, Vec::new());
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let cases = case::parse(&name, &fs::read_to_string(&path).unwrap());
        count += cases.cases.len();
        wrong.extend(play(&cases).await);
    }
    println!("{count} cases, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= CASES_MIN, "{count} cases");
}

/// What was not as expected.
async fn play(cases: &Cases) -> Vec<String> {
    let mut set = vec![
        "Limits:BadCommands=1000000".to_owned(),
        "Limits:CommandsPerMinute=1000000".to_owned(),
        "Limits:LoginFailureDelays=0s".to_owned(),
    ];
    set.extend(cases.set.iter().cloned());
    let place = Place::new(&set).await;
    let mut wrong = Vec::new();
    let mut open: Option<Talk> = None;
    for case in &cases.cases {
        let reused = match cases.user.is_empty() {
            true => None,
            false => open.take(),
        };
        let mut talk = match reused {
            Some(talk) => talk,
            None => connect(&place, cases).await,
        };
        if cases.selected {
            fresh_mailbox(&mut talk).await;
        }
        match run(&mut talk, case).await {
            Ok(true) => open = Some(talk),
            Ok(false) => {}
            Err(why) => wrong.push(format!("{}\n    {why}", case.place)),
        }
    }
    place.is_sound().await;
    wrong
}

async fn connect(place: &Place, cases: &Cases) -> Talk {
    if cases.loopback {
        return place.client(&cases.user).await;
    }
    let mut talk = place.connect_as(Peer {
        loopback: false,
        ..Peer::LOCAL
    });
    talk.line().await.expect("a greeting");
    talk
}

/// Selects `work`, with messages of three kinds.
async fn fresh_mailbox(talk: &mut Talk) {
    talk.ask("UNSELECT").await;
    talk.ask("DELETE work").await;
    talk.run("CREATE work").await;
    let plain = "From: a@example.org\r\nTo: b@example.org\r\nSubject: one\r\n\
                 Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n\r\nfirst body\r\n";
    let parts = "Subject: two\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\
                 \r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/x-y\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n";
    let last = "Subject: three\r\n\r\nthird\r\n";
    let append = [plain, parts, last].map(|m| format!(" (\\Seen) {{{}+}}\r\n{m}", m.len()));
    talk.run(&format!("APPEND work{}", append.concat())).await;
    talk.run("SELECT work").await;
}

/// Whether the connection is still open.
async fn run(talk: &mut Talk, case: &Case) -> Result<bool, String> {
    for before in &case.before {
        let answer = say(talk, before, "t").await;
        if !answer.tagged.starts_with("OK") {
            return Err(format!("a command before it: {answer:?}"));
        }
    }
    let answer = say(talk, &case.command, &case.tag).await;
    check(case, &answer)?;
    if answer.is_bye() {
        return Ok(false);
    }
    let next = talk.ask("NOOP").await;
    match next.tagged.starts_with("OK") {
        true => Ok(true),
        false => Err(format!("then NOOP was answered {next:?}")),
    }
}

async fn say(talk: &mut Talk, pieces: &[Piece], tag: &str) -> Answer {
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => talk.send(bytes).await,
            Piece::Wait => {
                let mut early = Answer::default();
                loop {
                    match talk.line().await {
                        Some(line) if line.starts_with("+ ") => break,
                        Some(line) => match line.strip_prefix(&format!("{tag} ")) {
                            Some(tagged) => {
                                tagged.clone_into(&mut early.tagged);
                                return early;
                            }
                            None => early.untagged.push(line),
                        },
                        None => return early,
                    }
                }
            }
        }
    }
    talk.answer(tag).await
}

fn check(case: &Case, answer: &Answer) -> Result<(), String> {
    let expected = &case.expected;
    let got = answer.tagged.as_str();
    let fits = match expected.tagged.as_str() {
        "REFUSED" => got.starts_with("NO") || got.starts_with("BAD"),
        "BYE" => answer.is_bye(),
        "ANY" => !got.is_empty(),
        wanted => got.starts_with(wanted),
    };
    let told = |start: &String| {
        answer
            .untagged
            .iter()
            .any(|line| line.starts_with(start.as_str()))
    };
    if !fits || !expected.told.iter().all(told) || expected.untold.iter().any(told) {
        return Err(format!("expected {}, got {answer:?}", expected.tagged));
    }
    Ok(())
}
