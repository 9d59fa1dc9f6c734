//! GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208 §4.1).
//!
//! An account is one quota root. What is told is what the store counts; nothing is added up here.

use wire::imap::{
    code::Code,
    quota::{GetQuota, GetQuotaRoot, QuotaResource, Resource},
    response::Untagged,
};

use super::{
    Authenticated, Context,
    answer::{Outcome, no, ok},
    sink::Sink,
};

/// The name of the one quota root; to clients it means nothing (RFC 9208 §3.2).
const ROOT: &str = "account";
/// The unit of STORAGE, bytes.
const STORAGE_UNIT: u64 = 1_024;
/// The greatest `number64` (RFC 9051 §9).
const NUMBER_MAX: u64 = i64::MAX.cast_unsigned();

impl Authenticated {
    pub(super) async fn get_quota(
        &self,
        wanted: &GetQuota,
        context: &Context,
        sink: &mut Sink,
    ) -> Outcome {
        if self.login.is_anonymous() {
            return Ok(not_told());
        }
        if wanted.0 != ROOT.as_bytes() {
            return Ok(no(Code::NonExistent, "There is no such quota root."));
        }
        sink.send(&self.quota(context)).await?;
        Ok(ok("That is the quota."))
    }

    /// Every mailbox is of the one root, also one that does not exist yet (RFC 9208 §4.1.2).
    pub(super) async fn get_quota_root(
        &self,
        wanted: &GetQuotaRoot,
        context: &Context,
        sink: &mut Sink,
    ) -> Outcome {
        if self.login.is_anonymous() {
            return Ok(not_told());
        }
        let name = self.name(&wanted.0)?;
        sink.send(&Untagged::QuotaRoots(name, vec![ROOT])).await?;
        sink.send(&self.quota(context)).await?;
        Ok(ok("That is the quota."))
    }

    /// What is limited, and how much of it is used; what is not limited is left out
    /// (RFC 9208 §4.2.1).
    fn quota(&self, context: &Context) -> Untagged {
        let (quota, usage) = (self.account.info().quota, self.account.usage());
        let mailboxes = self.account.tree().mailboxes.len() as u64;
        let limits = &context.service.config.limits;
        // The server's own limits are told as well (RFC 9208 §3.2).
        let (mailboxes_max, messages_max) = (limits.mailboxes, u64::from(limits.messages));
        let messages = quota.messages.unwrap_or(messages_max).min(messages_max);
        let storage = quota.bytes.map(|limit| limit / STORAGE_UNIT);
        let resources = [
            (
                Resource::Storage,
                usage.bytes.div_ceil(STORAGE_UNIT),
                storage,
            ),
            (Resource::Message, usage.messages, Some(messages)),
            (Resource::Mailbox, mailboxes, Some(u64::from(mailboxes_max))),
        ];
        let limited = resources.into_iter();
        let limited = limited.filter_map(|(resource, usage, limit)| {
            let limit = limit?;
            Some(of(resource, usage, limit))
        });
        Untagged::Quota(ROOT, limited.collect())
    }
}

/// Numbers on the wire have 63 bits (RFC 9208 §3.1.2).
fn of(resource: Resource, usage: u64, limit: u64) -> QuotaResource {
    QuotaResource {
        resource,
        usage: usage.min(NUMBER_MAX),
        limit: limit.min(NUMBER_MAX),
    }
}

/// Quotas are the administrator's to set.
pub(super) fn set_quota() -> Outcome {
    Ok(no(
        Code::NoPerm,
        "Quotas are set by the administrator of the server.",
    ))
}

/// Somebody without a name is told nothing (RFC 9208 §8).
fn not_told() -> wire::imap::response::Completion {
    no(Code::NoPerm, "An anonymous user is told of no quota.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_63_bits() {
        let told = of(Resource::Message, u64::MAX, u64::MAX);
        assert_eq!((told.usage, told.limit), (NUMBER_MAX, NUMBER_MAX));
        let told = of(Resource::Message, 0, NUMBER_MAX);
        assert_eq!((told.usage, told.limit), (0, NUMBER_MAX));
    }
}
