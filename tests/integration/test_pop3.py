"""POP3 as a source: against a real Dovecot, and against servers that are odd on purpose."""

import pathlib
import poplib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from pop3_server import OddServer  # noqa: E402
from support import *  # noqa: E402,F403


def setUpModule():
    need_servers()


def dated(subject: str, day: int, **options) -> Append:
    """With a Date, which is all that POP3 tells of when a message came."""
    made = mail(subject, date=f"{day:02}-Mar-2021 10:20:30 +0100", **options)
    return made._replace(data=f"Date: {day} Mar 2021 10:20:30 +0100\r\n".encode() + made.data)


class Pop3Case(PairCase):
    source = {"pop3": True}

    def pop3(self, query: str = "tls=off", scheme: str = "pop3") -> str:
        port = self.old.pop3_port if scheme == "pop3" else self.old.pop3s_port
        return f"{scheme}://{self.user}@{self.old.host}:{port}" + (f"?{query}" if query else "")

    def copy_pop3(self, *options, source: str | None = None, command: str = "copy", **more) -> Run:
        return self.run_program(command, source or self.pop3(), self.url(self.new, self.user), *options, **more)

    def inbox(self, server: Dovecot) -> list[str]:
        return sorted(m.sha256 for m in self.content(server).folders["INBOX"])

    def assert_copied(self) -> None:
        self.assertEqual(self.inbox(self.new), self.inbox(self.old))

    def commands(self, *options, **more) -> list[str]:
        """What a run says to the POP3 server."""
        log = self.folder / "wire.log"
        log.unlink(missing_ok=True)
        self.copy_pop3("-vv", "--log", log, *options, **more)
        return re.findall(r"C: ([A-Z]+)", "".join(line for line in log.read_text().splitlines(True) if "pop3" in line))


class Copies(Pop3Case):
    def setUp(self):
        super().setUp()
        big = mail("big", size=3_000_000)
        dots = mail("dots", body=".\r\n..\r\n. \r\n.text\r\n")
        self.fill(self.old, folder("INBOX", [dated(f"letter {n}", n) for n in range(1, 6)] + [big, dots]),
                  folder("Sent", mails(2, "sent")))

    def test_in_the_clear_when_asked_for(self):
        run = self.copy_pop3()
        self.assertEqual((run.messages["source"], run.messages["copied"], run.mailbox["state"]), (7, 7, "synced"), run)
        self.assert_copied()
        self.assertEqual(list(self.content(self.new).folders), ["INBOX"], "POP3 has no other folder")

    def test_over_tls(self):
        self.copy_pop3(source=self.pop3(f"ca={self.old.ca}", "pop3s"))
        self.assert_copied()

    def test_over_stls(self):
        run = self.copy_pop3("-vv", source=self.pop3(f"ca={self.old.ca}&tls=require"))
        self.assertIn("C: STLS", run.err)
        self.assert_copied()

    def test_with_each_mechanism(self):
        for mechanism in ("plain", "login", "cram-md5", "scram-sha-256"):
            with self.subTest(mechanism):
                run = self.copy_pop3("-vv", source=self.pop3(f"tls=off&auth={mechanism}"))
                self.assertIn(f"AUTH {mechanism.upper()}", run.err)
        self.assert_copied()

    def test_a_master_user_logs_in_on_behalf(self):
        name, password = self.old.master
        self.copy_pop3(source=self.pop3(f"tls=off&admin={name}&auth=plain"),
                       environment=self.environment(POSTFERRY_SOURCE_PASSWORD=password))
        self.assert_copied()

    def test_dates_come_from_the_header(self):
        self.copy_pop3()
        new = {m.sha256: m.instant for m in self.content(self.new).folders["INBOX"]}
        old = {m.sha256: m.instant for m in self.content(self.old).folders["INBOX"]}
        same = [sha for sha, instant in old.items() if new[sha] == instant]
        self.assertEqual(len(same), 5, "those with a Date")

    def test_a_rerun_reads_no_message(self):
        self.assertIn("RETR", self.commands())
        again = self.commands()
        self.assertIn("UIDL", again)
        self.assertNotIn("RETR", again)
        self.assertNotIn("TOP", again)
        self.assertNotIn("DELE", again)
        self.assert_copied()

    def test_what_arrives_later_comes_over_and_what_vanished_stays(self):
        self.copy_pop3()
        self.append(self.old, "INBOX", mail("new"))
        self.do(self.old, b"SELECT INBOX", b"STORE 2 +FLAGS (\\Deleted)", b"EXPUNGE")
        run = self.copy_pop3()
        self.assertEqual((run.messages["source"], run.messages["copied"], run.messages["present"]), (7, 1, 6), run)
        self.assertEqual(len(self.inbox(self.new)), 8)
        self.assertEqual(self.commands().count("RETR"), 0)

    def test_the_source_stays_as_it_is(self):
        session = poplib.POP3(self.old.host, self.old.pop3_port)  # moves new/ to cur/, as each login does
        session.user(self.user)
        session.pass_(PASSWORD)
        session.quit()
        before = digest.tree_digest(self.old.store(self.user))
        self.copy_pop3()
        self.copy_pop3(command="verify")
        self.assertEqual(digest.tree_digest(self.old.store(self.user)), before, "flags are part of the names")

    def test_a_lost_ledger_copies_nothing_twice(self):
        self.copy_pop3()
        self.state.unlink()
        run = self.copy_pop3()
        self.assertEqual((run.messages["copied"], run.messages["present"]), (0, 7), run)
        self.assert_copied()
        self.assertEqual(self.copy_pop3().messages["copied"], 0)

    def test_plan_and_verify(self):
        run = self.copy_pop3(command="plan")
        self.assertEqual(run.report["mailboxes"][0]["folders"][0]["to_copy"], 7, run)
        self.copy_pop3()
        run = self.copy_pop3(command="verify")
        self.assertEqual((run.mailbox["verify"]["identical"], run.mailbox["verify"]["missing"]), (7, 0), run)

    def test_sizes_and_dates_leave_out(self):
        run = self.copy_pop3("--max-size", "1MB", "--since", "2021-03-04")
        # Without a date nothing is known to be older.
        self.assertEqual((run.messages["copied"], run.messages["skipped"]), (3, 4), run)
        self.assertEqual(set(self.subjects(self.new, "INBOX")), {"letter 4", "letter 5", "dots"})

    def test_a_message_that_breaks_the_protocol_is_named_and_the_others_arrive(self):
        # docs/quirks.md#pop3-first-dot
        self.append(self.old, "INBOX", mail("poison")._replace(data=b".\r\nSubject: poison\r\n\r\ntext\r\n"), mail("behind"))
        run = self.copy_pop3(code=1)
        self.assertEqual((run.messages["copied"], run.messages["failed"], run.messages["residual"]), (8, 1, 0), run)
        self.assertIn("behind", self.subjects(self.new, "INBOX"))
        self.assertEqual([f["source_uid"] for f in run.mailbox["failures"]], [8], run)

    def test_a_wrong_password(self):
        run = self.copy_pop3(code=3, environment=self.environment(POSTFERRY_SOURCE_PASSWORD="wrong"))
        self.assertIn("refused the login", run.text)
        self.assertIn("Check user name and password", run.text)

    def test_rows_of_a_csv_name_the_protocol(self):
        accounts = self.folder / "accounts.csv"
        accounts.write_text("source_user,source_password,source_protocol,source_host,source_port,source_tls,target_user,target_password\n"
                            f"{self.user},{PASSWORD},pop3,{self.old.host},{self.old.pop3_port},off,{self.user},{PASSWORD}\n")
        accounts.chmod(0o600)
        self.run_program("migrate", accounts, "--target", f"imap://{self.new.host}:{self.new.imap_port}?tls=off")
        self.assert_copied()

    def test_pop3_takes_no_mail(self):
        run = self.run_program("copy", self.url(self.old, self.user), self.pop3(), code=2)
        self.assertIn("can only be a source", run.text)


class Checks(Pop3Case):
    def test_check_tells_what_the_server_can_and_does(self):
        self.fill(self.old, folder("INBOX", mails(3)))
        run = self.copy_pop3(command="check")
        self.assertIn("Dovecot moves new mail from new/ to cur/", run.out)
        self.assertIn("unique IDs (UIDL): 3 of 3 messages", run.out)
        self.assertIn("PIPELINING", json.dumps(run.report))

    def test_check_names_the_step_that_fails(self):
        run = self.copy_pop3(command="check", source=self.pop3("", "pop3s"), code=None)
        self.assertNotEqual(run.code, 0)
        self.assertIn("tls", run.out)


class Shared(Pop3Case):
    """Dovecot that gives the same ID to several messages, and locks the maildrop."""

    source = {"pop3": True, "extra": "pop3_lock_session = yes\nprotocol pop3 {\n  pop3_reuse_xuidl = yes\n}\n"}

    def test_messages_with_one_uidl_are_all_copied_and_stay_copied(self):
        twins = [mail(f"twin {n}") for n in range(3)]
        twins = [t._replace(data=b"X-UIDL: same\r\n" + t.data) for t in twins]
        self.fill(self.old, folder("INBOX", twins + mails(2)))
        run = self.copy_pop3()
        self.assertEqual(run.messages["copied"], 5, run)
        self.assertTrue(any("3 messages share their unique ID" in w for w in run.mailbox["warnings"]), run)
        self.assert_copied()
        again = self.copy_pop3()
        self.assertEqual((again.messages["copied"], again.messages["present"]), (0, 5), again)
        self.append(self.old, "INBOX", mail("twin 9")._replace(data=b"X-UIDL: same\r\n" + mail("twin 9").data))
        self.assertEqual(self.copy_pop3().messages["copied"], 1)
        self.assert_copied()

    def test_a_maildrop_in_use_is_waited_for(self):
        self.fill(self.old, folder("INBOX", mails(2)))
        other = poplib.POP3(self.old.host, self.old.pop3_port)
        other.user(self.user)
        other.pass_(PASSWORD)
        log = self.folder / "log"
        report = self.folder / "report.json"
        process = self.start("copy", self.pop3(), self.url(self.new, self.user), "--log", log, report=report)
        self.assertTrue(self.until(lambda: log.exists() and "IN-USE" in log.read_text()), "nobody was turned away")
        other.quit()
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        self.assert_copied()


class Odd(Case):
    """Servers that are not as they should be, into a real one."""

    def setUp(self):
        super().setUp()
        self.new = self.server(storage="mdbox")
        self.made = [mail(f"letter {n}", body=f"text {n}\r\n.dot\r\n{'x' * 3000}\r\n").data for n in range(5)]

    def copy(self, source: OddServer, **more) -> Run:
        return self.run_program("copy", f"pop3://anna@127.0.0.1:{source.port}?tls=off",
                                f"imap://anna@{self.new.host}:{self.new.imap_port}?tls=off", **more)

    def bodies(self) -> list[str]:
        return sorted(m.sha256 for m in digest.mailbox_content(self.new, "anna").folders["INBOX"])

    def hashes(self, messages) -> list[str]:
        import hashlib
        return sorted(hashlib.sha256(m).hexdigest() for m in messages)

    def walk(self, **odd) -> Run:
        """A first copy, a re-run, one more message, and a run without the ledger."""
        with OddServer(self.made, password=PASSWORD, **odd) as source:
            first = self.copy(source)
            self.assertEqual(first.messages["copied"], len(self.made), first)
            retrieved = source.count("RETR")
            again = self.copy(source)
            self.assertEqual((again.messages["copied"], again.messages["present"]), (0, len(self.made)), again)
            if odd.get("top", True):
                self.assertEqual(source.count("RETR"), retrieved, "a re-run reads no message")
            source.messages.append(mail("letter new").data)
            if source.uidls is not None:
                source.uidls.append("new")
            self.assertEqual(self.copy(source).messages["copied"], 1)
            self.state.unlink()
            self.assertEqual(self.copy(source).messages["copied"], 0)
            self.assertEqual(source.count("DELE"), 0)
            return first

    def test_without_uidl(self):
        run = self.walk(uidls=None, capa=None)
        self.assertTrue(any("no unique IDs (UIDL)" in w for w in run.mailbox["warnings"]), run)
        self.assertEqual(self.bodies(), self.hashes([*self.made, mail("letter new").data]))

    def test_without_uidl_and_top(self):
        self.walk(uidls=None, capa=None, top=False)

    def test_lines_that_end_in_lf_alone(self):
        self.walk(uidls=list("abcde"), newline=b"\n")

    def test_sizes_in_kilobytes_and_negative_octets(self):
        self.walk(uidls=list("abcde"), kilobytes=True)

    def test_spaces_and_indicators_in_uidl(self):
        self.walk(uidls=list("abcde"), uidl_line=b"+OK  %d    %s  ")

    def test_blank_uidls(self):
        run = self.walk(uidls=["a", "", "c", "", "e"])
        self.assertTrue(any("2 of 5 messages have no unique ID" in w for w in run.mailbox["warnings"]), run)

    def test_repeated_uidls(self):
        run = self.walk(uidls=["a", "a", "b", "a", "c"])
        self.assertTrue(any("3 messages share" in w for w in run.mailbox["warnings"]), run)

    def test_nothing_is_told_of_pipelining(self):
        self.walk(uidls=list("abcde"), capa=("TOP",))

    def test_equal_messages_are_as_many_as_there_were(self):
        self.made = [self.made[0]] * 3 + [self.made[1]]
        self.walk(uidls=None, capa=None)
        self.assertEqual(self.bodies(), self.hashes([*self.made, mail("letter new").data]))

    def test_a_message_that_is_listed_and_not_returned(self):
        with OddServer(self.made, uidls=list("abcde"), silent=[2, 4], password=PASSWORD) as source:
            run = self.copy(source, code=1)
            self.assertEqual((run.messages["copied"], run.messages["failed"], run.messages["residual"]), (3, 2, 0), run)
            self.assertIn("-ERR gone", json.dumps(run.mailbox["failures"]))
            source.silent.clear()
            self.assertEqual(self.copy(source).messages["copied"], 2)
        self.assertEqual(self.bodies(), self.hashes(self.made))


class Auto(Pop3Case):
    """Folders by IMAP, unique IDs by POP3, into a Maildir that keeps them."""

    def auto(self, *options, **more) -> Run:
        source = self.url(self.old, self.user, f"tls=off&uidl=pop3://{self.old.host}:{self.old.pop3_port}")
        return self.run_program("copy", source, f"maildir:{self.maildir}", *options, **more)

    def setUp(self):
        super().setUp()
        self.maildir = self.folder / "Maildir"
        self.fill(self.old, folder("INBOX", mails(4) + [mail("longer", size=500)]), folder("Sent", mails(2, "sent")))

    def uidls(self) -> list[str]:
        session = poplib.POP3(self.old.host, self.old.pop3_port)
        session.user(self.user)
        session.pass_(PASSWORD)
        _, lines, _ = session.uidl()
        session.quit()
        return [line.decode().split()[1] for line in lines]

    def kept(self) -> list[str]:
        lines = (self.maildir / "dovecot-uidlist").read_text().splitlines()[1:]
        return [word[1:] for line in lines for word in line.split(" :")[0].split() if word.startswith("P")]

    def test_uidls_are_kept(self):
        run = self.auto()
        self.assertEqual(run.messages["copied"], 7, run)
        self.assertEqual(self.kept(), self.uidls())

    def test_of_later_messages_too(self):
        self.auto()
        self.append(self.old, "INBOX", mail("new"))
        self.auto()
        self.assertEqual(self.kept(), self.uidls())

    def test_check_tries_both(self):
        source = self.url(self.old, self.user, f"tls=off&uidl=pop3://{self.old.host}:{self.old.pop3_port}")
        run = self.run_program("check", source, self.url(self.new, self.user))
        self.assertIn("unique IDs (UIDL) of 5 messages", run.out)

    def test_a_pop3_server_that_does_not_answer_is_said(self):
        source = self.url(self.old, self.user, f"tls=off&uidl=pop3://{self.old.host}:{self.old.imap_port}")
        run = self.run_program("copy", source, f"maildir:{self.maildir}", code=3)
        self.assertIn("for the unique IDs (uidl=)", run.text)


del Pop3Case

if __name__ == "__main__":
    unittest.main()
