"""The differences that are known and why they may be: `differences.tsv`.

A row is one rule: id, class, section, why, and how it is found. Found by
patterns, it says which command (searched in it), which place (the whole of it)
and which two values (the whole of each; `-` is none). A function of `CODE` is
asked besides. `free` in their stead means that `facts.py` or `pair.py` knows the
rule by its id and compares what is meant. The first row that fits explains a
difference. A row must explain something with the standard seeds; one that is
`rare` only with `--full`; `clock` does only when a second ends between the two
servers, and so may be idle.
"""

import collections
import re

import part

CLASSES = ("allowed", "ours-right")
COLUMNS = ("id", "class", "section", "why", "command", "place", "ours", "theirs", "how often")


UNDATED = {"no-date", "odd-date", "nul"}
ENCAPSULATED = {"encapsulated"}


def found_differently(difference, traits):
    """Whether a search is about messages with one of these traits: those that one server alone found, or some of the mailbox if it only counts."""
    titles = re.findall(r"\[([^\]]*)\]", difference.place.partition(" of ")[2])
    return all(traits & set(title.split()) for title in titles) if titles else bool(traits & difference.traits)


# Rules that need more than patterns.
CODE = {
    # Only of lines that were made wrong: where any other is refused, our grammar may be too narrow.
    "not-in-the-grammar": lambda difference: difference.is_wrong,
    # Only where a message of the mailbox has no date, or none that can be read.
    "search-of-undated": lambda difference: found_differently(difference, UNDATED),
    # Only where a message is within another.
    "search-in-encapsulated": lambda difference: found_differently(difference, ENCAPSULATED),
    "no-such-part": lambda difference: part.lacks(difference.place),
    "part-of-a-leaf": lambda difference: part.lacks(difference.place),
    "binary-of-composite": lambda difference: part.is_composite(difference.place),
    "search-in-rare-charsets": lambda difference: found_differently(difference, {"rare-charset"}),
    "search-in-parameters": lambda difference: found_differently(difference, {"coded-parameter"}),
    "binary-of-broken-encoding": lambda difference: "bad" in difference.traits,
    "message-global": lambda difference: part.holds(difference.place, b"message/global"),
    # Two bytes, and the line that they end.
    "closing-delimiter": lambda difference: int(difference.theirs) - int(difference.ours) in (1, 2),
    "header-before-delimiter": lambda difference: difference.lengths[0] - difference.lengths[1] == 2,
    "closing-delimiter-content": lambda difference: difference.lengths[1] - difference.lengths[0] == 2,
}


class Rule:
    """One row."""

    def __init__(self, values):
        self.id, self.kind, self.section, self.why, *how, self.often = values
        if self.kind not in CLASSES or not re.match(r"RFC \d+ §|RFC \d+ appendix ", self.section) or not self.why:
            raise ValueError("a rule needs a class, a section and a reason: %s" % self.id)
        self.is_free = how == ["free"] * 4
        self.patterns = None if self.is_free else [re.compile(each, re.S) for each in how]

    def fits(self, difference):
        if self.is_free:
            return False
        command, place, ours, theirs = self.patterns
        return bool(place.fullmatch(difference.place) and ours.fullmatch(difference.ours) and theirs.fullmatch(difference.theirs)
                    and command.search(difference.command) and CODE.get(self.id, lambda _: True)(difference))


class Rules:
    """All rows, and how often each explained a difference."""

    def __init__(self, file):
        lines = [line.split("\t") for line in file.read_text().splitlines() if line and not line.startswith("#")]
        wrong = [line[0] for line in lines if len(line) != len(COLUMNS)]
        if wrong:
            raise ValueError("not %d columns: %s" % (len(COLUMNS), ", ".join(wrong)))
        self.all = [Rule(line) for line in lines]
        self.ids = {rule.id for rule in self.all}
        if len(self.ids) != len(self.all):
            raise ValueError("two rules with one id in %s" % file)
        self.hits = collections.Counter()

    def explains(self, difference):
        """Whether a rule explains it; that is counted."""
        name = difference.rule if difference.rule in self.ids else next((rule.id for rule in self.all if rule.fits(difference)), None)
        if name:
            self.hits[name] += 1
        return name is not None

    def stale(self, is_full):
        """Rules that explained nothing although they should have."""
        idle = [rule for rule in self.all if not self.hits[rule.id] and rule.often != "clock"]
        return [rule.id for rule in idle if is_full or rule.often != "rare"]
