//! Bodies that are about to be named by a transaction, and must not go before.
//!
//! What several accounts share is stored with the first of them; that one may be gone before the
//! next one's transaction is in the log. Pins are in memory only: a delivery does not outlive its
//! process.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use mail::id::BodyId;
use parking_lot::Mutex;

/// How often each body is pinned.
#[derive(Debug, Default)]
pub(crate) struct Pins(Mutex<HashMap<BodyId, u32>>);

/// Keeps a body while it exists.
#[derive(Debug)]
pub(crate) struct Pin {
    pins: Arc<Pins>,
    body: BodyId,
}

impl Pins {
    /// Pins a body.
    pub(crate) fn pin(pins: &Arc<Self>, body: BodyId) -> Pin {
        *pins.0.lock().entry(body).or_default() += 1;
        Pin {
            pins: Arc::clone(pins),
            body,
        }
    }

    /// What is pinned now.
    pub(crate) fn all(&self) -> HashSet<BodyId> {
        self.0.lock().keys().copied().collect()
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.pins.0.lock();
        if let Some(count) = pins.get_mut(&self.body) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.body);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_pinned_until_the_last_pin_goes() {
        let (pins, body) = (Arc::<Pins>::default(), BodyId::MIN);
        let (first, second) = (Pins::pin(&pins, body), Pins::pin(&pins, body));
        drop(first);
        assert!(pins.all().contains(&body));
        drop(second);
        assert!(pins.all().is_empty());
    }
}
