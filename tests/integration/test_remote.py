"""The service's API from the shell, against a real `postferry serve` on both stores: from the first owner to the last report, and
what is said when something is wrong."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403
from support import adds_up  # noqa: E402
from test_terminal import Terminal  # noqa: E402
import on_postgresql  # noqa: E402
from lab.service import Service  # noqa: E402

ACCOUNT = "an-account-of-ours"
SLOWLY = {"limits": {"limit_messages": 30}}  # a second, of each server


def setUpModule():
    need_servers()


class RemoteCase(PairCase):
    """A service and the command line that steers it."""

    spare_users = 60
    store_url = None

    def setUp(self):
        super().setUp()
        self.secrets.append(ACCOUNT)
        self.service = Service(self.folder / "service", program=program(), store=self.store_url)
        self.addCleanup(self.service.stop)
        self.password = self.write("password", PASSWORD)
        self.account = self.write("account", ACCOUNT)

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text + "\n")
        path.chmod(0o600)
        return str(path)

    def words(self, *words) -> list[str]:
        return [program(), *map(str, words)]

    def surroundings(self, **changes) -> dict:
        return self.environment(POSTFERRY_CONFIG=str(self.service.config), POSTFERRY_SOURCE_PASSWORD=None, POSTFERRY_TARGET_PASSWORD=None,
                                **changes)

    def say(self, *words, code: int = 0, seconds: float = 240, **changes) -> subprocess.CompletedProcess:
        """postferry WORDS; it must end with that exit code and tell no secret."""
        done = subprocess.run(self.words(*words), env=self.surroundings(**changes), capture_output=True, text=True, timeout=seconds,
                              cwd=self.folder, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, code, f"{words}\n{done.stdout}\n{done.stderr}")
        self.assert_no_secret((done.stdout + done.stderr).encode(), f"what {words} says")
        return done

    def one(self, *words, **options) -> dict:
        return json.loads(self.say(*words, "--json", **options).stdout)

    def lines(self, *words, **options) -> list[dict]:
        return [json.loads(line) for line in self.say(*words, "--json", **options).stdout.splitlines()]

    def wrong(self, *words, code: int = 2, says: tuple[str, ...] = (), **options) -> str:
        done = self.say(*words, code=code, **options)
        self.assertEqual(done.stdout, "", words)
        for word in says:
            self.assertIn(word, done.stderr)
        return done.stderr

    def accounts(self, owners: list[str], *more: str) -> str:
        """A CSV of them; more rows as they are."""
        return self.write("accounts.csv", "source_user,source_password,target_user,target_password\n" + "".join(
            f"{owner},{PASSWORD},{owner},{PASSWORD}\n" for owner in owners) + "\n".join(more))

    def ends(self) -> list[str]:
        return [word for side, server in (("--source", self.old), ("--target", self.new))
                for word in (side, f"imap://{server.host}:{server.imap_port}?tls=off")]

    def end(self, server: Dovecot, user: str) -> str:
        return self.url(server, user)

    def begin(self, mailboxes: int = 2, messages: int = 20, name: str = "spring-move", **settings) -> list[str]:
        """A batch with mailboxes of fresh users, ready to be started."""
        self.say("batch", "create", name)
        owners = [next(self.users) for _ in range(mailboxes)]
        for owner in owners:
            self.fill(self.old, folder("INBOX", mails(messages)), folder("Work", mails(3, "work")), user=owner)
            self.say("mailbox", "add", name, self.end(self.old, owner), self.end(self.new, owner), "--source-password-file", self.password,
                     "--target-password-file", self.password)
        return owners


class OnSqlite(RemoteCase):
    def test_the_first_owner_is_made_before_there_is_a_service(self):
        said = self.say("user", "add", "anna", "--owner", "--password-file", self.account).stdout
        self.assertIn("in the store itself", said)
        self.service.serve()
        self.assertIn("through the service", self.say("user", "add", "Bob", "--role", "viewer", "--password-file", self.account).stdout)
        self.wrong("user", "add", "bob", "--password-file", self.account, says=("bob",))
        self.wrong("user", "add", "carl", "--password-file", self.write("short", "short"), says=("password must have at least 10",))
        self.assertEqual([(u["name"], u["role"]) for u in self.lines("user", "list")], [("anna", "owner"), ("bob", "viewer")])
        self.assertEqual(self.service.over_tcp("POST", "/session", {"name": "anna", "password": ACCOUNT}).status, 201)
        self.say("user", "passwd", "anna", "--password-file", self.write("other", "another-of-ours"))
        self.assertEqual(self.service.over_tcp("POST", "/session", {"name": "anna", "password": "another-of-ours"}).status, 201)
        self.say("user", "disable", "bob")
        self.assertTrue(self.one("user", "edit", "bob", "--display", "Bob B.")["disabled"])
        self.wrong("user", "delete", "anna", code=2, says=("owner",))  # the last one
        self.say("user", "delete", "bob")

    def test_a_token_reaches_the_service_from_elsewhere(self):
        self.service.serve()
        self.say("user", "add", "anna", "--owner", "--no-password")
        self.say("user", "add", "vic", "--role", "viewer", "--no-password")
        mine, other = str(self.folder / "token"), str(self.folder / "viewer")
        self.say("token", "create", "script", "--user", "anna", "--scope", "operate", "--scope", "admin", "--expires", "30d", "--output", mine)
        self.say("token", "create", "eyes", "--user", "vic", "--output", other)
        self.assertEqual(os.stat(mine).st_mode & 0o777, 0o600)
        self.wrong("token", "create", "again", "--user", "anna", "--output", mine, code=5, says=("token",))
        self.assertEqual([t["name"] for t in self.lines("token", "list")], ["script", "eyes"])
        host, port = self.service.address
        there = ("--url", f"http://{host}:{port}")
        self.say("batch", "create", "by-token", *there, "--token-file", mine)
        named = self.one("batch", "status", "by-token", POSTFERRY_URL=there[1], POSTFERRY_TOKEN_FILE=other)
        self.assertTrue(named["created_by"].startswith("token/"), named)
        self.wrong("batch", "create", "x", *there, "--token-file", other, code=3, says=("vic (token eyes) may not do this",))
        self.wrong("batch", "list", *there, code=3, says=("--token-file",))
        self.wrong("batch", "list", *there, "--token-file", self.write("made-up", "pf_nonsense"), code=3, says=("This token is not valid",))
        self.say("token", "delete", "script")
        self.wrong("batch", "list", *there, "--token-file", mine, code=3)

    def test_a_batch_from_its_making_to_its_archive(self):
        self.service.serve()
        owners = self.begin(mailboxes=3)
        waiting = self.say("batch", "status", "spring-move").stdout
        self.assertIn("mailboxes  3 = 3 ready", waiting)
        self.assertIn("postferry batch start spring-move", waiting)
        self.say("batch", "start", "spring-move")
        watched = self.say("batch", "watch", "spring-move").stdout
        for owner in owners:
            self.assertRegex(watched, rf"{owner}: \w+ -> synced")
        for owner in owners:
            self.assert_same(owner)
        batch = self.one("batch", "status", "1")
        self.assertEqual((batch["name"], batch["mailbox_states"]), ("spring-move", {"synced": 3}))
        self.assertEqual(batch["messages"]["source"], 69)
        status = self.say("batch", "status", "spring-move").stdout
        self.assertIn("messages   69 = 69 copied\n", status)
        self.assertIn("postferry batch finish spring-move", status)
        ended = self.lines("batch", "finish", "spring-move", "--watch")
        self.assertEqual(ended[-1]["mailbox_states"], {"completed": 3}, ended[-1])
        self.assertTrue(any(e.get("kind") == "mailbox.state" and e["after"] == "verifying" for e in ended))
        files = [self.folder / f"r.{ending}" for ending in ("json", "csv", "html")]
        self.say("batch", "report", "spring-move", *(word for file in files for word in ("--report", file)))
        report = json.loads(files[0].read_text())
        validator("report").validate(report)
        self.assertEqual(adds_up(report), [])
        self.assertEqual(json.loads(self.say("batch", "report", "spring-move").stdout)["totals"], report["totals"])
        self.assertEqual(len(files[1].read_text().splitlines()), 4)
        self.assertIn("</html>", files[2].read_text())
        self.say("batch", "archive", "spring-move")
        self.assertEqual(self.say("batch", "list").stdout, "There is no batch. Make one: postferry batch create NAME\n")
        self.assertEqual([b["state"] for b in self.lines("batch", "list", "--state", "archived")], ["archived"])
        self.assertEqual(self.one("batch", "status", "spring-move")["state"], "archived")

    def test_what_one_mailbox_tells_and_takes(self):
        self.service.serve()
        (owner,) = self.begin(mailboxes=1)
        self.assertEqual(self.one("mailbox", "priority", owner, "-5")["priority"], -5)
        self.say("batch", "start", "spring-move", "--watch")
        shown = self.say("mailbox", "show", owner).stdout
        self.assertIn("messages   23 = 23 copied", shown)
        self.assertIn("bulk", shown)
        self.assertEqual(self.one("mailbox", "show", "1")["source_user"], owner)
        self.assertEqual(self.say("mailbox", "failures", owner).stdout, "Nothing has failed.\n")
        self.say("batch", "set", "spring-move", "--hook", "/bin/echo", "--hook", "a word of the hook")
        self.say("batch", "finish", "spring-move", "--watch")
        for words in (("batch", "log", "spring-move"), ("mailbox", "log", owner), ("log", "--batch", "spring-move")):
            texts = [line["text"] for line in self.lines(*words)]
            self.assertIn("a word of the hook", "".join(texts), words)
            self.assertEqual(len(self.say(*words).stdout.splitlines()), len(texts), words)
        log = self.folder / "a.log"
        self.say("batch", "log", "spring-move", "--mailbox", owner, "--output", log)
        self.assertIn(texts[-1], log.read_text())
        kinds = {e["kind"] for e in self.lines("event", "list", "--batch", "spring-move", "--limit", "0")}
        self.assertLessEqual({"mailbox.state", "batch.state", "audit.batch.create"}, kinds)
        self.wrong("mailbox", "show", "nobody", says=("there is no mailbox nobody",))
        self.wrong("mailbox", "delete", owner + "x", says=(f"Did you mean {owner}?",))
        self.wrong("mailbox", "resume", owner, says=("completed",))

    def test_a_password_that_is_refused_is_given_anew(self):
        self.service.serve()
        (owner,) = self.begin(mailboxes=1)
        self.say("mailbox", "credentials", owner, "--source-password-file", self.write("wrong", "not-the-password"))
        self.say("batch", "start", "spring-move", "--watch", code=1)
        status = self.say("batch", "status", "spring-move", code=1).stdout
        self.assertIn("1 needs_credentials", status)
        self.assertIn("postferry mailbox credentials MAILBOX", status)
        (one,) = self.lines("batch", "mailboxes", "spring-move", "--state", "needs_credentials")
        self.assertEqual(one["source_user"], owner)
        self.say("mailbox", "credentials", owner, "--source-password-file", self.password)
        self.say("batch", "watch", "spring-move")
        self.assert_same(owner)

    def test_settings_are_changed_and_kept(self):
        self.service.serve()
        self.say("setting", "set", "--retries", "7", "--window", "mon-fri 20:00-06:00 Europe/Berlin")
        self.say("batch", "create", "a", "--exclude", "Trash", "--delta-every", "4h")
        kept = self.one("batch", "status", "a")["settings"]
        self.assertEqual((kept["copy"]["exclude"], kept["delta_every_minutes"], kept["retries"]), (["Trash"], 240, 7))
        self.say("batch", "set", "a", "--unset", "windows", "--name", "b c", "--start-at", "2099-01-01T00:00:00Z")
        changed = self.one("batch", "status", "b c")
        self.assertEqual((changed["settings"]["windows"], changed["settings"]["copy"]["exclude"]), ([], ["Trash"]))
        self.assertEqual(changed["start_at"], "2099-01-01T00:00:00Z")
        self.wrong("batch", "set", "b c", "--window", "20:00-06:00 Europe/Nowhere", says=("settings.windows[0].time_zone",))
        self.say("project", "create", "schools")
        self.say("setting", "set", "--project", "schools", "--jobs", "3")
        self.assertEqual(self.one("setting", "get", "--project", "schools")["value"], {"mailboxes_at_a_time": 3})
        self.say("project", "rename", "schools", "colleges")
        self.say("batch", "delete", "b c")
        self.say("project", "delete", "colleges")

    def test_a_csv_becomes_a_batch(self):
        self.service.serve()
        owners = [next(self.users) for _ in range(3)]
        for owner in owners:
            self.fill(self.old, folder("INBOX", mails(5)), user=owner)
        faulty = self.accounts(owners, f",{PASSWORD},{owners[0]},x")
        for words in (("batch", "preview"), ("batch", "import")):
            told = self.say(*words, "spring", faulty, *self.ends(), code=2)
            self.assertRegex(told.stderr, r"accounts\.csv: row 5, line 5, column source_user: ")
        self.assertIn("1 of 4 rows has faults; nothing was added. Mend them, or leave them out with --skip-invalid", told.stderr)
        self.wrong("batch", "status", "spring", says=("there is no batch spring",))
        added = self.say("batch", "import", "spring", faulty, *self.ends(), "--skip-invalid").stdout
        self.assertIn("added: 3 mailboxes", added)
        self.assertIn("postferry batch start spring", added)
        again = self.say("batch", "import", "spring", self.accounts(owners), *self.ends()).stdout
        self.assertIn("nothing added; 3 mailboxes there already", again)
        self.say("batch", "start", "spring", "--watch")
        for owner in owners:
            self.assert_same(owner)

    def test_a_csv_that_is_none_is_refused(self):
        self.service.serve()
        self.wrong("batch", "import", "spring", self.write("x.csv", "what is this"), *self.ends())
        self.wrong("batch", "import", "spring", "none.csv", *self.ends(), says=("none.csv cannot be read",))
        self.wrong("batch", "import", "spring", self.accounts([self.user]), "--source", "ftp://x", says=("source",))

    def test_domains_accounts_and_aliases(self):
        self.service.serve()
        self.say("domain", "defaults", "--account-quota", "2GB", "--language", "de-AT")
        self.say("domain", "create", "Example.org", "--display", "The example", "--user-limit", "7", "--service", "imap=enabled")
        self.say("domain", "edit", "example.org", "--brand", "blue", "--unset", "user_limit", "--service", "pop3=disabled")
        shown = self.one("domain", "show", "example.org")
        self.assertEqual(shown["overrides"], {"brand": "blue", "services": {"imap": "enabled", "pop3": "disabled"}})
        self.assertTrue(self.one("domain", "freeze", "example.org", "--passwords")["password_changes_frozen"])
        self.assertIn("passwords", self.say("domain", "list").stdout)
        self.assertFalse(self.one("domain", "unfreeze", "example.org")["password_changes_frozen"])
        self.wrong("domain", "show", "exampel.org", says=("Did you mean example.org?",))
        self.say("account", "create", "alice@example.org", "--name", "Alice A.", "--quota", "5GB")
        self.say("account", "edit", "alice@example.org", "--quota", "default", "--language", "fr")
        account = self.one("account", "show", "alice@example.org")
        self.assertEqual((account["state"], account["quota"], account["language"]), ("planned", None, "fr"))
        self.assertEqual([a["address"] for a in self.lines("account", "list", "--domain", "example.org")], ["alice@example.org"])
        self.wrong("account", "suspend", "alice@example.org", says=("[provisioning.NAME]",))
        self.wrong("reconcile", "example.org", says=("[provisioning.NAME]",))
        for local in ("info", "sales", "old"):
            self.say("alias", "propose", f"{local}@example.org", "alice@example.org")
        self.say("alias", "refuse", "old@example.org", "--reason", "nobody knows it")
        self.assertEqual(len(self.lines("alias", "approve", "--all", "--domain", "example.org")), 2)
        self.assertEqual({a["address"]: a["state"] for a in self.lines("alias", "list")},
                         {"info@example.org": "approved", "sales@example.org": "approved", "old@example.org": "refused"})
        self.wrong("domain", "delete", "example.org", says=("account",))

    def test_servers_and_workers(self):
        self.service.serve()
        server = f"{self.old.host}:{self.old.imap_port}"
        self.assertEqual(self.one("server", "limit", server, "--connections", "3", "--rate", "4MB")["connections_max"], 3)
        self.say("server", "pause", server, "--for", "2h", "--reason", "backup")
        (listed,) = self.lines("server", "list")
        self.assertEqual((listed["server"], listed["paused_why"]), (server, "backup"))
        self.assertIn("backup", self.say("server", "list").stdout)
        self.say("server", "resume", server)
        freed = self.one("server", "limit", server, "--connections", "off")
        self.assertEqual((freed["connections_max"], freed["paused_until"]), (None, None))
        (worker,) = self.lines("workers", "list")
        self.assertEqual((worker["state"], worker["jobs"]), ("running", 4))

    def test_what_is_wrong_is_said_with_what_to_do(self):
        self.wrong("batch", "list", code=3, says=("there is no service at", "postferry serve", "[service] socket of"))
        self.wrong("batch", "list", "--url", "http://example.org", code=2, says=("https://",))
        self.wrong("batch", "list", "--url", "http://127.0.0.1:1", code=3)
        self.service.serve()
        self.begin(mailboxes=0)
        self.wrong("batch", "status", "spring-mvoe", says=("there is no batch spring-mvoe", "spring-move"))
        self.wrong("batch", "status", "77", says=("there is no batch 77",))
        self.wrong("batch", "create", "spring-move", says=("spring-move",))
        self.wrong("batch", "start", "spring-move", says=("mailbox",))
        self.wrong("batch", "start", says=("batch start needs BATCH", "postferry batch start --help"))
        self.wrong("bacth", "start", says=("batch",))

    def watch_it_copy(self) -> subprocess.Popen:
        """Starts the batch, and `batch watch`, which may come too late to be told that copying begins."""
        self.say("batch", "start", "spring-move")
        watch = subprocess.Popen(self.words("batch", "watch", "spring-move"), env=self.surroundings(), stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, cwd=self.folder, stdin=subprocess.DEVNULL)
        self.addCleanup(watch.kill)
        self.assertTrue(self.until(lambda: self.heeds(watch, signal.SIGINT)))
        self.assertTrue(self.until(lambda: self.one("batch", "status", "spring-move")["mailbox_states"] == {"copying": 1}))
        return watch

    def test_ctrl_c_leaves_the_batch_at_work(self):
        self.service.config = self.service.write_config("slow.toml", **SLOWLY)
        self.service.serve()
        (owner,) = self.begin(mailboxes=1, messages=240)
        watch = self.watch_it_copy()
        watch.send_signal(signal.SIGINT)
        _, said = watch.communicate(timeout=120)
        self.assertEqual(watch.returncode, 130, said)
        self.assertIn("spring-move goes on", said)
        self.say("batch", "watch", "spring-move")
        self.assert_same(owner)

    def test_a_service_that_is_killed_and_comes_back_is_waited_for(self):
        self.service.config = self.service.write_config("slow.toml", **SLOWLY)
        serve = self.service.serve()
        (owner,) = self.begin(mailboxes=1, messages=240)
        watch = self.watch_it_copy()
        serve.kill()
        self.assertIn("waiting for it", watch.stderr.readline())
        self.service.serve()
        out, said = watch.communicate(timeout=240)
        self.assertEqual(watch.returncode, 0, said)
        self.assertIn(f"{owner}: copying -> queued", out)  # what happened while it looked elsewhere
        self.assertIn("synced", out)
        self.assert_same(owner)

    def test_what_happens_is_printed_as_it_happens(self):
        self.service.serve()
        follow = subprocess.Popen(self.words("event", "follow", "--kind", "audit.batch", "--json", "--after", "0"), env=self.surroundings(),
                                  stdout=subprocess.PIPE, text=True, cwd=self.folder, stdin=subprocess.DEVNULL)
        self.addCleanup(follow.wait)
        self.addCleanup(follow.kill)
        for name in ("one", "two"):
            self.say("batch", "create", name)
            self.assertEqual(json.loads(follow.stdout.readline())["after"]["name"], name)
        follow.stdout.close()
        self.say("batch", "create", "three")
        self.say("batch", "create", "four")
        self.assertEqual(follow.wait(120), 0)  # nobody reads it any more

    def test_a_terminal_shows_it_live(self):
        self.service.serve()
        self.begin(mailboxes=2)
        terminal = Terminal(self.words("batch", "start", "spring-move", "--watch"), self.surroundings(), self.folder, columns=100, rows=30)
        self.assertEqual(terminal.wait(240), 0, terminal.text())
        self.assertIn("Ctrl-C ends the watching, not the batch", terminal.text())
        screen = "\n".join(terminal.screen())
        self.assertIn("mailboxes  2 = 2 synced", screen)
        self.assertNotIn("Ctrl-C", screen)
        self.assertIn("postferry batch finish spring-move", screen)

    def test_a_password_is_asked_for_without_an_echo(self):
        self.service.serve()
        terminal = Terminal(self.words("user", "add", "anna", "--owner"), self.surroundings(), self.folder)
        for prompt in ("New password for anna: ", "Once more: "):
            self.assertTrue(self.until(lambda: prompt in terminal.text()), terminal.text())
            terminal.type(ACCOUNT.encode() + b"\r")
        self.assertEqual(terminal.wait(), 0, terminal.text())
        self.assert_no_secret(terminal.octets, "the terminal")
        self.assertEqual(self.service.over_tcp("POST", "/session", {"name": "anna", "password": ACCOUNT}).status, 201)


class OnPostgresql(on_postgresql.OnPostgresql, RemoteCase):
    test_the_first_owner_is_made_before_there_is_a_service = OnSqlite.test_the_first_owner_is_made_before_there_is_a_service
    test_a_batch_from_its_making_to_its_archive = OnSqlite.test_a_batch_from_its_making_to_its_archive
    test_a_password_that_is_refused_is_given_anew = OnSqlite.test_a_password_that_is_refused_is_given_anew
    test_a_csv_becomes_a_batch = OnSqlite.test_a_csv_becomes_a_batch


if __name__ == "__main__":
    unittest.main()
