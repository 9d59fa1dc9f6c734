//! The configuration in the terms of the crates below: the wire's limits for each
//! stage of a connection, what is understood of a message, and the store's options.

use mail::limits::{Names, Parsing};

use super::table::{Config, LimitSettings};

/// What delivery adds to a message (trace fields) may go past the limit on messages.
const TRACE_BYTES: u64 = 1 << 20;

impl LimitSettings {
    /// What a client may send before it has logged in.
    #[must_use]
    pub fn before_login(&self) -> wire::limits::Limits {
        let literal = self.literal_bytes_before_login;
        let literals = self.literals_before_login as usize;
        wire::limits::Limits {
            line_bytes_max: self.line_bytes_before_login.as_usize(),
            literal_bytes_max: literal.as_usize(),
            // Before login their number bounds the sum.
            literal_sum_bytes_max: literal.as_usize().saturating_mul(literals),
            literals_max: literals,
            skip_bytes_max: literal.0,
            message_bytes_max: 0,
            depth_max: self.nesting_before_login as usize,
            ..self.after_login()
        }
    }

    /// What a client may send after login.
    #[must_use]
    pub fn after_login(&self) -> wire::limits::Limits {
        wire::limits::Limits {
            line_bytes_max: self.line_bytes.as_usize(),
            id_line_bytes_max: self.id_line_bytes.as_usize(),
            authenticate_line_bytes_max: self.authenticate_line_bytes.as_usize(),
            literal_bytes_max: self.literal_bytes.as_usize(),
            literal_sum_bytes_max: self.literal_bytes_sum.as_usize(),
            literals_max: self.literals as usize,
            skip_bytes_max: self.discard_bytes.0,
            message_bytes_max: self.message_bytes.0,
            depth_max: self.nesting as usize,
            search_keys_max: self.search_keys as usize,
            search_depth_max: self.search_depth as usize,
            list_patterns_max: self.list_patterns as usize,
            list_pattern_bytes_max: self.list_pattern_bytes.as_usize(),
            keywords_max: self.keywords_per_mailbox as usize,
            ..wire::limits::Limits::AFTER_LOGIN
        }
    }

    /// How much of a new message is understood.
    #[must_use]
    pub fn parsing(&self) -> Parsing {
        Parsing {
            header_bytes_max: self.header_bytes.as_usize(),
            headers_bytes_max: self.header_bytes_sum.as_usize(),
            depth_max: self.mime_depth as usize,
            parts_max: self.mime_parts as usize,
            params_max: self.parameters_per_field as usize,
        }
    }

    /// What a new mailbox may be called.
    #[must_use]
    pub fn names(&self) -> Names {
        Names {
            level_bytes_max: self.mailbox_level_bytes.as_usize(),
            depth_max: self.mailbox_depth as usize,
            name_bytes_max: self.mailbox_name_bytes.as_usize(),
        }
    }
}

impl Config {
    /// How the store is to work; what has no setting is the store's own default.
    #[must_use]
    pub fn store_options(&self) -> store::Options {
        store::Options {
            segment_bytes: self.store.segment_bytes.0,
            reserve_bytes: self.store.reserve_bytes.0,
            mailbox_cache_bytes: self.store.cache_bytes.0,
            compression_level: i32::from(self.store.compression_level),
            undelete_secs: self.store.undelete_window.as_secs(),
            history_ranges_max: self.store.expunge_ranges,
            keywords_per_mailbox_max: self.limits.keywords_per_mailbox as usize,
            keyword_bytes_max: self.limits.keyword_bytes.as_usize(),
            mailboxes_max: self.limits.mailboxes as usize,
            messages_max: u64::from(self.limits.messages),
            names: self.limits.names(),
            message_bytes_max: self.limits.message_bytes.0.saturating_add(TRACE_BYTES),
            ..store::Options::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, load};
    use super::*;

    fn defaults() -> Config {
        load(&Options::default()).unwrap().config
    }

    #[test]
    fn the_defaults_are_those_of_the_wire() {
        let limits = defaults().limits;
        assert_eq!(limits.before_login(), wire::limits::Limits::BEFORE_LOGIN);
        assert_eq!(limits.after_login(), wire::limits::Limits::AFTER_LOGIN);
    }

    #[test]
    fn the_defaults_are_those_of_the_store() {
        let ours = store::Options {
            message_bytes_max: store::Options::default().message_bytes_max,
            ..defaults().store_options()
        };
        assert_eq!(ours, store::Options::default());
    }

    #[test]
    fn the_defaults_are_those_of_mail() {
        let limits = defaults().limits;
        assert_eq!(limits.parsing(), Parsing::DEFAULT);
        assert_eq!(limits.names(), Names::ALL);
    }

    #[test]
    fn what_is_set_reaches_what_it_limits() {
        let set = [
            "HeaderBytes=2KiB",
            "HeaderBytesSum=3KiB",
            "MimeDepth=4",
            "MimeParts=5",
            "ParametersPerField=6",
            "MailboxLevelBytes=17",
            "MailboxDepth=8",
            "MailboxNameBytes=19",
            "KeywordBytes=20",
            "SearchDepth=21",
        ];
        let options = Options {
            set: set.iter().map(|set| format!("Limits:{set}")).collect(),
            ..Options::default()
        };
        let config = load(&options).unwrap().config;
        let parsing = Parsing {
            header_bytes_max: 2_048,
            headers_bytes_max: 3_072,
            depth_max: 4,
            parts_max: 5,
            params_max: 6,
        };
        let names = Names {
            level_bytes_max: 17,
            depth_max: 8,
            name_bytes_max: 19,
        };
        assert_eq!(config.limits.parsing(), parsing);
        let options = config.store_options();
        assert_eq!((options.names, options.keyword_bytes_max), (names, 20));
        assert_eq!(config.limits.before_login().search_depth_max, 21);
    }

    #[test]
    fn what_is_set_of_the_store_reaches_it() {
        let set = [
            "Store:SegmentBytes=2MiB",
            "Store:ReserveBytes=3MiB",
            "Store:CacheBytes=4MiB",
            "Store:CompressionLevel=5",
            "Store:UndeleteWindow=6h",
            "Store:ExpungeRanges=7",
            "Limits:KeywordsPerMailbox=37",
            "Limits:Mailboxes=38",
            "Limits:Messages=40",
            "Limits:MessageBytes=39MiB",
        ];
        let options = Options {
            set: set.iter().map(ToString::to_string).collect(),
            ..Options::default()
        };
        let options = load(&options).unwrap().config.store_options();
        let expected = store::Options {
            segment_bytes: 2 << 20,
            reserve_bytes: 3 << 20,
            mailbox_cache_bytes: 4 << 20,
            compression_level: 5,
            undelete_secs: 6 * 3_600,
            history_ranges_max: 7,
            keywords_per_mailbox_max: 37,
            mailboxes_max: 38,
            messages_max: 40,
            message_bytes_max: (39 << 20) + TRACE_BYTES,
            ..store::Options::default()
        };
        assert_eq!(options, expected);
    }
}
