# Mailbox names and the commands on them (RFC 9051 §5.1, §6.3; threats 23 and 24).
# state: authenticated
CHECK => BAD
<<CLOSE||UNSELECT||EXPUNGE||SEARCH ALL||FETCH 1 FLAGS||STORE 1 FLAGS ()||COPY 1 x||MOVE 1 x||UID EXPUNGE 1||UID SEARCH ALL||UID FETCH 1 FLAGS||UID STORE 1 FLAGS ()||UID COPY 1 x||UID MOVE 1 x>> => BAD
CREATE <<a1||A1||"a2"||"a 3"||^{a4}||^={a5}||"a\"6"||"a\\7"||a8/||a9/b/c||a]10||a[11||a~12||a!13||a#14||a$15||a'16||a,17||a-18||a.19||a:20||a;21||a<22||a=23||a>24||a?25||a@26||a^^27||a_28||a`29||a|30||a}31||"a(32"||"a)33"||"a{34"||"NIL"||NIL/x||&AOQ-||"&U,BTFw-"||&-||a&-b||INBOX/c||iNbOx/d||Inboxes||xINBOX>> => OK
CREATE <<INBOX||inbox||InBoX||"INBOX"||^{INBOX}||INBOX/||inbox/>> => NO
CREATE <<""||/||//||a//b||/a||//a||a//||"%"||"*"||"a%b"||"a*"||"%/x"||"*/*"||^{}||^{a^Mb}||^{a^Jb}||^{a^M^Jb}||"a^Ib"||^{a^x7Fb}||^{a^[b}>> => NO
CREATE <<.||..||./a||../a||a/..||a/../b||a/.||a/./b||../../../../etc/passwd>> => NO
CREATE <<&||a&||&a||&AGE-||&AGEAYg-||&U,BTFw||&U,BTFw-&ZeVnLIqe-||&Jjo!||&Jjo=-||&2AA-||&3AA-||&2D0-||&AAA-||&AA-||&A-||&AAAAA-||&////-||&Jjo-&Jjo-||a&Jjo-&Jjp-||&JjoAYQ-||&,,,-||&AOQ||&AOR-||&AOQ-&AOQ-||&&-||&-&||&AC8-||&ACo-||&ACU->> => NO
CREATE <<^{^xC3^xA4}||^{^xFF}||^{^x80}||^{^xED^xA0^x80}||"^xC3^xA4">> => REFUSED
CREATE <<a^@b||"a^@b"||^{a^@b}||^~{ab}||a(||a)||a b||a{||a"||a%||a*||a\||()||(a)||a^xFFb||"a||a" ||>> => REFUSED
CREATE <<||a b||a (USE)||a (USE ())x||a (USE (\Sent)||"a||a ||  a>> => BAD
CREATE l^*255(x) => NO
CREATE ^*255(x) => OK
CREATE <<^*200(a/)b||^*17(a/)b>> => NO
CREATE ^*15(d/)d => OK
CREATE ^*16(e/)e => NO
CREATE ^*1001(x) => NO
CREATE ^{70000*x} => NO
CREATE ^{131072*x} => NO
CREATE ^{131073*x} => BAD [TOOBIG]
CREATE <<&^*300(AOQ)-||"^*500(&AOQ-)">> => NO
CREATE twice ;; CREATE twice => NO [ALREADYEXISTS]
CREATE case ;; CREATE CASE => OK
CREATE up/down ;; CREATE up => NO [ALREADYEXISTS]
DELETE <<nothing||""||/||"%"||"*"||a//b||../x||&AGE-||&||^{a^M^Jb}||x^*2000(x)>> => NO
DELETE <<INBOX||inbox||"InBox">> => NO
DELETE <<||a b||()||a^@>> => BAD
CREATE gone ;; DELETE gone ;; DELETE gone => NO [NONEXISTENT]
CREATE gone2/below ;; DELETE gone2 => OK
RENAME <<nothing x||nothing/x y||nothing INBOX||"" x||"%" x||INBOX INBOX||a1 INBOX||a1 inbox||a1 A1||a1 a1||a1 "a2"||a1 a1/b||a9 a9/b||a9/b a9/b/c||a1 ""||a1 /||a1 a//b||a1 "x%"||a1 "*"||a1 ..||a1 &AGE-||a1 &||a1 ^*256(x)||a1 ^{x^M^Jy}||a9 ^*15(q/)q>> => NO
RENAME <<||a1||a1 ||a1 b c||(a1) b||a1 (b)||a1  b||a1 b ||"a1 b||a1 b^@>> => BAD
CREATE r1 ;; RENAME r1 r2 ;; RENAME r2 r1/deep/er => OK
CREATE r3/r4 ;; RENAME r3 r5 ;; STATUS r5/r4 (MESSAGES) => OK | * STATUS r5/r4
RENAME INBOX Kept1 => OK
RENAME inbox Kept2/x => OK
SUBSCRIBE <<a1||INBOX||inbox||a9/b>> => OK
SUBSCRIBE <<""||/||a//b||"%"||"*"||&AGE-||&||^{x^Jy}||..>> => NO
SUBSCRIBE <<||a b||()||a^@||"a>> => BAD
UNSUBSCRIBE <<a1||INBOX||a9/b>> => OK
UNSUBSCRIBE <<""||/||"%"||&||^{x^Jy}>> => NO
UNSUBSCRIBE <<||a b||()||a^@||"a>> => BAD
SELECT <<nothing||a1/nothing||""||/||"%"||"*"||INBOX/nothing||"INBOX "||" INBOX"||&||&AGE-||../INBOX||./INBOX||INBOX/..||tim/INBOX||bob||bob/INBOX||/etc/passwd||^{INBOX^M^J}||~bob||#shared||user/bob||^*2000(x)||^{INBOX^I}>> => NO
SELECT <<||INBOX INBOX||INBOX ||(INBOX)||"INBOX||INBOX"||INBOX (||INBOX ()||INBOX (CONDSTORE||INBOX x||IN^@BOX||IN*BOX||%||INBOX (FOO)||INBOX ((CONDSTORE))||INBOX ("X")||^~{INBOX}>> => BAD
EXAMINE <<nothing||""||/||"%"||&||bob/INBOX>> => NO
EXAMINE <<||INBOX INBOX||(INBOX)||INBOX (||INBOX ()||"INBOX>> => BAD
SELECT <<INBOX||inbox||"INBOX"||^{inbox}||^={INBOX}>> => OK [READ-WRITE] | * FLAGS | * 0 EXISTS | * OK [UIDVALIDITY
EXAMINE <<INBOX||inbox||^{inbox}>> => OK [READ-ONLY] | * FLAGS | * 0 EXISTS
STATUS <<nothing (MESSAGES)||"" (MESSAGES)||"%" (MESSAGES)||bob/INBOX (MESSAGES)||& (UIDNEXT)>> => NO
STATUS <<||INBOX||INBOX ||INBOX ()||INBOX MESSAGES||INBOX (FOO)||INBOX (MESSAGES FOO)||INBOX (MESSAGES||INBOX MESSAGES)||INBOX ((MESSAGES))||INBOX (MESSAGES  UNSEEN)||INBOX ( MESSAGES)||INBOX (MESSAGES )||INBOX ("MESSAGES")||INBOX (^{MESSAGES})||INBOX (MESSAGES) x||(INBOX) (MESSAGES)||INBOX (^*100(MESSAGES ))||IN^@BOX (MESSAGES)>> => BAD
STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE) => OK | * STATUS INBOX (
STATUS inbox (messages) => OK | * STATUS INBOX (MESSAGES 0)
STATUS ^{INBOX} (MESSAGES MESSAGES) => OK | * STATUS
NAMESPACE => OK | * NAMESPACE (("" "/")) NIL NIL
NAMESPACE <<x||||()>> => BAD
ENABLE <<IMAP4rev2||imap4REV2||X-NO-SUCH||X Y Z||UTF8=ACCEPT||CONDSTORE QRESYNC>> => OK | * ENABLED
ENABLE <<||(X)||"X"||X  Y||X ||^{X}||X^@||*||%>> => BAD
IDLE^M^J^wDONE => OK
IDLE^M^J^wdone => OK
IDLE^M^J^w<<NOOP||DONE ||DONEX||t2 NOOP||D||^@||^*9000(x)||*>> => BAD
IDLE <<x||||()>> => BAD
