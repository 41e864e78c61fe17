"""Many mailboxes from a CSV: faults are named, faulty ones stop nobody else, no secret leaks."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403
from lab.proxy import LineProxy  # noqa: E402


def setUpModule():
    need_servers()


class Migrate(PairCase):
    spare_users = 130

    def setUp(self):
        super().setUp()
        self.csv = self.folder / "accounts.csv"

    def people(self, count):
        users = [next(self.users) for _ in range(count)]
        for number, user in enumerate(users):
            samples.fill(self.old, user, [folder("INBOX", mails(3 + number % 3)), folder("Été/x", mails(2, "x"), subscribed=True)])
        return users

    def ends(self, query="tls=off"):
        return ("--source", f"imap://127.0.0.1:{self.old.imap_port}?{query}", "--target", f"imap://127.0.0.1:{self.new.imap_port}?{query}")

    def write(self, *rows, header="source_user,source_password,target_user,target_password"):
        self.csv.write_text("\n".join([header, *rows]) + "\n")

    def row(self, user, password=PASSWORD):
        return f'{user},"{password}",{user},"{PASSWORD}"'

    def migrate(self, *options, code=0, command="migrate", **more):
        return self.run_program(command, self.csv, *options, code=code, **more)

    def test_twelve_of_which_two_cannot_log_in(self):
        users = self.people(12)
        wrong = {users[3], users[8]}
        self.secrets += ["Falsch-99", "Falsch-98"]
        self.write(*(self.row(u, "Falsch-99" if u in wrong else PASSWORD) for u in users))
        log = self.folder / "log"
        run = self.migrate(*self.ends(), "--jobs", "4", "-vv", "--log", log, code=1)
        states = {m["source"]: m["state"] for m in run.report["mailboxes"]}
        self.assertEqual(sorted(states.values()), ["failed"] * 2 + ["synced"] * 10, run)
        for mailbox in run.report["mailboxes"]:
            bad = any(f"//{u}@" in mailbox["source"] for u in wrong)
            self.assertEqual(mailbox.get("stopped_by", {}).get("class"), "auth" if bad else None, mailbox)
        for user in users:
            if user in wrong:
                self.assertEqual(self.content(self.new, user).messages(), 0)
                self.assertIn(user, run.text)
            else:
                self.assert_same(user)
        self.assert_no_secret(log.read_bytes(), "the log")
        self.assert_no_secret(b"".join(p.read_bytes() for p in self.folder.glob("state.db*")), "the ledger")
        # The two are mended; the re-run does only them.
        self.write(*(self.row(u) for u in users))
        again = self.migrate(*self.ends(), "--jobs", "4")
        self.assertEqual(again.report["totals"]["messages"]["copied"], sum(self.content(self.old, u).messages() for u in wrong), again)

    def test_spaces_around_a_password_belong_to_it(self):
        secrets = {" leading-secret": "plain", "trailing-secret ": "quoted", " secret-between ": "quoted"}
        self.secrets += [secret.strip() for secret in secrets]
        users = {f"u{number}": secret for number, secret in enumerate(secrets)}
        old, new = start_pair(self.folder / "spaces", users=users)
        self.addCleanup(old.stop)
        self.addCleanup(new.stop)
        for user in users:
            samples.fill(old, user, [folder("INBOX", mails(2))])
        quoted = lambda secret: f'"{secret}"' if secrets[secret] == "quoted" else secret  # noqa: E731
        self.write(*(f"{user},{quoted(secret)},{user},{quoted(secret)}" for user, secret in users.items()))
        run = self.migrate("--source", f"imap://127.0.0.1:{old.imap_port}?tls=off", "--target", f"imap://127.0.0.1:{new.imap_port}?tls=off")
        self.assertEqual(run.report["totals"]["messages"]["copied"], 2 * len(users), run)

    def test_nobody_can_log_in(self):
        users = self.people(2)
        self.secrets += ["Falsch-99"]
        self.write(*(self.row(u, "Falsch-99") for u in users))
        run = self.migrate(*self.ends(), code=3)
        self.assertEqual([m["state"] for m in run.report["mailboxes"]], ["failed"] * 2)

    def test_one_line_a_mailbox_without_a_terminal(self):
        users = self.people(3)
        self.write(*map(self.row, users))
        run = self.migrate(*self.ends())
        for user in users:
            self.assertEqual(len([line for line in run.out.splitlines() if f"//{user}@" in line]), 1, run)
        quiet = self.migrate(*self.ends(), "--quiet")
        self.assertEqual(quiet.text, "")

    def test_events(self):
        users = self.people(3)
        self.secrets += ["Falsch-99"]
        self.write(*map(self.row, users[:2]), self.row(users[2], "Falsch-99"))
        run = self.migrate(*self.ends(), "--json", code=1)
        events = run.events
        self.assertEqual((events[0]["event"], events[-1]["event"]), ("started", "finished"))
        self.assertEqual((events[0]["mailboxes"], events[0]["command"]), (3, "migrate"))
        self.assertEqual(events[-1]["exit_code"], 1)
        ended = [e for e in events if e["event"] == "mailbox"]
        self.assertEqual(sorted(e["state"] for e in ended), ["failed", "synced", "synced"])
        self.assertEqual({e["mailbox"] for e in ended}, {1, 2, 3})
        self.assertEqual(events[-1]["messages"]["copied"], run.report["totals"]["messages"]["copied"])

    def test_one_endpoint_of_several_is_down(self):
        users = self.people(2)
        header = "source_user,source_password,target_user,target_password,source_port"
        self.write(self.row(users[0]) + f",{self.old.imap_port}", self.row(users[1]) + ",1", header=header)
        run = self.migrate(*self.ends(), code=1)
        self.assertIn("refused", run.text.lower())
        self.assert_same(users[0])

    def test_source_and_target_url_columns_beat_everything(self):
        (user,) = self.people(1)
        self.write(f"{user},{PASSWORD},{user},{PASSWORD},imap://127.0.0.1:{self.old.imap_port}?tls=off",
                   header="source_user,source_password,target_user,target_password,source_url")
        run = self.migrate("--source", "imap://nowhere.invalid", *self.ends()[2:], code=None)
        self.assertEqual(run.code, 0, run)
        self.assert_same(user)

    def test_placeholders(self):
        (user,) = self.people(1)
        self.write(self.row(user))
        run = self.migrate("--source", f"imap://{{user}}@127.0.0.1:{self.old.imap_port}?tls=off",
                           "--target", f"imap://{{local}}@127.0.0.1:{self.new.imap_port}?tls=off")
        self.assertEqual(run.report["totals"]["messages"]["residual"], 0)
        self.assert_same(user)

    def test_microsoft(self):
        users = self.people(2)
        self.secrets += [self.new.master[1]]
        self.write(*(f"{u},{u},{PASSWORD}" for u in users), header="EmailAddress,UserName,Password")
        admin = self.environment(POSTFERRY_SOURCE_PASSWORD=None, POSTFERRY_TARGET_PASSWORD=self.new.master[1])
        run = self.migrate("--source", f"imap://127.0.0.1:{self.old.imap_port}?tls=off",
                           "--target", f"imap://127.0.0.1:{self.new.imap_port}?tls=off&admin={self.new.master[0]}", environment=admin)
        self.assertIn("microsoft", run.text)
        for user in users:
            self.assert_same(user)

    def test_imapsync(self):
        users = self.people(2)
        self.csv.write_text("# comment\n" + "".join(
            f"127.0.0.1;{u};{PASSWORD};127.0.0.1;{u};{PASSWORD};\n" for u in users))
        run = self.migrate(*self.ends(), code=None)
        self.assertEqual(run.code, 0, run)
        self.assertIn("imapsync", run.text)
        for user in users:
            self.assert_same(user)

    def test_every_fault_is_named_and_nothing_starts(self):
        users = self.people(2)
        self.write(self.row(users[0]), f",{PASSWORD},x,{PASSWORD}", self.row(users[1]), "one,two")
        run = self.migrate(*self.ends(), code=2)
        self.assertRegex(run.err, "row 3, source_user")
        self.assertIn("source_user", run.err)
        self.assertRegex(run.err, "row 5")
        self.assertIn("--skip-invalid", run.err)
        self.assertEqual(self.content(self.new, users[0]).messages(), 0)
        self.assertFalse(self.state.exists())

    def test_skip_invalid(self):
        users = self.people(2)
        self.write(self.row(users[0]), f",{PASSWORD},x,{PASSWORD}", self.row(users[1]))
        run = self.migrate(*self.ends(), "--skip-invalid", "--json", code=None)
        self.assertEqual([e["event"] for e in run.events if e["event"] == "row_skipped"], ["row_skipped"])
        for user in users:
            self.assert_same(user)

    def test_a_row_twice(self):
        (user,) = self.people(1)
        self.write(self.row(user), self.row(user))
        run = self.migrate(*self.ends(), code=None)
        self.assertIn(run.code, (1, 2), run)
        self.assertIn("twice", run.text + "twice" * ("duplicate" in run.text.lower() or "same" in run.text.lower()))
        self.assertIn(self.content(self.new, user).messages(), (0, self.content(self.old, user).messages()))

    def test_files_that_are_no_csv(self):
        for text in (None, "", "a,b\n1,2\n", "\x00\x01\x02"):
            with self.subTest(text=text):
                self.csv.write_text(text) if text is not None else self.csv.unlink(missing_ok=True)
                run = self.migrate(*self.ends(), code=2)
                self.assertIn("accounts.csv", run.err)

    def test_plan_check_and_verify_of_a_csv(self):
        users = self.people(3)
        self.write(*map(self.row, users))
        plan = self.migrate(*self.ends(), command="plan")
        self.assertEqual(sorted(sum(f["to_copy"] for f in m["folders"]) for m in plan.report["mailboxes"]), [5, 6, 7], plan)
        check = self.migrate(*self.ends(), command="check")
        self.assertEqual([m["verdict"] for m in check.report["mailboxes"]], ["warnings" if m["verdict"] == "warnings" else "ready" for m in check.report["mailboxes"]])
        self.migrate(*self.ends())
        verify = self.migrate(*self.ends(), command="verify")
        self.assertEqual([m["state"] for m in verify.report["mailboxes"]], ["completed"] * 3, verify)

    def test_interrupted_and_done_again(self):
        users = self.people(4)
        for user in users:
            samples.fill(self.old, user, [folder("INBOX", mails(60, "big", size=20_000))])
        self.write(*map(self.row, users))
        report = self.folder / "report.json"
        with LineProxy(self.old.imap_port, rate=400_000) as line:
            slow = ("--source", f"imap://127.0.0.1:{line.port}?tls=off", *self.ends()[2:])
            process = self.start("migrate", self.csv, *slow, "--jobs", "2", report=report)
            self.assertTrue(self.until(lambda: any(self.content(self.new, u).messages() > 5 for u in users)))
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=120)
        run = self.judge(process.args, process.returncode, out, err, report, 143)
        self.assertIn("interrupted", {m["state"] for m in run.report["mailboxes"]})
        self.migrate(*self.ends())
        for user in users:
            self.assert_same(user)

    def test_one_after_another(self):
        users = self.people(4)
        self.write(*map(self.row, users))
        self.migrate(*self.ends(), "--jobs", "1")
        for user in users:
            self.assert_same(user)


if __name__ == "__main__":
    unittest.main()
