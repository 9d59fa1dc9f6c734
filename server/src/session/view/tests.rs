//! A client that believes what it is told ends with what the mailbox holds (RFC 9051 §7.4, §7.5),
//! for random changes and random commands.

use std::collections::HashSet;

use mail::{
    date::DateTime,
    flag::{Flags, Keyword},
    id::{BodyId, MailboxId, ThreadId},
};
use proptest::prelude::*;
use store::state::KeywordSetId;
use wire::imap::select::Enableable;

use super::*;

/// What happens to a mailbox and its client.
#[derive(Clone, Debug)]
enum Step {
    Deliver(u32),
    /// Another session's STORE, by position in the mailbox.
    Flags(u32, u32, u8),
    Expunge(u32, u32),
    /// The end of a command.
    Tell(Expunge),
    TellNew,
    /// FETCH FLAGS by sequence numbers.
    Fetch(u32, u32),
    /// The client's own STORE, and whether it is silent.
    Store(u32, u32, u8, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let range = || (0u32..2_000, 1u32..900);
    prop_oneof![
        3 => (1u32..700).prop_map(Step::Deliver),
        1 => Just(Step::Deliver(1)),
        3 => (range(), any::<u8>()).prop_map(|((a, n), bits)| Step::Flags(a, n, bits)),
        3 => range().prop_map(|(a, n)| Step::Expunge(a, n % 40)),
        1 => range().prop_map(|(a, n)| Step::Expunge(a, n)),
        3 => Just(Step::Tell(Expunge::May)),
        3 => Just(Step::Tell(Expunge::MustWait)),
        2 => Just(Step::TellNew),
        2 => range().prop_map(|(a, n)| Step::Fetch(a, n)),
        2 => (range(), any::<u8>(), any::<bool>())
            .prop_map(|((a, n), bits, silent)| Step::Store(a, n, bits, silent)),
    ]
}

fn mod_seq(n: u64) -> ModSeq {
    ModSeq::new(n).unwrap()
}

/// A mailbox and the sessions that change it.
struct Mailbox {
    state: MailboxState,
    /// What was expunged, and when.
    gone: Vec<(Uid, ModSeq)>,
}

impl Mailbox {
    fn next_mod_seq(&self) -> ModSeq {
        mod_seq(self.state.summary.highest_mod_seq.get() + 1)
    }

    fn deliver(&mut self, count: u32) {
        let (at, first) = (self.next_mod_seq(), self.state.summary.uid_next.get());
        let rows: Vec<_> = (first..first + count)
            .map(|n| (Uid::new(n).unwrap(), row(at, n)))
            .collect();
        self.state = self.state.appended(&rows);
    }

    /// The UIDs at these positions of the mailbox.
    fn at(&self, first: u32, count: u32) -> UidSet {
        let rows = self.state.rows().skip(first as usize).take(count as usize);
        rows.map(|(uid, _)| uid).collect()
    }

    fn set_flags(&mut self, uids: &UidSet, bits: u8) {
        let at = self.next_mod_seq();
        let names = (bits >> 5 > 4).then(|| Keyword::new(&format!("k{}", bits >> 6)).unwrap());
        let names: Vec<Keyword> = names.into_iter().collect();
        let keywords = Arc::make_mut(&mut self.state.keywords).intern(&names);
        let rows: Vec<_> = self
            .state
            .rows_of(uids)
            .map(|(uid, row)| {
                let row = Row {
                    mod_seq: at,
                    keywords,
                    system: SystemFlags::from_bits(bits),
                    ..*row
                };
                (uid, row)
            })
            .collect();
        self.state = self.state.with_rows(&rows);
    }

    fn expunge(&mut self, uids: &UidSet) {
        let at = self.next_mod_seq();
        let gone = self.state.rows_of(uids).map(|(uid, _)| (uid, at));
        self.gone.extend(gone);
        self.state = self.state.without(uids);
        self.state.summary.highest_mod_seq = at;
    }
}

fn row(mod_seq: ModSeq, n: u32) -> Row {
    Row {
        mod_seq,
        body: BodyId::MIN,
        thread: ThreadId::MIN,
        internal_date: DateTime {
            secs: 0,
            offset_minutes: 0,
        },
        saved_secs: 0,
        size: n,
        keywords: KeywordSetId(0),
        system: SystemFlags::NONE,
    }
}

/// A client that believes what it is told, and nothing else.
struct Client {
    messages: Vec<Known>,
    keywords: HashSet<Keyword>,
}

struct Known {
    /// Which message this really is.
    uid: Uid,
    flags: Option<Flags>,
    /// The version of which it knows the flags; later ones are news.
    as_of: ModSeq,
}

impl Client {
    fn select(state: &MailboxState) -> Self {
        let mut client = Self {
            messages: Vec::new(),
            keywords: state.keywords.names().iter().cloned().collect(),
        };
        client.learn_of(state);
        client
    }

    /// New messages are those after the last known one, in the order of the mailbox.
    fn learn_of(&mut self, state: &MailboxState) {
        let last = self.messages.last().map(|known| known.uid);
        let new = state.rows().filter(|(uid, _)| Some(*uid) > last);
        let as_of = state.summary.highest_mod_seq;
        self.messages.extend(new.map(|(uid, _)| Known {
            uid,
            flags: None,
            as_of,
        }));
    }

    fn hear(&mut self, response: &Untagged, state: &MailboxState) {
        match response {
            Untagged::Exists(count) => {
                assert!(*count as usize > self.messages.len(), "EXISTS only grows");
                self.learn_of(state);
                assert_eq!(*count as usize, self.messages.len());
            }
            Untagged::Expunge(seq) => {
                let gone = self.messages.remove(seq.get() as usize - 1);
                assert!(state.row(gone.uid).is_none(), "{} is still there", gone.uid);
            }
            Untagged::Vanished(when, uids) => {
                assert_eq!(*when, Vanished::Now);
                let before = self.messages.len();
                self.messages.retain(|known| !uids.contains(known.uid));
                assert_eq!((before - self.messages.len()) as u64, uids.count());
                assert_eq!(state.rows_of(uids).count(), 0, "{uids:?}");
            }
            Untagged::Fetch(subject, items) => self.hear_flags(*subject, items, state),
            Untagged::Flags(_, names) => self.keywords.extend(names.iter().cloned()),
            Untagged::Status(_) => {}
            other => panic!("{other:?}"),
        }
    }

    fn hear_flags(&mut self, subject: Subject, items: &[FetchData], state: &MailboxState) {
        let (known, flags) = match (subject, items) {
            (Subject::Seq(seq), [FetchData::Uid(uid), FetchData::Flags(flags, _)]) => {
                let known = &mut self.messages[seq.get() as usize - 1];
                assert_eq!(known.uid, *uid, "a number means another message");
                (known, flags)
            }
            (Subject::Uid(uid), [FetchData::Flags(flags, _)]) => {
                let known = self.messages.iter_mut().find(|known| known.uid == uid);
                (known.unwrap(), flags)
            }
            _ => panic!("{subject:?} {items:?}"),
        };
        let uid = known.uid;
        let changed = state.row(uid).unwrap().mod_seq;
        assert!(changed > known.as_of, "{uid} is told twice");
        let names = flags.keywords();
        assert!(names.iter().all(|name| self.keywords.contains(name)));
        known.flags = Some(Flags::clone(flags));
        known.as_of = state.summary.highest_mod_seq;
    }

    /// What FETCH or STORE just told of a message.
    fn know(&mut self, uid: Uid, flags: Flags, as_of: ModSeq) {
        if let Some(known) = self.messages.iter_mut().find(|known| known.uid == uid) {
            known.flags = Some(flags);
            known.as_of = as_of;
        }
    }

    /// The view and the client agree on what each number means.
    fn agrees_with(&self, view: &View) {
        assert_eq!(view.count() as usize, self.messages.len());
        for (at, known) in self.messages.iter().enumerate() {
            let seq = Seq::new(u32::try_from(at).unwrap() + 1).unwrap();
            assert_eq!(view.seq(known.uid), Some(seq));
            assert_eq!(view.told.uid(seq), Some(known.uid));
        }
    }

    /// Nothing was left untold, but for messages that are gone and may not be told of.
    fn is_up_to_date(&self, state: &MailboxState, expunge: Expunge) {
        for known in &self.messages {
            match state.row(known.uid) {
                Some(row) => {
                    let flags = known.flags.as_ref();
                    assert!(flags.is_none_or(|flags| *flags == state.flags(row)));
                }
                None => assert_eq!(expunge, Expunge::MustWait, "{} is gone", known.uid),
            }
        }
        if expunge == Expunge::May {
            assert_eq!(self.messages.len(), state.summary.messages as usize);
        }
    }
}

/// What `Selected` does with one view, without a store.
struct Session {
    mailbox: Mailbox,
    view: View,
    client: Client,
    mode: Mode,
}

impl Session {
    fn new() -> Self {
        Self::of(Mode::REV2)
    }

    fn of(mode: Mode) -> Self {
        let validity = UidValidity::new(7).unwrap();
        let mut mailbox = Mailbox {
            state: MailboxState::empty(MailboxId::MIN, validity),
            gone: Vec::new(),
        };
        mailbox.deliver(1_500);
        let view = View::new(&mailbox.state, UidSet::new(), Access::ReadWrite);
        let client = Client::select(&mailbox.state);
        Self {
            mailbox,
            view,
            client,
            mode,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Deliver(count) => self.mailbox.deliver(count),
            Step::Flags(first, count, bits) => {
                let uids = self.mailbox.at(first, count);
                self.mailbox.set_flags(&uids, bits);
            }
            Step::Expunge(first, count) => {
                let uids = self.mailbox.at(first, count);
                self.mailbox.expunge(&uids);
            }
            Step::Tell(expunge) => self.tell(expunge),
            Step::TellNew => {
                let told = self.view.tell_new(&self.mailbox.state, &UidSet::new());
                self.hear(&told);
            }
            Step::Fetch(first, count) => {
                let uids = self.named(first, count);
                self.told_flags_of(&uids);
            }
            Step::Store(first, count, bits, silent) => self.store(first, count, bits, silent),
        }
        self.client.agrees_with(&self.view);
        self.could_resynchronise();
    }

    /// Rule 9: if the connection were lost now, what changed since the HIGHESTMODSEQ that the client
    /// may have would bring it up to date.
    fn could_resynchronise(&self) {
        let (state, settled) = (&self.mailbox.state, self.view.settled());
        let later = self.mailbox.gone.iter().filter(|(_, at)| *at > settled);
        let vanished: HashSet<Uid> = later.map(|(uid, _)| *uid).collect();
        for known in &self.client.messages {
            match state.row(known.uid) {
                None => assert!(vanished.contains(&known.uid), "{} stays", known.uid),
                Some(row) if row.mod_seq > settled => {}
                Some(row) => {
                    let flags = known.flags.as_ref();
                    assert!(flags.is_none_or(|flags| *flags == state.flags(row)));
                }
            }
        }
    }

    /// The messages at these numbers, those of them that exist.
    fn named(&self, first: u32, count: u32) -> UidSet {
        let end = |n: u32| End::Number(Seq::new(n.clamp(1, self.view.count())).unwrap());
        if self.view.count() == 0 {
            return UidSet::new();
        }
        let set = wire::imap::sequence::SequenceSet(vec![(end(first), end(first + count))]);
        let named = Messages::Seq(SetOrSaved::Set(set));
        let uids = self.view.resolve(&named).unwrap();
        self.mailbox.state.rows_of(&uids).map(|(u, _)| u).collect()
    }

    fn hear(&mut self, told: &[Untagged]) {
        for response in told {
            self.client.hear(response, &self.mailbox.state);
        }
    }

    fn tell(&mut self, expunge: Expunge) {
        let state = self.mailbox.state.clone();
        let mode = self.mode;
        let news = self
            .view
            .tell(&state, Wanted::all(expunge), &UidSet::new(), mode);
        let told: Vec<_> = self.view.responses(&news, &state, mode).collect();
        self.hear(&told);
        self.client.is_up_to_date(&state, expunge);
        let again = self
            .view
            .tell(&state, Wanted::all(expunge), &UidSet::new(), mode);
        let again = self.view.responses(&again, &state, mode).count();
        assert_eq!(again, 0, "news is told once");
    }

    fn told_flags_of(&mut self, uids: &UidSet) {
        let keywords = self.view.tell_keywords(&self.mailbox.state);
        self.hear(&keywords);
        let state = &self.mailbox.state;
        for (uid, row) in state.rows_of(uids) {
            let as_of = state.summary.highest_mod_seq;
            self.client.know(uid, state.flags(row), as_of);
        }
        self.view.note_known(uids, state);
    }

    fn store(&mut self, first: u32, count: u32, bits: u8, silent: bool) {
        let uids = self.named(first, count);
        let before = self.mailbox.state.clone();
        self.mailbox.set_flags(&uids, bits);
        if !silent {
            return self.told_flags_of(&uids);
        }
        // A silent client works out the flags of the messages it knew.
        let knew = before.rows_of(&uids);
        let knew = knew.filter(|(uid, row)| self.view.knows(*uid, row));
        let knew: UidSet = knew.map(|(uid, _)| uid).collect();
        self.told_flags_of(&knew);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Rules 1, 3 and 52: what a client is told adds up to the mailbox, by numbers and by UIDs.
    #[test]
    fn what_a_client_is_told_adds_up(steps in prop::collection::vec(step(), 1..40)) {
        for mode in [Mode::REV2, Mode::REV2.enabled(Enableable::UidOnly)] {
            let mut session = Session::of(mode);
            for step in &steps {
                session.step(step);
            }
            session.tell(Expunge::May);
            session.client.agrees_with(&session.view);
        }
    }
}

#[test]
fn rule_09_highestmodseq_waits_for_expunges() {
    let mut session = Session::new();
    let before = session.view.settled();
    let gone = session.mailbox.at(5, 1);
    session.mailbox.expunge(&gone);
    let changed = session.mailbox.at(7, 1);
    session.mailbox.set_flags(&changed, 1);
    session.tell(Expunge::MustWait);
    assert!(session.view.holds_back());
    assert_eq!(session.view.settled(), before);
    session.tell(Expunge::May);
    assert!(!session.view.holds_back());
    let now = session.mailbox.state.summary.highest_mod_seq;
    assert_eq!(session.view.settled(), now);
    // Nothing is gone: a command that may not tell of it holds nothing back.
    session.mailbox.set_flags(&changed, 2);
    session.tell(Expunge::MustWait);
    assert!(!session.view.holds_back());
}

#[test]
fn gaps_are_what_was_not_told() {
    let mut session = Session::new();
    for (first, count) in [(0, 1), (3, 2), (900, 300), (1_190, 7)] {
        let gone = session.mailbox.at(first, count);
        session.mailbox.expunge(&gone);
    }
    session.tell(Expunge::May);
    let view = &session.view;
    let uid = |n| Uid::new(n).unwrap();
    for (first, last) in [(1, 1_500), (1, 1), (2, 2), (5, 1_000), (1_400, 3_000)] {
        let asked =
            UidSet::range(uid(first), uid(last)).union(&UidSet::range(uid(4_000), Uid::MAX));
        let gaps: UidSet = view.gaps(&asked).collect();
        assert_eq!(gaps, asked.difference(&view.told_of(&asked)));
    }
    let none: UidSet = UidSet::new();
    assert_eq!(view.gaps(&none).count(), 0);
}

#[test]
fn numbers_that_still_hold_say_what_is_known() {
    let mut session = Session::new();
    let gone = session.mailbox.at(10, 1);
    session.mailbox.expunge(&gone);
    session.tell(Expunge::May);
    let set = |numbers: &[u32]| {
        numbers
            .iter()
            .filter_map(|n| Uid::new(*n))
            .collect::<UidSet>()
    };
    let seqs = |numbers: &[u32]| numbers.iter().filter_map(|n| Seq::new(*n)).collect();
    let matching = |a: &[u32], b: &[u32]| session.view.matching(&seqs(a), &set(b));
    assert_eq!(matching(&[2, 9, 12], &[2, 9, 13]), Uid::new(13));
    assert_eq!(matching(&[2, 9, 11], &[2, 9, 11]), Uid::new(9));
    assert_eq!(matching(&[3], &[4]), None);
    assert_eq!(matching(&[9_000], &[9_000]), None);
}

#[test]
fn a_client_that_knows_the_mailbox_shares_its_chunks() {
    let mut session = Session::new();
    for _ in 0..50 {
        session.mailbox.deliver(1);
        session.tell(Expunge::May);
    }
    assert_eq!(session.view.told.held_bytes(&session.mailbox.state), 0);
}

#[test]
fn rule_37_the_saved_result_shrinks_by_expunge() {
    let mut session = Session::new();
    session.view.save(session.mailbox.at(0, 10));
    let gone = session.mailbox.at(2, 3);
    session.mailbox.expunge(&gone);
    let saved = Messages::Uid(SetOrSaved::Saved);
    session.tell(Expunge::MustWait);
    assert_eq!(session.view.resolve(&saved).unwrap().to_string(), "1:10");
    session.tell(Expunge::May);
    assert_eq!(
        session.view.resolve(&saved).unwrap().to_string(),
        "1:2,6:10"
    );
}
