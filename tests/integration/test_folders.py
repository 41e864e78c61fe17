"""Folders that are renamed, deleted and made again between two runs, on either side; special-use folders; rules."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403


def setUpModule():
    need_servers()


class Changes(PairCase):
    def setUp(self):
        super().setUp()
        self.fill(self.old, folder("INBOX", mails(2)), folder("Work", mails(5, "work") + mails(1, "work")))
        self.copy()
        self.expected = {f"work {n}": 1 for n in range(1, 6)} | {"work 1": 2}

    def assert_once(self, name="Work"):
        self.assertEqual(self.subjects(self.new, name), self.expected)

    def test_renamed_on_the_source(self):
        self.do(self.old, b"RENAME INBOX.Work INBOX.Labour")
        run = self.copy()
        self.assertEqual(run.messages["residual"], 0, run)
        self.assert_once("Labour")
        self.assert_once("Work")  # the target is never emptied
        self.assert_nothing_new()

    def test_deleted_on_the_source(self):
        self.do(self.old, b"DELETE INBOX.Work")
        run = self.copy()
        self.assertEqual(run.messages["source"], 2, run)
        self.assert_once()

    def test_recreated_on_the_source_with_the_same_messages(self):
        self.do(self.old, b"RENAME INBOX.Work INBOX.Away", b"CREATE INBOX.Work", b"SELECT INBOX.Away", b"COPY 1:* INBOX.Work", b"CLOSE",
                b"DELETE INBOX.Away")
        self.append(self.old, "INBOX.Work", mail("work new"))
        run = self.copy()
        self.assertEqual((run.messages["copied"], run.messages["residual"]), (1, 0), run)
        self.expected |= {"work new": 1}
        self.assert_once()
        self.assertTrue(any("UIDVALIDITY" in note for note in run.folder("Work")["notes"]), run)
        self.assert_nothing_new()

    def test_renamed_on_the_target(self):
        self.do(self.new, b"RENAME Work Elsewhere")
        run = self.copy()
        self.assertEqual(run.messages["residual"], 0, run)
        self.assert_once("Work")
        self.assert_once("Elsewhere")
        self.assert_nothing_new()

    def test_deleted_on_the_target(self):
        self.do(self.new, b"DELETE Work")
        self.copy()
        self.assert_once()
        self.assert_nothing_new()

    def test_recreated_on_the_target_with_some_of_the_messages(self):
        self.do(self.new, b"RENAME Work Away", b"CREATE Work", b"SELECT Away", b"COPY 2:3 Work", b"CLOSE", b"DELETE Away")
        run = self.copy()
        self.assertEqual((run.folder("Work")["messages"]["present"], run.folder("Work")["messages"]["copied"]), (2, 4), run)
        self.assert_once()
        self.assert_nothing_new()

    def test_a_folder_becomes_a_parent_and_a_parent_becomes_a_folder(self):
        self.fill(self.old, folder("Work/Below", mails(1, "below")), folder("P/Q", mails(1, "q")))
        self.copy()
        self.fill(self.old, folder("P", mails(1, "p")))
        self.copy()
        self.assert_same()


class SpecialUse(PairCase):
    """The target's special-use folders do not exist at first (special_auto "no", the lab's default)."""

    def test_one_that_appears_later_draws_no_second_copy(self):
        self.fill(self.old, folder("\\Sent", mails(3, "sent")))
        first = self.copy()
        where = first.folder("Gesendete Objekte")["target"]
        self.do(self.new, b"CREATE Sent" if where != "Sent" else b"NOOP", b"SUBSCRIBE Sent")
        self.append(self.old, "INBOX.Gesendete Objekte", mail("sent new"))
        run = self.copy()
        self.assertEqual((run.messages["copied"], run.messages["present"]), (1, 3), run)
        total = sum((self.subjects(self.new, name) for name in self.content(self.new).folders), start=self.subjects(self.new, "INBOX"))
        self.assertEqual({subject: n for subject, n in total.items()}, {"sent 1": 1, "sent 2": 1, "sent 3": 1, "sent new": 1})

    def test_children_follow_their_special_parent(self):
        self.do(self.new, b"CREATE Archive")
        self.fill(self.old, folder("\\Archive/2020", mails(2)))
        run = self.copy()
        self.assertEqual(run.folder("Archiv/2020")["target"], "Archive/2020", run)

    def test_a_source_folder_that_bears_the_targets_name_keeps_both_apart(self):
        self.do(self.new, b"CREATE Sent")
        self.fill(self.old, folder("\\Sent", mails(2, "real")), folder("Sent", mails(2, "other")))
        run = self.copy()
        targets = {run.folder("Gesendete Objekte")["target"], run.folder("Sent")["target"]}
        self.assertEqual(len(targets), 2, run)
        self.assertEqual(run.messages["residual"], 0)


class Rules(PairCase):
    def setUp(self):
        super().setUp()
        self.fill(self.old, folder("INBOX", [mail("old", date="01-Jan-2010 12:00:00 +0000"), mail("new", date="01-Jan-2022 12:00:00 +0000"),
                                             mail("big", size=50_000, date="01-Jan-2022 12:00:00 +0000")]),
                  folder("Work/2020", mails(2, "w")), folder("Work/2020/Q1", mails(1, "q")), folder("Lists/a", mails(1, "list")))

    def folders(self):
        return {name for name, messages in self.content(self.new).folders.items() if messages}

    def test_include_and_exclude(self):
        run = self.copy("--include", "Work/**", "--exclude", "Work/*/Q1")
        self.assertEqual(self.folders(), {"Work/2020"})
        self.assertEqual((run.messages["copied"], run.messages["skipped"], run.messages["residual"]), (2, 5, 0), run)
        self.assertEqual(run.mailbox["skip_rules"], {"not included": 4, "excluded": 1}, run)
        self.assertEqual(run.mailbox["grade"], "good")
        self.assertEqual(run.folder("Lists/a")["state"], "skipped")

    def test_a_star_stays_in_its_level(self):
        self.copy("--include", "Work/*", "--include", "inbox")
        self.assertEqual(self.folders(), {"Work/2020", "INBOX"})

    def test_rules_may_change_between_runs(self):
        self.copy("--exclude", "Lists/**")
        run = self.copy()
        self.assertEqual((run.messages["copied"], run.messages["skipped"]), (1, 0), run)
        self.assert_same()

    def test_map_renames_and_merges(self):
        run = self.copy("--map", r"Work/(\d+)=>Jahre/\1", "--map", r"Work/(\d+)/(Q.)=>Jahre/\1", "--map", "Work/2020=>never")
        self.assertEqual(self.subjects(self.new, "Jahre/2020"), {"w 1": 1, "w 2": 1, "q 1": 1})
        self.assertEqual(run.folder("Work/2020")["target"], "Jahre/2020")
        rerun = self.copy("--map", r"Work/(\d+)=>Jahre/\1", "--map", r"Work/(\d+)/(Q.)=>Jahre/\1")
        self.assertEqual(rerun.messages["copied"], 0, rerun)

    def test_merged_folders_with_equal_messages_keep_each(self):
        self.fill(self.old, folder("X", mails(2, "same")), folder("Y", mails(2, "same")))
        rules = ("--map", "X=>Z", "--map", "Y=>Z")
        self.copy(*rules)
        self.assertEqual(self.subjects(self.new, "Z"), {"same 1": 2, "same 2": 2})
        self.assertEqual(self.copy(*rules).messages["copied"], 0)
        self.state.unlink()
        run = self.copy(*rules)
        self.assertEqual(run.messages["copied"], 0, run)
        self.assertEqual(self.subjects(self.new, "Z"), {"same 1": 2, "same 2": 2})

    def test_since(self):
        run = self.copy("--since", "2015-01-01", "--include", "INBOX")
        self.assertEqual(self.subjects(self.new, "INBOX"), {"new": 1, "big": 1})
        self.assertEqual(run.mailbox["skip_rules"].get("--since"), 1, run)
        self.assertEqual(self.copy("--include", "INBOX").messages["copied"], 1)

    def test_since_means_that_day_and_later(self):
        self.append(self.old, "INBOX", mail("before", date="14-Jun-2015 23:59:59 +0000"), mail("at", date="15-Jun-2015 00:00:00 +0000"))
        self.copy("--since", "2015-06-15", "--include", "INBOX")
        self.assertEqual(self.subjects(self.new, "INBOX"), {"at": 1, "new": 1, "big": 1})

    def test_max_size(self):
        run = self.copy("--max-size", "40kB", "--include", "INBOX")
        self.assertEqual(self.subjects(self.new, "INBOX"), {"old": 1, "new": 1})
        self.assertEqual(run.mailbox["skip_rules"].get("--max-size"), 1, run)
        again = self.copy("--max-size", "40kB", "--include", "INBOX")
        self.assertEqual((again.messages["copied"], again.messages["present"], again.mailbox["skip_rules"].get("--max-size")), (0, 2, 1), again)

    def test_a_collision_that_nobody_asked_for_starts_nothing_for_these_two(self):
        self.fill(self.old, folder("a", mails(1, "one")))
        run = self.copy("--map", "Lists/a=>Same", "--map", "a=>Same")
        self.assertEqual(self.subjects(self.new, "Same"), {"list 1": 1, "one 1": 1})
        self.assertEqual(run.messages["residual"], 0)

    def test_one_connection_at_most(self):
        urls = [self.url(server, self.user, "tls=off&max-connections=1") for server in (self.old, self.new)]
        self.run_program("copy", *urls)
        self.assert_same()

    def test_prefix_puts_everything_below_a_folder(self):
        url = self.url(self.new, self.user, "tls=off&prefix=Old%20mail")
        run = self.run_program("copy", self.url(self.old, self.user), url)
        self.assertEqual(run.messages["residual"], 0, run)
        there = self.content(self.new).folders
        self.assertEqual(len(there["Old mail/Work/2020"]), 2)
        self.assertEqual(self.run_program("copy", self.url(self.old, self.user), url).messages["copied"], 0)


if __name__ == "__main__":
    unittest.main()
