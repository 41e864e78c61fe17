"""A private Courier (IMAP and POP3) on loopback, in a root of its own.

    with Courier("/dev/shm/x/courier") as server:
        server.imap_port, server.pop3_port, server.users, server.store("anna")
"""

import pathlib
import subprocess

from lab import jail

__all__ = ["Courier"]

_LISTEN = ("/usr/sbin/couriertcpd -address=%s -maxprocs=200 -maxperip=200 -nodnslookup -noidentlookup %d "
           "/usr/lib/courier/courier/%s &")


class Courier(jail.Jail):
    """One private server. All users have a Maildir with nothing but INBOX in it.

    settings: variables of /etc/courier/imapd, e.g. {"IMAP_CAPABILITY": "IMAP4rev1"}
    """

    kind = "courier"
    delimiter, prefix = ".", "INBOX."
    accounts = (f"courier:x:{jail.MAIL_UID - 1}:{jail.MAIL_UID}::/:/bin/sh\n"
                f"mail:x:{jail.MAIL_UID}:{jail.MAIL_UID}::/lab/mail:/bin/sh\n")

    def __init__(self, folder=None, *, settings: dict[str, str] | None = None, **more):
        self.settings = settings or {}
        super().__init__(folder, **more)

    def configure(self) -> str:
        self.imap_port, self.pop3_port = jail.free_port(), jail.free_port()
        self.give("/lab/mail")
        for user in self.users:
            for part in ("", "/Maildir", "/Maildir/cur", "/Maildir/new", "/Maildir/tmp"):
                self.give(f"/lab/mail/{user}{part}")
        self._write_users()
        self.write("/etc/courier/authdaemonrc", 'authmodulelist="authuserdb"\ndaemons=3\n'
                                                "authdaemonvar=/run/courier/authdaemon\n")
        settings = {
            # As Debian ships it, but for Trash: messages older than seven days would vanish at login.
            "IMAP_EMPTYTRASH": "", **self.settings}
        lines = "".join(f'{name}="{value}"\n' for name, value in settings.items())
        self.write("/etc/courier/lab", lines)
        make = "/usr/lib/courier/courier-authlib/makedatprog - /etc/courier/made"
        return ("".join(f"{make} /etc/courier/{name}.dat < /lab/{name}\n" for name in ("userdb", "userdbshadow"))
                + "umask 022; mkdir -p /run/courier/authdaemon; chown -R courier:mail /run/courier\n"
                "set -a; . /etc/courier/pop3d; . /etc/courier/imapd; . /etc/courier/lab; set +a\n"
                "/usr/lib/courier/courier-authlib/authdaemond &\n"
                + _LISTEN % (self.host, self.pop3_port, "courierpop3login /usr/lib/courier/courier/courierpop3d Maildir")
                + "\n" + _LISTEN % (self.host, self.imap_port, "imaplogin /usr/bin/imapd Maildir"))

    def greetings(self) -> list[tuple[int, bytes]]:
        return [(self.imap_port, b"* OK"), (self.pop3_port, b"+OK")]

    def _write_users(self) -> None:
        """What makeuserdb would make of /etc/courier/userdb; that is a Perl script, and there is no Perl in the root."""
        places, passwords = "", ""
        for user, password in self.users.items():
            sealed = subprocess.run(["openssl", "passwd", "-1", "-stdin"], input=password, capture_output=True, text=True,
                                    check=True).stdout.strip()
            places += f"{user}\tuid={jail.MAIL_UID}|gid={jail.MAIL_UID}|home=/lab/mail/{user}|_=\n"
            passwords += f"{user}\tsystempw={sealed}\n"
        self.write("/lab/userdb", places + ".\n")
        self.write("/lab/userdbshadow", passwords + ".\n", 0o600)

    def store(self, user: str) -> pathlib.Path:
        return self.folder / "mail" / user / "Maildir"
