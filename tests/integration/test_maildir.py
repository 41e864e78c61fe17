"""Maildirs on this machine: mail goes into them beside the server that serves them, and comes out as that server would give it."""

import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403
from lab.dovecot import MAIL_UID  # noqa: E402


def setUpModule():
    need_servers()


class MaildirCase(PairCase):
    """The old server is read by IMAP; the new one serves the Maildirs that are written."""

    source = {"special_use": {}}
    target = {"storage": "maildir", "special_use": {}, "fsync": "always"}

    def place(self, server=None, user=None) -> pathlib.Path:
        """The user's Maildir on the server; the home folder is made, as whoever makes the account would."""
        server, user = server or self.new, user or self.user
        home = server.home(user)
        if not home.exists():
            home.mkdir()
            os.chown(home, MAIL_UID, MAIL_UID)
        return server.store(user)

    def into_maildir(self, *options, command="copy", **more) -> Run:
        return self.run_program(command, self.url(self.old, self.user), f"maildir:{self.place()}", *options, **more)

    def numbers(self, server) -> dict[str, tuple[int, int]]:
        """folder -> (UIDVALIDITY, UIDNEXT)"""
        out = {}
        with connect(server, self.user) as client:
            for response in client.command(b'LIST "" * RETURN (STATUS (UIDVALIDITY UIDNEXT))'):
                words = parse(response)
                if words[:2] == [b"*", b"STATUS"]:
                    status = dict(zip(words[3][::2], map(int, words[3][1::2])))
                    out[self.plain(server, words[2])] = (status[b"UIDVALIDITY"], status[b"UIDNEXT"])
        return out

    @staticmethod
    def plain(server, name) -> str:
        return digest.decode_name(name).removeprefix(server.prefix).replace(server.delimiter, "/")

    def messages(self, server) -> dict[str, list[digest.Message]]:
        """Everything of each message, its UID included, by folder."""
        return {name.removeprefix(server.prefix).replace(server.delimiter, "/"): sorted(found, key=lambda m: m.uid)
                for name, found in self.content(server).folders.items()}

    def assert_twins(self) -> None:
        """A client that knew the old server sees nothing new on the new one."""
        self.assert_same()
        self.assertEqual(self.messages(self.new), self.messages(self.old))
        self.assertEqual(self.numbers(self.new), self.numbers(self.old))

    def assert_clean(self, path: pathlib.Path | None = None) -> None:
        path = path or self.place()
        self.assertEqual([str(left) for left in path.glob("**/tmp/*")], [])
        self.assertEqual([str(left) for left in path.glob("**/*.lock")], [])
        self.assertEqual([str(left) for left in path.glob("**/*") if left.stat().st_uid != MAIL_UID], [])

    def complaints(self, server) -> list[str]:
        return [line for line in server.log.read_text(errors="replace").splitlines()
                if ("Error" in line or "Panic" in line or "Warning" in line) and self.user in line]


class ImapToMaildir(MaildirCase):
    def test_a_server_on_the_maildir_is_the_twin_of_the_old_one(self):
        filled = samples.fill(self.old, self.user, samples.small())
        run = self.into_maildir()
        self.assertEqual((run.messages["copied"], run.messages["residual"], run.mailbox["grade"]), (filled, 0, "perfect"), run)
        self.assert_clean()
        self.assert_twins()
        self.assertEqual(self.complaints(self.new), [])
        run = self.into_maildir(command="verify")
        self.assertEqual((run.mailbox["state"], run.mailbox["verify"]["identical"]), ("completed", filled), run)

    def test_a_rerun_brings_what_is_new_under_its_own_uids(self):
        self.fill(self.old, folder("INBOX", mails(5)), folder("Work/Deep", mails(3, "work"), subscribed=True))
        self.into_maildir()
        self.assert_twins()
        with connect(self.old, self.user) as client:  # UIDs with a gap, flags and keywords that change, one message gone
            client.command(b"SELECT INBOX")
            client.command(b"STORE 1:2 +FLAGS (\\Flagged $Label2)")
            client.command(b"STORE 5 +FLAGS (\\Deleted)")
        self.append(self.old, "INBOX", mail("later 1", flags=("\\Seen", "Neu")), mail("later 2"))
        self.append(self.old, "INBOX.Work.Deep", mail("later 3"))
        run = self.into_maildir()
        self.assertEqual((run.messages["copied"], run.mailbox["flags_updated"]), (3, 3), run)
        self.assert_twins()
        run = self.into_maildir()
        self.assertEqual((run.messages["copied"], run.mailbox["flags_updated"]), (0, 0), run)
        self.assertEqual(self.complaints(self.new), [])

    def test_what_vanished_leaves_its_uid_unused(self):
        self.fill(self.old, folder("INBOX", mails(6)))
        self.do(self.old, b"SELECT INBOX", b"STORE 2,6 +FLAGS (\\Deleted)", b"EXPUNGE")
        self.into_maildir()
        self.assert_twins()
        self.append(self.new, "INBOX", mail("delivered here"))
        self.assertEqual([m.uid for m in self.messages(self.new)["INBOX"]], [1, 3, 4, 5, 7])

    def test_lost_ledger_brings_nothing_twice(self):
        self.fill(self.old, folder("INBOX", mails(20)), folder("A", mails(5, "a")))
        self.into_maildir()
        self.state.unlink()
        run = self.into_maildir()
        self.assertEqual((run.messages["copied"], run.messages["present"]), (0, 25), run)
        self.assert_twins()

    def test_sizes_around_the_buffers(self):
        sizes = (1000, 262_000, 263_000, 1_040_000, 1_060_000, 6_000_000)
        self.fill(self.old, folder("INBOX", [mail(f"size {n}", size=n) for n in sizes]))
        self.into_maildir()
        self.assert_twins()
        self.assert_clean()

    def test_plan_check_and_dry_run_make_nothing(self):
        self.fill(self.old, folder("INBOX", mails(3)))
        for command in (("plan",), ("check",), ("copy", "--dry-run")):
            run = self.into_maildir(*command[1:], command=command[0], code=None)
            self.assertIn(run.code, (0, 1), run)
            self.assertFalse(self.place().exists(), command)
        run = self.into_maildir(command="check")
        target = run.report["mailboxes"][0]["target"]
        self.assertEqual([step["state"] for step in target["steps"]], ["ok"] * len(target["steps"]), run)
        self.assertIn("it is not there yet and will be made", target["notes"])
        self.assertEqual(target["quotas"][0]["root"], "disk")

    def test_a_missing_home_folder_is_named(self):
        self.fill(self.old, folder("INBOX", mails(1)))
        nowhere = self.folder / "nobody" / "Maildir"
        run = self.run_program("copy", self.url(self.old, self.user), f"maildir:{nowhere}", code=3)
        self.assertIn("Create the account", run.text)

    def test_migrate_fills_the_path_from_each_row(self):
        other = next(self.users)
        for user in (self.user, other):
            self.fill(self.old, folder("INBOX", mails(3, user)), user=user)
            self.place(user=user)
        accounts = self.folder / "accounts.csv"
        accounts.write_text("source_user,source_password,target_user,target_password\n" +
                            "".join(f"{user},{PASSWORD},{user},\n" for user in (self.user, other)))
        accounts.chmod(0o600)
        self.run_program("migrate", accounts, "--source", f"imap://{self.old.host}:{self.old.imap_port}?tls=off",
                         "--target", f"maildir:{self.new.folder}/mail/{{user}}/maildir")
        for user in (self.user, other):
            self.assertEqual(self.differences(user), [])


class Vanished(MaildirCase):
    def test_delete_extra_removes_files_and_no_uid_is_used_again(self):
        self.fill(self.old, folder("INBOX", mails(6)))
        self.into_maildir()
        self.do(self.old, b"SELECT INBOX", b"STORE 2,6 +FLAGS (\\Deleted)", b"EXPUNGE")
        self.into_maildir("--delete-extra", "--dry-run")
        self.into_maildir("--delete-extra")
        self.assertEqual(self.subjects(self.new, "INBOX"), {f"letter {n}": 1 for n in (1, 3, 4, 5)})
        self.append(self.old, "INBOX", mail("new"))
        self.into_maildir()
        self.assertEqual([m.uid for m in self.messages(self.new)["INBOX"]], [1, 3, 4, 5, 7])
        self.assert_twins()
        self.assertEqual(self.complaints(self.new), [])


class Killed(MaildirCase):
    def test_killed_at_any_moment_and_run_again_it_is_whole(self):
        self.fill(self.old, folder("INBOX", mails(400, size=20_000)), folder("Work", mails(300, "work", size=3_000)))
        place = self.place()
        for files in (1, 150, 390, 500):
            process = self.start("copy", self.url(self.old, self.user), f"maildir:{place}")
            self.until(lambda: process.poll() is not None or sum(1 for _ in place.glob("**/cur/*")) >= files)
            process.kill()
            process.wait()
        run = self.into_maildir()
        self.assertEqual(run.messages["residual"], 0, run)
        self.assert_twins()
        self.assertEqual([str(left) for left in place.glob("**/*.lock")], [])
        self.assertEqual(self.into_maildir().messages["copied"], 0)

    def test_messages_that_arrived_but_are_in_no_list_keep_their_uids(self):
        """As a kill between the renames and the UID list leaves them."""
        self.fill(self.old, folder("INBOX", mails(10)))
        self.into_maildir()
        uid_list = self.place() / "dovecot-uidlist"
        lines = uid_list.read_text().splitlines(keepends=True)
        uid_list.write_text("".join(lines[:6]))
        self.state.unlink()
        run = self.into_maildir()
        self.assertEqual((run.messages["copied"], run.messages["present"]), (0, 10), run)
        self.assert_twins()


class Served(MaildirCase):
    """Dovecot is at work on the Maildir, and delivers to it, while we copy."""

    def test_nothing_is_lost_or_twice_and_no_uid_is_given_twice(self):
        self.fill(self.old, folder("INBOX", mails(600, size=8_000)), folder("Work", mails(50, "work")))
        place = self.place()
        stop, delivered, failures = threading.Event(), [], []

        def deliver():
            try:
                with connect(self.new, self.user) as client:
                    client.command(b"SELECT INBOX")
                    while not stop.is_set() or len(delivered) < 5:
                        subject = f"delivered {len(delivered)}"
                        client.append("INBOX", [mail(subject)])
                        delivered.append(subject)
                        client.command(b"NOOP")
            except Exception as trouble:  # told by the assertion below
                failures.append(trouble)

        process = self.start("copy", self.url(self.old, self.user), f"maildir:{place}", "--limit-rate", "1000000")
        self.until(lambda: process.poll() is not None or (place / "cur").exists())
        thread = threading.Thread(target=deliver)
        thread.start()
        process.communicate(timeout=60)
        stop.set()
        thread.join(30)
        self.assertEqual(failures, [])
        self.assertEqual(process.returncode, 0)
        expected = {f"letter {n}": 1 for n in range(1, 601)} | {subject: 1 for subject in delivered}
        self.assertEqual(self.subjects(self.new, "INBOX"), expected)
        uids = [m.uid for m in self.messages(self.new)["INBOX"]]
        self.assertEqual(len(uids), len(set(uids)))
        run = self.into_maildir()
        self.assertEqual(run.messages["copied"], 0, run)
        self.assertEqual(self.subjects(self.new, "INBOX"), expected)
        self.assertEqual([line for line in self.complaints(self.new) if "reappeared" not in line], [])
        # Another mailbox of the server, where nobody was: everything as it was.
        self.assertEqual(self.messages(self.new)["Work"], self.messages(self.old)["Work"])

    def test_mail_that_was_delivered_before_stays_and_keeps_its_uid(self):
        self.fill(self.old, folder("INBOX", mails(5)))
        self.append(self.new, "INBOX", mail("was here"))
        before = self.messages(self.new)["INBOX"]
        self.into_maildir()
        after = self.messages(self.new)["INBOX"]
        self.assertEqual(after[:1], before)
        self.assertEqual(len(after), 6)
        self.assertEqual(self.complaints(self.new), [])

    def test_flags_that_owners_change_there_are_kept(self):
        self.fill(self.old, folder("INBOX", mails(3)))
        self.into_maildir()
        self.do(self.new, b"SELECT INBOX", b"STORE 2 +FLAGS (\\Answered Mine)")
        self.do(self.old, b"SELECT INBOX", b"STORE 2:3 +FLAGS (\\Seen $Theirs)")
        run = self.into_maildir()
        self.assertEqual(run.mailbox["flags_updated"], 2, run)
        self.assertEqual(self.flags(self.new, "INBOX"), {"letter 1": set(), "letter 2": {"\\Answered", "Mine", "\\Seen", "$Theirs"},
                                                         "letter 3": {"\\Seen", "$Theirs"}})


class Disks(MaildirCase):
    def small_disk(self, size: str, *more: str) -> pathlib.Path:
        """A disk of its own as the user's home."""
        home = self.place().parent
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", "mode=755", *more]), "tmpfs", str(home)],
                              capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"cannot mount a small disk: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(home)], check=True)
        self.addCleanup(self.new.doveadm, "kick", self.user, check=False)
        os.chown(home, MAIL_UID, MAIL_UID)
        return home

    def assert_stops_and_goes_on(self, home: pathlib.Path, room: str) -> None:
        run = self.into_maildir(code=5)
        self.assertRegex(run.text, "(?i)make room", run)
        self.assertGreater(run.messages["residual"], 0, run)
        self.assertEqual([str(left) for left in home.glob("**/tmp/*")], [])
        subprocess.run(["mount", "-o", f"remount,{room}", str(home)], check=True)
        run = self.into_maildir()
        self.assertEqual(run.messages["residual"], 0, run)
        self.assert_twins()

    def test_full_then_room(self):
        self.fill(self.old, folder("INBOX", mails(60, size=20_000)), folder("Work", mails(5, "work")))
        self.assert_stops_and_goes_on(self.small_disk("600k"), "size=40m")

    def test_one_message_that_is_larger_than_the_disk(self):
        self.fill(self.old, folder("INBOX", [*mails(3), mail("large", size=4_000_000), mail("last")]))
        self.assert_stops_and_goes_on(self.small_disk("600k"), "size=40m")

    def test_no_inode_left_then_some(self):
        self.fill(self.old, folder("INBOX", mails(60)))
        self.assert_stops_and_goes_on(self.small_disk("40m", "nr_inodes=40"), "nr_inodes=1000")

    def test_a_read_only_file_system_is_named(self):
        self.fill(self.old, folder("INBOX", mails(2)))
        home = self.small_disk("1m")
        subprocess.run(["mount", "-o", "remount,ro", str(home)], check=True)
        run = self.into_maildir(code=5)
        self.assertIn("read-only", run.text)


class Stopped(MaildirCase):
    def test_what_was_interrupted_goes_on(self):
        self.fill(self.old, folder("INBOX", mails(500, size=20_000)))
        place = self.place()
        process = self.start("copy", self.url(self.old, self.user), f"maildir:{place}")
        self.until(lambda: process.poll() is not None or any(place.glob("cur/*")))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
        self.assertEqual(process.returncode, 143)
        self.assert_clean()
        run = self.into_maildir()
        self.assertEqual(run.messages["residual"], 0, run)
        self.assert_twins()


class Durability(MaildirCase):
    @unittest.skipUnless(works("strace", "-o", "/dev/null", "true"), "needs strace, and the right to trace")
    def test_the_ledger_knows_of_nothing_that_is_not_on_the_disk(self):
        """Each file is synced before it is renamed, cur/ and the UID list after, and only then the ledger is written."""
        self.fill(self.old, folder("INBOX", mails(30)))
        self.into_maildir("--exclude", "*")  # makes the ledger
        trace = self.folder / "trace"
        line = ["strace", "-f", "-y", "-o", str(trace), "-e", "trace=fsync,fdatasync,renameat2,pwrite64,openat",
                *self.command("copy", self.url(self.old, self.user), f"maildir:{self.place()}")]
        # Nobody can look for leaks in a process that is traced.
        environment = self.environment(ASAN_OPTIONS=f"{os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0")
        subprocess.run(line, env=environment, check=True, capture_output=True, timeout=60, cwd=self.folder)
        synced, renamed, list_synced, folder_synced = set(), 0, 0, 0
        calls = trace.read_text(errors="replace").splitlines()
        if not any("fsync(" in call and "</" in call for call in calls):
            self.skipTest("strace may not ask here which files are open")
        for call in calls:
            if "fsync(" in call and re.search(r"/tmp/[^/>]+>", call):
                synced.add(re.search(r"/tmp/([^/>]+)>", call)[1])
            elif "renameat2(" in call and "/tmp>" in call:
                renamed += 1
                self.assertIn(re.search(r'"([^"]+)"', call)[1], synced, "renamed before it was synced")
            elif "fsync(" in call and "/dovecot-uidlist>" in call:
                list_synced += 1
            elif "fsync(" in call and "/cur>" in call:
                folder_synced += 1
        self.assertEqual((renamed, len(synced)), (30, 30))
        self.assertGreater(list_synced, 0)
        self.assertGreater(folder_synced, 0)


class MaildirToImap(PairCase):
    """The old server's Maildir is read beside it, or after its end."""

    source = {"storage": "maildir", "special_use": {}}
    target = {"storage": "mdbox", "special_use": {}}

    def from_maildir(self, *options, command="copy", **more) -> Run:
        return self.run_program(command, f"maildir:{self.old.store(self.user)}", self.url(self.new, self.user), *options, **more)

    def test_everything_arrives_and_nothing_there_is_touched(self):
        filled = samples.fill(self.old, self.user, samples.small())
        place = self.old.store(self.user)

        def look():
            return {path: (path.stat().st_mtime_ns, path.stat().st_atime_ns) for path in place.glob("**/*") if path.is_file()}

        before = (digest.tree_digest(place), look())
        run = self.from_maildir()
        self.assertEqual((run.messages["copied"], run.messages["residual"], run.mailbox["grade"]), (filled, 0, "perfect"), run)
        self.assertEqual((digest.tree_digest(place), look()), before)
        self.assert_same()
        run = self.from_maildir()
        self.assertEqual((run.messages["copied"], run.mailbox["flags_updated"]), (0, 0), run)
        run = self.from_maildir(command="verify")
        self.assertEqual((run.mailbox["state"], run.mailbox["verify"]["identical"]), ("completed", filled), run)

    def test_changes_come_over(self):
        self.fill(self.old, folder("INBOX", mails(4)))
        self.from_maildir()
        self.do(self.old, b"SELECT INBOX", b"STORE 1 +FLAGS (\\Seen Wort)", b"STORE 4 +FLAGS (\\Deleted)", b"EXPUNGE")
        self.append(self.old, "INBOX", mail("new"))
        run = self.from_maildir()
        self.assertEqual((run.messages["copied"], run.mailbox["flags_updated"], run.mailbox["vanished"]), (1, 1, 1), run)
        self.assertEqual(self.flags(self.new, "INBOX")["letter 1"], {"\\Seen", "Wort"})

    def test_migrate_reads_each_rows_path(self):
        other = next(self.users)
        for user in (self.user, other):
            self.fill(self.old, folder("INBOX", mails(3, user)), user=user)
        accounts = self.folder / "accounts.csv"
        accounts.write_text("source_user,source_password,target_user,target_password\n" +
                            "".join(f"{user},,{user},{PASSWORD}\n" for user in (self.user, other)))
        accounts.chmod(0o600)
        self.run_program("migrate", accounts, "--source", f"maildir:{self.old.folder}/mail/{{user}}/maildir",
                         "--target", f"imap://{self.new.host}:{self.new.imap_port}?tls=off")
        for user in (self.user, other):
            self.assertEqual(self.differences(user), [])

    def test_a_maildir_that_no_server_has_numbered(self):
        """As qmail leaves it: LF, new mail in new/, no lists; then a client reads and moves some."""
        place = self.folder / "Maildir"
        for part in ("cur", "new", "tmp", ".Sub/cur", ".Sub/new", ".Sub/tmp"):
            (place / part).mkdir(parents=True)
        for number in range(6):
            where = place / ("new" if number < 4 else ".Sub/cur") / f"17000000{number:02}.{number}.host{':2,S' if number > 3 else ''}"
            where.write_bytes(f"Subject: plain {number}\nFrom: a@x.example\n\nline\n".encode())
            os.utime(where, (1_600_000_000 + number, 1_600_000_000 + number))
        (place / "tmp/half").write_bytes(b"Subj")
        source, target = f"maildir:{place}", self.url(self.new, self.user)
        run = self.run_program("copy", source, target)
        self.assertEqual((run.messages["copied"], run.messages["residual"]), (6, 0), run)
        self.assertEqual(self.subjects(self.new, "INBOX"), {f"plain {n}": 1 for n in range(4)})
        self.assertEqual(sorted(m.instant for m in self.messages_on(self.new, "INBOX")), [1_600_000_000 + n for n in range(4)])
        (place / "new/1700000001.1.host").rename(place / "cur/1700000001.1.host:2,RS")
        (place / "new/1700000002.2.host").unlink()
        (place / "new/1600000000.late.host").write_bytes(b"Subject: late\n\n")
        run = self.run_program("copy", source, target)
        self.assertEqual((run.messages["copied"], run.mailbox["flags_updated"], run.mailbox["vanished"]), (1, 1, 1), run)
        self.assertEqual(self.flags(self.new, "INBOX")["plain 1"], {"\\Answered", "\\Seen"})
        run = self.run_program("verify", source, target)
        self.assertEqual(run.mailbox["state"], "completed", run)


class MaildirToMaildir(MaildirCase):
    def test_uids_and_keywords_go_along(self):
        samples.fill(self.old, self.user, samples.small())
        self.run_program("copy", f"maildir:{self.old.store(self.user)}", f"maildir:{self.place()}")
        self.assert_twins()
        self.assert_clean()


@unittest.skipUnless(shutil.which("getmail") and os.path.exists("/usr/lib/dovecot/pop3"), "needs getmail6 and dovecot-pop3d")
class Pop3Clients(MaildirCase):
    """A client that leaves mail on the server and has fetched all of it fetches nothing again after the move."""

    source = {"special_use": {}, "pop3": True}
    target = {"storage": "maildir", "special_use": {}, "pop3": True}

    def getmail(self, server) -> int:
        """Messages that getmail fetches. Its memory is kept under the server's name, which does not change in a migration."""
        home = self.folder / "getmail"
        inbox = home / "inbox"
        for part in ("cur", "new", "tmp"):
            (inbox / part).mkdir(parents=True, exist_ok=True)
        before = sum(1 for _ in inbox.glob("new/*"))
        (home / "getmailrc").write_text(
            f"[retriever]\ntype = SimplePOP3Retriever\nserver = {server.host}\nport = {server.pop3_port}\n"
            f"username = {self.user}\npassword = {PASSWORD}\n[destination]\ntype = Maildir\npath = {inbox}/\nuser = nobody\n"
            "[options]\ndelete = false\nread_all = false\nverbose = 0\n")
        for memory in home.glob("oldmail-*"):
            memory.rename(home / f"oldmail-{server.host}-{server.pop3_port}-{self.user}")
        for path in (self.folder, home, *home.rglob("*")):
            shutil.chown(path, "nobody")
        done = subprocess.run(["getmail", "--getmaildir", str(home)], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return sum(1 for _ in inbox.glob("new/*")) - before

    def test_nothing_is_fetched_again(self):
        self.fill(self.old, folder("INBOX", mails(30)))
        self.do(self.old, b"SELECT INBOX", b"STORE 3,7 +FLAGS (\\Deleted)", b"EXPUNGE")
        self.assertEqual(self.getmail(self.old), 28)
        self.assertEqual(self.getmail(self.old), 0)
        self.into_maildir()
        self.assertEqual(self.getmail(self.new), 0)
        self.append(self.new, "INBOX", mail("new on the new one"))
        self.assertEqual(self.getmail(self.new), 1)

    def test_uidls_of_a_maildirs_list_go_along(self):
        self.fill(self.old, folder("INBOX", mails(5)))
        uid_list = self.old.store(self.user) / "dovecot-uidlist"
        lines = uid_list.read_text().splitlines()
        # As after an earlier migration: UIDLs that follow from nothing.
        uid_list.write_text("\n".join([lines[0]] + [line.replace(" :", f" Podd-{n} :", 1) for n, line in enumerate(lines[1:])]) + "\n")
        for index in self.old.store(self.user).glob("dovecot.index*"):
            index.unlink()
        self.assertEqual(self.getmail(self.old), 5)
        self.run_program("copy", f"maildir:{self.old.store(self.user)}", f"maildir:{self.place()}")
        self.assertIn(" Podd-0 :", (self.place() / "dovecot-uidlist").read_text())
        self.assertEqual(self.getmail(self.new), 0)


if __name__ == "__main__":
    unittest.main()
