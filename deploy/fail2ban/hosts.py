#!/usr/bin/env python3
"""Prints the address of each line of a log that the filter matches, one a line.

    deploy/fail2ban/hosts.py LOG

It reads the filter as fail2ban does, as far as this filter goes: what `datepattern` matches is cut
out of a line, then each `failregex` is tried. For tests where fail2ban is not installed.
"""

import configparser
import pathlib
import re
import sys

filter = configparser.ConfigParser()
filter.read(pathlib.Path(__file__).parent / "filter.d/relate-imap.conf")
definition = filter["Definition"]
HOST = r"(?P<host>(?:\d+\.){3}\d+|[0-9a-fA-F:]*:[0-9a-fA-F:.]+)"
rules = [re.compile(rule.replace("<HOST>", HOST)) for rule in definition["failregex"].split("\n") if rule]
DATE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z")
for line in open(sys.argv[1], encoding="utf-8", errors="replace"):
    line = DATE.sub("", line.rstrip("\n"), count=1)
    found = [match for match in (rule.search(line) for rule in rules) if match]
    if found:
        print(found[0].group("host"))
