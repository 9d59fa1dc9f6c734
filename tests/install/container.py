#!/usr/bin/env python3
"""The container files: linted, and the final stage's own steps run by hand, since no engine runs here.

The part of the rootfs needs root and a Debian root at target/install/bookworm (made by the part
`package`); without it only the linters run, and that is said.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time

from checks import ROOT, check, main, scratch, until

DOCKER = ROOT / "deploy/docker"
BASE = ROOT / "target/install/bookworm"
PROGRAM = os.environ.get("RELATE_IMAP", str(ROOT / "target/release/relate-imap"))


def final_stage():
    """Instruction and argument of each line of the last stage, continuation lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    last = max(index for index, line in enumerate(lines) if line[0] == "FROM")
    return lines[last + 1:]


@check
def hadolint_has_nothing_to_say(place):
    done = subprocess.run([os.environ["HADOLINT"], str(DOCKER / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stdout, done.stdout


@check
def yamllint_has_nothing_to_say(place):
    subprocess.run(["yamllint", "--strict", "-c", str(DOCKER / ".yamllint"), str(DOCKER / "compose.yaml")], check=True)


@check
def the_image_runs_as_a_user_of_its_own_and_is_asked_for_its_health(place):
    stage = {name: argument for name, argument in final_stage()}
    assert re.fullmatch(r"\d+:\d+", stage["USER"]) and not stage["USER"].startswith("0")
    assert '"healthcheck"' in stage["HEALTHCHECK"] and "ENTRYPOINT" in stage


def the_steps_of_the_final_stage_make_a_server_that_is_well(place):
    root = place / "rootfs"
    subprocess.run(["cp", "-a", str(BASE), str(root)], check=True)
    environment, server = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, None
    try:
        for name, argument in final_stage():
            if name == "RUN":
                # What is installed is there already: the base has it, and no network is needed.
                script = re.sub(r"apt-get update\s+&& apt-get install.*?&& rm -rf \S+", "test -e /etc/ssl/certs/ca-certificates.crt", argument)
                subprocess.run(["chroot", str(root), "sh", "-ec", script], check=True, env=environment)
            elif name == "COPY":
                shutil.copy(PROGRAM, root / "usr/bin/relate-imap")
            elif name == "ENV":
                environment.update(pair.split("=", 1) for pair in argument.split())
            elif name == "USER":
                user = argument.split(":")[0]
            elif name == "HEALTHCHECK":
                health = json.loads(argument[argument.index("["):])
            elif name == "ENTRYPOINT":
                entry = json.loads(argument)
            elif name == "CMD":
                command = json.loads(argument)
        inside = ["chroot", "--userspec=%s:%s" % (user, user), str(root), "env", "-C", "/var/lib/relate-imap"]
        environment["Lmtp__Addresses"] = "127.0.0.1"
        server = subprocess.Popen([*inside, *entry, *command], env=environment, stdout=subprocess.DEVNULL, stderr=open(place / "log", "w"))
        well = lambda: subprocess.run([*inside, *health], env=environment, capture_output=True, check=False).returncode == 0  # noqa: E731
        until(well, "the health check succeeds: " + (place / "log").read_text()[-800:])
        status = open("/proc/%d/status" % server.pid).read()
        assert re.search(r"^Uid:\t%s\t%s" % (user, user), status, re.M), status
        server.terminate()
        assert server.wait(40) == 0
    finally:
        if server and server.poll() is None:
            server.kill()
            time.sleep(0.2)


if os.getuid() == 0 and BASE.is_dir():
    check(the_steps_of_the_final_stage_make_a_server_that_is_well)
else:
    print("the steps of the final stage are not run: they need root, and a Debian root that the part `package` makes")

if __name__ == "__main__":
    with scratch() as directory:
        sys.exit(1 if main(directory) else 0)
