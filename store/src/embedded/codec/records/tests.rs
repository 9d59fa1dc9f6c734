//! What is written reads back the same, and what was changed underneath never reads as anything.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    contract::{AccountInfo, Quota},
    credential::{
        ActAs, AppPassword, CredentialId, LastUse, MainPassword, Scope, Scopes, Verifiers,
    },
    disk::{Disk, DiskFile, OpenMode, SimDisk},
    embedded::{
        body::places,
        codec::records::encode as encode_record,
        encode,
        frame::{HEADER_BYTES, Header, Salt},
        segment::{Item, Scanner},
    },
};

fn id<T>(new: fn(u64) -> Option<T>) -> impl Strategy<Value = T>
where
    T: std::fmt::Debug,
{
    (1..=u64::MAX >> 1).prop_map(move |n| new(n).unwrap())
}

fn some_uid() -> impl Strategy<Value = Uid> {
    (1..=u32::MAX).prop_map(|n| Uid::new(n).unwrap())
}

fn some_set() -> impl Strategy<Value = UidSet> {
    prop::collection::vec((some_uid(), some_uid()), 0..8).prop_map(|v| v.into_iter().collect())
}

fn some_keywords() -> impl Strategy<Value = Vec<Keyword>> {
    prop::collection::vec("[$A-Za-z][a-z0-9]{0,20}", 0..4)
        .prop_map(|v| v.iter().map(|k| Keyword::new(k).unwrap()).collect())
}

fn some_date() -> impl Strategy<Value = DateTime> {
    any::<(i64, i16)>().prop_map(|(secs, offset_minutes)| DateTime {
        secs,
        offset_minutes,
    })
}

fn some_name() -> impl Strategy<Value = MailboxName> {
    "[a-zA-Zé ]{1,20}(/[a-z]{1,9}){0,3}".prop_map(|name| MailboxName::new(&name).unwrap())
}

fn some_account() -> impl Strategy<Value = AccountInfo> {
    let quota = any::<(Option<u64>, Option<u64>)>();
    let texts = any::<(String, Vec<String>, Option<String>, String, Option<String>)>();
    let apps = prop::collection::vec(some_app_password(), 0..3);
    let may_act_as = prop_oneof![
        Just(ActAs::Anyone),
        prop::collection::vec(id(AccountId::new), 0..3).prop_map(ActAs::These),
    ];
    let more = any::<(bool, i64, u64)>();
    let all = (id(AccountId::new), texts, more, quota, apps, may_act_as);
    all.prop_map(|(id, texts, more, quota, apps, may_act_as)| AccountInfo {
        id,
        name: texts.0,
        aliases: texts.1,
        password: texts.2.map(|hash| MainPassword {
            id: CredentialId(more.2),
            verifiers: Verifiers {
                hash,
                scram: texts.4,
            },
        }),
        app_passwords: apps,
        credentials_issued: CredentialId(more.2),
        may_act_as,
        display_name: texts.3,
        enabled: more.0,
        quota: Quota {
            bytes: quota.0,
            messages: quota.1,
        },
        created_secs: more.1,
    })
}

fn some_app_password() -> impl Strategy<Value = AppPassword> {
    let texts = any::<(String, String, Option<String>, String)>();
    let numbers = any::<(u64, i64, Option<i64>)>();
    let last_use = prop::option::of(any::<(i64, String)>());
    let scopes = (0u8..8).prop_map(|bits| Scopes::from_bits(bits).unwrap());
    (texts, numbers, last_use, scopes).prop_map(|(texts, numbers, last_use, scopes)| AppPassword {
        id: CredentialId(numbers.0),
        name: texts.0,
        verifiers: Verifiers {
            hash: texts.1,
            scram: texts.2,
        },
        selector: texts.3,
        scopes,
        created_secs: numbers.1,
        expires_secs: numbers.2,
        last_use: last_use.map(|(secs, place)| LastUse {
            secs,
            place,
            scope: Scope::Imap,
        }),
    })
}

fn some_fixed() -> impl Strategy<Value = Static> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..100).prop_map(Bytes::from);
    let texts = || any::<String>().prop_map(String::into_boxed_str);
    let fields = prop::collection::vec((texts(), texts()), 0..3);
    let more = (any::<(u16, u64)>(), prop::option::of(some_date()), fields);
    let end = (texts(), prop::collection::vec(texts(), 0..3));
    ((bytes(), bytes(), bytes(), bytes()), more, end).prop_map(|(four, more, end)| Static {
        version: more.0.0,
        envelope: four.0,
        body: four.1,
        body_structure: four.2,
        parts: four.3,
        header_bytes: more.0.1,
        sent: more.1,
        fields: more.2,
        preview: end.0,
        thread_keys: end.1,
    })
}

fn some_body() -> impl Strategy<Value = BodyRecord> {
    let bytes = prop::collection::vec(any::<u8>(), 0..2_000);
    let rest = prop::option::of(id(BodyId::new));
    let parts = (id(BodyId::new), bytes, some_fixed(), any::<bool>(), rest);
    parts.prop_map(|(id, bytes, fixed, inside, rest)| {
        let packed = Packed::new(&[Bytes::from(bytes.clone())], 100, 1);
        BodyRecord {
            id,
            size: bytes.len() as u64,
            digest: [7; 32],
            data: if inside {
                BodyData::Packed(packed)
            } else {
                BodyData::Before
            },
            rest,
            fixed: Arc::new(fixed),
        }
    })
}

fn some_message() -> impl Strategy<Value = MessageRecord> {
    let ids = (
        some_uid(),
        id(ModSeq::new),
        id(BodyId::new),
        id(ThreadId::new),
    );
    let more = (
        some_date(),
        any::<i64>(),
        any::<u32>(),
        0..32u8,
        some_keywords(),
    );
    (ids, more).prop_map(|(ids, more)| MessageRecord {
        uid: ids.0,
        mod_seq: ids.1,
        body: ids.2,
        thread: ids.3,
        internal_date: more.0,
        saved_secs: more.1,
        size: more.2,
        system: SystemFlags::from_bits(more.3),
        keywords: more.4,
    })
}

fn some_flags() -> impl Strategy<Value = FlagsRecord> {
    (some_set(), 0..32u8, some_keywords()).prop_map(|(uids, bits, keywords)| FlagsRecord {
        uids,
        system: SystemFlags::from_bits(bits),
        keywords,
    })
}

fn some_mailbox() -> impl Strategy<Value = MailboxRecord> {
    let ids = (id(AccountId::new), id(MailboxId::new), 1..=u32::MAX);
    (ids, some_name(), 0..7usize).prop_map(|(ids, name, uses)| MailboxRecord {
        account: ids.0,
        id: ids.1,
        name,
        uid_validity: UidValidity::new(ids.2).unwrap(),
        special_use: SpecialUse::NAMES[..uses]
            .iter()
            .map(|(one, _)| *one)
            .collect(),
    })
}

fn some_counters() -> impl Strategy<Value = Counters> {
    let of_store = any::<(u64, u64, u64, u32)>().prop_map(|n| Counters::Store {
        account: n.0,
        mailbox: n.1,
        body: n.2,
        uid_validity: n.3,
    });
    let mod_seqs = (id(ModSeq::new), id(ModSeq::new));
    let of_mailbox = (id(AccountId::new), id(MailboxId::new), some_uid(), mod_seqs);
    let of_mailbox = of_mailbox.prop_map(|n| Counters::Mailbox {
        account: n.0,
        mailbox: n.1,
        uid_next: n.2,
        highest_mod_seq: n.3.0,
        history_floor: n.3.1,
    });
    prop_oneof![of_store, of_mailbox]
}

fn some_record() -> impl Strategy<Value = Record> {
    let (a, m) = (|| id(AccountId::new), || id(MailboxId::new));
    let names = prop::collection::vec((m(), some_name()), 0..4);
    let messages = prop::collection::vec(some_message(), 0..5);
    let flags = prop::collection::vec(some_flags(), 0..4);
    prop_oneof![
        some_account().prop_map(Record::Account),
        (a(), any::<bool>()).prop_map(|(id, is_purged)| {
            let purge = match is_purged {
                true => Purge::Now,
                false => Purge::AfterWindow,
            };
            Record::AccountRemoved(id, purge)
        }),
        some_mailbox().prop_map(Record::Mailbox),
        (a(), names).prop_map(|(a, names)| Record::Renamed(a, names)),
        (a(), m()).prop_map(|(a, m)| Record::MailboxDeleted(a, m)),
        (a(), some_name()).prop_map(|(a, name)| Record::Subscribed(a, name)),
        (a(), some_name()).prop_map(|(a, name)| Record::Unsubscribed(a, name)),
        some_body().prop_map(Record::Body),
        (a(), m(), messages).prop_map(|(a, m, list)| Record::Messages(a, m, list)),
        (a(), m(), id(ModSeq::new), flags).prop_map(|(a, m, n, list)| Record::Flags(a, m, n, list)),
        (a(), m(), id(ModSeq::new), some_set())
            .prop_map(|(a, m, n, s)| Record::Expunged(a, m, n, s)),
        (a(), m(), some_uid()).prop_map(|(a, m, uid)| Record::RecentFloor(a, m, uid)),
        some_counters().prop_map(Record::Counters),
    ]
}

fn some_transaction() -> impl Strategy<Value = Transaction> {
    let records = prop::collection::vec(some_record(), 0..8);
    (any::<(i64, String)>(), records).prop_map(|((time_secs, origin), records)| Transaction {
        time_secs,
        origin: origin.into(),
        records,
    })
}

fn payload_of(transaction: &Transaction) -> (Vec<u8>, Placed) {
    let (mut w, mut placed) = (Writer::default(), Placed::new());
    begin(&mut w, transaction.time_secs, &transaction.origin);
    for record in &transaction.records {
        encode_record(&mut w, record, &mut placed);
    }
    (w.0, placed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_transaction_goes_both_ways(transaction in some_transaction()) {
        let (bytes, placed) = payload_of(&transaction);
        let (read, found) = payload(&bytes).unwrap();
        prop_assert_eq!(&read.records, &transaction.records);
        prop_assert_eq!(read.time_secs, transaction.time_secs);
        prop_assert_eq!(&read.origin, &transaction.origin);
        prop_assert_eq!(found, placed);
    }

    #[test]
    fn noise_is_refused_calmly(transaction in some_transaction(), noise: Vec<(u16, u8)>) {
        let (mut bytes, _) = payload_of(&transaction);
        for (at, byte) in noise {
            let len = bytes.len();
            bytes[usize::from(at) % len] = byte;
        }
        // Without the frame's checksum: it need not notice, and must not panic.
        let _ = payload(&bytes);
        let _ = payload(&bytes[..bytes.len() / 2]);
    }
}

/// A segment of frames, and the frames.
fn segment(salt: Salt) -> (Vec<u8>, Vec<(Header, Bytes)>) {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let (mut runner, options) = (TestRunner::deterministic(), crate::Options::default());
    let (mut bytes, mut frames) = (Vec::new(), Vec::new());
    for lsn in 1..60 {
        let transaction = some_transaction().new_tree(&mut runner).unwrap().current();
        let encoded = encode::encode(transaction, &options, salt).unwrap();
        let frame = &encoded.frames[0];
        let header = Header {
            kind: frame.kind,
            len: u32::try_from(frame.payload.len()).unwrap(),
            payload_crc: frame.crc,
            lsn,
            durable: lsn - 1,
            group: 0,
        };
        bytes.extend(header.encode(salt));
        bytes.extend(&frame.payload);
        frames.push((header, Bytes::from(frame.payload.clone())));
    }
    (bytes, frames)
}

fn scan(file: &Arc<dyn DiskFile>, salt: Salt, len: u64) -> Vec<(Header, Bytes)> {
    let mut scanner = Scanner::new(file.clone(), salt, 0, len);
    let mut found = Vec::new();
    while let Some(item) = scanner.next().unwrap() {
        if let Item::Frame {
            header, payload, ..
        } = item
        {
            found.push((header, payload));
        }
    }
    found
}

#[test]
fn threat_35_ten_thousand_flipped_bits_are_each_noticed() {
    let salt = Salt::of(b"a salt of a test");
    let (bytes, frames) = segment(salt);
    let disk = SimDisk::new();
    let file = disk
        .open(std::path::Path::new("/seg"), OpenMode::New)
        .unwrap();
    file.write_at(0, &[std::io::IoSlice::new(&bytes)]).unwrap();
    let len = bytes.len() as u64;
    assert_eq!(scan(&file, salt, len), frames);
    let mut random = 88_172_645_463_325_252u64;
    for _ in 0..10_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let at = random % len;
        let byte = bytes[usize::try_from(at).unwrap()] ^ 1 << (random >> 60 & 7);
        let write = |byte| {
            file.write_at(at, &[std::io::IoSlice::new(&[byte])])
                .unwrap()
        };
        write(byte);
        let found = scan(&file, salt, len);
        // Exactly the frame that holds the bit is missing, nothing else is different.
        let missing = frames.iter().filter(|frame| !found.contains(frame)).count();
        assert_eq!((found.len(), missing), (frames.len() - 1, 1), "byte {at}");
        write(bytes[usize::try_from(at).unwrap()]);
    }
}

#[test]
fn a_body_that_is_a_frame_is_not_taken_for_one() {
    let (salt, forged) = (Salt::of(b"a salt of a test"), Salt::of(b"what a peer sees"));
    let (mut bytes, _) = segment(forged);
    // The real segment ends torn; what follows in it is a message made of frames.
    let (real, frames) = segment(salt);
    let cut = HEADER_BYTES + frames[0].1.len() + 10;
    let mut whole = real[..cut].to_vec();
    whole.append(&mut bytes);
    let disk = SimDisk::new();
    let file = disk
        .open(std::path::Path::new("/seg"), OpenMode::New)
        .unwrap();
    file.write_at(0, &[std::io::IoSlice::new(&whole)]).unwrap();
    assert_eq!(scan(&file, salt, whole.len() as u64), frames[..1]);
}

#[test]
fn a_long_list_is_halved_until_it_fits() {
    let options = crate::Options {
        frame_bytes_max: 1_000,
        ..crate::Options::default()
    };
    let message = |n: u32| MessageRecord {
        uid: Uid::new(n).unwrap(),
        mod_seq: ModSeq::MIN,
        body: BodyId::MIN,
        thread: ThreadId::MIN,
        internal_date: DateTime {
            secs: 0,
            offset_minutes: 0,
        },
        saved_secs: 0,
        size: 5,
        system: SystemFlags::NONE,
        keywords: Vec::new(),
    };
    let list = (1..=1_000).map(message).collect();
    let transaction = Transaction {
        time_secs: 1,
        origin: "test".into(),
        records: vec![Record::Messages(AccountId::MIN, MailboxId::MIN, list)],
    };
    let encoded = encode::encode(transaction, &options, Salt::NONE).unwrap();
    let mut uids = Vec::new();
    for frame in &encoded.frames {
        assert!(frame.payload.len() <= 1_100);
        for record in payload(&frame.payload).unwrap().0.records {
            let Record::Messages(.., list) = record else {
                panic!("{record:?}")
            };
            uids.extend(list.iter().map(|message| message.uid.get()));
        }
    }
    assert!(uids.into_iter().eq(1..=1_000));
    assert!(places(&[], 0, 0, 0).is_empty());
}
