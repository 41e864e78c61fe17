"""The ledger lost, shared, held, too new, damaged; a target that another tool filled before: nothing is copied twice."""

import pathlib
import resource
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403
from lab.proxy import LineProxy  # noqa: E402


def setUpModule():
    need_servers()


class Lost(PairCase):
    target = {"special_auto": "create"}

    def lose(self):
        for name in self.folder.glob("state.db*"):
            name.unlink()

    def test_every_oddity_is_found_again(self):
        filled = samples.fill(self.old, self.user, samples.small())
        self.copy()
        before = self.content(self.new)
        self.lose()
        run = self.copy()
        self.assertEqual((run.messages["copied"], run.messages["present"], run.messages["residual"]), (0, filled, 0), run)
        self.assertEqual(self.content(self.new).folders, before.folders)
        self.assert_nothing_new()

    def test_lost_again_and_again_with_new_messages_in_between(self):
        self.fill(self.old, folder("INBOX", mails(3) + mails(1)))
        for number in range(3):
            self.append(self.old, "INBOX", mail(f"new {number}"), mail("same each time"))
            self.lose() if number else None
            run = self.copy()
            self.assertEqual(run.messages["residual"], 0, run)
        self.assert_same()

    def test_repeats_on_one_side_only(self):
        """The target holds one of three equal messages: two are missing; and one that the source does not have."""
        self.fill(self.old, folder("INBOX", [mail("same")] * 3 + [mail("shared a", message_id="<x@y>"), mail("shared b", message_id="<x@y>")]))
        self.fill(self.new, folder("INBOX", [mail("same"), mail("shared b", message_id="<x@y>"), mail("stranger")]))
        run = self.copy()
        self.assertEqual((run.messages["copied"], run.messages["present"]), (3, 2), run)
        self.assertEqual(self.subjects(self.new, "INBOX"), {"same": 3, "shared a": 1, "shared b": 1, "stranger": 1})

    def test_messages_that_only_their_content_tells_apart(self):
        def body(letter):
            return Append(f"Subject: twin\r\nMessage-ID: <twin@x>\r\n\r\nbody {letter}\r\n".encode(), (), "01-Jan-2020 00:00:00 +0000")

        headerless = [Append(b"\r\nno header %d\r\n" % n, (), "01-Jan-2020 00:00:00 +0000") for n in range(4)]
        self.fill(self.old, folder("INBOX", [body("A"), body("B"), *headerless]))
        self.fill(self.new, folder("INBOX", [body("A"), body("C"), headerless[2]]))
        run = self.copy()
        self.assertEqual((run.messages["copied"], run.messages["present"]), (4, 2), run)
        there = {m.sha256 for m in self.messages_on(self.new, "INBOX")}
        self.assertLessEqual({m.sha256 for m in self.messages_on(self.old, "INBOX")}, there)
        self.assertEqual(len(self.messages_on(self.new, "INBOX")), 7)


class FilledBefore(PairCase):
    def test_half_of_the_messages_were_brought_by_somebody_else(self):
        letters = mails(20) + mails(4)  # four of them twice
        self.fill(self.old, folder("INBOX", letters), folder("Work", mails(6, "work")))
        self.fill(self.new, folder("INBOX", letters[::2] + letters[21:22]), folder("Work", mails(6, "work")))
        run = self.copy()
        self.assertEqual(run.messages["residual"], 0, run)
        self.assertEqual(run.folder("Work")["messages"]["present"], 6)
        self.assert_same()

    def test_flags_that_are_on_the_target_already_stay_as_they_are(self):
        self.fill(self.old, folder("INBOX", [mail("m", flags=("\\Flagged",))]))
        self.fill(self.new, folder("INBOX", [mail("m", flags=("\\Seen",))]))
        run = self.copy()
        self.assertEqual((run.messages["present"], run.mailbox["flags_updated"]), (1, 0), run)
        self.assertEqual(self.flags(self.new, "INBOX"), {"m": {"\\Seen"}})

    @unittest.skipUnless(shutil.which("mbsync"), "mbsync is not installed")
    def test_mbsync_was_there_before(self):
        self.fill(self.old, folder("INBOX", mails(15) + mails(3)), folder("Lists", mails(4, "list")))
        (self.folder / "mbsync").mkdir()
        rc = self.folder / "mbsyncrc"
        rc.write_text("".join(
            f"IMAPAccount {name}\nHost {server.host}\nPort {server.imap_port}\nUser {self.user}\nPass {PASSWORD}\nSSLType None\n"
            f"AuthMechs PLAIN\n\nIMAPStore {name}\nAccount {name}\n{path}\n" for name, server, path in
            (("far", self.old, "Path INBOX.\n"), ("near", self.new, ""))) +
            f"Channel all\nFar :far:\nNear :near:\nPatterns INBOX Lists\nCreate Near\nSync Pull\nSyncState {self.folder}/mbsync/\n")
        done = subprocess.run(["mbsync", "-c", str(rc), "-a"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.append(self.old, "INBOX", mail("new"))
        run = self.copy()
        self.assertEqual((run.messages["copied"], run.messages["present"]), (1, 22), run)
        self.assertEqual(self.subjects(self.new, "INBOX"), self.subjects(self.old, "INBOX"))
        self.assert_nothing_new()


class TheFile(PairCase):
    def setUp(self):
        super().setUp()
        self.fill(self.old, folder("INBOX", mails(3)))

    def test_several_mailboxes_share_one(self):
        first, second = self.user, next(self.users)
        samples.fill(self.old, second, [folder("INBOX", mails(2, "other"))])
        self.assertEqual(self.copy().messages["copied"], 3)
        self.assertEqual(self.copy(user=second).messages["copied"], 2)
        for user, count in ((first, 3), (second, 2)):
            run = self.copy(user=user)
            self.assertEqual((run.messages["copied"], run.messages["present"]), (0, count), run)
        self.assert_same(second)

    def test_the_way_back_is_another_pair(self):
        self.copy()
        run = self.run_program("copy", self.url(self.new, self.user), self.url(self.old, self.user))
        self.assertEqual((run.messages["copied"], run.messages["present"]), (0, 3), run)

    def test_it_holds_neither_passwords_nor_message_text(self):
        self.append(self.old, "INBOX", mail("secret matter", body="the very secret text of this message\r\n"))
        self.copy()
        octets = b"".join(path.read_bytes() for path in self.folder.glob("state.db*"))
        self.assert_no_secret(octets, "the ledger")
        self.assertNotIn(b"very secret text", octets)

    def refused(self, *words, command="copy", code=2):
        before = self.content(self.new)
        run = self.postferry(command, code=code)
        for word in words:
            self.assertIn(word, run.err, run)
        self.assertEqual(self.content(self.new), before)
        return run

    def test_garbage(self):
        self.state.write_bytes(b"This is a letter to my aunt, not a ledger.\n" * 200)
        for command in ("copy", "plan", "verify"):
            with self.subTest(command):
                self.refused(str(self.state), command=command)
        self.assertTrue(self.state.read_bytes().startswith(b"This is a letter"))

    def test_a_database_of_somebody_else(self):
        base = sqlite3.connect(self.state)
        base.execute("create table aunts(name)")
        base.commit()
        base.close()
        self.refused(str(self.state))
        base = sqlite3.connect(self.state)
        self.assertEqual(base.execute("select name from sqlite_master").fetchall(), [("aunts",)])
        base.close()

    def test_damaged(self):
        self.append(self.old, "INBOX", *mails(200, "more"))
        self.copy()
        octets = bytearray(self.state.read_bytes())
        octets[len(octets) // 4:] = b"\xaa" * (len(octets) - len(octets) // 4)
        self.state.write_bytes(octets)
        for side in self.folder.glob("state.db-*"):
            side.unlink()
        self.append(self.old, "INBOX", mail("new"))
        self.refused(str(self.state), "damaged")

    def test_newer_than_the_program(self):
        self.copy()
        base = sqlite3.connect(self.state)
        (version,) = base.execute("pragma user_version").fetchone()
        base.execute(f"pragma user_version = {version + 1}") if version else self.fail("the ledger has no user_version")
        base.commit()
        base.close()
        self.refused(str(self.state), "newer")

    def test_a_folder_that_is_not_there_or_is_no_folder(self):
        (self.folder / "file").write_text("")
        for state in (self.folder / "missing" / "state.db", self.folder / "file" / "state.db", self.folder):
            with self.subTest(state=state):
                run = self.postferry("copy", "--state", state, code=None)
                self.assertIn(run.code, (2, 5), run)
                self.assertIn(str(state), run.err, run)
        self.assertEqual(self.content(self.new).messages(), 0)

    def test_no_room_for_it(self):
        """A limit on the size of files stands in for a full disk."""
        self.append(self.old, "INBOX", *mails(9000, "more"))
        self.copy("--exclude", "**")
        limit = self.state.stat().st_size + 60_000

        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        process = self.start("copy", self.url(self.old, self.user), self.url(self.new, self.user), preexec_fn=small_files, restore_signals=False)
        out, err = process.communicate(timeout=60)
        run = self.judge(process.args, process.returncode, out, err, self.folder / "none", 5)
        self.assertRegex(run.text, "(?i)full|space|too large|disk|i/o")
        self.assertIn(str(self.state), run.text)
        run = self.copy()
        self.assertEqual(run.messages["residual"], 0, run)
        self.assert_same()

    def test_a_second_run_is_told_who_holds_it(self):
        self.append(self.old, "INBOX", *mails(50, "more", size=20_000))
        with LineProxy(self.old.imap_port, stall_after=20_000, side="server") as line:
            stalled = f"imap://{self.user}@127.0.0.1:{line.port}?tls=off"
            first = self.start("copy", stalled, self.url(self.new, self.user))
            self.assertTrue(self.until(lambda: len(self.messages_on(self.new, "INBOX")) > 0 or self.locked()), "the first run holds it")
            for command in ("copy", "plan"):
                run = self.postferry(command, code=None)
                if command == "copy":
                    self.assertEqual(run.code, 2, run)
                    self.assertIn(str(first.pid), run.err, run)
                    self.assertIn("copy", run.err, run)
            first.kill()
            first.wait()
        run = self.copy()
        self.assertEqual(run.messages["residual"], 0, run)
        self.assert_same()

    def locked(self):
        return any(self.folder.glob("state.db*"))


if __name__ == "__main__":
    unittest.main()
