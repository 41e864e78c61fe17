"""LMTP as the target of last resort, into a real Dovecot: everything arrives, what is lost is said, nothing is sent twice
that the ledger knows of."""

import collections
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403


def setUpModule():
    need_servers()
    if not os.path.exists("/usr/lib/dovecot/lmtp"):
        raise unittest.SkipTest("needs dovecot-lmtpd")


class LmtpCase(PairCase):
    target = {"lmtp": True, "quota": True}

    def lmtp(self, user=None, query="tls=off") -> str:
        return f"lmtp://{user or self.user}@{self.new.host}:{self.new.lmtp_port}?{query}"

    def deliver(self, *options, command="copy", to=None, **more) -> Run:
        return self.run_program(command, self.url(self.old, self.user), to or self.lmtp(), *options, **more)

    def bodies(self, server, name) -> list[bytes]:
        with connect(server, self.user) as client:
            client.command(b"EXAMINE " + quote(encode_name(name)))
            found = client.command(b"UID FETCH 1:* (BODY.PEEK[])")
        return [part for parts in found if b" FETCH (" in parts[0] for part in parts[1:2]]


class ImapToLmtp(LmtpCase):
    def test_everything_arrives_in_the_inbox_as_it_was(self):
        nasty = Append(b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\nMAIL FROM:<x>\r\n", ("\\Seen",), "03-Mar-2021 10:20:30 +0100")
        self.fill(self.old, folder("INBOX", [*mails(20), nasty, mail("huge", size=3_000_000)]),
                  folder("Work/Été", mails(5, "work", flags=("\\Seen", "$Label1"))), folder("Empty"))
        run = self.deliver()
        self.assertEqual((run.messages["copied"], run.messages["residual"], run.messages["failed"]), (27, 0, 0), run)
        self.assertEqual(run.mailbox["grade"], "good", run)
        said = {one["source"] for one in run.mailbox["folders"]
                if any("delivered into the INBOX of" in note for note in one.get("notes", []))}
        self.assertEqual(said, {"INBOX", "Work/Été", "Empty"}, run)
        self.assertIn("\\Seen", run.mailbox["keywords_dropped"])
        sent = self.bodies(self.old, "INBOX") + self.bodies(self.old, "INBOX.Work.Été")
        arrived = self.bodies(self.new, "INBOX")
        self.assertEqual(len(arrived), 27)
        for body in sent:  # Dovecot puts fields of its own in front
            self.assertEqual(sum(one.endswith(body) for one in arrived), 1, body[:80])

    def test_over_tls_where_it_is_offered(self):
        self.fill(self.old, folder("INBOX", mails(2)))
        run = self.deliver(to=self.lmtp(query=f"tls=require&ca={self.new.ca}"))
        self.assertEqual(run.messages["copied"], 2, run)

    def test_a_rerun_sends_what_is_new(self):
        self.fill(self.old, folder("INBOX", mails(5)))
        self.deliver()
        run = self.deliver()
        self.assertEqual((run.messages["copied"], run.messages["present"]), (0, 5), run)
        self.append(self.old, "INBOX", mail("new one"))
        run = self.deliver()
        self.assertEqual((run.messages["copied"], run.messages["present"]), (1, 5), run)
        self.assertEqual(sum(self.subjects(self.new, "INBOX").values()), 6)

    def test_a_full_mailbox_ends_the_copy_with_advice(self):
        self.new.set_quota(self.user, 200_000)
        self.fill(self.old, folder("INBOX", mails(30, size=20_000)))
        run = self.deliver(code=None)
        self.assertNotEqual(run.code, 0, run)
        self.assertIn("Quota exceeded", run.text + str(run.report))
        self.assertIn("Make room on the target", run.text + str(run.report))
        self.assertEqual(sum(self.subjects(self.new, "INBOX").values()), run.messages["copied"], run)
        self.new.set_quota(self.user, 10_000_000)
        # Dovecot looks at its file of users at most once a second.
        self.assertTrue(self.until(lambda: "=10000000" in self.new.doveadm("user", "-f", "quota_rule", self.user, check=False)))
        run = self.deliver()
        self.assertEqual((run.messages["residual"], run.messages["failed"]), (0, 0), run)
        self.assertEqual(set(self.subjects(self.new, "INBOX").values()), {1})
        self.assertEqual(len(self.subjects(self.new, "INBOX")), 30)

    def test_killed_and_run_again_nothing_is_lost(self):
        self.fill(self.old, folder("INBOX", mails(400, size=3_000)))
        chance = random.Random(11)
        process = self.start("copy", self.url(self.old, self.user), self.lmtp())
        home = self.new.store(self.user)
        enough = chance.randrange(50, 300)

        def arrived() -> int:
            return sum(1 for one in home.rglob("*") if one.parent.name in ("new", "cur") or one.name.startswith("m.")) if home.exists() else 0

        self.until(lambda: process.poll() is not None or arrived() >= min(enough, 3))
        process.kill()
        process.wait()
        run = self.deliver()
        self.assertEqual((run.messages["residual"], run.messages["failed"]), (0, 0), run)
        found = self.subjects(self.new, "INBOX")
        self.assertEqual(set(found), {f"letter {n}" for n in range(1, 401)})
        again = self.deliver()
        self.assertEqual(again.messages["copied"], 0, again)

    def test_what_cannot_be_done_is_refused_by_name(self):
        self.fill(self.old, folder("INBOX", mails(1)))
        run = self.deliver(command="verify", code=2)
        self.assertIn("lets nobody look at it", run.text)
        run = self.run_program("copy", self.lmtp(), self.url(self.new, self.user), code=None)
        self.assertIn("can only be a target", run.text)
        run = self.deliver(to=self.lmtp("nobody"), code=None)
        self.assertIn("takes no mail for <nobody>", run.text + str(run.report))
        self.assertNotEqual(run.code, 0)
        run = self.deliver(to=f"lmtp://{self.user}@{self.new.host}:{self.new.imap_port}?tls=off", code=None)
        self.assertIn("does not speak LMTP", run.text + str(run.report))

    def test_plan_and_check(self):
        self.fill(self.old, folder("INBOX", mails(1)), folder("Work", mails(2, "work")))
        run = self.deliver(command="plan")
        self.assertTrue(any("everything into the INBOX" in note for note in run.report["mailboxes"][0]["notes"]), run)
        run = self.deliver(command="check")
        self.assertIn("takes mail for", str(run.report))
        self.assertEqual(sum(self.subjects(self.new, "INBOX").values()), 0)


if __name__ == "__main__":
    unittest.main()
