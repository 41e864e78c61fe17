"""Flags after the copy: what changed on the source follows, what changed on the target only is its owner's."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403


def setUpModule():
    need_servers()


class Flags(PairCase):
    def setUp(self):
        super().setUp()
        sets = [(), ("\\Seen",), ("\\Seen", "\\Flagged"), ("$Label1",), ("\\Draft", "Projekt-X")]
        self.fill(self.old, folder("INBOX", [mail(f"m{n}", flags=flags) for n, flags in enumerate(sets)]))

    def store(self, server, *changes):
        self.do(server, b"SELECT INBOX", *[b"UID STORE " + change for change in changes])

    def copied(self):
        self.copy()
        self.assert_same()

    def test_changes_on_the_source_follow(self):
        self.copied()
        self.store(self.old, b"1 +FLAGS (\\Seen \\Answered)", b"2 -FLAGS (\\Seen)", b"3 FLAGS (\\Deleted)", b"4 -FLAGS ($Label1)",
                   b"5 +FLAGS (New-One)")
        run = self.copy()
        self.assertEqual((run.mailbox["flags_updated"], run.messages["copied"]), (5, 0), run)
        self.assert_same()
        self.assert_nothing_new()

    def test_changes_on_the_target_stay(self):
        self.copied()
        self.store(self.new, b"1 +FLAGS (\\Seen Own-Word)", b"2 -FLAGS (\\Seen)", b"3 FLAGS ()")
        mine = self.flags(self.new, "INBOX")
        self.append(self.old, "INBOX", mail("new"))
        run = self.copy()
        self.assertEqual(run.mailbox["flags_updated"], 0, run)
        self.assertEqual(self.flags(self.new, "INBOX"), mine | {"new": set()})

    def test_changes_on_both_sides_meet_flag_by_flag(self):
        self.copied()
        self.store(self.old, b"1 +FLAGS (\\Answered)", b"3 -FLAGS (\\Flagged)")
        self.store(self.new, b"1 +FLAGS (\\Flagged)", b"3 -FLAGS (\\Seen)")
        self.copy()
        now = self.flags(self.new, "INBOX")
        self.assertEqual(now["m0"], {"\\Answered", "\\Flagged"})
        self.assertEqual(now["m2"], set())
        self.store(self.new, b"1 -FLAGS (\\Answered)")
        self.append(self.old, "INBOX", mail("new"))
        self.copy()
        self.assertEqual(self.flags(self.new, "INBOX")["m0"], {"\\Flagged"})

    def test_a_change_of_a_message_that_is_gone_from_the_target_is_no_failure(self):
        self.copied()
        self.do(self.new, b"SELECT INBOX", b"STORE 1 +FLAGS (\\Deleted)", b"EXPUNGE")
        self.store(self.old, b"1 +FLAGS (\\Seen)", b"2 +FLAGS (\\Answered)")
        self.copy()
        now = self.flags(self.new, "INBOX")
        self.assertNotIn("m0", now)
        self.assertEqual(now["m1"], {"\\Seen", "\\Answered"})

    def test_flag_changes_follow_after_the_ledger_was_lost(self):
        self.copied()
        self.state.unlink()
        self.store(self.new, b"2 -FLAGS (\\Seen)")
        self.copy()
        # Nobody knows who changed it: the target's word stands.
        self.assertEqual(self.flags(self.new, "INBOX")["m1"], set())
        self.store(self.old, b"1 +FLAGS (\\Answered)")
        run = self.copy()
        self.assertEqual(run.mailbox["flags_updated"], 1, run)
        self.assertEqual(self.flags(self.new, "INBOX")["m0"], {"\\Answered"})

    def test_many_flag_changes_at_once(self):
        self.append(self.old, "INBOX", *mails(300, "bulk"))
        self.copied()
        self.store(self.old, b"6:305 +FLAGS (\\Seen)", b"10:200 +FLAGS ($Label2)", b"7 -FLAGS (\\Seen)")
        run = self.copy()
        self.assertEqual(run.mailbox["flags_updated"], 299, run)
        self.assert_same()


class WithoutCondstore(Flags):
    """The flags of all messages must be asked for; the outcome is the same."""

    source = {"hide": ("CONDSTORE", "QRESYNC")}


if __name__ == "__main__":
    unittest.main()
