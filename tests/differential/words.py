"""What commands are made of: names, patterns, flags, dates, items, wrong lines."""

NAMES = [b"INBOX", b"A", b"B", b"A/B", b"A/B/C", b"B/C", b"a", b"inbox", b"InBoX", b"Sent", b"Drafts", b"Archive", b"&AMk-t&AOk-", b"x &- y", b"a b", b"INBOX/i",
         b"Work", b"&ZeVnLIqe-"]
ODD_NAMES = [b"", b"/", b"//", b"A//B", b"/A", b"a%b", b"a*b", b"\"q\"", b"back\\slash", b".", b"..", b"../x", b"A/../B", b"~", b"~/x", b"#news", b"&", b"&-", b"&AMk",
             b"&AGE-", b"&AMkA6Q-", b"caf\xc3\xa9", b"x" * 300, b"a/" * 20 + b"z", b"tab\there", b"{5}", b"(", b"]", b" lead", b"trail ", b"INBOX/", b"NIL"]
PATTERNS = [b"*", b"*", b"%", b"A/%", b"A*", b"%/%", b"inbox", b"INBOX*", b"INBOX/%", b"*/C", b"", b"%b", b"S*t", b"a", b"*%", b"A/*/C", b"&AMk-t&AOk-", b"Nothing", b"%%", b"/"]
FLAGS = [b"\\Seen", b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Draft", b"$Forwarded", b"$MDNSent", b"Work", b"to.do", b"\\seen", b"work", b"$Junk"]
STATUS = [b"MESSAGES", b"UIDNEXT", b"UIDVALIDITY", b"UNSEEN", b"RECENT", b"SIZE", b"HIGHESTMODSEQ"]
LIST_STATUS = STATUS
ITEMS = [b"UID", b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE", b"BODY", b"BODYSTRUCTURE", b"RFC822.HEADER", b"MODSEQ", b"RFC822", b"RFC822.TEXT", b"SAVEDATE", b"PREVIEW"]
DATE_TIMES = [b"05-Jan-2026 10:00:00 +0100", b"06-Jan-2026 00:30:00 -0500", b"31-Dec-1999 23:59:59 +0000", b" 1-Feb-2024 01:02:03 +0530", b"29-Feb-2024 12:00:00 +0000",
              b"01-Jan-1970 00:00:00 +0000"]
DATES = [b"5-Jan-2026", b"05-Jan-2026", b"6-Jan-2026", b"1-Jan-2000", b"31-Dec-1999", b"\"1-Feb-2024\"", b"7-Feb-1994", b"8-feb-1994", b"1-Jan-2100", b"17-Jul-1996"]
SEARCHED = [b"a", b"meeting", b"\"MEETING\"", b"example.org", b"gray", b"\"\"", b"\"Hello Joe\"", b"multipart", b"zzz", b"one", b"{3+}\r\nimp", b"xn--", b"\"=?\"",
            b"{4+}\r\ngr\xc3\xbc", b"{4+}\r\ncaf\xc3", b"{6+}\r\ngr\xc3\xbc\xc3\x9f"]
WRONG = [b"", b"FETCH", b"STORE 1 +FLAGS (\\Recent)", b"UID NOOP", b"SELECT", b"FETCH 0 FLAGS", b"FETCH 1", b"FETCH 1 ()", b"FETCH 1 (FLAGS", b"FETCH 1:2:3 FLAGS",
         b"FETCH 1,, FLAGS", b"FETCH a FLAGS", b"FETCH 4294967296 FLAGS", b"FETCH 1 NOTHING", b"FETCH 1 BODY[", b"FETCH 1 BODY[HEADER.FIELDS]", b"FETCH 1 BODY[0]",
         b"FETCH 1 BODY[MIME]", b"FETCH 1 BODY[]<1>", b"FETCH 1 BODY[]<1.0>", b"FETCH 1 BODY[1..2]", b"STORE 1 FLAGS", b"STORE 1 +FLAGS.LOUD (\\Seen)", b"STORE 1 +FLAGS (\\Nothing)",
         b"STORE 1 +FLAGS ((\\Seen))", b"SEARCH", b"SEARCH NOTHING", b"SEARCH ON 32-Jan-2020", b"SEARCH OR ALL", b"SEARCH (ALL", b"SEARCH NOT", b"SEARCH LARGER -1",
         b"SEARCH RETURN (NOTHING) ALL", b"SEARCH CHARSET", b"COPY 1", b"COPY INBOX 1", b"LIST", b"LIST \"\"", b"LIST (NOTHING) \"\" *", b"LIST \"\" * RETURN (NOTHING)",
         b"LIST \"\" * RETURN", b"STATUS INBOX", b"STATUS INBOX ()", b"STATUS INBOX MESSAGES", b"STATUS INBOX (NOTHING)", b"CREATE", b"DELETE", b"RENAME A", b"APPEND INBOX",
         b"APPEND INBOX (\\Recent) {3+}\r\nx\r\n", b"APPEND INBOX \"32-Jan-2020 00:00:00 +0000\" {3+}\r\nx\r\n", b"APPEND INBOX {0+}\r\n", b"APPEND Nowhere {3+}\r\nx\r\n",
         b"APPEND INBOX (\\Seen {3+}\r\nx\r\n", b"LOGIN a b", b"AUTHENTICATE PLAIN", b"STARTTLS", b"NOTHING", b"FETCH  1 FLAGS", b"NOOP ", b" NOOP", b"NOOP x", b"CLOSE x", b"ENABLE",
         b"ID", b"ID (\"a\")", b"SELECT INBOX x", b"SELECT INBOX (NOTHING)", b"SELECT \"INBOX", b"SELECT {5}", b"UID EXPUNGE", b"UID FETCH 1", b"UID", b"UID COPY 1 INBOX INBOX",
         b"EXPUNGE 1", b"GETQUOTA", b"SELECT INBOX (QRESYNC (1))", b"SELECT INBOX (QRESYNC (0 0))", b"UID FETCH 1 FLAGS (VANISHED)", b"FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
         b"FETCH 1 FLAGS (CHANGEDSINCE x)", b"STORE 1 (UNCHANGEDSINCE x) FLAGS ()", b"SEARCH UID *:4", b"SEARCH 5:2", b"UID SEARCH UID 5:2", b"FETCH $ FLAGS"]
GUEST = [b"NOOP", b"CAPABILITY", b"SELECT INBOX", b"LIST \"\" *", b"LOGIN", b"LOGIN a", b"AUTHENTICATE NOTHING", b"FETCH 1 FLAGS", b"STATUS INBOX (MESSAGES)", b"ID NIL", b"NOTHING",
         b"APPEND INBOX {3}", b"ENABLE CONDSTORE", b"CLOSE", b"IDLE", b"NAMESPACE", b"CREATE A", b"LOGOUT", b"NOOP x"]
