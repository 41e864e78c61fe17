"""The kinds of passes, guarded deletion, sampled proof and waivers, between real servers."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fault"))

from support import *  # noqa: E402,F403
import scripted  # noqa: E402


def setUpModule():
    need_servers()


class Passes(PairCase):
    def test_trial_then_bulk(self):
        self.fill(self.old, folder("INBOX", mails(40)), folder("Work", mails(4, "work")))
        for server in (self.old, self.new):  # a time, and the same where both were made in one second: no UIDs are kept
            server.doveadm("mailbox", "update", "-u", self.user, "--uid-validity", "1700000000", "INBOX")
        plan = self.postferry("plan", "--pass", "trial").report["mailboxes"][0]
        self.assertEqual(sum(f["to_copy"] for f in plan["folders"]), 14, plan)
        run = self.copy("--pass", "trial")
        self.assertEqual((run.messages["copied"], run.messages["skipped"], run.messages["residual"]), (14, 30, 0), run)
        self.assertEqual((run.mailbox["pass"], run.mailbox["skip_rules"]), ("trial", {"trial": 30}))
        self.assertEqual(set(self.subjects(self.new, "INBOX")), {f"letter {n}" for n in (*range(1, 6), *range(36, 41))})
        self.assertEqual(self.copy("--pass", "trial").messages["copied"], 0)
        run = self.copy("--pass", "bulk")
        self.assertEqual((run.messages["copied"], run.messages["present"]), (30, 14), run)
        self.assert_same()
        self.assert_nothing_new()

    def test_final_reads_everything_again(self):
        self.fill(self.old, folder("INBOX", mails(5)), folder("Work", mails(3, "work")))
        self.copy()
        self.do(self.old, b"SELECT INBOX.Work", b"STORE 2 +FLAGS (\\Flagged)")
        run = self.copy("--pass", "final")
        self.assertEqual((run.mailbox["pass"], run.mailbox["flags_updated"], run.messages["present"]), ("final", 1, 8), run)
        self.assert_same()
        self.assertEqual(self.copy("--pass", "final").mailbox["flags_updated"], 0)

    def test_sweep_leaves_the_target_to_its_owner(self):
        self.fill(self.old, folder("INBOX", mails(5)), folder("Work", mails(3, "work")), folder("Gone", mails(2, "gone")))
        self.copy()
        self.do(self.new, b"SELECT INBOX", b"STORE 1 +FLAGS (\\Flagged)", b"STORE 3 +FLAGS (\\Deleted)", b"EXPUNGE",
                b"RENAME Work Projects", b"DELETE Gone")
        self.do(self.old, b"SELECT INBOX", b"STORE 1 +FLAGS (\\Answered)", b"STORE 2 +FLAGS (\\Seen)")
        self.append(self.old, "INBOX", mail("straggler"))
        self.append(self.old, "INBOX.Work", mail("late work"))
        before = self.flags(self.new, "INBOX")
        run = self.copy("--pass", "sweep")
        self.assertEqual((run.messages["copied"], run.mailbox["flags_updated"], run.messages["residual"]), (2, 0, 0), run)
        after = self.flags(self.new, "INBOX")
        self.assertEqual({s: f for s, f in after.items() if s != "straggler"}, before)
        self.assertIn("straggler", after)
        self.assertEqual(self.subjects(self.new, "Work"), {"late work": 1})
        self.assertEqual(len(self.messages_on(self.new, "Projects")), 3)
        self.assertNotIn("Gone", self.content(self.new).folders)
        self.assertEqual(self.copy("--pass", "sweep").messages["copied"], 0)
        self.assertEqual(len(self.messages_on(self.new, "Work")), 1)


class Repair(PairCase):
    target = {"max_message_bytes": 60_000}

    def test_what_failed_is_waived_or_brought_when_the_limit_is_raised(self):
        letters = mails(6)
        letters[2] = mail("too big", size=80_000)
        self.fill(self.old, folder("INBOX", letters))
        self.assertEqual(self.copy(code=1).messages["failed"], 1)
        waive = self.folder / "waive.txt"
        waive.write_text("# agreed with Anna\nINBOX\t3\n")
        run = self.copy("--waive", waive)
        (failure,) = run.mailbox["failures"]
        self.assertEqual((failure["waived"], run.mailbox["grade"], run.folder("INBOX")["state"]), (True, "good", "synced"), run)
        self.assertIn("Raise the target's limit", failure["advice"])
        self.postferry("verify", code=1)
        run = self.postferry("verify", "--waive", waive)
        self.assertEqual((run.mailbox["state"], run.mailbox["verify"]["missing"]), ("completed", 1), run)
        self.append(self.old, "INBOX", mail("new"))
        # The same mailbox on a server without the limit.
        run = self.copy("--pass", "repair", code=1)
        self.assertEqual((run.messages["copied"], run.messages["failed"], run.messages["skipped"]), (0, 1, 1), run)
        self.raise_limit()
        run = self.copy("--pass", "repair")
        self.assertEqual((run.messages["copied"], run.messages["failed"], run.mailbox["skip_rules"]), (1, 0, {"repair": 1}), run)
        self.assertEqual(self.copy().messages["copied"], 1)
        self.assertEqual(sum(self.subjects(self.new, "INBOX").values()), 7)

    def raise_limit(self):
        for path in pathlib.Path(self.new.folder).rglob("*.conf"):
            text = path.read_text()
            if "60000" in text or "60_000" in text:
                path.write_text(text.replace("60000", "600000"))
        self.new.doveadm("reload")


class Deletion(PairCase):
    def vanish(self, name: bytes, numbers: bytes):
        self.do(self.old, b"SELECT " + name, b"STORE " + numbers + b" +FLAGS (\\Deleted)", b"EXPUNGE")

    def test_only_what_a_dry_run_has_shown(self):
        self.fill(self.old, folder("INBOX", mails(10)), folder("Work", mails(4, "work")))
        self.copy()
        self.vanish(b"INBOX", b"2,5")
        self.append(self.new, "INBOX", mail("received"))
        self.do(self.new, b"SELECT INBOX", b"STORE 1 +FLAGS (\\Deleted)")  # its owner's mark is not ours to carry out
        run = self.copy("--delete-extra", code=1)
        self.assertEqual(run.mailbox["deleted"], 0)
        self.assertIn("--dry-run", run.mailbox["not_deleted"][0])
        plan = self.copy("--delete-extra", "--dry-run").report["mailboxes"][0]
        (inbox,) = [f for f in plan["folders"] if f["source"] == "INBOX"]
        self.assertEqual((plan["to_delete"], inbox["to_delete"], inbox["delete_target_uids"]), (2, 2, "2,5"), plan)
        self.assertEqual(len(self.messages_on(self.new, "INBOX")), 11)
        run = self.copy("--delete-extra")
        self.assertEqual((run.mailbox["deleted"], run.folder("INBOX")["deleted"]), (2, 2), run)
        there = self.subjects(self.new, "INBOX")
        self.assertEqual((len(there), there["letter 2"], there["letter 5"], there["letter 1"], there["received"]), (9, 0, 0, 1, 1))
        self.assertIn("2 messages deleted from the target", run.out)
        self.assertEqual(self.copy("--delete-extra").mailbox.get("deleted", 0), 0)

    def test_a_source_that_is_not_believed(self):
        self.fill(self.old, folder("INBOX", mails(10)), folder("Work", mails(4, "work")))
        self.copy()
        self.vanish(b"INBOX.Work", b"1:3")
        plan = self.postferry("plan", "--delete-extra").report["mailboxes"][0]
        self.assertEqual(plan["to_delete"], 0)
        self.assertIn("fewer than half", plan["not_deleted"][0])
        run = self.copy("--delete-extra", code=1)
        self.assertIn("fewer than half", run.mailbox["not_deleted"][0])
        self.assertEqual(len(self.messages_on(self.new, "Work")), 4)
        self.vanish(b"INBOX", b"1:*")
        run = self.copy("--delete-extra", code=1)
        self.assertTrue(all("whole mailbox" in why for why in run.mailbox["not_deleted"]), run)
        self.assertEqual(len(self.messages_on(self.new, "INBOX")), 10)

    def test_without_uidplus_nothing_is_deleted(self):
        server = self.server(hide=("UIDPLUS",))
        source, target = self.url(self.old, self.user), self.url(server, "anna")
        self.fill(self.old, folder("INBOX", mails(6)))
        self.run_program("copy", source, target)
        self.vanish(b"INBOX", b"2")
        self.run_program("copy", source, target, "--delete-extra", "--dry-run")
        run = self.run_program("copy", source, target, "--delete-extra", code=1)
        self.assertIn("no UIDPLUS", run.mailbox["not_deleted"][0])
        self.assertEqual(len(digest.mailbox_content(server, "anna").folders["INBOX"]), 6)

    def test_what_does_not_look_at_everything_is_refused(self):
        for kind in ("trial", "repair", "sweep", "verify"):
            run = self.copy("--delete-extra", "--pass", kind, code=2)
            self.assertIn("--delete-extra", run.err)


class Sampled(PairCase):
    def test_a_planted_difference_is_found_when_it_must_be(self):
        self.fill(self.old, folder("INBOX", mails(60)), folder("Work", mails(20, "work")))
        self.copy()
        run = self.postferry("verify", "--sample", "16", "--seed", "5")
        proof = run.mailbox["verify"]
        self.assertEqual((proof["identical"], proof["compared"], proof["seed"], proof["confidence"]), (16, 16, 5, 0.95), run)
        self.assertAlmostEqual(proof["sampled"], 0.2)
        self.assertAlmostEqual(proof["at_most"], 1 - 0.05 ** (1 / 16), places=4)
        self.assertIn("a sample of 16 of 80 messages, without a difference", run.out)
        self.assertEqual(run.mailbox["state"], "completed")
        self.spoil("Work", 7)
        found = sum(self.postferry("verify", "--sample", "50%", "--seed", str(seed), code=None).mailbox["verify"]["different"]
                    for seed in range(8))
        self.assertTrue(0 < found < 8, found)
        for how in (("--sample", "80"), ("--sample", "100%"), ()):
            run = self.postferry("verify", *how, code=1)
            self.assertEqual((run.mailbox["verify"]["different"], run.mailbox["state"]), (1, "failed"), run)

    def spoil(self, name: str, uid: int):
        """Other octets under the same UID on one of the sides, as a broken disk makes them."""
        (path,) = [p for p in (self.old.store(self.user) / f".{name}").glob("*/*")
                   if f"Subject: work {uid}\n" in p.read_text().replace("\r\n", "\n")]
        octets = path.read_bytes()
        path.write_bytes(octets.replace(b"text of", b"TEXT OF"))

    def test_without_a_ledger(self):
        self.fill(self.old, folder("INBOX", mails(30)))
        self.copy()
        self.state.unlink()
        self.do(self.new, b"SELECT INBOX", b"STORE 4 +FLAGS (\\Deleted)", b"EXPUNGE")
        run = self.postferry("verify", "--sample", "5", code=1)
        self.assertEqual((run.mailbox["verify"]["missing"], run.messages["source"], run.messages["failed"]), (1, 30, 1), run)
        self.assertFalse(self.state.exists(), "a verify makes no ledger")


class Forgetful(scripted.Target):
    """Says OK to everything, with a UID, and keeps what it likes."""

    def __init__(self, forgets: bytes):
        super().__init__(lambda data: None)
        self.forgets = forgets

    def on_append(self, line, tag, arguments):
        super().on_append(line, tag, arguments)
        if self.forgets:
            for name, stored in self.folders.items():
                self.folders[name] = [one for one in stored if self.forgets not in one.data]


class Liars(Case):
    def test_a_target_that_says_ok_and_keeps_nothing(self):
        letters = [one.data for one in mails(9)]
        with scripted.Source(letters, {}) as source, Forgetful(b"letter 4") as target:
            ends = tuple(f"imap://anna@127.0.0.1:{side.port}?tls=off" for side in (source, target))
            run = self.run_program("copy", *ends, code=1)
            (failure,) = run.mailbox["failures"]
            self.assertEqual((failure["source_uid"], run.messages["copied"], run.messages["residual"]), (4, 8, 0), run)
            self.assertIn("said OK", failure["reason"])
            run = self.run_program("verify", *ends, code=1)
            self.assertEqual((run.mailbox["verify"]["missing"], run.mailbox["state"]), (1, "failed"), run)
            target.forgets = b""
            self.assertEqual(self.run_program("copy", *ends, "--pass", "repair").messages["copied"], 1)
            run = self.run_program("verify", *ends)
            self.assertEqual((run.mailbox["verify"]["identical"], run.mailbox["state"]), (9, "completed"), run)
            # It loses another one behind our back, with its number: as if it had never been there.
            with target.gate:
                lost = target.folders[b"INBOX"].pop()
            run = self.run_program("verify", *ends, code=1)
            self.assertEqual(run.mailbox["verify"]["missing"], 1, lost)


if __name__ == "__main__":
    unittest.main()
