#!/usr/bin/env python3
"""What `client-setup` prints, read by parsers that are not ours: expat, libxml2, plistlib, named-checkzone."""

import json
import os
import plistlib
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

from checks import ROOT, check, main, scratch

import server as servers

PROGRAM = os.environ.get("RELATE_IMAP", str(ROOT / "target/release/relate-imap"))
SECRET = "marker-of-a-secret"


def printed(place, *arguments, settings=()):
    cert, key = place / "cert.pem", place / "key.pem"
    given = ["Imap:ServerName=mail.example.org", "Imap:CertificatePath=%s" % cert, "Imap:CertificateKeyPath=%s" % key,
             "Auth:LdapBindPassword=" + SECRET, *settings]
    command = [PROGRAM, "client-setup", *arguments, *(word for setting in given for word in ("--set", setting))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=place)
    assert SECRET not in done.stdout + done.stderr
    assert "PRIVATE" not in done.stdout
    return done.stdout


def well_formed(text):
    subprocess.run(["xmllint", "--nonet", "--noout", "-"], input=text, text=True, check=True)
    return ElementTree.fromstring(text)


@check
def autoconfig_is_what_thunderbird_reads(place):
    root = well_formed(printed(place, "--format", "autoconfig", "--domain", "example.org", "--domain", "example.net"))
    assert root.tag == "clientConfig" and root.get("version") == "1.1"
    provider = root.find("emailProvider")
    assert [d.text for d in provider.findall("domain")] == ["example.org", "example.net"]
    incoming = provider.findall("incomingServer")
    assert [(s.get("type"), s.findtext("hostname"), s.findtext("port"), s.findtext("socketType")) for s in incoming] == [
        ("imap", "mail.example.org", "993", "SSL"), ("imap", "mail.example.org", "143", "STARTTLS")]
    outgoing = provider.find("outgoingServer")
    assert (outgoing.get("type"), outgoing.findtext("port")) == ("smtp", "465")
    assert {s.findtext("username") for s in [*incoming, outgoing]} == {"%EMAILADDRESS%"}


@check
def autoconfig_survives_a_strange_address(place):
    root = well_formed(printed(place, "\"<b>&'\"@example.org", "--format", "autoconfig"))
    assert root.find(".//username").text == "\"<b>&'\"@example.org"


@check
def the_profile_is_a_property_list(place):
    text = printed(place, "anna@example.org", "--format", "apple", "--smtp", "smtp.example.org:587")
    well_formed(text)
    profile = plistlib.loads(text.encode())
    assert (profile["PayloadType"], profile["PayloadVersion"]) == ("Configuration", 1)
    (account,) = profile["PayloadContent"]
    expected = {"PayloadType": "com.apple.mail.managed", "EmailAccountType": "EmailTypeIMAP", "EmailAddress": "anna@example.org",
                "IncomingMailServerHostName": "mail.example.org", "IncomingMailServerPortNumber": 993, "IncomingMailServerUseSSL": True,
                "OutgoingMailServerHostName": "smtp.example.org", "OutgoingMailServerPortNumber": 587}
    assert {key: account[key] for key in expected} == expected
    assert not any("Password" in key and isinstance(value, str) for key, value in account.items())
    for payload in (profile, account):
        assert len(payload["PayloadUUID"]) == 36


@check
def the_profile_for_everybody_names_nobody(place):
    (account,) = plistlib.loads(printed(place, "--format", "apple").encode())["PayloadContent"]
    assert "EmailAddress" not in account and "IncomingMailServerUsername" not in account


@check
def the_records_are_a_zone(place):
    zone = printed(place, "--format", "dns", "--domain", "example.org")
    file = place / "zone"
    file.write_text("$ORIGIN example.org.\n@ 3600 IN SOA mail hostmaster 1 3600 600 86400 300\n@ IN NS mail\nmail IN A 192.0.2.1\n" + zone)
    done = subprocess.run(["named-checkzone", "-D", "example.org", str(file)], capture_output=True, text=True, check=True)
    assert "0 1 993 mail.example.org." in done.stdout and "_pop3s._tcp" in done.stdout


@check
def settings_for_programs_are_json(place):
    setup = json.loads(printed(place, "anna@example.org", "--json"))
    assert setup["incoming"][0] == {"port": 993, "security": "SSL/TLS"} and setup["problems"][0]["what"].startswith("no certificate is made out")


if __name__ == "__main__":
    with scratch() as directory:
        servers.certificate(directory)
        sys.exit(1 if main(directory) else 0)
