"""mboxes: what is written a real Dovecot serves, and what Dovecot has written is read; damaged ones, full disks, kills."""

import contextlib
import mailbox
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403
from lab.dovecot import MAIL_UID  # noqa: E402


def setUpModule():
    need_servers()


def flat(sample):
    """Without folders below others that hold mail: Dovecot's mboxes have no room for them."""
    paths = {one.path for one in sample}
    return [one for one in sample if not any(one.path[:depth] in paths for depth in range(1, len(one.path)))]


class MboxCase(PairCase):
    """The old server has Maildirs; the new one serves mboxes."""

    source = {"special_use": {}}
    target = {"storage": "mbox", "special_use": {}}

    def place(self) -> pathlib.Path:
        home = self.new.home(self.user)
        if not home.exists():
            home.mkdir()
            os.chown(home, MAIL_UID, MAIL_UID)
        return self.new.store(self.user)

    def into(self, *options, command="copy", place=None, **more) -> Run:
        return self.run_program(command, self.url(self.old, self.user), f"mbox:{place or self.place()}", *options, **more)

    def out_of(self, place, *options, command="copy", **more) -> Run:
        return self.run_program(command, f"mbox:{place}", self.url(self.old, self.user), *options, **more)

    @staticmethod
    def files(place: pathlib.Path) -> dict[str, bytes]:
        return {str(one.relative_to(place)): one.read_bytes() for one in place.rglob("*")
                if one.is_file() and ".imap" not in str(one)}


class ImapToMbox(MboxCase):
    def test_dovecot_serves_what_was_written(self):
        filled = samples.fill(self.old, self.user, flat(samples.small()))
        run = self.into()
        self.assertEqual((run.messages["copied"], run.messages["residual"], run.messages["failed"]), (filled, 0, 0), run)
        run = self.into(command="verify")
        # Every octet, also those that an mbox has no way to say: bare LF, a last line without end, fields of the mbox's own.
        self.assertEqual(run.mailbox["verify"]["identical"], filled, run)
        self.assertEqual(run.mailbox["grade"], "perfect", run)
        for path in self.place().rglob("*"):
            self.assertEqual(path.stat().st_uid, MAIL_UID, path)
            self.assertFalse(path.name.endswith((".lock", ".postferry")), path)
        # A server that does not undo mboxrd's quotes, or hides fields, shows such messages otherwise; all others are equal.
        odd = {name for name, messages in self.content(self.old).folders.items() if "Seltsam" in name or "Befehle" in name}
        wrong = [line for line in self.differences() if not any(line.startswith(name) for name in odd)]
        self.assertEqual(wrong, [])

    def test_a_rerun_copies_what_is_new(self):
        self.fill(self.old, folder("INBOX", mails(5)), folder("Work/Old", mails(3, "old")))
        self.into()
        before = self.files(self.place())
        run = self.into()
        self.assertEqual((run.messages["copied"], run.messages["present"]), (0, 8), run)
        self.assertEqual(self.files(self.place()), before)
        self.append(self.old, "INBOX", mail("new one"), mail("new one"))
        run = self.into()
        self.assertEqual((run.messages["copied"], run.messages["present"]), (2, 8), run)
        self.state.unlink()
        run = self.into()
        self.assertEqual((run.messages["copied"], run.messages["present"]), (0, 10), run)

    def test_mail_that_arrives_meanwhile_stays(self):
        self.fill(self.old, folder("INBOX", mails(3)))
        self.into()
        with connect(self.new, self.user) as client:
            client.append("INBOX", [mail("delivered")])
            client.command(b"SELECT INBOX")
            client.command(b"UID STORE 1:* +FLAGS (\\Flagged)")
        self.append(self.old, "INBOX", mail("one more"))
        run = self.into()
        self.assertEqual((run.messages["copied"], run.messages["residual"]), (1, 0), run)
        self.assertEqual(sum(self.subjects(self.new, "INBOX").values()), 5)
        run = self.into(command="verify", code=None)
        self.assertEqual((run.mailbox["verify"]["identical"], run.mailbox["verify"]["missing"]), (4, 0), run)

    def test_dovecot_delivers_while_we_append(self):
        self.fill(self.old, folder("INBOX", mails(400, size=40_000)))
        with connect(self.new, self.user) as client:
            client.append("INBOX", [mail("before")])
            process = self.start("copy", self.url(self.old, self.user), f"mbox:{self.place()}")
            count = 0
            while process.poll() is None:
                count += 1
                client.append("INBOX", [mail(f"delivered {count}")])
        out, err = process.communicate()
        self.assertEqual(process.returncode, 0, out + err)
        self.assertGreater(count, 3)
        found = self.subjects(self.new, "INBOX")
        self.assertEqual(set(found.values()), {1})
        self.assertEqual(len(found), 401 + count)
        run = self.into(command="verify", code=None)
        self.assertEqual((run.mailbox["verify"]["identical"], run.mailbox["verify"]["missing"]), (400, 0), run)
        self.assertEqual(self.into().messages["copied"], 0)

    def test_many_mailboxes_by_a_list(self):
        users = [self.user, next(self.users), next(self.users)]
        for user in users:
            self.fill(self.old, folder("INBOX", mails(3, user)), folder("Work", mails(2, user + "-work")), user=user)
        rows = self.folder / "accounts.csv"
        rows.write_text("source_user,source_password\n" + "".join(f"{user},{PASSWORD}\n" for user in users))
        run = self.run_program("migrate", rows, "--source", f"imap://{self.old.host}:{self.old.imap_port}?tls=off",
                               "--target", f"mbox:{self.folder}/{{user}}")
        self.assertEqual(run.report["totals"]["messages"]["copied"], 15, run)
        for user in users:
            files = self.files(self.folder / user)
            self.assertEqual(set(files) - {".subscriptions"}, {"inbox", "Work"})
            self.assertEqual(files["inbox"].count(b"\nSubject: " + user.encode()), 3)

    def test_flags_that_change_later_are_left_and_said(self):
        self.fill(self.old, folder("INBOX", mails(2)))
        self.into()
        self.do(self.old, b"SELECT INBOX", b"UID STORE 1 +FLAGS (\\Seen)")
        run = self.into()
        self.assertTrue(any("keeps the flags" in line for line in run.mailbox["warnings"]), run)

    def test_one_file(self):
        self.fill(self.old, folder("INBOX", mails(4)))
        place = self.folder / "all.mbox"
        run = self.into(place=place)
        self.assertEqual(run.messages["copied"], 4, run)
        with contextlib.closing(mailbox.mbox(place)) as box:  # Python's own reader
            self.assertEqual(sorted(message["Subject"] for message in box), [f"letter {n}" for n in range(1, 5)])
        self.fill(self.old, folder("Sent", mails(1, "sent")))
        run = self.into(place=place, code=1)
        self.assertIn("room for the INBOX only", run.text + str(run.report))

    def test_killed_at_any_moment(self):
        self.fill(self.old, folder("INBOX", mails(300, size=9_000)), folder("Big", mails(3, "big", size=3_000_000)))
        chance = random.Random(7)
        done = self.into()
        total = sum(len(octets) for octets in self.files(self.place()).values())
        for number in range(6):
            place = self.folder / f"target{number}"
            state = self.folder / f"state{number}.db"
            process = self.start("copy", self.url(self.old, self.user), f"mbox:{place}", "--state", state)
            when = chance.random() * total
            self.until(lambda: process.poll() is not None or
                       (place.exists() and sum(p.stat().st_size for p in place.rglob("*") if p.is_file()) >= when))
            process.kill()
            process.wait()
            run = self.into("--state", state, place=place)
            self.assertEqual((run.messages["residual"], run.messages["failed"]), (0, 0), run)
            run = self.into("--state", state, place=place, command="verify")
            self.assertEqual((run.mailbox["verify"]["identical"], run.mailbox["verify"]["extra"]), (303, 0), run)
            self.assertEqual([str(p) for p in place.rglob("*") if p.name.endswith((".lock", ".postferry"))], [])
        self.assertEqual(done.messages["copied"], 303)

    def test_a_full_disk(self):
        self.fill(self.old, folder("INBOX", mails(100, size=20_000)))
        disk = self.folder / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "postferry-test", str(disk)]).returncode:
            self.skipTest("nothing can be mounted here")
        self.addCleanup(subprocess.run, ["umount", str(disk)])
        run = self.into(place=disk / "mail", code=None)
        self.assertNotEqual(run.code, 0, run)
        self.assertIn("No space left on device", run.text + str(run.report))
        stored = run.messages["copied"]
        self.assertLess(stored, 100, run)
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        run = self.into(place=disk / "mail")
        self.assertEqual((run.messages["residual"], run.messages["failed"]), (0, 0), run)
        run = self.into(place=disk / "mail", command="verify")
        self.assertEqual((run.mailbox["verify"]["identical"], run.mailbox["verify"]["extra"]), (100, 0), run)


class MboxToImap(MboxCase):
    def test_what_dovecot_wrote_is_read(self):
        filled = samples.fill(self.new, self.user, flat(samples.small()))
        theirs = self.content(self.new)
        before = self.files(self.place())
        run = self.out_of(self.place())
        self.assertEqual((run.messages["copied"], run.messages["residual"]), (filled, 0), run)
        self.assertEqual(self.files(self.place()), before)
        back = digest.default_map(self.new, self.old)
        self.assertEqual(digest.compare(theirs, self.content(self.old), back, subscriptions=True), [])
        run = self.out_of(self.place(), command="verify")
        self.assertEqual(run.mailbox["verify"]["identical"], filled, run)
        run = self.out_of(self.place())
        self.assertEqual((run.messages["copied"], run.messages["present"]), (0, filled), run)

    def test_flags_and_arrivals_of_later(self):
        with connect(self.new, self.user) as client:
            client.append("INBOX", mails(3))
        self.out_of(self.place())
        with connect(self.new, self.user) as client:
            client.command(b"SELECT INBOX")
            client.command(b"UID STORE 2 +FLAGS (\\Seen \\Flagged)")
            client.append("INBOX", [mail("letter 3"), mail("letter 4")])
        run = self.out_of(self.place())
        self.assertEqual((run.messages["copied"], run.messages["present"], run.mailbox["flags_updated"]), (2, 3, 1), run)
        self.assertEqual(self.flags(self.old, "INBOX")["letter 2"], {"\\Seen", "\\Flagged"})

    def test_a_damaged_mbox(self):
        place = self.folder / "mail"
        place.mkdir()
        line = b"From a@b.example Mon Jan  1 10:00:00 2001\n"
        (place / "inbox").write_bytes(
            b"\x7fELF\x01\x02 what a crash left\n\n" + line + b"Subject: first\n\ntext\n\n" + line + b"\n" + bytes(4096) + line +
            b"Subject: behind a hole\n\ntext\n\n" + line + line + b"Subject: second\n\ncut off in mid-sen")
        (place / "notes.txt").write_text("no mail\n")
        run = self.out_of(place, code=1)
        self.assertEqual((run.messages["source"], run.messages["residual"]), (6, 0), run)
        self.assertEqual(run.messages["failed"] + run.messages["copied"], 6, run)
        reasons = " ".join(one["reason"] for one in run.mailbox["failures"])
        self.assertIn("that are no message", reasons)
        self.assertIn("Nothing but a From_ line", reasons)
        self.assertLessEqual({"first", "behind a hole", "second"}, set(self.subjects(self.old, "INBOX")))
        self.assertTrue(any("notes.txt is left out" in line for line in run.mailbox["warnings"]), run)

    def test_plan_and_check(self):
        place = self.folder / "mail"
        place.mkdir()
        (place / "Sent").write_bytes(b"From a@b.example Mon Jan  1 10:00:00 2001\nSubject: x\n\ntext\n\n")
        run = self.out_of(place, command="plan")
        self.assertEqual([one["messages"] for one in run.report["mailboxes"][0]["folders"]], [1], run)
        run = self.out_of(place, command="check")
        self.assertEqual(run.code, 0, run)
        run = self.into(place=self.folder / "new", command="check")
        self.assertIn("it is not there yet and will be made", str(run.report))
        run = self.out_of(self.folder / "nowhere", code=None)
        self.assertIn("is not there", run.text)
        self.assertNotEqual(run.code, 0)


if __name__ == "__main__":
    unittest.main()
