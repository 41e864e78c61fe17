"""CSV of accounts -> the service -> PostfixAdmin's tables -> a real Dovecot lets the accounts in and a real Postfix delivers
to them: create-only, upsert with mail, passwords-only, aliases, freeze, reconcile; on both stores."""

import contextlib
import pathlib
import socket
import sqlite3
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403
from lab.imap_client import Imap  # noqa: E402
from lab import roots  # noqa: E402
import on_postgresql  # noqa: E402
from lab.service import Refused, Service  # noqa: E402
from test_provisioning import TABLES, PostfixAdmin, logs_in  # noqa: E402


def setUpModule():
    need_servers()
    try:
        roots.root("postfix")
    except roots.Unavailable as why:
        raise unittest.SkipTest(str(why)) from why


class Directory(PostfixAdmin):
    """The servers of test_provisioning, without its tests."""


for name in [n for n in dir(Directory) if n.startswith("test_")]:
    setattr(Directory, name, None)


class OnSqlite(Directory, Case):
    store_url = None

    @classmethod
    def setUpClass(cls):
        folder_ = pathlib.Path(cls.server_folder())
        cls.file = folder_ / "mail.db"
        with sqlite3.connect(cls.file) as database:
            database.executescript((TABLES / "sqlite.sql").read_text())
        cls.file.chmod(0o644)
        cls.start_servers(cls, "sqlite", str(cls.file), folder_, {"dbpath": "/lab/mail.db"})
        cls.directory = {"database": f"sqlite:{cls.file}"}

    def setUp(self):
        Case.setUp(self)
        hook = self.folder / "hold"
        hook.write_text(f"#!/bin/sh\necho $POSTFERRY_DOMAIN $POSTFERRY_FREEZE $POSTFERRY_FROZEN >> {self.folder}/held\n")
        hook.chmod(0o755)
        self.service = Service(self.folder / "service", program=program(), store=self.store_url, sections={
            "service": {"freeze_hook": [str(hook)]},
            "provisioning.mail": {"driver": "sql", "database": f"sqlite:{self.file}", "bcrypt_cost": 4}})
        self.addCleanup(self.service.stop)
        self.service.serve()

    def preview(self, csv: str, **query) -> dict:
        words = urllib.parse.urlencode({"provisioning": "mail", **query})
        return self.service.call("POST", f"/imports?{words}", csv.encode(), headers={"Content-Type": "text/csv"})

    def bring_in(self, csv: str, **query) -> dict:
        seen = self.preview(csv, **query)
        self.assertEqual(seen["faults"], 0, self.service.items(f"/imports/{seen['id']}/faults"))
        return self.service.call("POST", f"/imports/{seen['id']}/commit", {"start": True})

    def ends(self, batch: int, *states: str) -> list[dict]:
        """Its mailboxes, when each is in one of these states."""
        def there() -> bool:
            return all(one["state"] in states for one in self.service.items(f"/batches/{batch}/mailboxes"))
        self.assertTrue(self.until(there), (self.service.items(f"/batches/{batch}/mailboxes"), self.service.items(f"/batches/{batch}/log"),
                                                self.service.items(f"/batches/{batch}/events"), self.service.processes["serve"].said()[-2000:]))
        return self.service.items(f"/batches/{batch}/mailboxes")

    def test_accounts_are_created_and_receive_mail(self):
        people = [f"p{n}@bulk.example" for n in range(600)]
        rows = "".join(f"{who},{PASSWORD},{'info@bulk.example' if who == people[0] else ''}\n" for who in people)
        done = self.bring_in("target_user,target_password,aliases\n" + rows, batch="new", mode="create-only")
        self.assertEqual(done["added"]["mailboxes"], 600)
        self.ends(done["batches"][0], "completed")
        for who in (people[0], people[-1]):
            self.assertTrue(logs_in(self.dovecot, who, PASSWORD), who)
            self.assertFalse(logs_in(self.dovecot, who, PASSWORD + "x"), who)
            self.send(who, subject=f"to {who}")
            self.assertTrue(self.has(who, f"to {who}"))
        self.send("info@bulk.example", subject="for the alias")
        self.assertTrue(self.has(people[0], "for the alias"))
        self.assertEqual(len(self.service.items("/accounts?state=active")), 600)
        # The same file once more: nothing is added, and nothing happens to the accounts.
        again = self.bring_in("target_user,target_password,aliases\n" + rows, batch="new", mode="create-only")
        self.assertEqual((again["added"]["mailboxes"], again["added"]["known_mailboxes"]), (0, 600))
        # In another batch they exist already.
        other = self.preview("target_user,target_password\n" + f"{people[0]},other\n", batch="other", mode="create-only")
        self.assertEqual(other["faulty_rows"], 1)
        domain = self.service.items("/domains?name=bulk.example")[0]["id"]
        found = self.service.call("POST", f"/domains/{domain}/reconcile", {"new": "mail"})
        self.assertEqual((found["both"], found["only_old"], found["only_new"]), (600, 0, 0))

    def test_an_account_that_exists_is_not_touched_unless_it_is_asked_for(self):
        self.tool()("domain-create", domain="there.example")
        self.tool()("account-create", "anna@there.example", password=PASSWORD)
        csv = "target_user,target_password\nanna@there.example,other\nbela@there.example,other\n"
        done = self.bring_in(csv, batch="create", mode="create-only")
        by_user = {one["target_user"]: one for one in self.ends(done["batches"][0], "completed", "failed")}
        self.assertEqual(by_user["anna@there.example"]["state"], "failed")
        self.assertIn("exists", by_user["anna@there.example"]["reason"])
        self.assertEqual(by_user["bela@there.example"]["state"], "completed")
        self.assertTrue(logs_in(self.dovecot, "anna@there.example", PASSWORD))
        # passwords-only is for those that exist.
        done = self.bring_in("target_user,target_password\nanna@there.example,third\nnobody@there.example,third\n",
                             batch="passwords", mode="passwords-only")
        by_user = {one["target_user"]: one for one in self.ends(done["batches"][0], "completed", "failed")}
        self.assertEqual(by_user["anna@there.example"]["state"], "completed", by_user)
        self.assertEqual(by_user["nobody@there.example"]["state"], "failed", by_user)
        self.assertTrue(logs_in(self.dovecot, "anna@there.example", "third"))
        self.assertFalse(logs_in(self.dovecot, "nobody@there.example", "third"))
        domain = self.service.items("/domains?name=there.example")[0]["id"]
        found = self.service.call("POST", f"/domains/{domain}/reconcile", {"new": "mail"})
        self.assertEqual(found["missing_on_new"], ["nobody@there.example"])

    def test_upsert_makes_the_account_and_brings_the_mail(self):
        old = self.server(prefix="", special_use={})
        PairCase.fill(self, old, folder("INBOX", mails(5)), user="anna")
        csv = ("source_user,source_password,target_user,target_password\n"
               f"anna,{PASSWORD},moved@upsert.example,{PASSWORD}\n")
        ends = {"source": f"imap://{old.host}:{old.imap_port}?tls=off",
                # The lab's Dovecot offers SCRAM, too, which no hash of PostfixAdmin's can answer.
                "target": f"imap://{self.dovecot.host}:{self.dovecot.imap_port}?tls=off&auth=plain"}
        done = self.bring_in(csv, batch="move", mode="upsert", **ends)
        self.ends(done["batches"][0], "synced")
        with Imap(self.dovecot.host, self.dovecot.imap_port, "moved@upsert.example", PASSWORD) as client:
            (found,) = [parts[0] for parts in client.command(b"STATUS INBOX (MESSAGES)") if b"STATUS" in parts[0]]
        self.assertIn(b"MESSAGES 5", found)

    def test_a_server_that_is_not_there_is_a_fault_of_its_rows(self):
        with contextlib.closing(socket.socket()) as nobody:
            nobody.bind(("127.0.0.1", 0))
            ends = {"source": f"imap://127.0.0.1:{nobody.getsockname()[1]}?tls=off",
                    "target": f"imap://{self.dovecot.host}:{self.dovecot.imap_port}?tls=off"}
            seen = self.preview("source_user,source_password,target_password\na,b,c\n", batch="x", mode="messages-only", **ends)
        (fault,) = self.service.items(f"/imports/{seen['id']}/faults")
        self.assertEqual((fault["row"], fault["column"]), (2, "source_host"))
        self.assertIn("cannot be used", fault["reason"])

    def test_a_freeze_holds_until_it_is_lifted(self):
        domain = self.service.call("POST", "/domains", {"name": "frozen.example"})["id"]
        self.service.call("POST", f"/domains/{domain}/freeze", {"provisioning": True})
        self.assertEqual((self.folder / "held").read_text(), "frozen.example provisioning 1\n")
        done = self.bring_in(f"target_user,target_password\nanna@frozen.example,{PASSWORD}\n", batch="f", mode="create-only")
        (one,) = self.ends(done["batches"][0], "failed")
        self.assertIn("provisioning of frozen.example is frozen", one["reason"])
        self.assertFalse(logs_in(self.dovecot, "anna@frozen.example", PASSWORD))
        with self.assertRaises(Refused):
            self.service.call("POST", "/accounts", {"address": "b@frozen.example", "provisioning": "mail"})
        self.service.call("POST", f"/domains/{domain}/unfreeze", {"provisioning": True, "retry": True})
        self.ends(done["batches"][0], "completed")
        self.assertTrue(logs_in(self.dovecot, "anna@frozen.example", PASSWORD))


class OnPostgresql(on_postgresql.OnPostgresql, OnSqlite):
    pass


if __name__ == "__main__":
    unittest.main()
