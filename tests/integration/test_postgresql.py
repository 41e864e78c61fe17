"""The ledger on a real PostgreSQL: everything that it does in a file, and a server that goes away in the middle."""

import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403
from lab.postgres import Postgres, Unavailable  # noqa: E402

WRONG = "Falsches/9+Passwort"


def setUpModule():
    need_servers()


class LedgerOnPostgresql(PairCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            # fsync: what is killed here must have kept what it confirmed.
            cls.postgres = Postgres(fsync=True)
        except Unavailable as why:
            raise unittest.SkipTest(str(why)) from why
        cls.addClassCleanup(cls.postgres.close)

    def setUp(self):
        super().setUp()
        self.database = f"pf_{self.user}"
        self.postgres.sql(f"CREATE DATABASE {self.database}")
        self.state = self.postgres.url(self.database)

    def count(self, what: str) -> int:
        return int(self.postgres.sql(f"SELECT count(*) FROM {what}", self.database) or 0)

    def on_target(self) -> int:
        try:
            return len(self.messages_on(self.new, "INBOX"))
        except KeyError:
            return 0

    def test_a_copy_its_rerun_and_the_report(self):
        self.fill(self.old, folder("INBOX", mails(40)), folder("Été/2021", mails(3, "été"), subscribed=True))
        run = self.copy()
        self.assertEqual(run.messages["copied"], 43, run)
        self.assert_same()
        self.assertEqual(self.count("message"), 43)
        self.append(self.old, "INBOX", mail("one more"))
        self.assertEqual(self.copy().messages["copied"], 1)
        self.assert_nothing_new()
        verified = self.postferry("verify")
        self.assertEqual(verified.mailbox["grade"], "perfect", verified)
        kept = self.run_program("report", "--pass", "verify")
        self.assertEqual(kept.mailbox["verify"]["identical"], 44, kept)

    def test_pop3_numbers_and_dry_runs(self):
        self.fill(self.old, folder("INBOX", mails(5)))
        refused = self.copy("--dry-run", code=2)
        self.assertIn("is empty", refused.err)
        self.assertEqual(self.count("pg_tables WHERE schemaname = 'public'"), 0, "a dry run makes nothing")
        self.copy()
        self.append(self.old, "INBOX", mail("one more"))
        plan = self.copy("--dry-run")
        self.assertEqual(self.count("message"), 5, plan)

    def test_a_server_killed_and_back_in_mid_copy(self):
        self.fill(self.old, folder("INBOX", mails(300, size=2000)))
        report = self.folder / "report.json"
        run = self.start("copy", self.url(self.old, self.user), self.url(self.new, self.user), "--limit-messages", "15",
                         report=report)
        for time_of_it in range(2):
            before = self.on_target()
            self.assertTrue(self.until(lambda: run.poll() is not None or self.on_target() > before + 20))
            if time_of_it > 0 and run.poll() is not None:
                break  # a machine that is too slow for a second time
            self.assertIsNone(run.poll(), "it was to be under way")
            self.postgres.kill()
            self.assertTrue(self.until(lambda: run.poll() is not None or self.on_target() > 0))
            threading.Event().wait(2)  # it is the outage that is tested
            self.postgres.start()
        out, err = run.communicate(timeout=400)
        done = self.judge(["postferry", "copy"], run.returncode, out, err, report)
        self.assertEqual(done.messages["residual"], 0, done)
        self.assert_same()
        self.assertEqual(self.on_target(), 300, "none twice")
        self.assertEqual(self.count("message"), 300)
        self.assert_nothing_new()

    def test_two_runs_at_once_share_the_ledger_but_not_a_mailbox(self):
        other = next(self.users)
        for user in (self.user, other):
            self.fill(self.old, folder("INBOX", mails(200)), user=user)
        first = self.start("copy", self.url(self.old, self.user), self.url(self.new, self.user), "--limit-messages", "3")
        self.assertTrue(self.until(lambda: self.on_target() > 0))
        second = self.postferry("copy", user=other)
        self.assertEqual(second.messages["copied"], 200, second)
        self.assertIsNone(first.poll())
        refused = self.copy(code=None)
        self.assertNotEqual(refused.code, 0, refused)
        self.assertIn("is being copied by", refused.err + json.dumps(refused.report))
        first.kill()
        first.wait()
        self.copy()
        self.assert_same()

    def test_who_may_not_in_is_told_so_without_secrets(self):
        self.secrets.append(WRONG)
        self.fill(self.old, folder("INBOX", mails(1)))
        self.state = self.postgres.url(self.database, tcp=True)
        refused = self.copy(code=2, environment=self.environment(PGPASSWORD=WRONG))
        self.assertIn("password authentication failed", refused.err)
        self.assertIn("docs/store.md", refused.err)
        self.assertEqual(self.copy(environment=self.environment(PGPASSWORD=self.postgres.password)).messages["copied"], 1)
        self.state = f"postgresql://anna:{WRONG}@{self.postgres.host}/x"
        self.assertIn("must not hold a password", self.copy(code=2).err)
        self.state = self.postgres.url("nowhere")
        self.assertIn('database "nowhere" does not exist', self.copy(code=2).err)

    def test_newer_and_foreign_databases_are_left_alone(self):
        self.fill(self.old, folder("INBOX", mails(1)))
        self.copy()
        self.postgres.sql("UPDATE postferry_schema SET version = 99", self.database)
        self.assertIn("newer Postferry", self.copy(code=2).err)
        self.postgres.sql("CREATE DATABASE foreign_one")
        self.postgres.sql("CREATE TABLE bookmarks (url TEXT)", "foreign_one")
        self.state = self.postgres.url("foreign_one")
        self.assertIn("belongs to another program", self.copy(code=2).err)


if __name__ == "__main__":
    unittest.main()
