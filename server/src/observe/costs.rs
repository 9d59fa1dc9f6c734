//! What each client costs in a day: by account and by what the client calls itself. A client that
//! fetches the same messages again and again is told by how many different ones they were.
//!
//! How many is estimated: each message sets one of many bits, and from the bits that are not set it
//! follows how many different ones came (linear counting; Whang, Vander-Zanden and Taylor, 1990).
//! That costs 4 KiB a client and is off by about one in a hundred below 50,000 messages.

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use mail::id::BodyId;
use parking_lot::Mutex;

/// Clients that are told apart in a day; what is beyond them counts as one without a name.
const CLIENTS_MAX: usize = 1_000;
/// Names of clients that one account may have in a day: whoever makes them up takes nobody's room.
const NAMES_OF_ONE_MAX: usize = 16;
/// Those who are not told apart.
const OTHERS: &str = "(others)";
/// The bits of an estimate, in words of 64.
const WORDS: usize = 512;
const BITS: u64 = WORDS as u64 * 64;
const DAY_SECS: i64 = 24 * 60 * 60;

/// What the clients of a day cost.
#[derive(Default)]
pub struct Costs(Mutex<Day>);

#[derive(Default)]
struct Day {
    number: i64,
    clients: HashMap<Name, Arc<Cost>>,
}

/// Who it is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Name {
    /// The account.
    pub user: Arc<str>,
    /// What it calls itself.
    pub client: Option<Arc<str>>,
}

type Bits = [AtomicU64; WORDS];

/// What one of them costs.
pub struct Cost {
    day: i64,
    sessions: AtomicU64,
    commands: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    bodies: AtomicU64,
    /// The bits; most clients that only wait never need the room.
    seen: OnceLock<Box<Bits>>,
}

/// What one of them cost until one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bill {
    /// Who it is.
    pub name: Name,
    /// Sessions of it.
    pub sessions: u64,
    /// Commands of it.
    pub commands: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Messages that were sent whole.
    pub bodies: u64,
    /// How many different ones they were, about.
    pub messages: u64,
}

impl Costs {
    /// The account of a client that begins a session, or goes on after midnight (UTC).
    #[must_use]
    pub fn of(&self, name: Name, now_secs: i64) -> Arc<Cost> {
        let mut day = self.0.lock();
        day.begin(now_secs);
        let number = day.number;
        let name = day.place(name);
        let cost = day.clients.entry(name);
        Arc::clone(cost.or_insert_with(|| Arc::new(Cost::new(number))))
    }

    /// All of the day, and when it began, seconds since 1970.
    #[must_use]
    pub fn bills(&self, now_secs: i64) -> (i64, Vec<Bill>) {
        let mut day = self.0.lock();
        day.begin(now_secs);
        let clients = day.clients.iter();
        // One whose sessions all told another name later is nobody.
        let bills = clients.map(|(name, cost)| cost.bill(name.clone()));
        let bills = bills.filter(|bill| bill.sessions > 0);
        (day.number.saturating_mul(DAY_SECS), bills.collect())
    }
}

impl Day {
    /// Under which name somebody is kept: its own while there is room, for it and for all.
    fn place(&mut self, name: Name) -> Name {
        if self.clients.contains_key(&name) {
            return name;
        }
        if self.clients.len() >= CLIENTS_MAX {
            // Those whose sessions all told another name later.
            let is_used = |cost: &Arc<Cost>| cost.sessions.load(Relaxed) > 0;
            self.clients.retain(|_, cost| is_used(cost));
        }
        let own = self.clients.keys().filter(|kept| kept.user == name.user);
        let user = match (self.clients.len() >= CLIENTS_MAX, own.count()) {
            (true, _) => OTHERS.into(),
            (false, NAMES_OF_ONE_MAX..) => name.user,
            (false, _) => return name,
        };
        let client = (*user != *OTHERS).then(|| OTHERS.into());
        Name { user, client }
    }

    fn begin(&mut self, now_secs: i64) {
        let number = now_secs.div_euclid(DAY_SECS);
        if self.number != number {
            self.number = number;
            self.clients.clear();
        }
    }
}

impl Cost {
    fn new(day: i64) -> Self {
        Self {
            day,
            sessions: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            bodies: AtomicU64::new(0),
            seen: OnceLock::new(),
        }
    }

    /// Whether it is of another day.
    #[must_use]
    pub const fn is_over(&self, now_secs: i64) -> bool {
        self.day != now_secs.div_euclid(DAY_SECS)
    }

    /// A session began.
    pub fn session(&self) {
        self.sessions.fetch_add(1, Relaxed);
    }

    /// A session goes on under another name, or in another day: it counts there.
    pub fn moved(&self) {
        self.sessions.fetch_sub(1, Relaxed);
    }

    /// A command came.
    pub fn command(&self) {
        self.commands.fetch_add(1, Relaxed);
    }

    /// Bytes came.
    pub fn received(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Relaxed);
    }

    /// Bytes were sent.
    pub fn sent(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Relaxed);
    }

    /// This message was sent, so many times whole.
    pub fn fetched(&self, body: BodyId, whole: u64) {
        if whole == 0 {
            return;
        }
        self.bodies.fetch_add(whole, Relaxed);
        let bit = spread(body.get()) % BITS;
        let word = usize::try_from(bit / 64).unwrap_or(0);
        let seen = self
            .seen
            .get_or_init(|| Box::new([const { AtomicU64::new(0) }; WORDS]));
        if let Some(word) = seen.get(word) {
            let bit = 1 << (bit % 64);
            // Mostly it is set, and a word that is only read stays with all processors.
            if word.load(Relaxed) & bit == 0 {
                word.fetch_or(bit, Relaxed);
            }
        }
    }

    fn bill(&self, name: Name) -> Bill {
        let bodies = self.bodies.load(Relaxed);
        Bill {
            name,
            sessions: self.sessions.load(Relaxed),
            commands: self.commands.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            bodies,
            messages: self.different().min(bodies),
        }
    }

    fn different(&self) -> u64 {
        let Some(seen) = self.seen.get() else {
            return 0;
        };
        let words = seen.iter().map(|word| word.load(Relaxed));
        let unset: u64 = words.map(|word| u64::from(word.count_zeros())).sum();
        // With no bit left the answer is "more than can be told".
        let (all, unset) = (BITS as f64, unset.max(1) as f64);
        (all * (all / unset).ln()).round() as u64
    }
}

/// Numbers that follow each other become ones that do not (the finaliser of SplitMix64).
const fn spread(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_305_600;

    fn name(user: &str, client: &str) -> Name {
        Name {
            user: user.into(),
            client: Some(client.into()),
        }
    }

    fn body(id: u64) -> BodyId {
        BodyId::new(id).unwrap()
    }

    #[test]
    fn the_same_messages_again_are_told_from_different_ones() {
        let cost = Cost::new(0);
        for round in 0..14 {
            for message in 0..900_u64 {
                cost.fetched(body(message + 4_000_000), u64::from(round < 13));
            }
        }
        let bill = cost.bill(name("tim", "phone"));
        assert_eq!(bill.bodies, 13 * 900);
        assert!((885..=915).contains(&bill.messages), "{bill:?}");
        for (different, tolerance) in [(1, 0), (10, 1), (5_000, 60), (50_000, 900)] {
            let cost = Cost::new(0);
            for message in 0..different {
                cost.fetched(body(message + 1), 2);
            }
            let found = cost.bill(name("tim", "phone")).messages;
            assert!(
                found.abs_diff(different) <= tolerance,
                "{found} for {different}"
            );
        }
        let cost = Cost::new(0);
        cost.fetched(body(7), 0);
        assert_eq!(cost.bill(name("tim", "phone")).messages, 0);
    }

    #[test]
    fn each_day_begins_anew() {
        let costs = Costs::default();
        let cost = costs.of(name("tim", "phone"), NOW);
        cost.session();
        cost.command();
        cost.sent(7);
        cost.received(3);
        assert!(Arc::ptr_eq(&cost, &costs.of(name("tim", "phone"), NOW + 9)));
        costs.of(name("tim", "desk"), NOW).session();
        let renamed = costs.of(name("tim", "?"), NOW);
        renamed.session();
        renamed.moved();
        let (since, bills) = costs.bills(NOW + 100);
        assert!(since <= NOW && NOW - since < DAY_SECS && bills.len() == 2);
        let phone = bills.iter().find(|bill| bill.bytes_out == 7).unwrap();
        assert_eq!((phone.sessions, phone.commands, phone.bytes_in), (1, 1, 3));
        assert!(!cost.is_over(NOW) && cost.is_over(NOW + DAY_SECS));
        assert!(costs.bills(NOW + DAY_SECS).1.is_empty());
    }

    #[test]
    fn names_that_clients_invent_do_not_fill_the_memory() {
        let costs = Costs::default();
        for number in 0..NAMES_OF_ONE_MAX + 50 {
            let cost = costs.of(name("tim", &number.to_string()), NOW);
            cost.session();
            cost.command();
        }
        let (_, bills) = costs.bills(NOW);
        assert_eq!(bills.len(), NAMES_OF_ONE_MAX + 1);
        let others = |bill: &&Bill| bill.name.client.as_deref() == Some(OTHERS);
        assert_eq!(bills.iter().find(others).unwrap().commands, 50);
    }

    #[test]
    fn beyond_so_many_clients_all_are_one_and_those_without_sessions_make_room() {
        let costs = Costs::default();
        let many = CLIENTS_MAX + 50;
        for number in 0..many {
            let cost = costs.of(name(&number.to_string(), "phone"), NOW);
            cost.session();
            cost.command();
            if number == 0 {
                cost.moved();
            }
        }
        let (_, bills) = costs.bills(NOW);
        assert_eq!(bills.len(), CLIENTS_MAX + 1);
        let others = bills.iter().find(|bill| &*bill.name.user == OTHERS);
        assert_eq!(others.unwrap().commands, 49);
    }
}
