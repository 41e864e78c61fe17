"""What a target refuses: the message is named with the server's words, all others arrive, the sums close."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403


def setUpModule():
    need_servers()


class TooBig(PairCase):
    target = {"max_message_bytes": 60_000}

    def test_one_of_a_hundred(self):
        letters = mails(100)
        letters[57] = mail("too big", size=80_000, message_id="<too.big@integration.example>")
        self.fill(self.old, folder("INBOX", letters), folder("Work", mails(3, "work")))
        run = self.copy(code=1)
        self.assertEqual((run.messages["copied"], run.messages["failed"], run.messages["residual"]), (102, 1, 0), run)
        (failure,) = run.mailbox["failures"]
        self.assertEqual((failure["folder"], failure["source_uid"], failure["message_id"]), ("INBOX", 58, "<too.big@integration.example>"))
        self.assertEqual(failure["class"], "permanent")
        self.assertEqual(failure["bytes"], len(letters[57].data))
        self.assertIn("larger than the maximum size", failure["reason"])
        self.assertIn("<too.big@integration.example>", run.text)
        self.assertEqual(run.folder("INBOX")["state"], "failed")
        self.assertEqual(run.folder("Work")["state"], "synced")
        there = self.subjects(self.new, "INBOX")
        self.assertEqual((len(there), there["too big"], max(there.values())), (99, 0, 1))
        again = self.copy(code=1)
        self.assertEqual((again.messages["copied"], again.messages["failed"]), (0, 1), again)
        self.assertEqual(len(self.messages_on(self.new, "INBOX")), 99)

    def test_several_side_by_side_and_at_the_ends(self):
        letters = mails(30)
        for n in (0, 10, 11, 29):
            letters[n] = mail(f"big {n}", size=70_000)
        self.fill(self.old, folder("INBOX", letters))
        run = self.copy(code=1)
        self.assertEqual((run.messages["copied"], run.messages["failed"]), (26, 4), run)
        self.assertEqual([f["source_uid"] for f in run.mailbox["failures"]], [1, 11, 12, 30])
        self.assertEqual(run.mailbox["grade"], "poor")

    def test_all_of_them(self):
        self.fill(self.old, folder("INBOX", [mail(f"big {n}", size=70_000) for n in range(5)]))
        run = self.copy(code=1)
        self.assertEqual((run.messages["copied"], run.messages["failed"]), (0, 5), run)

    def test_a_large_one_that_streams(self):
        self.fill(self.old, folder("INBOX", [mail("a"), mail("huge", size=1_500_000), mail("b")]))
        run = self.copy(code=1)
        self.assertEqual((run.messages["copied"], run.messages["failed"]), (2, 1), run)

    def test_a_failed_message_that_vanished_from_the_source_fails_no_more(self):
        self.fill(self.old, folder("INBOX", [mail("a"), mail("big", size=70_000)]))
        self.copy(code=1)
        self.do(self.old, b"SELECT INBOX", b"STORE 2 +FLAGS (\\Deleted)", b"EXPUNGE")
        run = self.copy()
        self.assertEqual((run.messages["source"], run.messages["failed"], run.mailbox["failures"]), (1, 0, []), run)

    def test_check_names_the_limit_only_where_the_server_tells_it(self):
        self.fill(self.old, folder("INBOX", [mail("a"), mail("big", size=70_000)]))
        run = self.postferry("check", "--max-size", "50kB")
        (one,) = run.report["mailboxes"]
        self.assertEqual((one["oversize"]["count"], one["oversize"]["limit"]), (1, 50_000), run)


class NoMultiappend(TooBig):
    target = {"max_message_bytes": 60_000, "hide": ("MULTIAPPEND", "LITERAL+")}


class Quota(PairCase):
    # Fixed in the configuration, lifted by a larger one of the user's own.
    target = {"quota_bytes": 100_000}

    def test_reached_in_mid_copy_then_raised(self):
        self.fill(self.old, folder("INBOX", mails(10, size=15_000)), folder("Work", mails(4, "work", size=15_000)))
        run = self.copy(code=1)
        stopped = run.mailbox["stopped_by"]
        self.assertIn("quota", (stopped["reason"] + stopped.get("response_code", "")).lower())
        self.assertIn("quota", stopped["advice"].lower())
        self.assertEqual(run.mailbox["state"], "failed")
        self.assertIn("quota", run.text.lower())
        self.assertGreater(run.messages["residual"], 0)
        self.assertLess(len(self.messages_on(self.new, "INBOX")), 10)
        self.new.set_quota(self.user, 10_000_000)
        time.sleep(1.1)  # Dovecot looks at its file of users at most once a second
        run = self.copy()
        self.assertEqual((run.messages["source"], run.messages["residual"]), (14, 0), run)
        self.assert_same()
        self.assert_nothing_new()

    def test_check_sees_it_coming(self):
        self.fill(self.old, folder("INBOX", mails(10, size=15_000)))
        run = self.postferry("check", code=None)
        (one,) = run.report["mailboxes"]
        self.assertEqual(one["verdict"], "warnings", run)
        self.assertIn("quota", run.text.lower())


class Strange(PairCase):
    def test_messages_without_octets_or_almost(self):
        made = [Append(data, (), "01-Jan-2020 00:00:00 +0000") for data in (b"x", b"\r\n", b"a\r\n")]
        self.fill(self.old, folder("INBOX", [*made, mail("ordinary")]))
        run = self.copy(code=None)
        self.assertEqual(run.messages["residual"], 0, run)
        self.assert_same()

    def test_a_message_of_no_octets_at_all(self):
        """Put into the Maildir as a file, because no server takes it by APPEND."""
        self.fill(self.old, folder("INBOX", mails(3)))
        path = self.old.store(self.user) / "new" / "1600000000.M1P1.host"
        path.write_bytes(b"")
        os.chown(path, 61234, 61234)
        run = self.copy(code=None)
        self.assertEqual((run.messages["source"], run.messages["residual"]), (4, 0), run)
        self.assertEqual(run.messages["copied"] + run.messages["failed"], 4, run)
        self.assertGreaterEqual(run.messages["copied"], 3)
        self.assertEqual(run.code, 1 if run.messages["failed"] else 0, run)
        again = self.copy(code=None)
        self.assertEqual(again.messages["copied"], 0, again)

    def test_octets_that_dovecot_serves_differently(self):
        """Bare LF, NUL and 8-bit in a file of the Maildir: what the source serves is what arrives."""
        self.fill(self.old, folder("INBOX", mails(1)))
        for number, data in enumerate((b"Subject: bare\n\nline\nline\n", b"Subject: nul\r\n\r\na\0b\0\r\n", b"Subject: \xff\xfe\r\n\r\n\xff\r\n",
                                       b"Subject: cr\r\n\r\na\rb\r\n")):
            path = self.old.store(self.user) / "new" / f"160000000{number}.M1P1.host"
            path.write_bytes(data)
            os.chown(path, 61234, 61234)
        before = digest.tree_digest(self.old.store(self.user))
        run = self.copy()
        self.assertEqual((run.messages["copied"], run.messages["residual"]), (5, 0), run)
        self.assertEqual(digest.tree_digest(self.old.store(self.user)), before)
        self.assert_same()


class ReadOnlyKeywords(PairCase):
    """A Maildir keeps 26 keywords a folder; Dovecot takes more in its index only, so a target that refuses is made by ACL."""

    target = {"extra": "mail_plugins = $mail_plugins acl\nprotocol imap {\n  mail_plugins = $mail_plugins imap_acl\n}\n"
                       "plugin {\n  acl = vfile\n  acl_user = %u\n}\n"}

    def deny(self, name, rights):
        self.do(self.new, b"CREATE " + name, b"SETACL %s %s %s" % (name, self.user.encode(), rights))

    def test_flags_that_may_not_be_kept_are_named_and_the_messages_arrive(self):
        # l lookup, r read, s seen, i insert, p post, k create; no w (other flags), no t (deleted).
        self.deny(b"Work", b"lrsipka")
        self.fill(self.old, folder("Work", [mail("a", flags=("\\Seen", "$Label1")), mail("b", flags=("\\Flagged",)), mail("c")]))
        run = self.copy(code=None)
        self.assertEqual((run.messages["copied"], run.messages["residual"]), (3, 0), run)
        self.assertEqual(self.subjects(self.new, "Work"), {"a": 1, "b": 1, "c": 1})
        kept = self.flags(self.new, "Work")
        if kept["a"] != {"\\Seen", "$Label1"}:
            self.assertIn("$Label1", run.mailbox["keywords_dropped"], run)
            self.assertEqual(run.mailbox["grade"], "good")
        self.assertEqual(self.copy(code=None).messages["copied"], 0)

    def test_a_folder_that_may_not_be_written_fails_alone(self):
        self.deny(b"Work", b"lra")
        self.fill(self.old, folder("INBOX", mails(2)), folder("Work", mails(3, "work")), folder("Zoo", mails(2, "zoo")))
        run = self.copy(code=1)
        self.assertEqual(run.messages["copied"], 4, run)
        work = run.folder("Work")
        self.assertEqual(work["state"], "failed")
        self.assertEqual(work["messages"]["copied"], 0)
        self.assertIn("ermission", run.text)
        self.do(self.new, b"SETACL Work %s lrwstipekxa" % self.user.encode())
        run = self.copy()
        self.assertEqual(run.messages["copied"], 3, run)
        self.assert_same()


class SourceTrouble(PairCase):
    def test_a_message_that_the_source_cannot_read_fails_alone(self):
        self.fill(self.old, folder("INBOX", mails(5)))
        self.do(self.old, b"SELECT INBOX", b"FETCH 1:* (RFC822.SIZE BODY.PEEK[])")
        victim = sorted((self.old.store(self.user) / "cur").iterdir())[2]
        victim.write_bytes(victim.read_bytes()[:20])  # shorter than its name and Dovecot's index say
        run = self.copy(code=None)
        self.assertEqual((run.messages["source"], run.messages["residual"]), (5, 0), run)
        self.assertGreaterEqual(run.messages["copied"], 4)
        self.assertEqual(run.code, 1 if run.messages["failed"] else 0)


if __name__ == "__main__":
    unittest.main()
