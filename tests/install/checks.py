"""How the scripts of tests/install report: `ok SCRIPT.name` or `FAILED SCRIPT.name: reason`, a line each."""

import contextlib
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = pathlib.Path(sys.argv[0]).stem
sys.path.insert(0, str(ROOT / "tests/clients"))
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


@contextlib.contextmanager
def scratch():
    """A directory that services may enter, gone at the end."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="install-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def until(condition, what, seconds=30):
    """Waits for something to be true, and returns it."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("not within %d s: %s" % (seconds, what))


def main(*arguments):
    """Runs every check with these arguments; what a failed one leaves undone the next may miss too."""
    failed = 0
    for function in CHECKS:
        name = "%s.%s" % (SCRIPT, function.__name__)
        try:
            function(*arguments)
            print("ok %s" % name, flush=True)
        except Exception as error:
            failed += 1
            own = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == sys.argv[0]]
            reason = " ".join(("%s: %s (line %s)" % (type(error).__name__, error, own[-1].lineno if own else "?")).split())
            print("FAILED %s: %s" % (name, reason[:1500]), flush=True)
    return failed
