//! A corpus of paths: what is read, and as what.

use super::*;

/// Paths that are read, and how they are written again (`<>` for the null path).
const ACCEPTED: &[(&str, &str)] = &[
    ("<>", "<>"),
    ("<a@b>", "<a@b>"),
    ("<you@localhost>", "<you@localhost>"),
    ("<user@example.org>", "<user@example.org>"),
    ("<User@Example.ORG>", "<User@Example.ORG>"),
    ("<postmaster>", "<postmaster>"),
    ("<Postmaster@example.org>", "<Postmaster@example.org>"),
    ("<user+folder@example.org>", "<user+folder@example.org>"),
    ("<user+a+b@example.org>", "<user+a+b@example.org>"),
    ("<user+@example.org>", "<user+@example.org>"),
    ("<+@example.org>", "<+@example.org>"),
    ("<a.b.c@example.org>", "<a.b.c@example.org>"),
    ("<a-b_c@example.org>", "<a-b_c@example.org>"),
    ("<-@example.org>", "<-@example.org>"),
    (
        "<!#$%&'*+-/=?^_`{|}~@example.org>",
        "<!#$%&'*+-/=?^_`{|}~@example.org>",
    ),
    ("<a=b@example.org>", "<a=b@example.org>"),
    (
        "<bounce-1=x=example.com@lists.example.org>",
        "<bounce-1=x=example.com@lists.example.org>",
    ),
    ("<SRS0=x=y=z=w@example.org>", "<SRS0=x=y=z=w@example.org>"),
    ("<1@2>", "<1@2>"),
    ("<a@1.2.3.4>", "<a@1.2.3.4>"),
    ("<a@b-c.example>", "<a@b-c.example>"),
    ("<a@b--c.example>", "<a@b--c.example>"),
    ("<a@xn--bcher-kva.example>", "<a@xn--bcher-kva.example>"),
    ("<a@my_host.example>", "<a@my_host.example>"),
    ("<a@_dmarc.example>", "<a@_dmarc.example>"),
    ("<a@[127.0.0.1]>", "<a@[127.0.0.1]>"),
    ("<a@[255.255.255.255]>", "<a@[255.255.255.255]>"),
    ("<a@[IPv6:::1]>", "<a@[IPv6:::1]>"),
    ("<a@[ipv6:2001:db8::1]>", "<a@[ipv6:2001:db8::1]>"),
    ("<a@[IPv6:::ffff:192.0.2.1]>", "<a@[IPv6:::ffff:192.0.2.1]>"),
    ("<a@[x-tag:content]>", "<a@[x-tag:content]>"),
    ("<a@[tag:a>b]>", "<a@[tag:a>b]>"),
    ("<\"\"@x>", "<\"\"@x>"),
    ("<\"\">", "<\"\">"),
    ("<\"a\"@b>", "<a@b>"),
    ("<\"a.b\"@b>", "<a.b@b>"),
    ("<\"a b\"@b>", "<\"a b\"@b>"),
    ("<\" \"@b>", "<\" \"@b>"),
    ("<\"a@b\"@c>", "<\"a@b\"@c>"),
    ("<\"a>b\"@c>", "<\"a>b\"@c>"),
    ("<\"a<b\"@c>", "<\"a<b\"@c>"),
    ("<\">\"@c>", "<\">\"@c>"),
    ("<\"a,b\"@c>", "<\"a,b\"@c>"),
    ("<\"a:b\"@c>", "<\"a:b\"@c>"),
    ("<\".\"@c>", "<\".\"@c>"),
    ("<\"a..b\"@c>", "<\"a..b\"@c>"),
    ("<\".a\"@c>", "<\".a\"@c>"),
    ("<\"a.\"@c>", "<\"a.\"@c>"),
    ("<\"\\a\"@c>", "<a@c>"),
    ("<\"\\\"\"@c>", "<\"\\\"\"@c>"),
    ("<\"\\\\\"@c>", "<\"\\\\\"@c>"),
    ("<\"\\ \"@c>", "<\" \"@c>"),
    ("<\"(x)\"@c>", "<\"(x)\"@c>"),
    ("<\"[x]\"@c>", "<\"[x]\"@c>"),
    ("<@a:b@c>", "<b@c>"),
    ("<@a.example,@b.example:c@d>", "<c@d>"),
    ("<@a,@b,@c,@d:e@f>", "<e@f>"),
    ("<@a:\"b c\"@d>", "<\"b c\"@d>"),
    ("<@a:b>", "<b>"),
    ("<jürgen@example.org>", "<jürgen@example.org>"),
    ("<\"jür gen\"@example.org>", "<\"jür gen\"@example.org>"),
    ("<a@bücher.example>", "<a@bücher.example>"),
    ("<用户@例子.广告>", "<用户@例子.广告>"),
    ("<अजय@डाटा.भारत>", "<अजय@डाटा.भारत>"),
    ("<квіточка@пошта.укр>", "<квіточка@пошта.укр>"),
    ("<😀@example.org>", "<😀@example.org>"),
    ("<u\u{308}@example.org>", "<u\u{308}@example.org>"),
    ("<NIL@NIL>", "<NIL@NIL>"),
    ("<{5}@c>", "<{5}@c>"),
    ("<a@b> SIZE=1", "<a@b>"),
    ("<a@b>x", "<a@b>"),
    ("<a@b>>", "<a@b>"),
    ("<>x", "<>"),
];

/// Paths that are refused.
const REFUSED: &[&str] = &[
    "",
    " ",
    "<",
    ">",
    "<<",
    "<<>>",
    "<<a@b>>",
    "a@b",
    "a@b>",
    "<a@b",
    " <a@b>",
    "< a@b>",
    "<a@b >",
    "<a @b>",
    "<a@ b>",
    "< >",
    "<@>",
    "<@b>",
    "<a@>",
    "<a@@b>",
    "<a@b@c>",
    "<.@b>",
    "<.a@b>",
    "<a.@b>",
    "<a..b@c>",
    "<...@b>",
    "<a@.>",
    "<a@.b>",
    "<a@b.>",
    "<a@b..c>",
    "<a@-b>",
    "<a@b->",
    "<a@b.-c>",
    "<a@b-.c>",
    "<a@b c>",
    "<a@b,c>",
    "<a@b/c>",
    "<a@b:c>",
    "<a@b;c@d>",
    "<a@b+c>",
    "<a@(b)>",
    "<a(b)@c>",
    "<a,b@c>",
    "<a:b@c>",
    "<a;b@c>",
    "<a[b]@c>",
    "<a\\b@c>",
    "<a\"b\"@c>",
    "<\"a\"b@c>",
    "<\"a\".b@c>",
    "<\"a@c>",
    "<\"@c>",
    "<\"\\\"@c>",
    "<\"\\",
    "<\"",
    "<\"a\"\"b\"@c>",
    "<a@\"b\">",
    "<\"a\\é\"@c>",
    "<a@[]>",
    "<a@[>",
    "<a@]>",
    "<a@[127.0.0]>",
    "<a@[127.0.0.256]>",
    "<a@[127.0.0.1>",
    "<a@[127.0.0.1]x>",
    "<a@x[127.0.0.1]>",
    "<a@[127.0.0.01]>",
    "<a@[::1]>",
    "<a@[IPv6:]>",
    "<a@[IPv6:1]>",
    "<a@[IPv6:1:2:3:4:5:6:7:8:9]>",
    "<a@[IPv6:127.0.0.1]>",
    "<a@[tag:]>",
    "<a@[-:x]>",
    "<a@[t-:x]>",
    "<a@[tag:a b]>",
    "<a@[tag:a\\b]>",
    "<a@[tag:a[b]>",
    "<@a>",
    "<@a:>",
    "<@a b@c>",
    "<@a,b@c>",
    "<@a,:b@c>",
    "<@a,@:b@c>",
    "<@:b@c>",
    "<,@a:b@c>",
    "<@a::b@c>",
    "<a\u{a0}b\u{85}@c>",
    "<\"a\u{2028}b\"@c>",
    "<a\tb@c>",
    "<\"a\tb\"@c>",
    "<\"a\rb\"@c>",
    "<\"a\nb\"@c>",
    "<\"a\\\rb\"@c>",
    "<a\0@c>",
    "<a@c\0>",
    "<a@c\r\n>",
    "<a\u{7f}@c>",
    "<a@c\u{7f}>",
];

#[test]
fn threat_32_corpus_of_paths() {
    assert!(ACCEPTED.len() + REFUSED.len() >= 150);
    for (written, want) in ACCEPTED {
        let (address, rest) = path(written).unwrap_or_else(|| panic!("{written:?} is refused"));
        let again = address
            .as_ref()
            .map_or_else(|| "<>".to_owned(), |address| format!("<{address}>"));
        assert_eq!(&again, want, "{written:?}");
        assert!(written.ends_with(rest));
        assert_eq!(path(&again), Some((address, "")), "{written:?} is stable");
    }
    for written in REFUSED {
        assert_eq!(path(written), None, "{written:?}");
    }
}

#[test]
fn threat_32_lengths() {
    let check = |local: usize, domain: String, fits: bool| {
        let written = format!("<{}@{domain}>", "x".repeat(local));
        assert_eq!(
            path(&written).is_some(),
            fits,
            "{local} and {}",
            domain.len()
        );
    };
    let labels = |n: usize| vec!["a".repeat(63); n].join(".");
    check(LOCAL_PART_BYTES_MAX, "b".into(), true);
    check(LOCAL_PART_BYTES_MAX + 1, "b".into(), false);
    check(1, labels(1), true);
    check(1, "a".repeat(64), false);
    check(1, labels(4), true);
    check(1, format!("{}.b", labels(4)), false);
}

#[test]
fn parts_of_an_address() {
    let address = Address::parse("\"a b\"@Example.org").unwrap();
    assert_eq!(address.local(), "a b");
    assert_eq!(address.domain(), Some("Example.org"));
    assert!(!address.is_international());
    assert!(Address::parse("ä@b").unwrap().is_international());
    assert_eq!(Address::parse("a@b>"), None);
}

proptest::proptest! {
    #[test]
    fn threat_32_any_text_is_answered(text in "[<>@\"\\\\,:.\\[\\]a1 é]{0,40}") {
        if let Some((Some(address), _)) = path(&text) {
            let again = format!("<{address}>");
            proptest::prop_assert_eq!(path(&again), Some((Some(address), "")));
        }
    }
}
