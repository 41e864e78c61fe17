"""A private imap4d of GNU Mailutils on loopback, in a root of its own: a server that can little.

    with Mailutils("/dev/shm/x/mailutils") as server:
        server.imap_port, server.users
"""

import subprocess

from lab import jail

__all__ = ["Mailutils"]


class Mailutils(jail.Jail):
    """One private server. storage: mbox or maildir, of INBOX and of all other folders."""

    kind = "mailutils"
    delimiter, prefix = "/", ""

    def __init__(self, folder=None, *, storage: str = "maildir", **more):
        self.storage = storage
        super().__init__(folder, **more)

    def configure(self) -> str:
        self.imap_port = jail.free_port()
        for user in self.users:
            self.give(f"/lab/mail/{user}")
        self.give("/lab/spool")
        # Every user of imap4d is one of the system's.
        self.write("/etc/passwd", "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n" + "".join(
            f"{user}:{self._seal(password)}:{jail.MAIL_UID}:{jail.MAIL_UID}::/lab/mail/{user}:/bin/sh\n"
            for user, password in self.users.items()))
        self.write("/etc/imap4d.conf", f"""# written by Postferry's lab
mode daemon;
foreground yes;
max-children 200;
timeout 600;
gsasl {{ enable no; }}
auth {{ authentication generic:system; authorization system; }}
tcp-wrappers {{ enable no; }}
mailbox {{ mail-spool /lab/spool; mailbox-type {self.storage}; }}
namespace personal {{
  prefix "" {{ directory "$home/mail"; delimiter "/"; mailbox-type {self.storage}; }};
}};
server {self.host}:{self.imap_port} {{ backlog 50; }};
""")
        for user in self.users:
            self.give(f"/lab/mail/{user}/mail")
            for part in ("", "/cur", "/new", "/tmp") if self.storage == "maildir" else ():
                self.give(f"/lab/spool/{user}{part}")
        return "/usr/sbin/imap4d --config-file /etc/imap4d.conf &"

    @staticmethod
    def _seal(password: str) -> str:
        return subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True,
                              check=True).stdout.strip()
