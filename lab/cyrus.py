"""A private Cyrus on loopback, in a root of its own.

    with Cyrus("/dev/shm/x/cyrus", altnamespace=False) as server:
        server.imap_port, server.users, server.admin
"""

import socket

from lab import jail
from lab.imap_client import Imap, encode_name, quote

__all__ = ["Cyrus"]

_SECRET = "cyrus-secret"


class Cyrus(jail.Jail):
    """One private server.

    altnamespace     True: folders beside INBOX ("Sent"); False: all of them below it ("INBOX.Sent")
    unixhierarchysep True: "/" between levels; False: "."
    extra            lines for imapd.conf

    admin: the name and password of one who may create and delete mailboxes.
    """

    kind = "cyrus"
    accounts = f"cyrus:x:{jail.MAIL_UID}:{jail.MAIL_UID}::/lab:/bin/sh\n"

    def __init__(self, folder=None, *, altnamespace: bool = True, unixhierarchysep: bool = True, extra: str = "", **more):
        self.altnamespace, self.unixhierarchysep, self.extra = altnamespace, unixhierarchysep, extra
        self.delimiter = "/" if unixhierarchysep else "."
        self.prefix = "" if altnamespace else f"INBOX{self.delimiter}"
        self.admin = ("cyrus", _SECRET)
        super().__init__(folder, **more)

    def configure(self) -> str:
        self.imap_port = jail.free_port()
        for place in ("/lab/conf/db", "/lab/conf/socket", "/lab/conf", "/lab/spool"):
            self.give(place)
        yes = {True: "yes", False: "no"}
        self.write("/etc/imapd.conf", f"""# written by Postferry's lab
configdirectory: /lab/conf
partition-default: /lab/spool
defaultpartition: default
admins: {self.admin[0]}
servername: lab.example
virtdomains: off
altnamespace: {yes[self.altnamespace]}
unixhierarchysep: {yes[self.unixhierarchysep]}
allowplaintext: yes
imapidresponse: yes
sasl_mech_list: PLAIN
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: /lab/sasldb2
idlesocket: /run/cyrus/idle
notifysocket: /run/cyrus/notify
lmtpsocket: /run/cyrus/lmtp
mboxname_lockpath: /run/cyrus/lock
proc_path: /run/cyrus/proc
{self.extra}""")
        self.write("/etc/cyrus.conf", f"""# written by Postferry's lab
START {{
  recover cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -r"
}}
SERVICES {{
  imap cmd="/usr/lib/cyrus/bin/imapd" listen="{self.host}:{self.imap_port}" prefork=1 maxchild=200 maxforkrate=1000
}}
EVENTS {{
}}
""")
        return ("mkdir -p /run/cyrus/lock /run/cyrus/proc && chown -R cyrus:mail /run/cyrus\n"
                "/usr/sbin/cyrmaster -C /etc/imapd.conf -M /etc/cyrus.conf -p /run/cyrus/master.pid &")

    def furnish(self) -> None:
        everyone = {**self.users, self.admin[0]: self.admin[1]}
        for user, password in everyone.items():
            self.run("/usr/sbin/saslpasswd2", "-p", "-c", "-u", "lab.example", "-f", "/lab/sasldb2", user, words=password)
        self.run("/bin/chown", "cyrus:mail", "/lab/sasldb2")
        with self.as_admin() as client:
            client.run_all([b"CREATE " + quote(self._root_of(user)) for user in self.users])

    def as_admin(self) -> Imap:
        return Imap(self.host, self.imap_port, *self.admin)

    def _root_of(self, user: str) -> bytes:
        """A user's INBOX as the administrator names it."""
        return encode_name(f"user{self.delimiter}{user}")
