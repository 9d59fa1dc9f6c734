//! SEARCH (RFC 9051 §6.4.4, RFC 4731, RFC 5182; RFC 3501 §7.2.5 for the plain answer).

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use mail::{
    id::{ModSeq, Number, Uid},
    predicate::Predicate,
    set::{Set, UidSet},
};
use tokio::time::timeout;
use wire::{
    encode::Revision,
    imap::{
        code::Code,
        command::Tag,
        page::Page,
        response::{ESearch, NumberSet, Untagged},
        search::{Search, SearchReturn},
        sequence::Numbers,
    },
};

use super::{
    Context, Selected,
    answer::{Failure, Outcome, bad, no, ok},
    message_limit::{Limited, looked_at},
    progress::Progress,
    sink::Sink,
};

const SAVE_ALONE: SearchReturn = SearchReturn {
    min: false,
    max: false,
    all: false,
    partial: None,
    count: false,
    save: true,
};

impl super::Session {
    /// A SEARCH was refused before it ran: one that should save empties the saved result
    /// (RFC 9051 §6.4.4.1; protocol rule 37).
    pub fn search_refused(&mut self, returns: Option<SearchReturn>) {
        if let Self::Selected(selected) = self
            && returns.is_some_and(|r| r.save)
        {
            selected.view.save(UidSet::new());
        }
    }
}

impl Selected {
    pub(super) async fn search(
        &mut self,
        search: Search,
        context: &Context,
        sink: &mut Sink,
    ) -> Outcome {
        let asks_mod_seq = search.names_mod_sequences();
        if asks_mod_seq {
            self.want_mod_seqs(sink).await?;
        }
        self.tell_new(sink).await?;
        let returns = search.returns;
        let numbers = search.numbers;
        let found = self.matching(search.predicate, context, sink).await;
        let found = found.and_then(|(found, limited)| Ok((held(found, context)?, limited)));
        let (found, limited) = match found {
            Ok(found) => found,
            Err(failure) => {
                // The saved result is emptied by NO to a search that should save, and kept by BAD
                // (rule 37).
                if returns.is_some_and(|r| r.save) && !failure.is_bad() {
                    self.view.save(UidSet::new());
                }
                return Err(failure);
            }
        };
        if let Some(page) = returns.and_then(|r| r.partial) {
            context.check_page(page.len())?;
        }
        if let Some(returns) = returns.filter(|r| r.save) {
            self.view.save(saved(returns, &found));
        }
        let mod_seq = match asks_mod_seq {
            true => self.highest_of(&returned(returns, &found)),
            false => None,
        };
        let answer = self.found(found, numbers, returns, sink.tag());
        if let Some(answer) = answer {
            sink.send(&with_mod_seq(answer, mod_seq)).await?;
        }
        Ok(limited.completion(ok("Searched."), sink).await?)
    }

    /// The highest mod-sequence of some messages (RFC 7162 §3.1.6).
    fn highest_of(&self, uids: &UidSet) -> Option<ModSeq> {
        let state = self.mailbox.state();
        state.rows_of(uids).map(|(_, row)| row.mod_seq).max()
    }

    /// The told messages that match, of those that a command may look at, which are the second.
    async fn matching(
        &self,
        predicate: Predicate<wire::imap::search::SearchSet>,
        context: &Context,
        sink: &mut Sink,
    ) -> Result<(UidSet, Limited), Failure> {
        let Some(predicate) = self.view.resolve_predicate(predicate) else {
            return Err(Failure::Answer(bad(
                "There is no message with this number.",
            )));
        };
        let predicate = with_recent(predicate, self.view.recent_uids());
        let limited = context.limited_of(|| looked_at(&predicate, self.view.all()));
        let predicate = match limited.is_cut() {
            true => Predicate::And(vec![Predicate::Messages(limited.uids.clone()), predicate]),
            false => predicate,
        };
        let state = self.mailbox.state();
        let time_max = context.service.config.limits.search_time;
        let count = Arc::<AtomicU32>::default();
        let searching = self.mailbox.search_watched(&state, &predicate, &count);
        let mut progress = Progress::new(sink, Some(u64::from(state.summary.messages)));
        let look = |progress: &mut Progress| progress.reached(count.load(Relaxed));
        let found = progress
            .during(timeout(time_max, searching), sink, look)
            .await?;
        let Ok(found) = found else {
            let text = format!(
                "This search was given up after {} seconds, all that Limits:SearchTime allows; \
                 search for less.",
                time_max.as_secs()
            );
            return Err(Failure::Answer(no(Code::Limit, text)));
        };
        Ok((self.view.told_of(&found?), limited))
    }

    /// The response; SAVE alone answers nothing (RFC 5182 §2.1).
    fn found(
        &self,
        found: UidSet,
        numbers: Numbers,
        returns: Option<SearchReturn>,
        tag: Tag,
    ) -> Option<Untagged> {
        let set = match numbers {
            Numbers::Seq => NumberSet::Seq(self.view.seqs_of(&found)),
            Numbers::Uid => NumberSet::Uid(found),
        };
        match (returns, self.auth.mode.revision) {
            (None, Revision::Rev1) => Some(Untagged::Search(all_numbers(&set), None)),
            (None, Revision::Rev2) => {
                let all = SearchReturn {
                    all: true,
                    ..SearchReturn::default()
                };
                Some(Untagged::ESearch(esearch(set, numbers, all, tag)))
            }
            (Some(r), _) if r == SAVE_ALONE => None,
            (Some(r), _) => Some(Untagged::ESearch(esearch(set, numbers, r, tag))),
        }
    }
}

/// The messages that an answer is about: with MIN or MAX alone only those (RFC 4731 §3.2).
fn returned(returns: Option<SearchReturn>, found: &UidSet) -> UidSet {
    returns.map_or_else(|| found.clone(), |returns| saved(returns, found))
}

fn with_mod_seq(answer: Untagged, mod_seq: Option<ModSeq>) -> Untagged {
    match answer {
        Untagged::Search(numbers, _) => Untagged::Search(numbers, mod_seq),
        Untagged::ESearch(result) => Untagged::ESearch(ESearch { mod_seq, ..result }),
        other => other,
    }
}

/// A result that a session may hold (design.md §3).
fn held(found: UidSet, context: &Context) -> Result<UidSet, Failure> {
    let bytes = found.ranges().len().saturating_mul(size_of::<(Uid, Uid)>());
    if bytes > context.session_bytes_max() {
        return Err(Failure::Answer(no(
            Code::Limit,
            "This search finds more than one session may hold; search for less.",
        )));
    }
    Ok(found)
}

/// The recent messages are this session's own (RFC 3501 §2.3.2), so the view names them.
fn with_recent(predicate: Predicate<UidSet>, recent: &UidSet) -> Predicate<UidSet> {
    let inner = |p: Predicate<UidSet>| with_recent(p, recent);
    match predicate {
        Predicate::Recent => Predicate::Messages(recent.clone()),
        Predicate::And(all) => Predicate::And(all.into_iter().map(inner).collect()),
        Predicate::Or(two) => {
            let (a, b) = *two;
            Predicate::Or(Box::new((inner(a), inner(b))))
        }
        Predicate::Not(p) => Predicate::Not(Box::new(inner(*p))),
        other => other,
    }
}

/// What `$` becomes: with MIN, MAX or PARTIAL and without ALL or COUNT only those (RFC 5182 §2.1,
/// RFC 9394 §3.2).
fn saved(returns: SearchReturn, found: &UidSet) -> UidSet {
    let some = returns.min || returns.max || returns.partial.is_some();
    if returns.all || returns.count || !some {
        return found.clone();
    }
    let page = returns.partial.map(|page| on_page(page, found));
    let min = found.first().filter(|_| returns.min);
    let max = found.last().filter(|_| returns.max);
    let ends: UidSet = min.into_iter().chain(max).collect();
    ends.union(&page.unwrap_or_default())
}

/// The results on a page (RFC 9394 §3.1).
pub(super) fn on_page<N: Number>(page: Page, found: &Set<N>) -> Set<N> {
    let count = u32::try_from(found.count()).unwrap_or(u32::MAX);
    let Some(positions) = page.of(count) else {
        return Set::new();
    };
    let length = positions
        .end()
        .abs_diff(*positions.start())
        .saturating_add(1);
    let rest = found.iter().skip(*positions.start() as usize);
    rest.take(length as usize).collect()
}

fn esearch(set: NumberSet, numbers: Numbers, returns: SearchReturn, tag: Tag) -> ESearch {
    let (first, last, count) = match &set {
        NumberSet::Seq(set) => (
            set.first().map(|n| n.get()),
            set.last().map(|n| n.get()),
            set.count(),
        ),
        NumberSet::Uid(set) => (
            set.first().map(|n| n.get()),
            set.last().map(|n| n.get()),
            set.count(),
        ),
    };
    let partial = returns.partial.map(|page| {
        let found = match &set {
            NumberSet::Seq(set) => NumberSet::Seq(on_page(page, set)),
            NumberSet::Uid(set) => NumberSet::Uid(on_page(page, set)),
        };
        (page, found)
    });
    ESearch {
        tag,
        numbers,
        partial,
        min: first.filter(|_| returns.min),
        max: last.filter(|_| returns.max),
        count: returns
            .count
            .then(|| u32::try_from(count).unwrap_or(u32::MAX)),
        all: returns.all.then_some(set),
        mod_seq: None,
    }
}

fn all_numbers(set: &NumberSet) -> Vec<u32> {
    match set {
        NumberSet::Seq(set) => set.iter().map(|n| n.get()).collect(),
        NumberSet::Uid(set) => set.iter().map(|n| n.get()).collect(),
    }
}
