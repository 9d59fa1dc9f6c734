"""Changes to what our server says that the comparison must notice, so that its silence means something.

Each takes one response as text, literal, text, … and gives it back changed, or None to drop it.
"""

import re


def of_text(pattern, replacement):
    """Changes the text of a response."""
    def change(pieces):
        return [re.sub(pattern, replacement, pieces[0], count=1), *pieces[1:]]
    return change


def dropped(pattern):
    """Drops the responses that match."""
    return lambda pieces: None if re.match(pattern, pieces[0]) else pieces


def last_byte(pieces):
    """Changes the last byte of a literal."""
    return [pieces[0], pieces[1][:-1] + b"\x7f", *pieces[2:]] if len(pieces) > 1 and pieces[1] else pieces


MUTANTS = {
    "a flag is another": of_text(rb"(FETCH .*)\\Seen", rb"\1\\Answered"),
    "a keyword is lost": of_text(rb"(FETCH .*FLAGS \([^)]*)\$Junk ?", rb"\1"),
    "a hit is lost": of_text(rb"(\* SEARCH.*) \d+\r\n", rb"\1\r\n"),
    "a set is shorter": of_text(rb"(\* ESEARCH.* ALL) (\d+)[:,][\d:,]+", rb"\1 \2"),
    "a count is higher": of_text(rb"(\* ESEARCH.* COUNT \d*?)[0-8]\b", rb"\g<1>9"),
    "a size is higher": of_text(rb"(RFC822\.SIZE \d*)[0-8]\b", rb"\g<1>9"),
    "a byte is another": last_byte,
    "a name is not listed": dropped(rb'\* LIST .*"/" "?A"?\r\n'),
    "a name has other attributes": of_text(rb"(\* LIST \(.*)HasChildren", rb"\1HasNoChildren"),
    "an expunge is not told": dropped(rb"\* (\d+ EXPUNGE|VANISHED \d)"),
    "new mail is not told": dropped(rb"\* \d+ EXISTS"),
    "a status counts one more": of_text(rb"(\* STATUS .*MESSAGES \d*)[0-8]\b", rb"\g<1>9"),
    "APPENDUID is another": of_text(rb"(APPENDUID \d+ \d*)[0-8]\]", rb"\g<1>9]"),
    "COPYUID pairs otherwise": of_text(rb"(COPYUID \d+ \d*)[0-8]\b", rb"\g<1>9"),
    "MODIFIED is left out": of_text(rb"\[MODIFIED [^\]]*\] ", rb""),
    "TRYCREATE is left out": of_text(rb"\[TRYCREATE\] ", rb""),
    "NO is OK": of_text(rb"^(t\d+) NO ", rb"\1 OK "),
    "BAD is OK": of_text(rb"^(t\d+) BAD ", rb"\1 OK "),
    "a structure has another type": of_text(rb'(?i)(BODYSTRUCTURE \(")text("|\b)', rb"\1image\2"),
    "an envelope has another name": of_text(rb"(ENVELOPE .*)example", rb"\1exbmple"),
}
