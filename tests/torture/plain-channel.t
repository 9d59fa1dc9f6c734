# Without TLS and not on loopback no password is taken, not even a right one (rule 46).
# state: none
# channel: plain
# set: Imap:AllowPlaintextAuth=Never
LOGIN <<tim tanstaaftanstaaf||tim wrong||nobody x||"tim" "tanstaaftanstaaf">> => NO [PRIVACYREQUIRED]
LOGIN <<{3}||{0}||{4096}>> => NO
LOGIN tim {16} => NO
LOGIN ^{tim} ^{tanstaaftanstaaf} => NO
AUTHENTICATE <<PLAIN||PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm||PLAIN =>> => NO
AUTHENTICATE <<PLAIN A||PLAIN AAA||PLAIN *>> => BAD
CAPABILITY => OK | * CAPABILITY
<<SELECT INBOX||LIST "" *||STATUS INBOX (MESSAGES)>> => BAD
