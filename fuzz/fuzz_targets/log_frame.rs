//! A frame of the mail log, whatever stands on the disk: an error, or what was written (threat 35).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| store::fuzzing::log_frame(bytes));
