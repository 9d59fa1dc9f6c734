#!/usr/bin/env python3
"""The unit, the user and the directories, as systemd reads them. It is not started: that needs systemd as process 1."""

import os
import re
import shutil
import subprocess
import sys

from checks import ROOT, check, main, scratch

DEBIAN = ROOT / "deploy/debian"
# 10 is no protection at all; what is left is the network, and the user's own name.
EXPOSURE_MAX = 2.0


@check
def systemd_understands_the_unit(place):
    unit = place / "relate-imap.service"
    # The program is not installed here.
    unit.write_text((DEBIAN / "relate-imap.service").read_text().replace("/usr/bin/relate-imap", "/bin/true").replace("man:relate-imap(1) ", ""))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "relate-imap" in line]
    assert done.returncode == 0 and not said, done.stderr


@check
def the_unit_gives_little_away(place):
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", str(DEBIAN / "relate-imap.service")], capture_output=True, text=True, check=False)
    exposure = float(re.search(r"Overall exposure level[^:]*: ([0-9.]+)", done.stdout).group(1))
    print("exposure by systemd-analyze security: %s" % exposure)
    assert exposure <= EXPOSURE_MAX, done.stdout[-2000:]


@check
def the_user_and_the_directories_are_made(place):
    root = place / "root"
    for directory in ("etc", "usr/lib/sysusers.d", "usr/lib/tmpfiles.d", "var/lib"):
        (root / directory).mkdir(parents=True)
    shutil.copy(DEBIAN / "relate-imap.sysusers", root / "usr/lib/sysusers.d/relate-imap.conf")
    shutil.copy(DEBIAN / "relate-imap.tmpfiles", root / "usr/lib/tmpfiles.d/relate-imap.conf")
    subprocess.run(["systemd-sysusers", "--root=%s" % root], check=True, capture_output=True)
    entry = next(line for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("relate-imap:")).split(":")
    assert entry[5:] == ["/var/lib/relate-imap", "/usr/sbin/nologin"], entry
    if os.getuid() == 0:
        subprocess.run(["systemd-tmpfiles", "--root=%s" % root, "--create", "relate-imap.conf"], check=True, capture_output=True)
        found = (root / "var/lib/relate-imap").stat()
        assert (found.st_mode & 0o7777, found.st_uid) == (0o700, int(entry[2]))


@check
def maintainer_scripts_are_sound(place):
    scripts = [str(DEBIAN / name) for name in ("postinst", "prerm", "postrm", "build")] + [str(ROOT / "deploy/certificates/hook")]
    subprocess.run(["shellcheck", *scripts], check=True)


if __name__ == "__main__":
    with scratch() as directory:
        sys.exit(1 if main(directory) else 0)
