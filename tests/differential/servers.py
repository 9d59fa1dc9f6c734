"""The two servers, set up alike: the same accounts, mailboxes and passwords, and a quota on both."""

import server as clients

MANY = 1_000_000
# Wrong passwords are answered at once, and as often as they come.
SETTINGS = {"Limits": {"CommandsPerMinute": MANY, "NewConnectionsPerMinute": MANY, "LoginFailureDelays": "0s", "LoginFailuresPerMinute": MANY, "LoginFailuresPerDay": MANY}}


class Relate(clients.Relate):
    """relate-imap with the users of a file, so that hundreds cost nothing."""

    def __init__(self, directory, users):
        directory.mkdir()
        file = directory / "users"
        super().__init__(directory, [], {**SETTINGS, "Auth": {"Backend": "PasswdFile", "PasswdFilePath": str(file), "PasswdFileAllowPlain": True, "CreateAccounts": True}})
        file.write_text("".join("%s:{PLAIN}%s\n" % (user, self.password) for user in users))


class Dovecot(clients.Dovecot):
    # What is deleted does not come back by itself.
    CONFIG = clients.Dovecot.CONFIG.replace("auto = subscribe", "auto = no") + """
mail_fsync = never
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
mail_plugins = quota
protocol imap {{
  mail_plugins = quota imap_quota
}}
plugin {{
  quota = count:User quota
  quota_rule = *:storage=1G
  quota_vsizes = yes
}}
"""

    def __init__(self, directory, users):
        directory.mkdir()
        super().__init__(directory, users)


def start(directory, users):
    """Both, ours first."""
    return [Relate(directory / "relate", users).start(), Dovecot(directory / "dovecot", users).start()]
