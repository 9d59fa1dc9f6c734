# APPEND (RFC 9051 §6.3.12, RFC 3502, RFC 7888).
# state: authenticated
# set: Limits:MessageBytes=100KiB
APPEND INBOX <<^{x}||^={x}||^~{x}||^~{a^@b}||(\Seen) ^{x}||() ^{x}||(\Seen \Flagged kw) ^{x}||" 7-Feb-1994 21:52:25 -0800" ^{x}||"07-Feb-1994 21:52:25 -0800" ^{x}||(\Draft) "17-Jul-1996 02:44:25 +0000" ^{x}||^{x} ^{y}||(\Seen) ^{x} (\Deleted) ^{y}||^={x} ^={y}||"29-Feb-2024 23:59:60 +1400" ^{x}||{0001+}^M^Jx||(NonJunk) ^{^M^J^M^J}||^{102400*x}||(\Seen \Seen) ^{x}>> => OK [APPENDUID
APPEND inbox ^{x} => OK [APPENDUID
APPEND ^{INBOX} ^{x} => OK [APPENDUID
APPEND ^={INBOX} (\Seen) ^={x} => OK [APPENDUID
APPEND <<nothing ^{x}||nothing/x ^{x}||nothing {1000}||nothing (\Seen) {1}>> => NO [TRYCREATE]
APPEND <<"" ^{x}||"%" ^{x}||& ^{x}||../INBOX ^{x}||a//b {5}||bob/INBOX ^{x}>> => NO
APPEND <<||INBOX||INBOX ||INBOX x||INBOX "x"||INBOX {||INBOX {}||INBOX {x}||INBOX {-1}||INBOX {1x}||INBOX {99999999999999999999}||INBOX (\Seen {1}||INBOX \Seen {1}||INBOX ((\Seen)) {1}||INBOX (\Seen)||INBOX ("x") {1}||INBOX (\Recent) {1}||INBOX (\*) {1}||INBOX (\) {1}||INBOX (a*b) {1}||INBOX (%) {1}||INBOX  {1}||INBOX {1} x||(INBOX) {1}||INBOX NIL {1}||INBOX UTF8 (~{1})x>> => BAD
APPEND INBOX <<"7-Feb-1994 21:52:25 -0800"||" 7-Feb-94 21:52:25 -0800"||"31-Feb-1994 21:52:25 -0800"||" 7-Foo-1994 21:52:25 -0800"||" 0-Feb-1994 21:52:25 -0800"||" 7-Feb-1994 24:52:25 -0800"||" 7-Feb-1994 21:60:25 -0800"||" 7-Feb-1994 21:52:61 -0800"||" 7-Feb-1994 21:52:25 PST"||" 7-Feb-1994 21:52:25"||" 7-Feb-1994"||""||"x"||" 7-Feb-1994 21:52:25 -9900"||" 7-Feb-1994 21:52:25 0800"||"29-Feb-2023 00:00:00 +0000"||" 7-Feb-19940 21:52:25 -0800">> ^{x} => BAD
# RFC 3502 §6.3.11: an empty message gives the APPEND up
APPEND INBOX <<{0}||{0+}^M^J||~{0}>> => NO
APPEND INBOX <<{102401}||{999999999}||{4294967296}||{9223372036854775807}>> => NO [TOOBIG]
APPEND INBOX ^{102401*x} => NO [TOOBIG]
APPEND INBOX {104857600+}^M^J => BYE
APPEND INBOX <<^{a^@b}||^{^@}>> => REFUSED
APPEND INBOX ^{x}x => BAD
APPEND INBOX ^{x} x => BAD
APPEND INBOX ^{x}  ^{y} => BAD
APPEND INBOX ^{x} (\Seen) => BAD
APPEND INBOX ^{x} "not a date" ^{y} => BAD
APPEND INBOX ^{x} (\Recent) ^{y} => BAD
APPEND INBOX ^{z NOOP^M^Jz LOGOUT^M^J} => OK
APPEND INBOX (^*65(x)) ^{x} => NO [LIMIT]
APPEND INBOX (^*600(k )x) ^{x} => NO [LIMIT]
# RECENT is IMAP4rev1's (RFC 3501 §6.3.10).
STATUS INBOX (MESSAGES RECENT) => OK | * STATUS INBOX (MESSAGES
