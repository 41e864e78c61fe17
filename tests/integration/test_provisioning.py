"""The drivers of src/directory against what they are for: accounts that PostfixAdmin's tables hold are let in by a real
Dovecot and get their mail from a real Postfix, with SQLite and PostgreSQL; a command that asks doveadm; a real Cyrus."""

import pathlib
import smtplib
import sqlite3
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403
from lab import postgres, roots  # noqa: E402
from lab.cyrus import Cyrus  # noqa: E402
from lab.dovecot import MAIL_UID  # noqa: E402
from lab.imap_client import Imap, ImapError  # noqa: E402
from lab.postfix import Postfix  # noqa: E402

SCHEMES = ("BLF-CRYPT", "ARGON2ID", "SHA512-CRYPT", "SHA256-CRYPT", "PLAIN")
TABLES = ROOT / "tests" / "support" / "postfixadmin"


def setUpModule():
    need_servers()
    try:
        for name in ("postfix", "cyrus"):
            roots.root(name)
    except roots.Unavailable as why:
        raise unittest.SkipTest(str(why)) from why


class Tool:
    """A driver, asked by tests/integration/directory_tool.cpp."""

    def __init__(self, test: unittest.TestCase, **settings):
        program_ = os.environ.get("DIRECTORY_TOOL") or str(ROOT / "build/dev/tests/integration/directory_tool")
        self._process = subprocess.Popen([program_, json.dumps(settings)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        test.addCleanup(self.close)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(120)
        self._process.stdout.close()

    def __call__(self, verb: str, address: str = "", **more) -> dict:
        question = {"verb": verb, **({"address": address} if address else {}), **more}
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def logs_in(server, user: str, password: str) -> bool:
    try:
        with Imap(server.host, server.imap_port, user, password):
            return True
    except ImapError:
        return False


class PostfixAdmin:
    """Dovecot and Postfix over one database with PostfixAdmin's tables; `directory`: settings of the driver for it."""

    def start_servers(self, dovecot_driver: str, dovecot_connect: str, postfix_folder: pathlib.Path, database: dict[str, str]) -> None:
        true = "1" if dovecot_driver == "sqlite" else "true"
        where = pathlib.Path(self.server_folder())
        text = "text" if dovecot_driver == "sqlite" else "varchar"
        (where / "sql.conf").write_text(f"""driver = {dovecot_driver}
connect = {dovecot_connect}
password_query = SELECT username AS user, password FROM mailbox WHERE username = '%u' AND active = {true}
user_query = SELECT '{where}/mail/' || maildir AS home, {MAIL_UID} AS uid, {MAIL_UID} AS gid, '*:bytes=' || CAST(quota AS {text}) AS quota_rule FROM mailbox WHERE username = '%u' AND active = {true}
""")
        extra = "".join(f"{kind} {{\n  driver = sql\n  args = {where}/sql.conf\n}}\n" for kind in ("passdb", "userdb"))
        self.dovecot = Dovecot(where, users={}, lmtp=True, quota=True, storage="maildir", prefix="", extra=extra)
        self.addClassCleanup(self.dovecot.stop)
        self.postfix = Postfix(postfix_folder, lmtp_port=self.dovecot.lmtp_port, database=database)
        self.addClassCleanup(self.postfix.stop)

    def tool(self, **settings) -> Tool:
        return Tool(self, driver="sql", bcrypt_cost=4, **self.directory, **settings)

    def send(self, *recipients: str, subject: str) -> None:
        with smtplib.SMTP(self.postfix.host, self.postfix.smtp_port, timeout=120) as client:
            client.sendmail("sender@elsewhere.example", recipients, f"Subject: {subject}\r\n\r\nText.\r\n")

    def has(self, user: str, subject: str) -> bool:
        def there() -> bool:
            with Imap(self.dovecot.host, self.dovecot.imap_port, user, PASSWORD) as client:
                client.command(b"SELECT INBOX")
                (found,) = [parts[0] for parts in client.command(b"SEARCH SUBJECT " + quote(subject.encode())) if b"SEARCH" in parts[0]]
                return found.split()[2:] != []
        return self.until(there)

    def test_an_account_of_each_scheme_logs_in_and_receives_mail(self):
        self.assertEqual(self.tool()("domain-create", domain="schemes.example")["change"], "created")
        for scheme in SCHEMES:
            with self.subTest(scheme):
                tool, user = self.tool(password_scheme=scheme), f"{scheme.lower()}@schemes.example"
                self.assertFalse(logs_in(self.dovecot, user, PASSWORD))
                self.assertEqual(tool("account-create", user, password=PASSWORD, name="Jürgen Ä")["change"], "created")
                self.assertTrue(logs_in(self.dovecot, user, PASSWORD), scheme)
                self.assertFalse(logs_in(self.dovecot, user, PASSWORD + "x"), scheme)
                self.send(user, subject=f"to {scheme}")
                self.assertTrue(self.has(user, f"to {scheme}"))

    def test_an_account_goes_through_all_verbs(self):
        tool = self.tool()
        check = tool("check")
        self.assertTrue(check["good"], check)
        tool("domain-create", domain="verbs.example")
        self.assertEqual(tool("domain-create", domain="verbs.example")["change"], "existed")
        user = "anna@verbs.example"
        self.assertEqual(tool("account-create", user, password=PASSWORD)["change"], "created")
        self.assertEqual(tool("account-create", user, password="other")["code"], "ALREADYEXISTS")
        self.assertTrue(logs_in(self.dovecot, user, PASSWORD))
        self.assertEqual(tool("set-password", user, password="other")["change"], "updated")
        self.assertFalse(logs_in(self.dovecot, user, PASSWORD))
        self.assertTrue(logs_in(self.dovecot, user, "other"))
        self.assertEqual(tool("account-create", user, password=PASSWORD, mode="upsert")["change"], "updated")
        self.assertEqual(tool("set-password", user, password=PASSWORD)["change"], "unchanged")
        self.assertEqual(tool("set-quota", user, quota=10_240_000)["change"], "updated")
        with Imap(self.dovecot.host, self.dovecot.imap_port, user, PASSWORD) as client:
            told = b" ".join(parts[0] for parts in client.command(b"GETQUOTAROOT INBOX"))
        self.assertIn(b"(STORAGE 0 10000)", told)
        self.assertEqual(tool("alias-create", "info@verbs.example", target=user)["change"], "created")
        self.assertEqual(tool("alias-create", "info@verbs.example", target=user)["change"], "unchanged")
        self.send("info@verbs.example", subject="for the alias")
        self.assertTrue(self.has(user, "for the alias"))
        self.assertEqual(tool("suspend", user, suspended=True)["change"], "updated")
        self.assertFalse(logs_in(self.dovecot, user, PASSWORD))
        with self.assertRaises(smtplib.SMTPRecipientsRefused):
            self.send(user, subject="nobody there")
        self.assertEqual(tool("suspend", user, suspended=False)["change"], "updated")
        self.assertTrue(logs_in(self.dovecot, user, PASSWORD))
        self.assertEqual(tool("list-accounts", domain="verbs.example"),
                         {"accounts": [{"address": user, "quota": 10_240_000, "active": True}]})
        self.assertEqual(tool("list-aliases", domain="verbs.example"), {"aliases": {"info@verbs.example": [user]}})
        with self.assertRaises(smtplib.SMTPRecipientsRefused):
            self.send("nobody@verbs.example", subject="nobody")

    def test_many_are_created_and_the_last_of_them_receives_mail(self):
        tool = self.tool()
        tool("domain-create", domain="many.example")
        (hashed,) = {self.rows("SELECT password FROM mailbox WHERE username = 'anna@hash.example'")} or {""}
        self.assertEqual(tool("create-many", domain="many.example", count=1234, hashed=hashed), {"created": 1234})
        self.assertEqual(tool("create-many", domain="many.example", count=1235, hashed=hashed), {"failed": 1234, "created": 1})
        self.assertEqual(tool("create-many", domain="many.example", count=1235, hashed=hashed, mode="upsert"), {"unchanged": 1235})
        self.send("user1234@many.example", subject="the last")
        self.assertTrue(self.has("user1234@many.example", "the last"))
        self.assertEqual(len(tool("list-accounts", domain="many.example")["accounts"]), 1235)

    def setUp(self):
        super().setUp()
        first = self.tool()
        first("domain-create", domain="hash.example")
        first("account-create", "anna@hash.example", password=PASSWORD, mode="upsert")


class Sqlite(PostfixAdmin, Case):
    @classmethod
    def setUpClass(cls):
        folder_ = pathlib.Path(cls.server_folder())
        cls.file = folder_ / "mail.db"
        with sqlite3.connect(cls.file) as database:
            database.executescript((TABLES / "sqlite.sql").read_text())
        cls.file.chmod(0o644)
        cls.start_servers(cls, "sqlite", str(cls.file), folder_, {"dbpath": "/lab/mail.db"})
        cls.directory = {"database": f"sqlite:{cls.file}"}

    def rows(self, sql: str) -> str:
        with sqlite3.connect(self.file) as database:
            return "\n".join("|".join(map(str, row)) for row in database.execute(sql))


class PostgreSql(PostfixAdmin, Case):
    @classmethod
    def setUpClass(cls):
        try:
            cls.server_ = postgres.Postgres()
        except postgres.Unavailable as why:
            raise unittest.SkipTest(str(why)) from why
        cls.addClassCleanup(cls.server_.close)
        pg = cls.server_
        pg.sql("CREATE DATABASE mail")
        pg.sql((TABLES / "postgresql.sql").read_text(), "mail")
        # What a directory needs and no more: the driver must do with it.
        pg.sql("CREATE ROLE ferry LOGIN; GRANT SELECT, INSERT, UPDATE ON domain, mailbox, alias TO ferry", "mail")
        login = {"hosts": f"{pg.host}:{pg.port}", "user": pg.user, "password": pg.password, "dbname": "mail"}
        cls.start_servers(cls, "pgsql", f"host={pg.host} port={pg.port} dbname=mail user={pg.user} password={pg.password}",
                          pathlib.Path(cls.server_folder()), login)
        cls.directory = {"database": pg.url("mail", "ferry")}

    def rows(self, sql: str) -> str:
        return self.server_.sql(sql, "mail")

    def test_a_role_that_may_not_write_is_found_beforehand(self):
        self.server_.sql("CREATE ROLE reader LOGIN; GRANT SELECT ON domain, mailbox, alias TO reader", "mail")
        check = Tool(self, driver="sql", database=self.server_.url("mail", "reader"))("check")
        self.assertFalse(check["good"])
        self.assertIn("cannot write", check["findings"][-1]["text"])

    def test_the_server_is_found_again_when_it_was_killed(self):
        tool = self.tool()
        tool("domain-create", domain="killed.example")
        self.server_.kill()
        self.server_.start()
        self.assertEqual(tool("account-create", "anna@killed.example", password=PASSWORD)["change"], "created")


class Exec(Case):
    SCRIPT = """#!/bin/sh
# What a site might write: Dovecot's file of users, with hashes by doveadm.
set -eu
exists() { grep -q "^$POSTFERRY_ADDRESS:" users; }
cd %(folder)s
case $POSTFERRY_VERB in
account-create) if exists; then exit 17; fi ;;
set-password) exists || exit 18; grep -v "^$POSTFERRY_ADDRESS:" users > users.new || true; cat users.new > users ;;
account-exists) if exists; then exit 0; fi; exit 18 ;;
list-accounts) sed -n "s/:.*//; /@$POSTFERRY_DOMAIN\\$/p" users; exit 0 ;;
esac
read -r password
hash=$(printf '%%s\\n%%s\\n' "$password" "$password" | doveadm -c %(conf)s pw -s SHA512-CRYPT)
printf '%%s:%%s:%(uid)d:%(uid)d::%(folder)s/mail/%%s::\\n' "$POSTFERRY_ADDRESS" "$hash" "$POSTFERRY_ADDRESS" >> users
doveadm -c %(conf)s mailbox create -u "$POSTFERRY_ADDRESS" Archive >&2
"""

    def test_a_script_that_asks_doveadm(self):
        server = self.server(prefix="", special_use={})
        script = self.folder / "accounts"
        script.write_text(self.SCRIPT % {"folder": server.folder, "conf": server.conf, "uid": MAIL_UID})
        script.chmod(0o755)
        verbs = ("account_create", "account_exists", "set_password", "list_accounts")
        tool = Tool(self, driver="exec", **{verb: [str(script)] for verb in verbs})
        self.assertTrue(tool("check")["good"])
        user = "carla@exec.example"
        self.assertEqual(tool("account-exists", user), {"exists": False})
        made = tool("account-create", user, password=PASSWORD)
        self.assertEqual(made.get("change"), "created", made)
        self.assertEqual(tool("account-exists", user), {"exists": True})
        self.assertEqual(tool("account-create", user, password="x")["code"], "ALREADYEXISTS")
        self.assertEqual(tool("account-create", user, password="x", mode="upsert")["change"], "existed")
        self.assertTrue(self.until(lambda: logs_in(server, user, PASSWORD)))
        with Imap(server.host, server.imap_port, user, PASSWORD) as client:
            self.assertTrue(any(b"Archive" in parts[0] for parts in client.command(b'LIST "" "*"')))
        self.assertEqual([one["address"] for one in tool("list-accounts", domain="exec.example")["accounts"]], [user])
        self.assertEqual(tool("set-password", "nobody@exec.example", password="x")["code"], "NONEXISTENT")
        self.assertEqual(tool("set-quota", user, quota=5)["code"], "CANNOT")


class CyrusAccounts(Case):
    def go_through(self, **options) -> None:
        server = Cyrus(users={}, **options)
        self.addCleanup(server.stop)
        admin, password = server.admin
        tool = Tool(self, driver="imap-admin", server=f"imap://{admin}@{server.host}:{server.imap_port}?tls=off",
                    password=password, account_name="{local}", grants=[f"{admin} lrswipkxtecda"])
        self.assertTrue(tool("check")["good"])
        user = "anna.maria@lab.example"
        self.assertEqual(tool("account-exists", user), {"exists": False})
        made = tool("account-create", user, quota=5_000_000)
        self.assertEqual(made.get("change"), "created", made)
        self.assertEqual(tool("account-create", user)["code"], "ALREADYEXISTS")
        self.assertEqual(tool("account-create", user, quota=5_000_000, mode="upsert")["change"], "unchanged")
        self.assertEqual(tool("account-create", "bela@lab.example")["change"], "created")
        server.run("/usr/sbin/saslpasswd2", "-p", "-c", "-u", "lab.example", "-f", "/lab/sasldb2", "anna.maria", words=PASSWORD)
        with Imap(server.host, server.imap_port, "anna.maria", PASSWORD) as client:
            client.append("INBOX", mails(2))
            told = b" ".join(parts[0] for parts in client.command(b"GETQUOTAROOT INBOX"))
            self.assertIn(b" 4883)", told)  # KiB, rounded up
            client.command(b"SELECT INBOX")
            rights = b" ".join(parts[0] for parts in client.command(b"GETACL INBOX"))
        self.assertIn(b"cyrus", rights)
        self.assertEqual(tool("set-quota", user, quota=0)["change"], "updated")
        self.assertEqual(tool("set-quota", user, quota=0)["change"], "unchanged")
        self.assertEqual(sorted(one["address"] for one in tool("list-accounts", domain="lab.example")["accounts"]),
                         [user, "bela@lab.example"])
        self.assertEqual(tool("set-password", user, password="x")["code"], "CANNOT")

    def test_unix_hierarchy(self):
        self.go_through(altnamespace=True, unixhierarchysep=True)

    def test_netnews_hierarchy(self):
        self.go_through(altnamespace=False, unixhierarchysep=False)


if __name__ == "__main__":
    unittest.main()
