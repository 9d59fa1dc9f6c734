# Lines, tags and command names (RFC 9051 §2.2, §9).
# state: none
NOOP => OK
noop => OK
NoOp => OK
<<NOOP ||NOOP x||NOOP  ||NOOP ()||NOOP ""||NOOP NIL||NOOP ^{x}>> => BAD
<< NOOP||  NOOP||^INOOP>> => BAD
<<NOOP^@||^@NOOP||NO^@OP||NOOP^MX||NOOP^M||N^x80OP||NOOP^xFF||NOOP^I||NOOP^G||NOOP^x7F>> => BAD
<<FOO||X||XNOOP||NOOPX||N||UID||UID ||UID NOOP||UID LOGIN||UID UID||UID UID FETCH 1 UID||NOOP:||NOOP.||A||*||+||"NOOP"||^{NOOP}||{4}>> => BAD
<<RETR 1||HELO x||EHLO x||GET / HTTP/1.0||USER x||QUIT||DATA||MAIL FROM:<x>||STAT||CAPA||STLS||AUTH PLAIN||RSET>> => BAD
!x^M^J => * BAD
!^M^J => * BAD
!^J => * BAD
! ^M^J => * BAD
!  NOOP^M^J => * BAD
!+ NOOP^M^J => * BAD
!a+b NOOP^M^J => * BAD
!(a NOOP^M^J => * BAD
!a) NOOP^M^J => * BAD
!{3} NOOP^M^J => * BAD
!"a" NOOP^M^J => * BAD
!a\b NOOP^M^J => * BAD
!%a NOOP^M^J => * BAD
!*a NOOP^M^J => * BAD
!* NOOP^M^J => * BAD
!^@ NOOP^M^J => * BAD
!a^@ NOOP^M^J => * BAD
!a^x80 NOOP^M^J => * BAD
!^xC3^xA4 NOOP^M^J => * BAD
!a^x7F NOOP^M^J => * BAD
!^I NOOP^M^J => * BAD
!a^INOOP^M^J => * BAD
!a  NOOP^M^J => a BAD
!a NOOP^J => a OK
!a NOOP^M^M^J => a BAD
!a^M^J => * BAD
!a ^M^J => a BAD
!a.1-2_3 NOOP^M^J => a.1-2_3 OK
!1 NOOP^M^J => 1 OK
!] NOOP^M^J => ] OK
!~!@#$&'=|;:,./?[}<>` NOOP^M^J => ~!@#$&'=|;:,./?[}<>` OK
!xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx NOOP^M^J => xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx OK
!NIL NOOP^M^J => NIL OK
!OK NOOP^M^J => OK OK
!BYE NOOP^M^J => BYE OK
CAPABILITY => OK | * CAPABILITY
<<CAPABILITY x||CAPABILITY ||CAPABILITY (IDLE)>> => BAD
# ID (RFC 2971)
ID NIL => OK | * ID
<<ID ()||ID ("name" "x")||ID ("name" NIL)||ID ("name" ^{x})||id nil||ID ("a" "" "b" "")>> => OK | * ID
<<ID||ID ||ID x||ID "x"||ID (||ID )||ID ("a")||ID ("a" "b" "c")||ID (NIL "x")||ID ("a" "b"||ID ("a" ("b"))||ID (())||ID ("a"  "b")||ID ( "a" "b")||ID ("a" "b" )||ID NIL NIL||ID (^@)||ID ("a" b)>> => BAD
<<ID ("^*31(x)" "y")||ID ("y" "^*1025(x)")||ID (^*31("a" "b" )"c" "d")>> => BAD
# Long lines end the line, not the connection; far too long ones end both.
NOOP ^*8000(x) => BAD
NOOP ^*9000(x) => BAD
NOOP ^*60000'(' => BAD
LOGIN ^*9000(x) y => BAD
ID (^*66000(x)) => BAD
NOOP ^*200000(x) => BYE
# Commands of later states are BAD here, whatever their arguments.
<<SELECT INBOX||EXAMINE INBOX||CREATE x||DELETE x||RENAME x y||SUBSCRIBE x||UNSUBSCRIBE x||LIST "" *||LSUB "" *||NAMESPACE||STATUS INBOX (MESSAGES)||ENABLE IMAP4rev2||IDLE||CHECK||CLOSE||UNSELECT||EXPUNGE||SEARCH ALL||FETCH 1 FLAGS||STORE 1 FLAGS ()||COPY 1 x||MOVE 1 x||UID EXPUNGE 1||UID SEARCH ALL||UID FETCH 1 FLAGS||UID STORE 1 FLAGS ()||UID COPY 1 x||UID MOVE 1 x>> => BAD
<<APPEND INBOX {10}||APPEND INBOX {999999999}||APPEND INBOX (\Seen) {3}||CREATE {10}||SELECT {5}||STATUS {5}||UID FETCH {5}||SEARCH TEXT {3}>> => BAD
# A literal where none can be; the next command is found.
<<NOOP {3}||NOOP {0}||CAPABILITY {3}||LOGOUT {2}||FOO {4}||{5}||LOGIN {3||LOGIN 3}||LOGIN {a}||LOGIN {3}x y||LOGIN {-1}||LOGIN {+}||LOGIN {}||LOGIN {1e3}||LOGIN {1.5}||LOGIN { 1}||LOGIN {1 }||LOGIN {0x1}||LOGIN {9223372036854775808}||LOGIN {18446744073709551616}||LOGIN {99999999999999999999999999}||LOGIN {4097}||LOGIN {400000000}||LOGIN ~{3}>> => BAD
NOOP ^{NOOP} => BAD
NOOP ^{a NOOP^M^J} => BAD
FOO ^{^M^Jz NOOP^M^J} x => BAD
LOGIN ^{tim} ^{tim} ^{tim} => BAD
LOGIN ^{a} ^{b} ^{c} ^{d} ^{e} => BAD [TOOBIG]
<<LOGIN {4097+}||LOGIN {400000000+}||NOOP {4097+}||FOO {9223372036854775807+}>> => BYE
# STARTTLS needs a certificate, which this server has not.
STARTTLS => REFUSED
<<STARTTLS x||STARTTLS ||STARTTLS ()>> => BAD
LOGOUT => OK | * BYE
<<LOGOUT x||LOGOUT >> => BAD
