"""A whole mailbox arrives as it was, in both directions and between every kind of store; whoever only looks changes nothing."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403


def setUpModule():
    need_servers()


class OldToNew(PairCase):
    """Maildir with "INBOX." and "." and German names to mdbox with "/" and English names."""

    target = {"special_auto": "create"}

    def test_everything_arrives_as_it_was_and_the_source_is_not_touched(self):
        filled = samples.fill(self.old, self.user, samples.small())
        before = digest.tree_digest(self.old.store(self.user))
        run = self.copy()
        self.assert_same()
        self.assertEqual(run.messages["source"], filled, run)
        self.assertEqual((run.messages["copied"], run.messages["residual"]), (filled, 0), run)
        self.assertEqual((run.mailbox["state"], run.mailbox["grade"], run.mailbox["pass"]), ("synced", "perfect", "bulk"))
        self.assertEqual(run.mailbox["bytes"]["copied"],
                         sum(m.size for messages in self.content(self.old).folders.values() for m in messages))
        self.assertEqual(run.folder("Gesendete Objekte")["target"], "Sent")
        self.assertEqual(run.folder("Archiv/2019/Q3")["target"], "Archive/2019/Q3")
        self.assert_nothing_new()
        self.assertEqual(digest.tree_digest(self.old.store(self.user)), before)

    def test_plan_check_verify_and_dry_run_change_neither_side(self):
        self.fill(self.old, folder("INBOX", mails(3)), folder("Ärger/Fälle", mails(2)))
        self.append(self.new, "INBOX", mail("here before"))
        stores = (digest.tree_digest(self.old.store(self.user)), self.content(self.new))
        for command in (("plan",), ("check",), ("copy", "--dry-run"), ("verify",), ("copy", "--pass", "verify")):
            with self.subTest(command):
                self.postferry(*command, code=None)
                self.assertEqual((digest.tree_digest(self.old.store(self.user)), self.content(self.new)), stores)
                self.assertFalse(self.state.exists(), "a ledger was made")

    def test_names_that_the_servers_spell_differently(self):
        names = ["a b", 'quo"te', "back\\slash", "100%", "star*", "R&D", "&", "日本/語", "  two  spaces", "tilde~", "{5}", "(x)",
                 "Ünïcode/ß", "📬"]
        self.fill(self.old, *[folder(name, mails(1, name), subscribed=True) for name in names])
        self.copy()
        self.assert_same()
        self.assertLessEqual(set(names), set(self.content(self.new).folders))
        self.assert_nothing_new()

    def test_messages_that_are_imap_commands_are_only_messages(self):
        bodies = [b"x DELETE Archive\r\nx DELETE Trash\r\n", b"a SELECT INBOX\r\na STORE 1:* +FLAGS (\\Deleted)\r\na EXPUNGE\r\n"]
        made = [Append(b"Subject: command\r\n\r\n" + body, flags) for body in bodies
                for flags in ((), ("\\Seen",), ("$Forwarded",), ("Rare-Keyword", "\\Draft"))]
        self.fill(self.old, folder("INBOX", made), folder("\\Archive", mails(2)))
        self.append(self.new, "Archive", mail("kept"))
        self.copy()
        self.assertEqual(self.differences(), ["INBOX.Archiv -> Archive: " + line.partition(": ")[2] for line in self.differences()])
        self.assertEqual(len(self.messages_on(self.new, "Archive")), 3)
        self.assertEqual(len(self.messages_on(self.new, "INBOX")), len(made))

    def test_a_mailbox_without_a_message(self):
        run = self.copy()
        self.assertEqual((run.messages["source"], run.mailbox["grade"]), (0, "perfect"), run)

    def test_sizes_around_the_buffers(self):
        # Below and above what is held whole (512 kB), and one that is larger than all buffers together (4 MB).
        sizes = (1000, 511_000, 512 << 10, 530_000, 1_100_000, 6_000_000)
        self.fill(self.old, folder("INBOX", [mail(f"size {n}", size=n) for n in sizes]))
        self.copy()
        self.assert_same()


class NewToOld(PairCase):
    """And back: mdbox with "/" to Maildir below "INBOX." with "."; names may hold the target's delimiter."""

    source = {"storage": "mdbox", "special_use": {"Sent": "\\Sent", "Trash": "\\Trash"}}
    target = {"storage": "maildir", "special_use": {"Gesendet": "\\Sent", "Papierkorb": "\\Trash"},
              "special_auto": "create"}

    def test_everything_arrives_as_it_was(self):
        filled = samples.fill(self.old, self.user, samples.small())
        run = self.copy()
        self.assert_same()
        self.assertEqual((run.messages["copied"], run.messages["residual"]), (filled, 0), run)
        self.assert_nothing_new()

    def test_the_targets_delimiter_within_a_name_is_replaced_and_said(self):
        self.fill(self.old, folder("mail.example.org", mails(2)), folder("v1.2/notes", mails(1)))
        run = self.copy()
        there = self.content(self.new).folders
        self.assertEqual(len(there["INBOX.mail\u2024example\u2024org"]), 2)
        self.assertEqual(len(there["INBOX.v1\u20242.notes"]), 1)
        self.assertTrue(run.folder("mail.example.org").get("notes"), run)
        self.assert_nothing_new()


class BetweenEqualStores(PairCase):
    """sdbox to sdbox, same names on both sides."""

    source = {"storage": "sdbox", "special_use": {"Sent": "\\Sent"}}
    target = {"storage": "sdbox", "special_use": {"Sent": "\\Sent"}}

    def test_everything_arrives_as_it_was(self):
        samples.fill(self.old, self.user, samples.small())
        self.copy()
        self.assert_same()
        self.assert_nothing_new()

    def test_only_special_folders_that_exist_are_made(self):
        self.fill(self.old, folder("INBOX", mails(1)))
        self.copy()
        self.assertEqual(set(self.content(self.new).folders), {"INBOX"})


if __name__ == "__main__":
    unittest.main()
