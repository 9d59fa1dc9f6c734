# LIST and LSUB (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154; threat 13).
# state: authenticated
LIST "" "" => OK | * LIST (\Noselect) "/" ""
LIST <<"" *||"" "*"||"" ^{*}||^{} ^{*}||"" %||"" "%"||inb ox||"" "INBOX"||"" inbox||"" "iNb*"||"" "***"||"" "*%*%*"||"" "%%%"||"INBOX" ""||"/" "*"||"a//b" "*"||"" "a//b"||"" "&"||"" "&AGE-"||"" "&AGE*"||"" "../*"||"../" "*"||"" "/"||"" "//*"||"%" "*"||"*" "*"||"" "^*500(*a)"||"" "^*999(*)"||"" "^*999(%)"||"" "^*333(%/*)"||"~bob/" "*"||"#news." "%"||"" "\\*"||"" "\"*">> => OK
LIST <<||""||"" ||"" * x||"  " "*" "x"||* ||"" *^@||"" "*^@"||"" ^{^@}||("" *||"" (*)x||"" (* %||"" ()||"" (() )||"" "^*1001(x)"||"" "^*2000(*)"||"" "*||(FOO) "" *||() "" * RETURN||() "" * RETURN FOO||() "" * RETURN (FOO)||() "" * RETURN (STATUS)||() "" * RETURN (STATUS ())||() "" * RETURN (STATUS (FOO))||() "" * RETURN (STATUS MESSAGES)||(RECURSIVEMATCH) "" *||(RECURSIVEMATCH REMOTE) "" *||() "" * RETURN (CHILDREN||() "" * RETURN CHILDREN||((SUBSCRIBED)) "" *||(SUBSCRIBED||"" * RETURN (SUBSCRIBED)x||"" * (RETURN)>> => BAD
<<LIST||LSUB>> "^*1000(*)" "^*1000(*)" => OK
<<LIST||LSUB>> <<"^*1001(*)"||^*1001(x)||^{128000*%}>> "*" => BAD
LIST "" (^*65("x" )"x") => BAD
LIST "" (^*63("x" )"x") => OK
LIST <<() "" *||() "" ("*")||() "" (* %)||(SUBSCRIBED) "" *||(subscribed) "" *||(SUBSCRIBED RECURSIVEMATCH) "" %||(REMOTE) "" *||(SPECIAL-USE) "" *||"" * RETURN ()||"" * RETURN (CHILDREN)||"" * RETURN (SUBSCRIBED CHILDREN)||"" * RETURN (SPECIAL-USE)||"" * RETURN (STATUS (MESSAGES))||(SUBSCRIBED) "" * RETURN (CHILDREN STATUS (MESSAGES UIDNEXT SIZE))>> => OK
LIST "" INBOX RETURN (STATUS (MESSAGES)) => OK | * LIST | * STATUS INBOX (MESSAGES 0)
LIST "" "no such*" => OK | !* LIST
LIST "" "INBOX/nothing" => OK | !* LIST
CREATE p/q/r ;; LIST "" "p/%" => OK | * LIST (\HasChildren) "/" p/q | !* LIST (\HasNoChildren) "/" p/q/r
LIST "" "p*" => OK | * LIST (\HasChildren) "/" p | * LIST (\HasNoChildren) "/" p/q/r
LIST "p/" "q/%" => OK | * LIST (\HasNoChildren) "/" p/q/r
LIST "p" "/q" => OK
LSUB <<"" *||"" %||"" ""||"" "INBOX"||"" "^*900(*)"||"&" "*">> => OK
LSUB <<||""||"" ||"" * x||() "" *||"" (*)||"" *^@||"" "^*1001(x)"||"" "*>> => BAD
