//! A store whose files were changed while it was closed (threat 35): the input is a list of
//! changes, each four bytes: which file, where (two), and what is put over it. It opens or is
//! refused; what opens can be checked, and nothing panics.
#![no_main]

use std::{path::Path, sync::Arc};

use libfuzzer_sys::fuzz_target;
use store::{Store as _, embedded::EmbeddedStore};

fuzz_target!(|input: &[u8]| {
    let kept = fuzz::place::kept_store();
    let disk = kept.after_power_cut(u64::MAX, 1);
    let names: Vec<_> = disk.files().into_keys().collect();
    for change in input.chunks_exact(4).take(64) {
        let name = &names[usize::from(change[0]) % names.len()];
        let mut content = disk.files().remove(name).unwrap_or_default();
        if content.is_empty() {
            continue;
        }
        let at = usize::from(u16::from_le_bytes([change[1], change[2]])) * content.len() / (1 << 16);
        match change[3] {
            0 => content.truncate(at),
            1 => content.insert(at, 0),
            xor => content[at] ^= xor,
        }
        disk.put(name, Some(content));
    }
    let runtime = fuzz::place::runtime();
    runtime.block_on(async {
        let (options, clock) = (fuzz::place::options(), fuzz::place::clock());
        let opened = EmbeddedStore::open_on(Arc::new(disk), Path::new("store"), options, clock);
        if let Ok(store) = opened {
            let _ = store.check().await;
            store.close().await;
        }
    });
});
