#!/usr/bin/env python3
"""Makes the generated half of the message corpus.

    tests/corpus/make.py [DIRECTORY]        default: target/corpus/generated
    tests/corpus/make.py --check            makes it twice and compares

Every message is written by hand here or composed from a fixed seed, so the
same bytes come out on every machine and every run. Files are named
`NNNN-topic.eml`; topics that break a rule begin with `bad-`. A manifest
(`MANIFEST.tsv`: file, bytes, SHA-256, note) stands beside them.

Nothing here parses mail: the files are bytes and meant to be read by the
parsers under test.
"""

import base64
import hashlib
import os
import pathlib
import quopri
import random
import shutil
import sys
import tempfile

SEED = 9051
CRLF = b"\r\n"
DATE = b"Date: Mon, 7 Feb 1994 21:52:25 -0800"
ROOT = pathlib.Path(__file__).resolve().parents[2]


def lines(*parts):
    """Joins lines, bytes or str, each ended by CRLF."""
    return b"".join((p.encode("utf-8") if isinstance(p, str) else p) + CRLF for p in parts)


def message(*header, body=b"Hello Joe, do you think we can meet at 3:30 tomorrow?\r\n"):
    """A message with the usual four fields, those of `header` after them."""
    usual = ["From: Terry Gray <gray@example.org>", "To: imap@example.org", "Subject: meeting", DATE.decode()]
    taken = {h.split(b":")[0].strip().lower() if isinstance(h, bytes) else h.split(":")[0].strip().lower().encode()
             for h in header}
    keep = [u for u in usual if u.split(":")[0].lower().encode() not in taken]
    return lines(*keep, *header) + CRLF + body


def multipart(subtype, boundary, parts, *header, preamble=b"", epilogue=b"", close=True, params=""):
    """A multipart message of ready-made parts (each with its own header)."""
    body = preamble
    for part in parts:
        body += b"--" + boundary + CRLF + part
        if not part.endswith(CRLF):
            body += CRLF
    if close:
        body += b"--" + boundary + b"--" + CRLF
    body += epilogue
    kind = b'Content-Type: multipart/' + subtype.encode() + b'; boundary="' + boundary + b'"' + params.encode()
    return message("MIME-Version: 1.0", kind, *header, body=body)


def part(content_type, body, *header):
    """One body part with its header."""
    return lines("Content-Type: " + content_type, *header) + CRLF + body


def text(body=b"one\r\ntwo\r\n", charset="us-ascii", *header):
    return part("text/plain; charset=" + charset, body, *header)


CASES = []


def case(name, data, note=""):
    CASES.append((name, data, note))


# --- ordinary ----------------------------------------------------------------

def ordinary():
    case("plain", message())
    case("plain-mime", message("MIME-Version: 1.0", "Content-Type: text/plain; charset=us-ascii"))
    case("no-subject", lines("From: a@example.org", "To: b@example.org", DATE.decode()) + CRLF + b"x\r\n")
    case("empty-subject", message("Subject:"))
    case("space-subject", message("Subject:    "))
    case("header-only", lines("From: a@example.org", "Subject: no body and no blank line"))
    case("header-and-blank", lines("From: a@example.org", "Subject: no body") + CRLF)
    case("body-only-blank", CRLF + b"only a body\r\n", "no header at all")
    case("long-thread", message("Message-ID: <9@example.org>", "In-Reply-To: <8@example.org>",
                                "References: " + CRLF.decode().join(" <%d@example.org>" % i for i in range(8)).strip()))
    case("many-references", message("Message-ID: <z@example.org>",
                                    "References:" + "".join("\r\n <ref-%04d@example.org>" % i for i in range(500))))
    case("all-address-fields", message("From: F <f@example.org>", "Sender: S <s@example.org>", "Reply-To: R <r@example.org>",
                                       "To: T <t@example.org>", "Cc: C <c@example.org>", "Bcc: B <b@example.org>",
                                       "Message-ID: <all@example.org>", "In-Reply-To: <other@example.org>"))
    case("received-chain", lines(*["Received: from h%d.example.org (h%d.example.org [192.0.2.%d])\r\n\tby mx.example.org with ESMTP id A%d;\r\n\tMon, 7 Feb 1994 21:%02d:00 -0800" % (i, i, i, i, i) for i in range(30)])
         + message())
    case("list-headers", message("List-Id: <things.example.org>", "List-Unsubscribe: <mailto:u@example.org>, <https://example.org/u>",
                                 "List-Post: NO", "Precedence: list"))
    case("keywords", message("Keywords: one, two", "Comments: a comment", "Keywords: three"))
    case("priority", message("X-Priority: 1 (Highest)", "Importance: high"))
    case("trace-resent", message("Resent-From: r@example.org", "Resent-To: q@example.org", "Resent-Date: Tue, 8 Feb 1994 00:00:00 +0000",
                                 "Resent-Message-ID: <re@example.org>"))
    case("html", message("MIME-Version: 1.0", "Content-Type: text/html; charset=utf-8",
                         body="<html><body><p>Grüße &amp; Küsse</p></body></html>\r\n".encode()))
    case("format-flowed", message("MIME-Version: 1.0", "Content-Type: text/plain; format=flowed; delsp=yes",
                                  body=b"> quoted \r\n> text\r\n -- \r\nsig\r\n"))
    case("disposition", message("MIME-Version: 1.0", "Content-Type: image/png", 'Content-Disposition: attachment; filename="a.png"; size=4',
                                "Content-Transfer-Encoding: base64", "Content-ID: <img@example.org>", "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==",
                                "Content-Language: en, fr", "Content-Location: http://example.org/a.png", "Content-Description: a picture",
                                body=b"iVBORw==\r\n"))
    case("language-list", message("MIME-Version: 1.0", "Content-Language: de, en-GB (british), fr"))


# --- structure ---------------------------------------------------------------

def structure():
    case("mixed", multipart("mixed", b"b1", [text(), text(b"two\r\n")], preamble=b"preamble\r\n", epilogue=b"epilogue\r\n"))
    case("alternative", multipart("alternative", b"alt", [text(), part("text/html", b"<b>x</b>\r\n")]))
    case("related", multipart("related", b"rel", [part("text/html", b'<img src="cid:i@x">\r\n'),
         part("image/gif", b"R0lGODlhAQABAAAAACw=\r\n", "Content-Transfer-Encoding: base64", "Content-ID: <i@x>")],
         params='; type="text/html"; start="<root@x>"'))
    case("one-part", multipart("mixed", b"b", [text()]))
    case("zero-parts", multipart("mixed", b"b", []), "closing delimiter only")
    case("part-without-header", multipart("mixed", b"b", [CRLF + b"default text/plain\r\n", text()]))
    case("part-without-body", multipart("mixed", b"b", [lines("Content-Type: text/plain"), text()]))
    case("part-empty", multipart("mixed", b"b", [CRLF, text()]))
    case("boundary-quoted-chars", multipart("mixed", b"=_'()+_,-./:=? x", [text()]))
    case("boundary-70", multipart("mixed", b"x" * 70, [text(), text()]))
    case("boundary-prefix", multipart("mixed", b"b", [multipart("mixed", b"b2", [text()]), text()]), "outer boundary is a prefix of the inner")
    case("boundary-unquoted", message("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=simple",
                                      body=b"--simple\r\n\r\none\r\n--simple--\r\n"))
    case("boundary-trailing-space", message("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b",
                                            body=b"--b  \t\r\n\r\none\r\n--b-- \t\r\n"))
    inner = message("MIME-Version: 1.0", "Subject: inner")
    case("rfc822", message("MIME-Version: 1.0", "Content-Type: message/rfc822", body=inner))
    case("rfc822-in-mixed", multipart("mixed", b"b", [text(), part("message/rfc822", inner), text()]))
    case("rfc822-multipart", multipart("mixed", b"outer", [text(), part("message/rfc822", multipart("alternative", b"in", [text(), part("text/html", b"x\r\n")]))]))
    case("rfc822-base64", multipart("mixed", b"b", [part("message/rfc822", base64.encodebytes(inner).replace(b"\n", CRLF), "Content-Transfer-Encoding: base64")]))
    case("rfc822-empty", multipart("mixed", b"b", [part("message/rfc822", b"")]))
    case("message-global", multipart("mixed", b"b", [part("message/global", lines("From: ä@exämple.org", "Subject: grüß") + CRLF + b"x\r\n")]))
    case("digest", multipart("digest", b"d", [CRLF + message("Subject: one"), CRLF + message("Subject: two")]))
    case("digest-with-text", multipart("digest", b"d", [text(), CRLF + message("Subject: two")]))
    case("parallel", multipart("parallel", b"p", [part("audio/basic", b"AAAA\r\n", "Content-Transfer-Encoding: base64"), text()]))
    case("rfc3501-example", multipart("mixed", b"m", [
        text(), part("application/octet-stream", b"AAAA\r\n", "Content-Transfer-Encoding: base64"),
        part("message/rfc822", multipart("mixed", b"n", [text(), part("application/octet-stream", b"BBBB\r\n")])),
        lines('Content-Type: multipart/mixed; boundary="k"') + CRLF + b"--k\r\n" + part("image/gif", b"x\r\n") + b"--k\r\n"
        + part("message/rfc822", multipart("mixed", b"l", [text(), part("text/richtext", b"r\r\n")])) + b"--k--\r\n"]),
        "the part numbers of RFC 9051 §6.4.5.1")
    case("signed", multipart("signed", b"s", [text(b"signed text\r\n"), part("application/pgp-signature; name=signature.asc",
         b"-----BEGIN PGP SIGNATURE-----\r\n\r\niQEzBAEBCAAdFiEE\r\n-----END PGP SIGNATURE-----\r\n")],
         params='; micalg=pgp-sha256; protocol="application/pgp-signature"'))
    case("encrypted", multipart("encrypted", b"e", [part("application/pgp-encrypted", b"Version: 1\r\n"),
         part("application/octet-stream", b"-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA\r\n-----END PGP MESSAGE-----\r\n")],
         params='; protocol="application/pgp-encrypted"'))
    case("smime", message("MIME-Version: 1.0", 'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"',
                          "Content-Transfer-Encoding: base64", body=base64.encodebytes(bytes(range(256)) * 4).replace(b"\n", CRLF)))
    case("calendar", multipart("alternative", b"c", [text(), part('text/calendar; charset=UTF-8; method=REQUEST',
         lines("BEGIN:VCALENDAR", "METHOD:REQUEST", "BEGIN:VEVENT", "SUMMARY:Grüße", "END:VEVENT", "END:VCALENDAR"))]))
    case("dsn", multipart("report", b"r", [text(b"Your mail was not delivered.\r\n"),
         part("message/delivery-status", lines("Reporting-MTA: dns; mx.example.org", "", "Final-Recipient: rfc822; a@example.org", "Action: failed", "Status: 5.1.1")),
         part("text/rfc822-headers", lines("From: a@example.org", "Subject: lost"))], "From: MAILER-DAEMON <>", params="; report-type=delivery-status"))
    case("mdn", multipart("report", b"r", [text(b"Read.\r\n"), part("message/disposition-notification",
         lines("Final-Recipient: rfc822; a@example.org", "Disposition: manual-action/MDN-sent-manually; displayed"))], params="; report-type=disposition-notification"))
    case("arf", multipart("report", b"r", [text(), part("message/feedback-report", lines("Feedback-Type: abuse", "Version: 1")),
         part("message/rfc822", message())], params="; report-type=feedback-report"))
    case("partial", message("MIME-Version: 1.0", 'Content-Type: message/partial; id="abc@x"; number=1; total=2', body=message()))
    case("external-body", multipart("mixed", b"x", [part('message/external-body; access-type=URL; URL="ftp://example.org/x"',
         lines("Content-Type: text/plain", "Content-ID: <p@x>") + CRLF)]))
    case("appledouble", multipart("appledouble", b"a", [part("application/applefile", b"AAUWBw==\r\n", "Content-Transfer-Encoding: base64"), part("image/png", b"iVBORw==\r\n", "Content-Transfer-Encoding: base64")]))
    case("form-data", multipart("form-data", b"f", [text(b"v\r\n", "us-ascii", 'Content-Disposition: form-data; name="field"')]))
    case("uuencode", message(body=b"text before\r\nbegin 644 cat.txt\r\n#0V%T\r\n`\r\nend\r\nand after\r\n"))
    case("uuencode-cte", message("MIME-Version: 1.0", "Content-Type: application/octet-stream", "Content-Transfer-Encoding: x-uuencode",
                                 body=b"begin 644 cat.txt\r\n#0V%T\r\n`\r\nend\r\n"))
    case("yenc", message("MIME-Version: 1.0", body=b"=ybegin line=128 size=256 name=all.bin\r\n" + bytes((b + 42) % 256 for b in range(256)).replace(b"\0", b"=@").replace(b"\r", b"=M").replace(b"\n", b"=J").replace(b"=", b"=}") + b"\r\n=yend size=256\r\n"))
    case("binhex", message("MIME-Version: 1.0", "Content-Type: application/mac-binhex40", body=b"(This file must be converted with BinHex 4.0)\r\n:#dpZ:!!:\r\n"))
    case("tnef", message("MIME-Version: 1.0", 'Content-Type: application/ms-tnef; name="winmail.dat"', "Content-Transfer-Encoding: base64", body=b"eJ8+IgAA\r\n"))
    for depth in (2, 5, 10, 20, 50, 99, 100, 101, 200, 1000):
        case("nest-multipart-%d" % depth, nested_multipart(depth), "multipart %d deep" % depth)
    for depth in (2, 10, 50, 100, 101, 300):
        case("nest-rfc822-%d" % depth, nested_rfc822(depth), "message/rfc822 %d deep" % depth)
    for count in (100, 999, 1000, 1001, 5000):
        case("parts-%d" % count, multipart("mixed", b"b", [CRLF + b"x\r\n"] * count), "%d parts" % count)


def nested_multipart(depth):
    out = b""
    for i in range(depth):
        head = b'Content-Type: multipart/mixed; boundary="n%d"\r\n\r\n--n%d\r\n' % (i, i)
        out += head
    out += b"Content-Type: text/plain\r\n\r\ndeep\r\n"
    for i in reversed(range(depth)):
        out += b"--n%d--\r\n" % i
    return lines("From: a@example.org", "Subject: nested", "MIME-Version: 1.0") + out


def nested_rfc822(depth):
    out = message("Subject: innermost")
    for i in range(depth):
        out = lines("From: a@example.org", "Subject: level %d" % i, "MIME-Version: 1.0", "Content-Type: message/rfc822") + CRLF + out
    return out


# --- broken structure ---------------------------------------------------------

def broken_structure():
    case("bad-no-close", multipart("mixed", b"b", [text(), text()], close=False))
    case("bad-no-delimiter", message("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=never", body=b"no such line here\r\n"))
    case("bad-no-boundary-param", message("MIME-Version: 1.0", "Content-Type: multipart/mixed", body=b"--b\r\n\r\nx\r\n--b--\r\n"))
    case("bad-empty-boundary", message("MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary=""', body=b"--\r\n\r\nx\r\n----\r\n"))
    case("bad-boundary-71", multipart("mixed", b"y" * 71, [text()]))
    case("bad-boundary-1000", multipart("mixed", b"z" * 1000, [text()]))
    case("bad-boundary-space-end", message("MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="b "', body=b"--b \r\n\r\nx\r\n--b --\r\n"))
    case("bad-boundary-case", message("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=CaSe", body=b"--case\r\n\r\nx\r\n--CASE--\r\n"))
    case("bad-boundary-no-crlf-before", message("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b", body=b"--b\r\n\r\nx--b--\r\n"))
    case("bad-inner-unclosed", multipart("mixed", b"out", [multipart("mixed", b"in", [text()], close=False), text(b"after\r\n")]))
    case("bad-same-boundary", multipart("mixed", b"same", [multipart("mixed", b"same", [text()]), text()]))
    case("bad-close-then-more", multipart("mixed", b"b", [text()], epilogue=b"--b\r\n\r\nafter the end\r\n--b--\r\n"))
    case("bad-two-content-types", message("MIME-Version: 1.0", "Content-Type: text/html", "Content-Type: multipart/mixed; boundary=b", body=b"--b\r\n\r\nx\r\n--b--\r\n"))
    case("bad-two-boundaries", message("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=a; boundary=b", body=b"--a\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--\r\n--a--\r\n"))
    case("bad-multipart-base64", message("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b", "Content-Transfer-Encoding: base64", body=b"--b\r\n\r\nx\r\n--b--\r\n"))
    case("bad-type-no-slash", message("MIME-Version: 1.0", "Content-Type: text"))
    case("bad-type-empty", message("MIME-Version: 1.0", "Content-Type:"))
    case("bad-type-garbage", message("MIME-Version: 1.0", "Content-Type: ;;;=;\"unterminated"))
    case("bad-type-slash-only", message("MIME-Version: 1.0", "Content-Type: /"))
    case("bad-type-8bit", message("MIME-Version: 1.0", b"Content-Type: t\xe9xt/pl\xe4in; charset=\xff"))
    case("bad-type-param-no-value", message("MIME-Version: 1.0", "Content-Type: text/plain; charset; format="))
    case("bad-type-space", message("MIME-Version: 1.0", "Content-Type : text / plain ; charset = utf-8"))
    case("bad-type-comment", message("MIME-Version: 1.0", "Content-Type: text/(comment)plain; (c) charset=(d)utf-8 (e)"))
    case("bad-cte-unknown", message("MIME-Version: 1.0", "Content-Transfer-Encoding: quantum", body=b"\x01\x02\r\n"))
    case("bad-cte-trailing", message("MIME-Version: 1.0", "Content-Transfer-Encoding: base64; foo=bar", body=b"aGVsbG8=\r\n"))
    case("bad-cte-comment", message("MIME-Version: 1.0", "Content-Transfer-Encoding: (yes) base64", body=b"aGVsbG8=\r\n"))
    case("bad-base64", message("MIME-Version: 1.0", "Content-Transfer-Encoding: base64", body=b"aGV!!sbG8=\r\n=== \r\nQQ\r\n"))
    case("bad-base64-truncated", message("MIME-Version: 1.0", "Content-Transfer-Encoding: base64", body=b"aGVsbG8gd29ybGQ\r\n"))
    case("bad-base64-one-char", message("MIME-Version: 1.0", "Content-Transfer-Encoding: base64", body=b"a"))
    case("bad-base64-padding-inside", message("MIME-Version: 1.0", "Content-Transfer-Encoding: base64", body=b"aGVsbG8=d29ybGQ=\r\n"))
    case("bad-qp", message("MIME-Version: 1.0", "Content-Transfer-Encoding: quoted-printable", body=b"=ZZ=4=\r\n=e4 lower =E4 ok= \t\r\nend="))
    case("bad-dsn", multipart("report", b"r", [text()], params="; report-type=delivery-status"))
    case("bad-mime-version", message("MIME-Version: 2.7 (beta)", "Content-Type: multipart/mixed; boundary=b", body=b"--b\r\n\r\nx\r\n--b--\r\n"))
    case("bad-truncated-in-header-of-part", message("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b", body=b"--b\r\nContent-Type: text/pl"))
    case("bad-truncated-in-delimiter", message("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=boundary", body=b"--boundary\r\n\r\nx\r\n--bound"))
    case("bad-delimiter-flood", message("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b", body=b"--b\r\n" * 20000))
    case("bad-dash-flood", message("MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="--------"', body=b"-" * 65536 + CRLF + b"----------\r\n\r\nx\r\n"))
    case("bad-mixed-ends-in-cr", multipart("mixed", b"b", [text()])[:-1])


# --- header oddities -----------------------------------------------------------

def headers():
    case("folded", message("Subject: folded\r\n subject\r\n\twith tabs\r\n  and spaces"))
    case("folded-white", message("Subject: text\r\n  \r\n after a white line"), "obs-FWS")
    case("folded-in-name", message("Subject\r\n : odd"))
    case("bad-space-before-colon", message("Subject : with a space", "From : x@example.org"))
    case("bad-no-colon", message("ThisLineHasNoColon", "Subject: after it"))
    case("bad-from-line", b"From gray@example.org Mon Feb  7 21:52:25 1994\r\n" + message(), "mbox From line")
    case("bad-gt-from-line", b">From gray@example.org Mon Feb  7 21:52:25 1994\r\n" + message())
    case("bad-first-line-folded", b" continued from nothing\r\n" + message())
    case("bad-colon-only", message(": no name", "Subject: x"))
    case("bad-blank-with-space", lines("From: a@example.org", "Subject: x") + b" \r\n" + b"body? or header\r\n")
    case("header-case", message("SUBJECT: upper", "fRoM: a@example.org", "mime-version: 1.0", "CONTENT-TYPE: TEXT/PLAIN; CHARSET=UTF-8"))
    case("duplicate-fields", message("Subject: first", "Subject: second", "From: a@example.org", "From: b@example.org", "To: c@example.org", "To: d@example.org", "Date: Tue, 8 Feb 1994 00:00:00 +0000", DATE))
    case("header-998", message("X-Long: " + "x" * 990))
    case("header-8k-folded", message("X-Long:" + "".join("\r\n " + "y" * 70 for _ in range(110))))
    case("header-64k-line", message("X-Long: " + "z" * 65536))
    case("header-1m-line", message("X-Long: " + "w" * (1 << 20)))
    case("header-5000-fields", message(*["X-Field-%d: value %d" % (i, i) for i in range(5000)]))
    case("header-subject-100k", message("Subject: " + "s" * 100_000))
    case("header-to-2000", message("To: " + ",\r\n ".join("User %d <user%d@example.org>" % (i, i) for i in range(2000))))
    case("header-name-1000", message("X-" + "N" * 1000 + ": v"))
    case("header-name-odd", message("X-!#$%&'*+-.^_`|~: v", "X[brackets]: w", "X\"quoted\": v"))
    case("header-name-8bit", message(b"X-\xc3\xa4: v"))
    case("subject-8bit-utf8", message("Subject: Grüße aus Köln ☃ 🐱".encode()))
    case("subject-8bit-latin1", message(b"Subject: Gr\xfc\xdfe"))
    case("subject-8bit-gbk", message("Subject: 你好".encode("gbk")))
    case("subject-8bit-sjis", message("Subject: 日本語".encode("shift_jis")))
    case("subject-2022-raw", message("Subject: 日本語".encode("iso-2022-jp")))
    case("subject-invalid-utf8", message(b"Subject: \xc3\x28 \xa0\xa1 \xe2\x28\xa1 \xf0\x28\x8c\xbc \xed\xa0\x80"))
    case("subject-nul", message(b"Subject: a\0b"))
    case("subject-controls", message(b"Subject: \x01\x02\x07\x08\x0b\x0c\x1b[31mred\x7f"))
    case("subject-quote-backslash", message('Subject: "quoted" \\ back\\"slash'))
    case("subject-brace", message("Subject: {10}\r\n {20+}"), "looks like a literal")
    case("subject-crlf-encoded", message("Subject: =?utf-8?Q?a=0D=0AX-Injected:_yes?="))
    case("subject-re", message("Subject: Re: [list] AW: Fwd: Re[2]: (fwd) hello (fwd)"))
    case("subject-percent", message("Subject: 100% *wild* %"))
    words = {"q": "=?iso-8859-1?Q?Andr=E9?=", "b": "=?UTF-8?B?R3LDvMOfZQ==?=", "lang": "=?us-ascii*en?Q?Keith_Moore?=",
             "adjacent": "=?utf-8?Q?ab?=  =?utf-8?Q?cd?=", "split-char": "=?utf-8?B?R3LDvMM=?= =?utf-8?B?n2U=?=",
             "unknown-charset": "=?x-nowhere?Q?abc?=", "empty": "=?utf-8?Q??=", "no-end": "=?utf-8?Q?abc", "bad-encoding": "=?utf-8?X?abc?=",
             "bad-base64": "=?utf-8?B?****?=", "space-inside": "=?utf-8?Q?a b c?=", "long": "=?utf-8?Q?" + "x" * 500 + "?=",
             "in-quoted": '"=?utf-8?Q?quoted?=" <a@example.org>', "2022": "=?ISO-2022-JP?B?GyRCRnxLXDhsGyhC?=", "euckr": "=?EUC-KR?B?x9GxuQ==?=",
             "gb18030": "=?gb18030?B?xOO6ww==?=", "koi8": "=?koi8-r?B?8NLJ18XU?=", "1256": "=?windows-1256?B?48jR1A==?=", "touching": "a=?utf-8?Q?b?=c",
             "many": " ".join("=?utf-8?Q?w%d?=" % i for i in range(300)), "utf7": "=?utf-7?Q?+AGEAYg-?=", "lower": "=?utf-8?q?lower_case=c3=a4?="}
    for name, word in words.items():
        case("word-" + name, message("Subject: " + word, "From: %s <w@example.org>" % word))


def addresses():
    odd = {
        "group": "undisclosed-recipients:;", "group-members": 'A Group: Ed <ed@example.org>, joe@example.org, "J, D" <jd@example.org>;',
        "group-nested": "outer: inner: a@example.org;, b@example.org;", "group-unclosed": "team: a@example.org, b@example.org",
        "two-groups": "a: x@example.org;, b: ;, c@example.org", "route": "<@a.example,@b.example:c@example.org>", "quoted-local": '"a b"@example.org',
        "quoted-at": '"a@b"@example.org', "comment": "a@example.org (Alice (nested) \\) Liddell)", "comment-only": "(nobody)", "literal": "a@[192.0.2.1]",
        "literal-v6": "a@[IPv6:2001:db8::1]", "no-domain": "root", "no-local": "@example.org", "angle-only": "<>", "empty": "", "commas": ",,, a@example.org ,,",
        "semicolons": "a@example.org; b@example.org", "no-close-angle": "A <a@example.org", "no-open-angle": "a@example.org>", "double-angle": "A <<a@example.org>>",
        "dots": "John Q. Public <jqp@example.org>", "dotdot": "a..b@example.org", "trailing-dot": "a@example.org.", "spaces": "a . b @ example . org",
        "unterminated-quote": '"never closed <a@example.org>', "escape-end": '"a\\" <a@example.org>', "8bit-name": "Jürgen <j@example.org>", "8bit-local": "jürgen@exämple.org",
        "idn": "a@xn--exmple-cua.org", "two-at": "a@b@c", "name-after": "<a@example.org> Alice", "long-local": "x" * 2000 + "@example.org",
        "long-domain": "a@" + ".".join("label%d" % i for i in range(200)), "deep-comment": "(" * 500 + ")" * 500 + " a@example.org", "tab": "A\tB\t<a@example.org>",
        "encoded": "=?utf-8?Q?J=C3=BCrgen?= <j@example.org>", "encoded-comma": "=?utf-8?Q?Doe=2C_Jane?= <j@example.org>", "single-quotes": "'a@example.org' <a@example.org>",
        "mailto": "mailto:a@example.org", "folded": "A\r\n B\r\n <a@\r\n example.org>", "newline-escape": '"a\\\r\n b" <a@example.org>', "nul": "a\0b@example.org",
        "percent": "a%b@example.org", "bang": "host!user", "x400": '"/G=Jane/S=Doe/O=Org/C=DE/"@example.org', "plus": "a+folder@example.org", "colon": "a:b@example.org",
    }
    for name, value in odd.items():
        case("addr-" + name, message("From: " + value, "To: " + value, "Reply-To: " + value))


def dates():
    odd = {
        "rfc2822": "Mon, 07 Feb 1994 21:52:25 -0800", "no-day": "7 Feb 1994 21:52:25 -0800", "no-seconds": "7 Feb 1994 21:52 -0800", "two-digit-year": "Mon, 7 Feb 94 21:52:25 PST",
        "three-digit-year": "Mon, 7 Feb 104 21:52:25 +0000", "zone-name": "Mon, 7 Feb 1994 21:52:25 EDT", "zone-military": "Mon, 7 Feb 1994 21:52:25 Z", "zone-unknown": "Mon, 7 Feb 1994 21:52:25 XYZT",
        "zone-none": "Mon, 7 Feb 1994 21:52:25", "zone-minus0": "Mon, 7 Feb 1994 21:52:25 -0000", "zone-big": "Mon, 7 Feb 1994 21:52:25 +9999", "comment": "Mon, 7 Feb 1994 21:52:25 -0800 (PST)",
        "comment-everywhere": "Mon (x), 7 (y) Feb (z) 1994 21 (h) : 52 : 25 -0800", "asctime": "Mon Feb  7 21:52:25 1994", "iso": "1994-02-07T21:52:25Z", "us": "02/07/1994 9:52 PM", "garbage": "yesterday at noon",
        "empty": "", "leap-second": "Sat, 31 Dec 2016 23:59:60 +0000", "feb-30": "Fri, 30 Feb 1996 00:00:00 +0000", "day-0": "Fri, 0 Feb 1996 00:00:00 +0000", "hour-25": "Mon, 7 Feb 1994 25:61:61 +0000",
        "year-0": "Sat, 1 Jan 0000 00:00:00 +0000", "year-9999": "Fri, 31 Dec 9999 23:59:59 +0000", "year-huge": "Fri, 31 Dec 999999999999 23:59:59 +0000", "year-1900": "Mon, 1 Jan 1900 00:00:00 +0000",
        "negative": "Mon, -7 Feb 1994 -1:00:00 +0000", "wrong-weekday": "Sun, 7 Feb 1994 21:52:25 -0800", "folded": "Mon,\r\n 7 Feb 1994\r\n 21:52:25 -0800", "lower": "mon, 7 feb 1994 21:52:25 gmt", "long-month": "Monday, 7 February 1994 21:52:25 +0000",
        "german": "Mo, 7 Feb 1994 21:52:25 +0100", "8bit": "lun, 7 févr 1994 21:52:25 +0100", "epoch": "Thu, 1 Jan 1970 00:00:00 +0000", "before-epoch": "Wed, 31 Dec 1969 23:59:59 +0000", "y2038": "Tue, 19 Jan 2038 03:14:08 +0000", "dash": "07-Feb-1994 21:52:25 -0800",
    }
    for name, value in odd.items():
        case("date-" + name, message("Date: " + value))


def parameters():
    odd = {
        "2231-charset": "attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe.txt", "2231-continued": 'attachment; filename*0="very "; filename*1="long.txt"',
        "2231-both": "attachment; filename*0*=us-ascii'en'a%20; filename*1*=b%20; filename*2=c.txt", "2231-order": 'attachment; filename*1="b"; filename*0="a"',
        "2231-gap": 'attachment; filename*0="a"; filename*2="c"', "2231-plain-and-star": "attachment; filename=plain.txt; filename*=utf-8''star.txt",
        "2231-bad-percent": "attachment; filename*=utf-8''a%zz%4", "2231-no-quotes": "attachment; filename*=utf-8", "2231-unknown": "attachment; filename*=x-none''abc",
        "2231-many": "attachment" + "".join("; filename*%d=x" % i for i in range(2000)), "2047-in-param": 'attachment; filename="=?utf-8?Q?Gr=C3=BC=C3=9Fe.txt?="',
        "8bit": "attachment; filename=\"Grüße.txt\"", "unquoted-space": "attachment; filename=my file.txt", "escaped": 'attachment; filename="a\\"b\\\\c.txt"', "empty": 'attachment; filename=""',
        "no-type": '; filename="a.txt"', "dup": "attachment; filename=a; filename=b", "path": 'attachment; filename="../../etc/passwd"', "semicolons": "attachment;;;; filename=a;;",
        "newline": 'attachment; filename="a\r\n b.txt"', "nul": 'attachment; filename="a\0b.txt"', "case": "ATTACHMENT; FILENAME=A.TXT", "single-quoted": "attachment; filename='a b.txt'",
        "size-date": 'attachment; filename=a; size=99999999999999999999; creation-date="Mon, 7 Feb 1994 21:52:25 -0800"', "long": 'attachment; filename="' + "f" * 5000 + '"',
        "unterminated": 'attachment; filename="abc', "equals": "attachment; =x; filename==y", "2231-index-huge": "attachment; filename*99999999999999999999=x", "2231-leading-zero": "attachment; filename*00=a; filename*01=b",
    }
    for name, value in odd.items():
        body = part("application/octet-stream; " + (value.split(";", 1)[1] if ";" in value else "x=y").replace("filename", "name"),
                    b"AAAA\r\n", "Content-Transfer-Encoding: base64", "Content-Disposition: " + value)
        case("param-" + name, multipart("mixed", b"b", [text(), body]))


def charsets():
    samples = {
        "us-ascii": "plain", "utf-8": "Grüße ☃ 日本語 🐱", "iso-8859-1": "Grüße", "iso-8859-2": "Żółć", "iso-8859-5": "Привет", "iso-8859-7": "Γειά", "iso-8859-8": "שלום",
        "iso-8859-15": "10 €", "windows-1250": "Żółć", "windows-1251": "Привет", "windows-1252": "“€”", "windows-1253": "Γειά", "windows-1255": "שלום", "windows-1256": "مرحبا", "windows-1257": "Ąžuolas",
        "windows-1258": "Viet", "koi8-r": "Привет", "koi8-u": "Привіт", "gb2312": "你好", "gbk": "你好", "gb18030": "你好🐱", "big5": "你好", "shift_jis": "日本語", "euc-jp": "日本語", "iso-2022-jp": "日本語",
        "euc-kr": "한국어", "iso-2022-kr": "한국어", "utf-16": "wide", "utf-16le": "wide", "utf-16be": "wide", "utf-7": "Grüße", "cp850": "Grüße", "tis-620": "สวัสดี", "hz-gb-2312": "你好", "mac-roman": "Grüße",
    }
    codec = {"hz-gb-2312": "hz"}
    for name, sample in samples.items():
        raw = (sample + "\r\n").encode(codec.get(name, name), "replace")
        case("charset-%s-8bit" % name, message("MIME-Version: 1.0", "Content-Type: text/plain; charset=" + name, "Content-Transfer-Encoding: 8bit", body=raw))
        case("charset-%s-base64" % name, message("MIME-Version: 1.0", 'Content-Type: text/plain; charset="%s"' % name.upper(), "Content-Transfer-Encoding: BASE64", body=base64.encodebytes(raw).replace(b"\n", CRLF)))
        case("charset-%s-qp" % name, message("MIME-Version: 1.0", "Content-Type: text/html; charset=" + name, "Content-Transfer-Encoding: Quoted-Printable", body=quopri.encodestring(raw.replace(CRLF, b"\n")).replace(b"\n", CRLF)))
    for name in ("x-unknown", "unknown-8bit", "default", "", "utf8", "'utf-8'", "utf-8 ", "ansi_x3.4-1968", "x" * 300, "8859-1", "iso-8859-99"):
        label = "".join(c if c.isalnum() else "_" for c in name)[:20]
        case("bad-charset-" + (label or "empty"), message("MIME-Version: 1.0", 'Content-Type: text/plain; charset="%s"' % name, body=b"b\xfcyte \xc3\xa4\r\n"))


def bytes_and_lines():
    case("bad-empty", b"", "no bytes at all")
    case("bad-one-byte", b"x")
    case("bad-one-cr", b"\r")
    case("bad-one-lf", b"\n")
    case("bad-crlf-only", CRLF)
    case("bad-crlf-crlf", CRLF * 2)
    case("bad-nul-only", b"\0" * 100)
    case("bad-all-bytes", bytes(range(256)) * 16)
    case("bad-lf-only", message().replace(CRLF, b"\n"))
    case("bad-cr-only", message().replace(CRLF, b"\r"))
    case("bad-lf-header", message().replace(CRLF, b"\n", 4))
    case("bad-mixed-ends", b"".join(l + (b"\r\n", b"\n", b"\r", b"\r\r\n")[i % 4] for i, l in enumerate(message().split(CRLF))))
    case("bad-cr-cr-lf", message().replace(CRLF, b"\r\r\n"))
    case("bad-lf-cr", message().replace(CRLF, b"\n\r"))
    case("bad-lf-multipart", multipart("mixed", b"b", [text(), text()]).replace(CRLF, b"\n"))
    case("bad-cr-multipart", multipart("mixed", b"b", [text(), text()]).replace(CRLF, b"\r"))
    case("bad-bare-lf-in-body", message(body=b"a\nb\n\nc\r\n"))
    case("bad-bare-cr-in-body", message(body=b"a\rb\r\r\r\nc\r\n"))
    case("bad-bare-cr-in-header", message(b"Subject: a\rX-Injected: b"))
    case("bad-smuggle", message(body=b"a\r\n.\r\nMAIL FROM:<x>\r\n\n.\n\r.\r"), "ends of DATA of every kind")
    case("dots", message(body=b".\r\n..\r\n...\r\n.a\r\n"))
    case("nul-body", message(body=b"a\0b\0\0\r\n"))
    case("nul-header", lines(b"From: a@example.org\0", b"\0Subject: x") + CRLF + b"x\r\n")
    case("no-final-newline", message(body=b"no newline at the end"))
    case("final-newlines", message(body=b"x\r\n" + CRLF * 1000))
    case("ends-in-cr", message(body=b"x\r"))
    case("8bit-body", message("MIME-Version: 1.0", "Content-Transfer-Encoding: 8bit", "Content-Type: text/plain; charset=utf-8", body="ä\r\n".encode() * 100))
    case("8bit-no-mime", message(body=b"\xe4\xf6\xfc\r\n"))
    case("8bit-claims-7bit", message("MIME-Version: 1.0", "Content-Transfer-Encoding: 7bit", body=b"\xe4\xf6\xfc\r\n"))
    case("binary", message("MIME-Version: 1.0", "Content-Type: application/octet-stream", "Content-Transfer-Encoding: binary", body=bytes(range(256)) * 4))
    case("bom", b"\xef\xbb\xbf" + message())
    case("utf16", message().decode().encode("utf-16"))
    for size in (998, 999, 4096, 65536, 1 << 20):
        case("line-%d" % size, message(body=b"x" * size + CRLF), "one line of %d bytes" % size)
    case("body-1m-lines", message(body=b"a line of sixteen\r\n" * 55000))
    case("body-empty-lines", message(body=CRLF * 50000))
    case("attachment-1m", multipart("mixed", b"b", [text(), part("application/zip", base64.encodebytes(random.Random(SEED).randbytes(768 * 1024)).replace(b"\n", CRLF), "Content-Transfer-Encoding: base64")]))
    case("wrong-content-length", message("Content-Length: 1", "Lines: 99999", "Status: RO", "X-UID: 17"))
    case("imap-syntax", message('Subject: * 1 FETCH (FLAGS ()) {3}', body=b"* BYE\r\na1 OK done\r\n{5+}\r\nhello\r\n)\r\n"))
    case("base64-long-line", message("MIME-Version: 1.0", "Content-Transfer-Encoding: base64", body=base64.b64encode(b"x" * 30000)))
    case("base64-one-per-line", message("MIME-Version: 1.0", "Content-Transfer-Encoding: base64", body=CRLF.join(bytes([c]) for c in base64.b64encode(b"one char a line")) + CRLF))
    case("qp-soft-breaks", message("MIME-Version: 1.0", "Content-Transfer-Encoding: quoted-printable", body=b"a=\r\nb=\r\nc=20\r\n=\r\n\r\n"))
    case("qp-nul", message("MIME-Version: 1.0", "Content-Type: application/octet-stream", "Content-Transfer-Encoding: quoted-printable", body=b"a=00b=00\r\n"))


# --- composed from the seed ----------------------------------------------------

WORDS = ("mail store index flag label folder thread quota search reply forward draft archive meeting lunch budget report café naïve Straße 東京 данные λόγος").split()


def prose(rng, count):
    return " ".join(rng.choice(WORDS) for _ in range(count))


def random_part(rng, depth):
    """A part chosen by the seed; deeper ones are more often leaves."""
    roll = rng.random()
    if depth > 0 and roll < 0.30:
        boundary = b"rnd%08x" % rng.getrandbits(32)
        kids = b"".join(b"--" + boundary + CRLF + random_part(rng, depth - 1) + CRLF for _ in range(rng.randint(1, 4)))
        kind = rng.choice(("mixed", "alternative", "related", "digest", "parallel", "signed"))
        tail = b"--" + boundary + b"--" + CRLF if rng.random() < 0.85 else b""
        return lines('Content-Type: multipart/%s; boundary="%s"' % (kind, boundary.decode())) + CRLF + kids + tail
    if depth > 0 and roll < 0.42:
        return part("message/rfc822", random_message(rng, depth - 1))
    raw = "\r\n".join(prose(rng, rng.randint(1, 14)) for _ in range(rng.randint(0, 20))).encode()
    style = rng.randrange(5)
    if style == 0:
        return part("text/plain; charset=utf-8", raw, "Content-Transfer-Encoding: 8bit")
    if style == 1:
        return part("text/html; charset=utf-8", quopri.encodestring(raw.replace(CRLF, b"\n")).replace(b"\n", CRLF), "Content-Transfer-Encoding: quoted-printable")
    if style == 2:
        return part("application/octet-stream", base64.encodebytes(rng.randbytes(rng.randint(0, 600))).replace(b"\n", CRLF), "Content-Transfer-Encoding: base64",
                    "Content-Disposition: attachment; filename*=utf-8''%D0%B4.bin")
    if style == 3:
        return part("text/plain; charset=iso-8859-1", raw.decode().encode("latin-1", "replace"))
    return CRLF + raw


def random_message(rng, depth):
    head = ["From: =?utf-8?B?%s?= <u%d@example.org>" % (base64.b64encode(prose(rng, 2).encode()).decode(), rng.randrange(100)),
            "To: " + ", ".join("v%d@example.net" % rng.randrange(100) for _ in range(rng.randint(1, 6))),
            "Subject: " + (prose(rng, 5) if rng.random() < 0.5 else "=?utf-8?Q?%s?=" % quopri.encodestring(prose(rng, 3).encode(), header=True).decode().replace("=\n", "")),
            "Message-ID: <%x@example.org>" % rng.getrandbits(64), "Date: %d Mar 20%02d %02d:%02d:00 +0%d00" % (rng.randint(1, 28), rng.randrange(40), rng.randrange(24), rng.randrange(60), rng.randrange(10))]
    rng.shuffle(head)
    if rng.random() < 0.9:
        head.append("MIME-Version: 1.0")
    return lines(*head) + random_part(rng, depth)


def mutate(rng, data):
    """Damages a message as a bad link, a bad disk or a bad program would."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(7)
        if kind == 0:
            del data[at:at + rng.randint(1, 40)]
        elif kind == 1:
            data[at:at] = rng.randbytes(rng.randint(1, 8))
        elif kind == 2:
            data[at:at] = rng.choice((b"\r", b"\n", b"\0", b"\r\n\r\n", b'"', b"(", b"=?", b"--", b";", b":", b"{9}\r\n"))
        elif kind == 3 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 4:
            data[at:at] = data[at:at + 200]
        elif kind == 5 and rng.random() < 0.3:
            del data[at:]
        else:
            end = data.find(CRLF, at)
            if end >= 0:
                del data[end:end + 1]
    return bytes(data)


def composed():
    rng = random.Random(SEED)
    for i in range(150):
        case("composed-%03d" % i, random_message(rng, 4))
    for i in range(200):
        case("bad-mutated-%03d" % i, mutate(rng, random_message(rng, 3)))


# --- hostile -------------------------------------------------------------------

def hostile():
    """What is meant to cost, to confuse, or to get out of where it is shown."""
    case("bad-hostile-words", message("Subject: " + "=?utf-8?B?w6Q=?= " * 2000), "encoded words without end")
    case("bad-hostile-words-open", message("Subject: " + "=?utf-8?B?" * 5000))
    case("bad-hostile-words-nested", message("Subject: =?utf-8?Q?=3D=3Futf-8=3FQ=3Fx=3F=3D?="))
    case("bad-hostile-crlf-in-word", message("Subject: =?utf-8?Q?a=0D=0AX-Injected:_b?="), "CRLF inside an encoded word")
    case("bad-hostile-nul-in-word", message("Subject: =?utf-8?Q?a=00b?=", "From: =?utf-8?Q?a=00=0D=0A?= <a@example.org>"))
    case("bad-hostile-comments", message("From: " + "(" * 5000 + "a@example.org"))
    case("bad-hostile-comments-closed", message("From: " + "(" * 500 + ")" * 500 + " a@example.org"))
    case("bad-hostile-groups", message("To: " + "g: " * 2000 + ";" * 2000))
    case("bad-hostile-route", message("To: <" + "@a," * 2000 + "@b:c@d>"))
    case("bad-hostile-quotes", message('To: "' + "\\\"" * 2000 + '" <a@example.org>'))
    case("bad-hostile-addresses", message("To: " + ", ".join("a%d@b" % i for i in range(12000))), "more than an envelope holds")
    case("bad-hostile-header-lines", message(*["X-Line-%d: x" % i for i in range(20000)]))
    case("bad-hostile-folds", message("Subject: a" + "\r\n b" * 20000))
    case("bad-hostile-params", message("MIME-Version: 1.0", "Content-Type: text/plain" + "".join("; p%d=x" % i for i in range(5000))))
    case("bad-hostile-continuations", message("MIME-Version: 1.0", "Content-Type: a/b" + "".join("; n*%d=x" % i for i in range(5000))))
    case("bad-hostile-continuation-index", message("MIME-Version: 1.0", "Content-Type: a/b; n*4294967296=x; n*-1=y; n*99999999999999999999=z; n*0=a"))
    case("bad-hostile-charset-name", message("MIME-Version: 1.0", "Content-Type: text/plain; charset=" + "x" * 5000))
    case("bad-hostile-charset-path", message("MIME-Version: 1.0", 'Content-Type: text/plain; charset="../../../../etc/passwd"'))
    case("bad-hostile-file-path", message("MIME-Version: 1.0", 'Content-Disposition: attachment; filename="../../../../etc/passwd"'))
    case("bad-hostile-file-null", message("MIME-Version: 1.0", "Content-Disposition: attachment; filename*=utf-8''a%00.exe%0D%0Ab"))
    case("bad-hostile-type-injection", message("MIME-Version: 1.0", b'Content-Type: text/plain; name="a\" NIL NIL {5}\r\n hello"'))
    case("bad-hostile-boundary-injection", multipart("mixed", b'") BODY[] {3+}', [text()]))
    case("bad-hostile-id-injection", message("Message-ID: <a> NIL) * BYE", "In-Reply-To: {999999999}"))
    case("bad-hostile-boundary-own", message("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b",
                                             body=b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n" * 50), "a part with its parent's boundary")
    case("bad-hostile-boundary-alike", message("MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=-", body=b"--\r\n---\r\n----\r\n" * 3000))
    case("bad-hostile-qp", message("MIME-Version: 1.0", "Content-Transfer-Encoding: quoted-printable", body=b"=" * 20000))
    case("bad-hostile-qp-spaces", message("MIME-Version: 1.0", "Content-Transfer-Encoding: quoted-printable", body=(b" " * 2000 + b"\r\n") * 20))
    case("bad-hostile-base64-stars", message("MIME-Version: 1.0", "Content-Transfer-Encoding: base64", body=b"*" * 20000 + b"QUJD" + b"=" * 5000))
    case("bad-hostile-dates", message("Date: " + "(" * 3000 + "Mon, 7 Feb 1994 21:52:25 -0800"))
    case("bad-hostile-date-numbers", message("Date: Mon, 99999999999999999999 Feb 99999999999999999999 99:99:99 +9999999999"))
    case("bad-hostile-references", message("References: " + "<a@b> " * 20000))
    case("bad-hostile-references-open", message("References: " + "<" * 20000))
    case("bad-hostile-languages", message("MIME-Version: 1.0", "Content-Language: " + "en, " * 5000))
    case("bad-hostile-html", message("MIME-Version: 1.0", "Content-Type: text/html", body=b"<div><!--<script>&#99999999;" * 2000))
    case("bad-hostile-utf7", message("MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-7", body=b"+" * 10000 + b"+2AA-+3AA-"))
    case("bad-hostile-2022", message("MIME-Version: 1.0", "Content-Type: text/plain; charset=iso-2022-jp", body=b"\x1b$B" * 5000))
    case("bad-hostile-utf16", message("MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-16", body=b"\xff\xfe\x00\xd8" * 3000))
    case("bad-hostile-bidi", message("Subject: \u202egpj.exe\u202c \u2066x", "From: \u202emoc.elpmaxe@a\u202c <a@example.org>"))
    case("bad-hostile-partial", message("MIME-Version: 1.0", 'Content-Type: message/partial; id="x"; number=0; total=99999999999', body=message()))
    case("bad-hostile-rfc822-self", lines("Content-Type: message/rfc822", "") * 400)


BUILDERS = (ordinary, structure, broken_structure, headers, addresses, dates, parameters, charsets, bytes_and_lines, composed, hostile)


def cases():
    """All cases as (name, bytes, note), in a fixed order."""
    CASES.clear()
    for build in BUILDERS:
        build()
    names = [name for name, _, _ in CASES]
    assert len(names) == len(set(names)), "two cases share a name"
    return list(CASES)


def write(directory):
    directory = pathlib.Path(directory)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    rows = []
    for index, (name, data, note) in enumerate(cases()):
        file = "%04d-%s.eml" % (index, name)
        (directory / file).write_bytes(data)
        rows.append("%s\t%d\t%s\t%s\n" % (file, len(data), hashlib.sha256(data).hexdigest(), note))
    (directory / "MANIFEST.tsv").write_text("".join(rows))
    return rows


def main(arguments):
    if arguments[:1] == ["--check"]:
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            same = write(os.path.join(one, "c")) == write(os.path.join(two, "c"))
        print("corpus generator: deterministic" if same else "corpus generator: two runs differ")
        return 0 if same else 1
    rows = write(arguments[0] if arguments else ROOT / "target/corpus/generated")
    bad = sum("-bad-" in row for row in rows)
    size = sum(int(row.split("\t")[1]) for row in rows)
    print("%d messages (%d of them malformed by intent), %d bytes" % (len(rows), bad, size))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
