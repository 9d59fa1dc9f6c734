//! Quotas: what an account may hold, what it holds, and what is promised to messages on their way.

use crate::{
    contract::{Quota, Usage},
    error::{Error, Fit, Result},
};

/// Whether `more` fits beside what is `used` and `reserved`.
pub(crate) fn fits(quota: Quota, used: Usage, reserved: Usage, more: Usage) -> Result<()> {
    let taken = add(used, reserved);
    check(quota.bytes, taken.bytes, more.bytes)?;
    check(quota.messages, taken.messages, more.messages)
}

fn check(limit: Option<u64>, taken: u64, more: u64) -> Result<()> {
    match limit {
        Some(limit) if more > limit => Err(Error::OverQuota(Fit::Never)),
        // What adds nothing is never over: flags and moves work in an account that is over quota.
        Some(limit) if more > 0 && taken.saturating_add(more) > limit => {
            Err(Error::OverQuota(Fit::Later))
        }
        _ => Ok(()),
    }
}

/// The quota of an account where none may have more than so many messages.
pub(crate) fn within(quota: Quota, messages_max: u64) -> Quota {
    Quota {
        messages: Some(quota.messages.unwrap_or(messages_max).min(messages_max)),
        ..quota
    }
}

/// Both together.
pub(crate) fn add(a: Usage, b: Usage) -> Usage {
    Usage {
        bytes: a.bytes.saturating_add(b.bytes),
        messages: a.messages.saturating_add(b.messages),
    }
}

/// What is left of `a`.
pub(crate) fn subtract(a: Usage, b: Usage) -> Usage {
    Usage {
        bytes: a.bytes.saturating_sub(b.bytes),
        messages: a.messages.saturating_sub(b.messages),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_limit() {
        let quota = Quota {
            bytes: Some(100),
            messages: Some(3),
        };
        let usage = |bytes, messages| Usage { bytes, messages };
        let fits = |used, more| fits(quota, used, usage(10, 1), more);
        assert_eq!(fits(usage(80, 1), usage(10, 1)), Ok(()));
        let later = Err(Error::OverQuota(Fit::Later));
        assert_eq!(fits(usage(80, 1), usage(11, 1)), later);
        assert_eq!(fits(usage(0, 2), usage(1, 1)), later);
        let never = Err(Error::OverQuota(Fit::Never));
        assert_eq!(fits(usage(0, 0), usage(101, 1)), never);
        assert_eq!(fits(usage(900, 9), usage(0, 0)), Ok(()));
    }

    #[test]
    fn a_store_has_a_limit_of_its_own() {
        for (messages, most, expected) in [(None, 5, 5), (Some(3), 5, 3), (Some(9), 5, 5)] {
            let quota = Quota {
                bytes: Some(100),
                messages,
            };
            let expected = Quota {
                messages: Some(expected),
                ..quota
            };
            assert_eq!(within(quota, most), expected);
        }
    }
}
