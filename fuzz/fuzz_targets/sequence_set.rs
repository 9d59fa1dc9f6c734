//! Sequence sets (RFC 9051 §9) against a set that is written out number by number: the input is
//! the set, and its last byte how many messages there are (threats 15 and 16).
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use wire::{
    frame::Frame,
    imap::{
        command::{Command, Selected},
        sequence::{End, Messages, Seq, SetOrSaved},
    },
};

fuzz_target!(|input: &[u8]| {
    let Some((last, set)) = input.split_last() else {
        return;
    };
    let Frame::Command(tagged) = fuzz::command(&[b"FETCH ", set, b" UID"]) else {
        return;
    };
    let Command::Selected(Selected::Fetch(fetch)) = tagged.command else {
        return;
    };
    let Messages::Seq(SetOrSaved::Set(set)) = fetch.messages else {
        return;
    };
    let last = Seq::new(u32::from(*last));
    let resolved = set.resolve(last);
    // What is counted is never more than the ranges, however wide they are.
    assert!(resolved.ranges().len() <= set.0.len());
    let count = last.map_or(0, Seq::get);
    let end = |end: End<Seq>| match end {
        End::Number(number) => number.get(),
        End::Last => count,
    };
    let mut slow = BTreeSet::new();
    for (a, b) in &set.0 {
        let (a, b) = (end(*a), end(*b));
        let star = [&a, &b].iter().any(|n| **n == 0);
        if !star {
            slow.extend(a.min(b)..=a.max(b).min(a.min(b).saturating_add(300)));
        }
    }
    for number in 1..=300 {
        let found = Seq::new(number).is_some_and(|seq| resolved.contains(seq));
        if slow.contains(&number) {
            assert!(found, "{number} is missing of {resolved}");
        } else if found {
            // Only a range that was cut short here may still hold it.
            assert!(slow.iter().any(|n| *n < number), "{number} is too much in {resolved}");
        }
    }
});
