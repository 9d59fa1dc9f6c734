//! One answer against what must be answered: every response is looked at as it comes, then what is
//! missing at the end.

use std::collections::BTreeSet;

use wire::imap::client::{Condition, Data as Untagged, Node, Response};

use crate::{
    command::{Access, Command, Item, Numbers},
    expected::{Code, Copied, Data, Expected, Next},
    find::Found,
    list::Entries,
    notify::Hears,
    told::{Broken, Check, Expunge, Mode, Revision, Sync, broken},
    words::{DELETED, SEEN, parts, text},
    world::{Account, Client, Mailbox, Message},
};

/// An answer that is being read.
pub(crate) struct Answer<'a> {
    pub(crate) client: &'a mut Client,
    pub(crate) account: &'a mut Account,
    pub(crate) expected: &'a mut Expected,
    pub(crate) tag: &'a str,
    pub(crate) seen: &'a mut Seen,
}

/// What came so far.
#[derive(Default)]
pub(crate) struct Seen {
    /// Names of the data and codes.
    names: BTreeSet<String>,
    entries: Entries,
}

impl Seen {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

/// What a session hears that no command of its own asked for: in IDLE, or between commands.
pub(crate) fn unsolicited(client: &mut Client, account: &mut Account, response: Response) -> Check {
    let expunge = match client.hears() {
        Hears::All => Expunge::May,
        Hears::New | Hears::Nothing => Expunge::MustWait,
    };
    let mut expected = Expected::nothing(expunge);
    let mut answer = Answer {
        client,
        account,
        expected: &mut expected,
        tag: "",
        seen: &mut Seen::default(),
    };
    answer.untagged(response)
}

impl Answer<'_> {
    /// Looks at anything but the tagged answer.
    pub(crate) fn untagged(&mut self, response: Response) -> Check {
        match response {
            Response::Untagged(condition) => self.condition(&condition),
            Response::Data(data) => self.data(&data),
            Response::Continuation(_) => broken(31, "a continuation nobody waits for"),
            Response::Tagged(tag, _) => {
                broken(31, format!("an answer to {tag}, which was answered"))
            }
        }
    }

    fn saw(&mut self, name: &str) {
        self.seen.names.insert(name.to_owned());
    }

    fn has_seen(&self, name: &str) -> bool {
        self.seen.has(name)
    }

    fn condition(&mut self, condition: &Condition) -> Check {
        if condition.status == "BYE" {
            self.saw("BYE");
            return match self.expected.next {
                Next::LoggedOut => Ok(()),
                _ => broken(31, "BYE without a reason"),
            };
        }
        let Some((code, values)) = &condition.code else {
            return Ok(());
        };
        match code.as_str() {
            "CLOSED" if self.expected.next != Next::Closed => broken(22, "CLOSED without a reason"),
            "COPYUID" => self.moved(values),
            "APPENDUID" => self.replaced(values),
            "MAILBOXID" => self.opened(|account, mailbox| {
                account.ids.mailbox(
                    mailbox,
                    &Node::List(
                        values
                            .first()
                            .and_then(Node::list)
                            .unwrap_or_default()
                            .to_vec(),
                    ),
                )
            }),
            "HIGHESTMODSEQ" => self.highest(values),
            "UIDVALIDITY" => {
                let told = number(values.first())?;
                if let Some(view) = &mut self.client.view {
                    view.uid_validity = Some(told);
                }
                self.opened(|account, mailbox| account.is_valid(mailbox, told))
            }
            "UIDNEXT" => self.opened(|account, mailbox| {
                let (told, next) = (number(values.first())?, account.mailboxes[mailbox].uid_next);
                same(4, "UIDNEXT", told, next)
            }),
            "UNSEEN" if self.client.is_uid_only => broken(15, "UNSEEN is a sequence number"),
            "UNSEEN" => self.opened(|account, mailbox| {
                let messages = &account.mailboxes[mailbox].messages;
                let first = messages.iter().position(|m| !m.flags.has(SEEN));
                let first = first.map_or(0, |at| u32::try_from(at).unwrap() + 1);
                same(22, "UNSEEN", number(values.first())?, first)
            }),
            _ => Ok(()),
        }?;
        self.saw(code);
        Ok(())
    }

    /// HIGHESTMODSEQ, alone or in the tagged answer. Whether it is too high is seen once all that
    /// comes with it has come.
    fn highest(&mut self, values: &[Node]) -> Check {
        let told = values.first().and_then(Node::number).unwrap_or_default();
        let Some(view) = self.client.view.as_mut() else {
            return broken(13, "HIGHESTMODSEQ without a mailbox");
        };
        if self.client.sync == Sync::Plain {
            return broken(13, "HIGHESTMODSEQ for a client that did not ask");
        }
        view.progress.told(told);
        let now = self.account.mailboxes[view.mailbox].mod_seq;
        match self.expected.opens() {
            true => same(8, "HIGHESTMODSEQ", told, now),
            false if told > now => broken(9, format!("HIGHESTMODSEQ {told}, but it is {now}")),
            false => Ok(()),
        }
    }

    /// Something that only SELECT tells.
    fn opened(&mut self, check: impl FnOnce(&mut Account, usize) -> Check) -> Check {
        match self.expected.data {
            Data::Opening(mailbox) => check(self.account, mailbox),
            _ => broken(31, "it is told though nothing is opened"),
        }
    }

    fn data(&mut self, data: &Untagged) -> Check {
        if self.expected.opens() && self.expected.next == Next::Closed && !self.has_seen("CLOSED") {
            return broken(22, format!("{} before CLOSED", data.name));
        }
        match data.name.as_str() {
            "EXISTS" | "RECENT" | "EXPUNGE" | "FLAGS" => self.of_mailbox(data)?,
            "FETCH" | "UIDFETCH" => {
                self.of_mailbox(data)?;
                self.saw("FETCH");
            }
            "VANISHED" => self.vanished(&data.values)?,
            "LIST" => self.listed(data)?,
            "LSUB" => self.listed(data)?,
            "STATUS" => self.status(data)?,
            "SEARCH" => self.search(data)?,
            "ESEARCH" => self.esearch(data)?,
            "UIDBATCHES" => self.batches(data)?,
            "QUOTAROOT" => self.quota_root(&data.values)?,
            "QUOTA" => self.quota(data)?,
            "ENABLED" => self.enabled(data)?,
            "CAPABILITY" => {}
            other => return broken(31, format!("{other} was not asked for")),
        }
        self.saw(&data.name);
        Ok(())
    }

    fn of_mailbox(&mut self, data: &Untagged) -> Check {
        let mode = self.client.mode();
        let revision = mode.revision;
        let Some(view) = &mut self.client.view else {
            return broken(31, format!("{} without a mailbox", data.name));
        };
        let id = view.mailbox;
        let mailbox = &mut self.account.mailboxes[id];
        let n = data.number.unwrap_or_default();
        match data.name.as_str() {
            "EXISTS" => {
                // What a UID command may name comes before all it does.
                let earlier = self
                    .expected
                    .before
                    .as_ref()
                    .filter(|_| self.seen.names.is_empty());
                let before = view.told.len();
                view.exists(n, (mailbox, earlier), revision)?;
                let new: Vec<u32> = view.told[before..].iter().map(|t| t.uid).collect();
                self.client.describes(&new, self.expected);
                Ok(())
            }
            "RECENT" if matches!(self.expected.data, Data::Opening(_)) => {
                view.opened_recent(n, mailbox, revision)
            }
            "RECENT" => view.recent(n, mailbox, revision),
            "FLAGS" => {
                view.announce(data.values.first().and_then(Node::list).unwrap_or_default());
                Ok(())
            }
            "EXPUNGE" if mode.tells_vanished() => broken(12, "EXPUNGE instead of VANISHED"),
            "EXPUNGE" => {
                self.expected.may_tell_gone(self.seen)?;
                view.expunge(n, mailbox, self.expected.expunge)
            }
            name if (name == "UIDFETCH") != mode.is_uid_only => {
                broken(15, format!("{name} is told, the other is due"))
            }
            _ => {
                let items = data.values.first().unwrap_or(&Node::Nil);
                let told = view.fetched(n, items, mailbox, mode)?;
                self.resynced(told)?;
                self.identified(id, told.uid, items)?;
                let mailbox = &self.account.mailboxes[id];
                let message = (told.uid, mailbox.message(told.uid));
                if self.client.describes_by(message.1, items)? {
                    return Ok(());
                }
                fetched(self.expected, message, items, mode)
            }
        }
    }

    fn listed(&mut self, data: &Untagged) -> Check {
        let (Some(attributes), Some(name)) = (
            data.values.first().and_then(Node::list),
            data.values.get(2).and_then(Node::bytes),
        ) else {
            return broken(28, "a LIST without attributes or name");
        };
        let name = self.name(name)?;
        let is_asked = matches!(self.expected.data, Data::List(_) | Data::Lsub(_));
        let lower = |node: &Node| {
            String::from_utf8_lossy(node.bytes().unwrap_or_default()).to_ascii_lowercase()
        };
        let attributes = attributes.iter().map(lower).collect();
        if self.client.watch.is_some() && !is_asked && !self.expected.opens() {
            return self.name_notified(&name, &attributes);
        }
        match self.seen.entries.insert(name.clone(), attributes) {
            Some(_) => broken(28, format!("{name} is listed twice")),
            None => Ok(()),
        }
    }

    pub(crate) fn name(&self, bytes: &[u8]) -> Check<String> {
        let name = match self.client.is_utf8 {
            true => String::from_utf8(bytes.to_vec()).ok(),
            false => wire::utf7::decode(bytes),
        };
        name.ok_or_else(|| Broken::new(50, "a name that cannot be read"))
    }

    fn status(&mut self, data: &Untagged) -> Check {
        let name = data.values.first().and_then(Node::bytes);
        let name = self.name(name.unwrap_or_default())?;
        let Some(items) = data.values.get(1) else {
            return broken(30, "STATUS without items");
        };
        // Who asks always asks for RECENT, and NOTIFY never tells it.
        if items.value_of("RECENT").is_none()
            && let Some(id) = self.account.find(&name)
        {
            return self.notified(id, items);
        }
        let Data::Status(id, due, more) = &self.expected.data else {
            return broken(30, "STATUS was not asked for");
        };
        same(30, "the name", &name, due)?;
        let item = |name| number(items.value_of(name));
        self.account.is_valid(*id, item("UIDVALIDITY")?)?;
        let mailbox = &mut self.account.mailboxes[*id];
        mailbox.recent_is(item("RECENT")?)?;
        same(30, "MESSAGES", item("MESSAGES")?, mailbox.count(|_| true))?;
        same(4, "UIDNEXT", item("UIDNEXT")?, mailbox.uid_next)?;
        same(
            30,
            "UNSEEN",
            item("UNSEEN")?,
            mailbox.count(|m| !m.flags.has(SEEN)),
        )?;
        same(
            30,
            "DELETED",
            item("DELETED")?,
            mailbox.count(|m| m.flags.has(DELETED)),
        )?;
        let bytes = mailbox.messages.iter().map(Message::size).sum();
        same(30, "SIZE", item("SIZE")?, bytes)?;
        for name in *more {
            if *name == "MAILBOXID" {
                let told = items.value_of(name).unwrap_or(&Node::Nil);
                self.account.ids.mailbox(*id, told)?;
                continue;
            }
            let told = items.value_of(name).and_then(Node::number);
            same(30, name, told, Some(mailbox.figure(name)))?;
        }
        Ok(())
    }

    fn search(&mut self, data: &Untagged) -> Check {
        let Data::Search(found) = &self.expected.data else {
            return broken(31, "SEARCH was not asked for");
        };
        if found.returns.is_some() || self.client.is_rev2 {
            return broken(24, "SEARCH where ESEARCH is due");
        }
        let (mut values, mut mod_seq) = (data.values.as_slice(), None);
        if let [all @ .., Node::List(last)] = values {
            values = all;
            mod_seq = Node::List(last.clone())
                .value_of("MODSEQ")
                .and_then(Node::number);
        }
        same(13, "MODSEQ of SEARCH", mod_seq, found.mod_seq)?;
        let told: Option<Vec<u64>> = values.iter().map(Node::number).collect();
        let want: Vec<u64> = found.told.iter().copied().map(u64::from).collect();
        match told.as_ref() == Some(&want) {
            true => Ok(()),
            false => broken(38, format!("found {told:?}, should find {want:?}")),
        }
    }

    fn esearch(&mut self, data: &Untagged) -> Check {
        let Data::Search(found) = &self.expected.data else {
            return broken(31, "ESEARCH was not asked for");
        };
        if found.returns.is_none() && !self.client.is_rev2 {
            return broken(24, "ESEARCH where SEARCH is due");
        }
        esearch(found, &data.values, self.tag)
    }

    fn batches(&mut self, data: &Untagged) -> Check {
        let Data::Batches(due) = &self.expected.data else {
            return broken(31, "UIDBATCHES was not asked for");
        };
        let tag = data.values.first().and_then(|v| v.value_of("TAG"));
        if tag.and_then(Node::bytes) != Some(self.tag.as_bytes()) {
            return broken(24, "UIDBATCHES without its TAG");
        }
        let told = data.values.get(1).and_then(Node::bytes);
        let told = told.map(|told| String::from_utf8_lossy(told).into_owned());
        let due = due.map(|(high, low)| format!("{high}:{low}"));
        same(31, "UIDBATCHES", &told, &due)
    }

    fn enabled(&mut self, data: &Untagged) -> Check {
        let Data::Enabled(want) = &self.expected.data else {
            return broken(25, "ENABLED was not asked for");
        };
        let told: BTreeSet<&[u8]> = data.values.iter().filter_map(Node::bytes).collect();
        let want: BTreeSet<&[u8]> = want.iter().map(|w| w.as_bytes()).collect();
        match told == want {
            true => Ok(()),
            false => broken(25, "not what can be enabled"),
        }
    }

    fn moved(&mut self, values: &[Node]) -> Check {
        match &self.expected.data {
            Data::Moved(copied) => copy_uid(self.account, copied, values),
            _ => broken(16, "COPYUID without a MOVE"),
        }
    }

    fn replaced(&mut self, values: &[Node]) -> Check {
        match &self.expected.data {
            Data::Replaced(target, uids) => append_uid(self.account, (*target, uids), values),
            _ => broken(16, "APPENDUID without a REPLACE"),
        }
    }

    /// The tagged answer: what it says, and whether all that is due came before.
    pub(crate) fn tagged(mut self, command: &Command, tag: &str, condition: &Condition) -> Check {
        if tag != self.tag {
            return broken(31, format!("an answer to {tag}, not to {}", self.tag));
        }
        if condition.status != self.expected.status {
            let (is, due) = (&condition.status, self.expected.status);
            let text = String::from_utf8_lossy(&condition.text);
            return broken(rule_of(command), format!("{is} ({text}), should be {due}"));
        }
        self.code(command, condition)?;
        self.is_complete()?;
        self.is_resynced()?;
        self.reckon();
        if let (Some((uids, store)), Some(view)) =
            (self.expected.assumed.take(), &mut self.client.view)
        {
            for told in view.told.iter_mut().filter(|t| uids.contains(&t.uid)) {
                told.flags = store.change.of(told.flags, store.flags);
            }
        }
        self.go_on();
        let (Some(view), false) = (&self.client.view, matches!(command, Command::Wrong(_))) else {
            return Ok(());
        };
        let mailbox = &self.account.mailboxes[view.mailbox];
        view.is_safe(mailbox, self.client.sync)?;
        if self.client.is_deaf() && !matches!(self.expected.data, Data::Notified(_)) {
            return Ok(());
        }
        view.is_current(mailbox, self.expected.expunge)
    }

    /// What a client does with mod-sequences once its command is answered.
    fn reckon(&mut self) {
        if let Some(view) = &mut self.client.view {
            view.progress.reckon();
        }
    }

    fn code(&mut self, command: &Command, condition: &Condition) -> Check {
        let (name, values) = match &condition.code {
            Some((name, values)) => (name.as_str(), values.as_slice()),
            None => ("", &[][..]),
        };
        match name {
            // CLOSE expunges what its client is not told of (RFC 7162 §3.2.8).
            "HIGHESTMODSEQ" if self.expected.next == Next::Unselected => {
                return broken(9, "HIGHESTMODSEQ of a mailbox that is closed");
            }
            "HIGHESTMODSEQ" => self.highest(values)?,
            "MODIFIED" if !matches!(self.expected.code, Code::Modified(_)) => {
                return broken(14, "MODIFIED, but nothing was left alone");
            }
            _ => {}
        }
        match &self.expected.code {
            Code::Any => Ok(()),
            Code::Named(due) => match name == *due {
                true => Ok(()),
                false => broken(rule_of(command), format!("[{name}], should be [{due}]")),
            },
            Code::AppendUid(id, uids) if name == "APPENDUID" => {
                append_uid(self.account, (*id, uids), values)
            }
            Code::MailboxId(id) if name == "MAILBOXID" => {
                let told = values.first().unwrap_or(&Node::Nil);
                self.account.ids.mailbox(*id, told)
            }
            Code::MailboxId(_) => broken(29, format!("[{name}] instead of MAILBOXID")),
            Code::CopyUid(copied) if name == "COPYUID" => copy_uid(self.account, copied, values),
            Code::Modified(left) if name == "MODIFIED" => {
                let told = values.first().and_then(numbers).unwrap_or_default();
                same(14, "MODIFIED", &told, left)
            }
            Code::Modified(_) => broken(14, format!("[{name}] instead of MODIFIED")),
            Code::AppendUid(..) | Code::CopyUid(_) => {
                broken(16, format!("[{name}] instead of UIDs"))
            }
        }
    }

    /// Whether everything came that the command asked for.
    fn is_complete(&self) -> Check {
        if self.expected.next == Next::Closed && !self.has_seen("CLOSED") {
            return broken(22, "CLOSED is missing");
        }
        if self.expected.next == Next::LoggedOut && !self.has_seen("BYE") {
            return broken(31, "BYE is missing");
        }
        let tells_highest = self.expected.tells_highest
            || (self.expected.opens() && self.client.sync != Sync::Plain);
        if tells_highest && !self.has_seen("HIGHESTMODSEQ") {
            return broken(13, "HIGHESTMODSEQ is missing");
        }
        if let Some((uid, items)) = self.expected.fetches.first_key_value() {
            return broken(39, format!("FETCH of UID {uid} with {items:?} is missing"));
        }
        let due: &[&str] = match &self.expected.data {
            Data::None => &[],
            Data::Opening(_) if self.client.is_rev2 => &[
                "FLAGS",
                "EXISTS",
                "PERMANENTFLAGS",
                "UIDNEXT",
                "UIDVALIDITY",
                "MAILBOXID",
                "LIST",
            ],
            Data::Opening(_) => &[
                "FLAGS",
                "EXISTS",
                "PERMANENTFLAGS",
                "UIDNEXT",
                "UIDVALIDITY",
                "MAILBOXID",
                "RECENT",
            ],
            Data::List(entries) | Data::Lsub(entries) => return self.lists(entries),
            Data::Status(..) => &["STATUS"],
            Data::Search(found) if found.returns.is_none() && !self.client.is_rev2 => &["SEARCH"],
            Data::Search(found) if found.answer().is_none() => &[],
            Data::Search(_) => &["ESEARCH"],
            Data::Enabled(_) => &["ENABLED"],
            Data::Moved(_) => &["COPYUID"],
            Data::Replaced(..) => &["APPENDUID"],
            Data::Notified(due) if !due.is_empty() => {
                return broken(49, format!("STATUS of {} mailboxes is missing", due.len()));
            }
            Data::Notified(_) => &[],
            Data::Batches(_) => &["UIDBATCHES"],
            Data::Quota(_) => &["QUOTAROOT", "QUOTA"],
        };
        match due.iter().find(|name| !self.has_seen(name)) {
            Some(missing) => broken(31, format!("{missing} is missing")),
            None => Ok(()),
        }
    }

    fn lists(&self, due: &Entries) -> Check {
        if self.seen.entries == *due {
            return Ok(());
        }
        let told = self
            .seen
            .entries
            .iter()
            .find(|(name, is)| due.get(*name) != Some(is));
        let due = due
            .iter()
            .find(|(name, is)| self.seen.entries.get(*name) != Some(is));
        broken(28, format!("listed {told:?}, should be {due:?}"))
    }

    /// The session's next state.
    fn go_on(&mut self) {
        match self.expected.next {
            Next::Closed if matches!(self.expected.data, Data::Opening(_)) => {}
            Next::Closed | Next::Unselected => self.client.lose_view(),
            Next::NotIdle => self.client.is_idle = false,
            Next::Idle => self.client.is_idle = true,
            Next::LoggedOut => self.client.leave(),
            Next::Fresh => {
                self.client.leave();
                self.client.is_connected = true;
            }
            Next::Same => {}
        }
    }
}

/// What a wrong end of a command is mostly about.
const fn rule_of(command: &Command) -> u8 {
    match command {
        Command::Append(..) | Command::Replace(_) => 17,
        Command::Copy(..) | Command::Move(..) => 18,
        Command::Create(..) => 29,
        Command::Delete(_) | Command::Rename(..) => 27,
        Command::Select(..) => 22,
        Command::Idle | Command::Done(_) => 36,
        Command::Notify(_) => 49,
        Command::Search(_) => 38,
        _ => 31,
    }
}

fn same<T: PartialEq + std::fmt::Debug + Copy>(rule: u8, what: &str, told: T, due: T) -> Check {
    match told == due {
        true => Ok(()),
        false => broken(
            rule,
            format!("{what} is told as {told:?}, should be {due:?}"),
        ),
    }
}

pub(crate) fn number(node: Option<&Node>) -> Check<u32> {
    let number = node
        .and_then(Node::number)
        .and_then(|n| u32::try_from(n).ok());
    number.ok_or_else(|| Broken::new(31, "a number is missing"))
}

/// The numbers of a set, in the order in which it names them.
pub(crate) fn numbers(node: &Node) -> Option<Vec<u32>> {
    let text = str::from_utf8(node.bytes()?).ok()?;
    let mut all = Vec::new();
    for range in text.split(',') {
        let (a, b) = range.split_once(':').unwrap_or((range, range));
        let (a, b): (u32, u32) = (a.parse().ok()?, b.parse().ok()?);
        // `5:5` is never written (rule 16).
        if range.contains(':') && a == b {
            return None;
        }
        all.extend(a.min(b)..=a.max(b));
    }
    Some(all)
}

fn append_uid(account: &mut Account, (id, uids): (usize, &Vec<u32>), values: &[Node]) -> Check {
    account.is_valid(id, number(values.first())?)?;
    let told = values.get(1).and_then(numbers).unwrap_or_default();
    same(16, "APPENDUID", &told, uids)
}

fn copy_uid(account: &mut Account, copied: &Copied, values: &[Node]) -> Check {
    account.is_valid(copied.target, number(values.first())?)?;
    let set = |at: usize| values.get(at).and_then(numbers).unwrap_or_default();
    same(
        16,
        "COPYUID",
        (&set(1), &set(2)),
        (&copied.from, &copied.to),
    )
}

/// `(TAG "t") [UID] [MIN n] [MAX n] [ALL set] [COUNT n]`.
fn esearch(found: &Found, values: &[Node], tag: &str) -> Check {
    let told_tag = values
        .first()
        .and_then(|v| v.value_of("TAG"))
        .and_then(Node::bytes);
    if told_tag != Some(tag.as_bytes()) {
        return broken(24, "ESEARCH without its TAG");
    }
    let rest = &values[1..];
    let is_uid = rest.first().and_then(Node::bytes) == Some(b"UID");
    if is_uid != (found.numbers == Numbers::Uid) {
        return broken(38, format!("UID in ESEARCH is {is_uid}"));
    }
    let (pairs, _) = rest[usize::from(is_uid)..].as_chunks::<2>();
    let text = |node: &Node| String::from_utf8_lossy(node.bytes().unwrap_or_default()).into_owned();
    let pair = |[name, value]: &[Node; 2]| match value.list() {
        // `PARTIAL (range set)`.
        Some([range, set]) => (
            format!("{} {}", text(name), text(range)),
            numbers(set).unwrap_or_default(),
        ),
        _ => (text(name), numbers(value).unwrap_or_default()),
    };
    let told: BTreeSet<_> = pairs.iter().map(pair).collect();
    let due: BTreeSet<_> = found.answer().unwrap_or_default().into_iter().collect();
    same(38, "ESEARCH", &told, &due)
}

/// A FETCH response: it answers what was asked of the message, or only tells flags.
fn fetched(
    expected: &mut Expected,
    (uid, message): (u32, Option<&Message>),
    items: &Node,
    mode: Mode,
) -> Check {
    let has = |name: &str| items.value_of(name).is_some();
    let names = has("UID") || mode.is_uid_only;
    let due = expected.fetches.get(&uid);
    if let (Some(due), Some(message)) = (due, message)
        && due.iter().all(|item| has(item.names().1))
    {
        if expected.with_uid && !has("UID") && !mode.is_uid_only {
            return broken(15, format!("FETCH of UID {uid} does not name it"));
        }
        for item in due {
            is_content(
                *item,
                message,
                items.value_of(item.names().1).unwrap_or(&Node::Nil),
            )?;
        }
        expected.fetches.remove(&uid);
        return Ok(());
    }
    match mode.sync {
        _ if !has("FLAGS") && !has("MODSEQ") => {
            broken(39, format!("FETCH of UID {uid} without what was asked for"))
        }
        Sync::Plain if names || mode.revision == Revision::Rev1 => Ok(()),
        Sync::Plain => broken(15, format!("FETCH of UID {uid} does not name it")),
        _ if names && has("MODSEQ") => Ok(()),
        _ => broken(13, format!("FETCH of UID {uid} without UID and MODSEQ")),
    }
}

/// Whether a message's data is what it always was (rules 39 and 42).
pub(crate) fn is_content(item: Item, message: &Message, node: &Node) -> Check {
    let (header, body) = parts(message.serial);
    let due = match item {
        // Looked at as everywhere else.
        Item::Uid | Item::Flags | Item::ModSeq | Item::EmailId | Item::ThreadId => return Ok(()),
        Item::SaveDate => message.saved.written.to_owned(),
        Item::InternalDate => message.date.written.to_owned(),
        Item::Size => message.size().to_string(),
        Item::Envelope => {
            let subject = node
                .list()
                .and_then(|fields| fields.get(1))
                .and_then(Node::bytes);
            let due = format!("m{}.", message.serial);
            return same(42, "the subject", subject, Some(due.as_bytes()));
        }
        Item::Body | Item::BodyPeek => text(message.serial),
        Item::HeaderPeek => header,
        Item::TextPartial => body[3..12].to_owned(),
    };
    let told = String::from_utf8_lossy(node.bytes().unwrap_or_default()).into_owned();
    same(
        42,
        item.names().1,
        told.trim_start_matches(' ').trim_start_matches('0'),
        due.trim_start_matches('0'),
    )
}

impl Mailbox {
    /// What STATUS tells if it is asked.
    fn figure(&self, name: &str) -> u64 {
        match name {
            "HIGHESTMODSEQ" => self.mod_seq,
            "DELETED-STORAGE" => {
                let deleted = self.messages.iter().filter(|m| m.flags.has(DELETED));
                deleted.map(|m| u64::from(m.size())).sum()
            }
            other => unreachable!("{other}"),
        }
    }

    /// The UIDs of the last messages.
    pub(crate) fn last(&self, count: usize) -> Option<BTreeSet<u32>> {
        let from = self.messages.len().checked_sub(count)?;
        Some(self.messages[from..].iter().map(|m| m.uid).collect())
    }
}

impl crate::told::View {
    /// RECENT of SELECT. A restart may have forgotten that a session had some of the messages.
    fn opened_recent(&mut self, n: u32, mailbox: &mut Mailbox, revision: Revision) -> Check {
        if !mailbox.recent.is_certain && n as usize >= self.recent.len() {
            let again = mailbox.last(n as usize);
            self.recent =
                again.ok_or_else(|| Broken::new(23, "more recent messages than there are"))?;
            if self.access == Access::ReadOnly
                && let Some(first) = self.recent.first()
            {
                mailbox.recent.floor = *first;
            }
            mailbox.recent.is_certain = true;
        }
        self.recent(n, mailbox, revision)
    }
}
