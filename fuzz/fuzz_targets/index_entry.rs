//! A mailbox's entry and rows in the index, whatever stands on the disk (threat 35).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| store::fuzzing::index_entry(bytes));
