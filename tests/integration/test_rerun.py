"""Runs after the first: only what is new is copied, whatever people did on either side in between."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403


def setUpModule():
    need_servers()


class Messages(PairCase):
    target = {"special_auto": "create"}

    def setUp(self):
        super().setUp()
        self.fill(self.old, folder("INBOX", mails(4)), folder("Work/Deep", mails(3, "work"), subscribed=True))
        self.copy()

    def remove(self, server, name, subject):
        with connect(server, self.user) as client:
            client.command(b"SELECT " + quote(encode_name(name)))
            (found,) = [parts for parts in client.command(b'UID SEARCH HEADER SUBJECT "%s"' % subject.encode()) if b"SEARCH" in parts[0]]
            uid = found[0].split()[2]
            client.command(b"UID STORE %s +FLAGS.SILENT (\\Deleted)" % uid)
            client.command(b"UID EXPUNGE %s" % uid)

    def test_nothing_new_is_nothing_done(self):
        run = self.assert_nothing_new()
        self.assertEqual((run.messages["present"], run.mailbox["state"], run.mailbox["grade"]), (7, "synced", "perfect"), run)
        self.assertEqual(run.mailbox["bytes"]["present"], run.mailbox["bytes"]["source"], run)

    def test_new_messages_and_folders_come_over(self):
        self.append(self.old, "INBOX", mail("new"))
        self.fill(self.old, folder("Späteres/Ganz neu", mails(2, "later"), subscribed=True))
        run = self.copy()
        self.assertEqual((run.messages["copied"], run.messages["present"]), (3, 7), run)
        self.assert_same()
        self.assert_nothing_new()

    def test_what_vanished_from_the_source_stays_on_the_target(self):
        self.remove(self.old, "INBOX", "letter 2")
        self.append(self.old, "INBOX", mail("new"))
        run = self.copy()
        self.assertEqual((run.messages["source"], run.messages["copied"]), (7, 1), run)
        self.assertEqual(self.subjects(self.new, "INBOX"), {f"letter {n}": 1 for n in (1, 2, 3, 4)} | {"new": 1})
        self.assert_nothing_new()

    def test_what_its_owner_deleted_on_the_target_does_not_come_back(self):
        self.remove(self.new, "INBOX", "letter 3")
        self.remove(self.new, "INBOX", "letter 4")
        self.append(self.old, "INBOX", mail("new"))
        run = self.copy()
        self.assertEqual(run.messages["copied"], 1, run)
        self.assertEqual(self.subjects(self.new, "INBOX"), {"letter 1": 1, "letter 2": 1, "new": 1})

    def test_what_its_owner_received_and_moved_on_the_target_is_left_alone(self):
        self.append(self.new, "INBOX", mail("only here"))
        self.do(self.new, b"CREATE Mine", b"SELECT INBOX", b"MOVE 1 Mine")
        self.append(self.old, "INBOX", mail("new"))
        run = self.copy()
        self.assertEqual(run.messages["copied"], 1, run)
        self.assertEqual(self.subjects(self.new, "INBOX"),
                         {"letter 2": 1, "letter 3": 1, "letter 4": 1, "only here": 1, "new": 1})
        self.assertEqual(self.subjects(self.new, "Mine"), {"letter 1": 1})

    def test_a_repeat_that_arrives_later_is_a_message_of_its_own(self):
        self.append(self.old, "INBOX", mail("letter 1"))
        self.assertEqual(self.copy().messages["copied"], 1)
        self.assertEqual(self.subjects(self.new, "INBOX")["letter 1"], 2)
        self.assert_nothing_new()

    def test_a_message_moved_to_another_folder_on_the_source_arrives_there(self):
        self.do(self.old, b"SELECT INBOX", b"MOVE 1 INBOX.Work.Deep")
        run = self.copy()
        self.assertEqual(run.messages["copied"], 1, run)
        self.assertEqual(self.subjects(self.new, "Work/Deep")["letter 1"], 1)
        self.assertEqual(self.subjects(self.new, "INBOX")["letter 1"], 1)  # the target is never emptied

    def test_delta_is_the_same_pass_under_another_name(self):
        self.append(self.old, "INBOX", mail("new"))
        run = self.copy("--pass", "delta")
        self.assertEqual((run.messages["copied"], run.mailbox["pass"]), (1, "delta"), run)

    def test_an_emptied_source_empties_nothing(self):
        self.do(self.old, b"SELECT INBOX", b"STORE 1:* +FLAGS (\\Deleted)", b"EXPUNGE")
        run = self.copy()
        self.assertEqual(run.messages["source"], 3, run)
        self.assertEqual(len(self.messages_on(self.new, "INBOX")), 4)


class Subscriptions(PairCase):
    def test_a_folder_that_its_owner_unsubscribed_on_the_target_stays_so(self):
        self.fill(self.old, folder("INBOX", mails(1)), folder("Lists", mails(1, "list"), subscribed=True))
        self.copy()
        self.do(self.new, b"UNSUBSCRIBE Lists")
        self.append(self.old, "INBOX.Lists", mail("new"))
        self.copy()
        self.assertNotIn("Lists", self.content(self.new).subscribed)

    def test_a_later_subscription_comes_over(self):
        self.fill(self.old, folder("INBOX", mails(1)), folder("Lists", mails(1, "list")))
        self.copy()
        self.do(self.old, b"SUBSCRIBE INBOX.Lists")
        self.copy()
        self.assertIn("Lists", self.content(self.new).subscribed)


if __name__ == "__main__":
    unittest.main()
