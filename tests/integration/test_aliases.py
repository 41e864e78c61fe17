"""Aliases that mail shows: searched for while a batch copies, proposed with what speaks for them, made when somebody says so; and
what else a batch is told about its mailboxes: where notices go, no deltas, failures that are accepted."""

import pathlib
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403
from lab.dovecot import start_pair  # noqa: E402
from test_remote import RemoteCase  # noqa: E402

TABLES = ROOT / "tests" / "support" / "postfixadmin"
DOMAIN = "aliases.example"


def setUpModule():
    need_servers()


def letter(number: int, *fields: str, date: str = "02-Mar-2026 10:20:30 +0100") -> Append:
    return Append("\r\n".join([*fields, f"Message-ID: <{number}@letters.example>", "", "text", ""]).encode(), (), date)


class Aliases(RemoteCase):
    @classmethod
    def setUpClass(cls):
        people = {f"{name}@{DOMAIN}": PASSWORD for name in ("anna", "bela", "carl", "dora", "eva", "finn")}
        cls.users = iter(people)
        cls.old, cls.new = start_pair(cls.server_folder(), users=people, source={"pop3": True}, target={"max_message_bytes": 60_000})
        cls.addClassCleanup(cls.new.stop)
        cls.addClassCleanup(cls.old.stop)

    def setUp(self):
        super().setUp()
        self.file = self.folder / "mail.db"
        with sqlite3.connect(self.file) as database:
            database.executescript((TABLES / "sqlite.sql").read_text())
        self.service.sections["provisioning.mail"] = {"driver": "sql", "database": f"sqlite:{self.file}", "bcrypt_cost": 4}
        self.service.config = self.service.write_config("service.toml")
        self.service.serve()

    def made(self) -> dict[str, str]:
        """The aliases on the new server, without those of accounts onto themselves."""
        with sqlite3.connect(self.file) as database:
            return dict(database.execute("SELECT address, goto FROM alias WHERE address <> goto"))

    def proposed(self) -> list[tuple]:
        return [(one["address"], one["goes_to"], one["seen"]["messages"], one["seen"]["fields"])
                for one in self.lines("alias", "list", "--state", "proposed")]

    def bring_in(self, name: str, csv: str, *words) -> None:
        self.say("batch", "import", name, self.write("accounts.csv", csv), *words)
        self.say("batch", "start", name, "--watch")

    def delta(self) -> None:
        self.say("mailbox", "pause", self.user)
        self.say("mailbox", "resume", self.user)

    def row(self, *more: str) -> str:
        return ",".join([self.user, PASSWORD, self.user, PASSWORD, *more])

    def test_from_mail_to_an_alias_on_the_new_server(self):
        columns = "source_user,source_password,target_user,target_password"
        info = [letter(n, f"To: Info <info@{DOMAIN}>, x@gmail.example, {next_one}") for n, next_one in
                enumerate([f"bela@{DOMAIN}", "a@b.example", "a@b.example", "a@b.example"])]
        others = [letter(10, f"Delivered-To: sales@{DOMAIN}", f"To: {self.user}", date="03-Mar-2026 10:20:30 +0100"),
                  *(letter(20 + n, f"To: list@{DOMAIN}", "List-Id: <list.example>") for n in range(4)),
                  *(letter(30 + n, f"To: all@{DOMAIN}", f"Cc: {self.user}") for n in range(4)),
                  *(letter(40 + n, f"To: bela@{DOMAIN}") for n in range(4))]
        self.fill(self.old, folder("INBOX", info[:2] + others), folder("Work", info[2:]),
                  folder("Gesendet", [letter(50 + n, f"To: sent@{DOMAIN}") for n in range(4)]))
        self.say("domain", "create", DOMAIN)
        self.say("account", "create", f"bela@{DOMAIN}")
        before = self.content(self.old)
        self.say("batch", "create", "move", "--mode", "upsert", "--provisioning", "mail", "--alias-discovery", "standard")
        self.bring_in("move", f"{columns}\n{self.row()}\n", *self.ends())
        self.assertEqual(self.proposed(), [(f"info@{DOMAIN}", self.user, 4, "To")], self.say("batch", "log", "move").stdout)
        self.assertIn("seen in 4 messages, newest 2026-03-02 (To)", self.say("alias", "list").stdout)
        self.assertIn(f"info@{DOMAIN} (in 4 messages); it waits to be approved", self.say("batch", "log", "move").stdout)
        self.assertEqual(self.made(), {}, "nothing is made before somebody has approved it")
        self.assertEqual(self.content(self.old), before)
        self.say("alias", "approve", f"info@{DOMAIN}", "--provisioning", "mail")
        self.assertEqual(self.made(), {f"info@{DOMAIN}": self.user})
        # More is looked for when more is asked for; what was refused is not proposed again, by the final pass neither.
        self.say("batch", "set", "move", "--alias-discovery", "extended")
        self.delta()
        self.say("batch", "watch", "move")
        self.assertEqual(self.proposed(), [(f"sales@{DOMAIN}", self.user, 1, "Delivered-To")])
        self.say("alias", "refuse", f"sales@{DOMAIN}", "--reason", "left us")
        self.say("batch", "finish", "move", "--watch")
        self.assertEqual(self.proposed(), [])
        self.assertEqual(self.made(), {f"info@{DOMAIN}": self.user})
        self.assertEqual(self.say("batch", "log", "move").stdout.count("for aliases: "), 3)

    def test_other_sources_and_the_domains_word(self):
        text = letter(1, f"Delivered-To: info@{DOMAIN}", "Date: Mon, 2 Mar 2026 10:20:30 +0100").data
        maildir, mbox = self.folder / "Maildir", self.folder / "mbox"
        for name in ("cur", "new", "tmp"):
            (maildir / name).mkdir(parents=True)
        (maildir / "cur" / "1.host:2,S").write_bytes(text)
        mbox.write_bytes(b"From a@b Mon Mar  2 10:20:30 2026\n" + text.replace(b"\r\n", b"\n"))
        self.fill(self.old, folder("INBOX", [letter(1, f"Delivered-To: info@{DOMAIN}")]))
        self.say("domain", "defaults", "--alias-discovery", "extended")
        for kind, source in (("maildir", f"maildir:{maildir}"), ("mbox", f"mbox:{mbox}"),
                             ("pop3", f"pop3://{self.old.host}:{self.old.pop3_port}?tls=off")):
            with self.subTest(kind):
                self.bring_in(kind, f"source_user,source_password,target_user,target_password\n{self.row()}\n", "--source", source,
                              *self.ends()[2:])
                self.assertEqual(self.proposed(), [(f"info@{DOMAIN}", self.user, 1, "Delivered-To")], self.say("batch", "log", kind).stdout)
                self.say("alias", "delete", f"info@{DOMAIN}")
        self.say("domain", "edit", DOMAIN, "--alias-discovery", "username")
        self.bring_in("imap", f"source_user,source_password,target_user,target_password\n{self.row()}\n", *self.ends())
        self.assertEqual(self.proposed(), [])

    def test_where_notices_go_is_kept(self):
        columns = "source_user,source_password,target_user,target_password,notify"
        file = self.write("accounts.csv", f"{columns}\n{self.row('perhaps')}\n")
        self.wrong("batch", "import", "n", file, *self.ends(), says=("notify", "must be yes, no, or the address"))
        self.fill(self.old, folder("INBOX", mails(1)))
        file = self.write("accounts.csv", f"{columns}\n{self.row('Boss@else.example')}\n")
        self.assertIn("no notices are sent yet", self.say("batch", "preview", "n", file, *self.ends()).stdout)
        self.say("batch", "import", "n", file, *self.ends())
        self.assertEqual(self.one("mailbox", "show", self.user)["notify"], "boss@else.example")
        self.assertIn("to boss@else.example (kept; none are sent yet)", self.say("mailbox", "show", self.user).stdout)

    def test_no_deltas_against_the_configurations(self):
        self.fill(self.old, folder("INBOX", mails(1)))
        self.say("batch", "create", "quiet", "--delta-every", "none")
        self.bring_in("quiet", f"source_user,source_password,target_user,target_password\n{self.row()}\n", *self.ends())
        mailbox = self.one("mailbox", "show", self.user)
        self.assertEqual((mailbox["state"], mailbox["due"], mailbox["until"]), ("synced", None, None))
        self.assertEqual(self.one("batch", "status", "quiet")["settings"]["delta_every_minutes"], 0)
        self.say("batch", "set", "quiet", "--unset", "delta_every_minutes")
        self.delta()
        self.say("batch", "watch", "quiet")
        self.assertIsNotNone(self.one("mailbox", "show", self.user)["due"], "every 4 hours, as the configuration says")

    def test_what_is_waived_does_not_keep_it_from_being_completed(self):
        self.fill(self.old, folder("INBOX", [mail("a"), mail("too big", size=70_000), mail("b")]))
        self.say("batch", "create", "w")
        self.say("batch", "import", "w", self.write("accounts.csv", "source_user,source_password,target_user,target_password\n"
                                                    f"{self.row()}\n"), *self.ends())
        self.say("batch", "start", "w")
        self.say("batch", "watch", "w")
        self.say("batch", "finish", "w")
        self.say("batch", "watch", "w", code=1)
        self.assertEqual(self.one("mailbox", "show", self.user)["state"], "completed_with_exceptions")
        self.say("mailbox", "waive", self.user, "INBOX:2", "--reason", "it is on a disk")
        self.say("mailbox", "finish", self.user)
        self.assertTrue(self.until(lambda: self.one("mailbox", "show", self.user)["state"] == "completed", 30),
                        self.say("mailbox", "log", self.user).stdout)
        mailbox = self.one("mailbox", "show", self.user)
        self.assertEqual((mailbox["grade"], mailbox["reason"]), ("good", "1 message left behind and waived; the report names them"))
        (failure,) = self.lines("mailbox", "failures", self.user)
        self.assertEqual((failure["source_uid"], failure["waived"]["reason"]), (2, "it is on a disk"))
        self.say("batch", "watch", "w")
        report = json.loads(self.say("batch", "report", "w").stdout)
        self.assertEqual([f["waived"] for f in report["mailboxes"][0]["failures"]], [True])


if __name__ == "__main__":
    unittest.main()
