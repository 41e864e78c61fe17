"""A private Postfix on loopback, in a root of its own, that looks its domains, accounts and aliases up in a database and
hands mail over by LMTP.

    with Postfix("/dev/shm/x/postfix", lmtp_port=dovecot.lmtp_port, database={"dbpath": "/lab/mail.db"}) as server:
        server.smtp_port
"""

from lab import jail

__all__ = ["Postfix"]

# What PostfixAdmin's own page of Postfix maps asks (DOCUMENTS/POSTFIX_CONF.txt), in SQL that both databases read.
QUERIES = {
    "domains": "SELECT domain FROM domain WHERE domain = '%s' AND active = {true}",
    "mailboxes": "SELECT maildir FROM mailbox WHERE username = '%s' AND active = {true}",
    "aliases": "SELECT goto FROM alias WHERE address = '%s' AND active = {true}",
}
_SERVICES = """
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
lmtp unix - - n - - lmtp
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""


class Postfix(jail.Jail):
    """database: the lines of a table's configuration but its query (sqlite_table(5), pgsql_table(5)): {"dbpath": ...}, with
    the path as it is inside; or {"hosts": ..., "user": ..., "password": ..., "dbname": ...}

    Attributes besides a Jail's: smtp_port.
    """

    kind = "postfix"
    accounts = "postfix:x:61235:61235::/lab:/bin/sh\n"
    imap_port = 0

    def __init__(self, folder=None, *, lmtp_port: int, database: dict[str, str], **more):
        self.lmtp_port, self.database = lmtp_port, database
        self.driver = "sqlite" if "dbpath" in database else "pgsql"
        super().__init__(folder, users={}, **more)

    def configure(self) -> str:
        self.smtp_port = jail.free_port()
        # setgid_group must be a group of its own.
        self.write("/etc/group", "root:x:0:\npostfix:x:61235:\npostdrop:x:61236:\nnogroup:x:65534:\n")
        true = "1" if self.driver == "sqlite" else "true"
        for name, query in QUERIES.items():
            lines = {**self.database, "query": query.format(true=true)}
            self.write(f"/etc/postfix/{name}.cf", "".join(f"{key} = {value}\n" for key, value in lines.items()))
        self.write("/etc/postfix/dynamicmaps.cf", f"{self.driver} postfix-{self.driver}.so dict_{self.driver}_open\n")
        self.write("/etc/postfix/main.cf", f"""# written by Postferry's lab
compatibility_level = 3.6
mail_owner = postfix
setgid_group = postdrop
queue_directory = /lab/spool
data_directory = /lab/data
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
myhostname = lab.example
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
inet_interfaces = {self.host}
inet_protocols = ipv4
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = reject_unlisted_recipient
virtual_mailbox_domains = {self.driver}:/etc/postfix/domains.cf
virtual_mailbox_maps = {self.driver}:/etc/postfix/mailboxes.cf
virtual_alias_maps = {self.driver}:/etc/postfix/aliases.cf
virtual_transport = lmtp:inet:[{self.host}]:{self.lmtp_port}
""")
        self.write("/etc/postfix/master.cf", f"{self.host}:{self.smtp_port} inet n - n - - smtpd\n{_SERVICES.lstrip()}")
        queues = " ".join(f"/lab/spool/{name}" for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold",
                                                            "incoming", "private", "saved", "trace"))
        return ("mkdir -p /lab/data /lab/spool/pid /lab/spool/public /lab/spool/maildrop " + queues + "\n"
                f"chown 61235:61235 /lab/data {queues}\n"
                "chown 61235:61236 /lab/spool/public /lab/spool/maildrop\n"
                "chmod 700 " + queues + " && chmod 710 /lab/spool/public && chmod 730 /lab/spool/maildrop\n"
                "/usr/lib/postfix/sbin/master -c /etc/postfix -d &")

    def greetings(self) -> list[tuple[int, bytes]]:
        return [(self.smtp_port, b"220")]
