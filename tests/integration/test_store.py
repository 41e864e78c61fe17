"""postferry store: backup, restore, move, purge, rotate-key and status around ledgers that real copies have made."""

import os
import pathlib
import sqlite3
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403
from on_postgresql import WithPostgresql  # noqa: E402


def setUpModule():
    need_servers()


class StoreCase(PairCase):
    def store(self, *words, code=0):
        line = [*self.command()[:1], "store", *(str(w) for w in words)]
        done = subprocess.run(line, env=self.environment(), capture_output=True, timeout=60, cwd=self.folder,
                              stdin=subprocess.DEVNULL)
        out, err = done.stdout.decode(), done.stderr.decode()
        self.assertEqual(done.returncode, code, f"{line}\n{out}\n{err}")
        return out + err

    def copied(self, count=12):
        self.fill(self.old, folder("INBOX", mails(count)), folder("Été", mails(3, "été")))
        self.copy()


class Files(StoreCase):
    def test_a_backup_of_a_run_comes_back_and_nothing_is_copied_twice(self):
        self.copied()
        backup = self.folder / "backup.db"
        self.store("backup", backup, "--state", self.state)
        self.assertEqual(backup.stat().st_mode & 0o777, 0o600)
        self.assertIn("--force", self.store("backup", backup, "--state", self.state, code=2))
        self.append(self.old, "INBOX", mail("after the backup"))
        self.copy()
        self.assertIn("--force", self.store("restore", backup, "--state", self.state, code=2))
        self.store("restore", backup, "--state", self.state, "--force")
        self.assertEqual(sqlite3.connect(self.state).execute("SELECT count(*) FROM message").fetchone(), (15,))
        run = self.copy()
        self.assertEqual(run.messages["copied"], 0, "found again by content")
        self.assert_same()

    def test_a_backup_is_made_beside_a_run_and_a_restore_is_refused(self):
        self.fill(self.old, folder("INBOX", mails(300)))
        run = self.start("copy", self.url(self.old, self.user), self.url(self.new, self.user), "--limit-messages", "10")
        self.assertTrue(self.until(lambda: self.state.exists() and self.state.with_name("state.db.lock").exists()))
        self.assertTrue(self.until(lambda: len(self.content(self.new).folders) > 0))
        self.store("backup", self.folder / "b.db", "--state", self.state)
        for words in (("restore", self.folder / "b.db", "--force"), ("purge", "--older", "1d"),
                      ("rotate-key", "--key-file", self.folder / "k")):
            refused = self.store(*words, "--state", self.state, code=2)
            self.assertIn(f"in use by PID {run.pid}", refused)
        run.terminate()
        run.communicate(timeout=60)

    def test_an_old_ledger_is_purged_and_a_young_one_stays(self):
        self.copied()
        self.assertIn("gone: 0 ledgers", self.store("purge", "--older", "90d", "--state", self.state))
        with sqlite3.connect(self.state) as db:
            db.execute("UPDATE report SET ended = '2020-01-01T00:00:00Z'")
        self.assertIn("gone: 1 ledger,", self.store("purge", "--older", "2y", "--state", self.state))
        self.assertEqual(self.copy().messages["copied"], 0, "found again by content")

    def test_what_is_said_wrong_is_told_so(self):
        self.copied(1)
        for words in (("purge", "--older", "90", "--state", self.state), ("purge", "--state", self.state), (),
                      ("backup",), ("nonsense",), ("move", "a.db"), ("rotate-key", "--state", self.state)):
            self.assertNotEqual(self.store(*words, code=2), "")
        (self.folder / "text").write_text("hello")
        self.store("restore", self.folder / "text", "--state", self.state, "--force", code=2)
        self.store("backup", "/dev/full/x", "--state", self.state, code=5)
        self.assertIn("there is no store", self.store("status", "--state", self.folder / "none.db", code=2))
        self.assertFalse((self.folder / "none.db").exists())
        self.assert_nothing_new()

    def test_keys_are_made_changed_and_kept_from_others(self):
        self.copied(1)
        key = self.folder / "seal.key"
        self.store("rotate-key", "--key-file", key, "--state", self.state)
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        first = key.read_text()
        self.assertIn("2 keys", self.store("rotate-key", "--key-file", key, "--state", self.state))
        self.assertIn("1 key in", self.store("rotate-key", "--key-file", key, "--drop-old", "--state", self.state))
        hexes = [line.split()[1] for line in (first + key.read_text()).splitlines() if line.startswith("postferry")]
        self.assertEqual(len(set(hexes)), 2)
        status = self.store("status", "--state", self.state)
        self.assertIn("(seals)", status)
        for octets in hexes:
            self.assertNotIn(octets.encode(), self.state.read_bytes() + status.encode())
        os.chmod(key, 0o644)
        self.assertIn(f"chmod 0600 {key}", self.store("rotate-key", "--key-file", key, "--state", self.state, code=2))


class OnPostgresql(WithPostgresql, StoreCase):
    def test_a_ledger_moves_to_a_server_and_back(self):
        self.copied()
        self.postgres.sql(f"CREATE DATABASE pf_{self.user}")
        file, server = self.state, self.postgres.url(f"pf_{self.user}")
        self.assertIn("moved to", self.store("move", file, server))
        self.assertIn("--force", self.store("move", file, server, code=2))
        self.state = server
        self.assert_nothing_new()
        self.append(self.old, "INBOX", mail("one more"))
        self.assertEqual(self.copy().messages["copied"], 1)
        self.store("backup", self.folder / "b.db", "--state", server)
        self.store("move", server, self.folder / "back.db")
        for state in ("back.db", "b.db"):
            self.state = self.folder / state
            self.assert_nothing_new()
        self.store("restore", self.folder / "b.db", "--state", server, "--force")
        self.state = server
        self.assert_nothing_new()
        self.assertIn("schema version 7", self.store("status", "--state", server))


if __name__ == "__main__":
    unittest.main()
