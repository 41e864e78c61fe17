"""Being a good guest: limits that all mailboxes of a server share, budgets of a day, and pauses in the words of Office 365,
Gmail and Yahoo, which need no hand. The servers that ask for pauses are scripted; their words are those of docs/quirks.md."""

import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fault"))

from support import *  # noqa: E402,F403
from scripted import Gone, Source, Target, uid_set  # noqa: E402


def message(number: int, size: int = 0) -> bytes:
    head = f"From: a@old.example\r\nSubject: letter {number}\r\nMessage-ID: <{number}@guest.example>\r\n\r\n"
    return (head + f"text {number}\r\n" + "=" * 78 * (size // 80) + "\r\n").encode()


class Moody(Source):
    """A source that, before it serves UID `at`, answers `moods` times in the words given and, after a line that begins with
    "* BYE", hangs up."""

    CAPABILITIES = b"IMAP4rev1 AUTH=PLAIN SASL-IR"

    def __init__(self, messages, at: int = 0, words: bytes = b"", moods: int = 0, ok: bytes = b"done", login: bytes = b"",
                 most: int = 0, goodbye_pause: float = 0):
        super().__init__(messages, {})
        self.at, self.words, self.moods, self.ok, self.login, self.most = at, words, moods, ok, login, most
        self.fetched: list[set[int]] = []
        self.inside = self.peak = self.refusals = 0
        self.goodbye_pause = goodbye_pause  # the connection counts until it is closed

    def _serve(self, line):
        line.counted = False
        try:
            super()._serve(line)
        finally:
            self.leave(line)

    def leave(self, line):
        if line.counted:
            line.counted = False
            with self.gate:
                self.inside -= 1

    def on_logout(self, line, tag, arguments):
        time.sleep(self.goodbye_pause)
        self.leave(line)
        super().on_logout(line, tag, arguments)

    def on_authenticate(self, line, tag, arguments):
        with self.gate:
            if self.most and self.inside >= self.most:
                self.refusals += 1
                line.send(tag, b" NO [ALERT] Too many simultaneous connections. (Failure)\r\n")
                raise Gone
            self.inside += 1
            line.counted = True
            self.peak = max(self.peak, self.inside)
        super().on_authenticate(line, tag, arguments)

    def on_fetch(self, line, tag, arguments):
        wanted = uid_set(arguments.split(b" ")[0])
        whole = b"BODY.PEEK[]" in arguments
        if whole:
            self.fetched.append(wanted)
        for number, stored in enumerate(list(self.folders[line.selected]), 1):
            if stored.uid not in wanted:
                continue
            if whole and stored.uid == self.at and self.moods > 0:
                self.moods -= 1
                line.send(self.words.replace(b"TAG", tag))
                if b"* BYE" in self.words:
                    raise Gone
                return
            self.fetch_one(line, number, stored, arguments)
        line.send(tag, b" OK ", self.ok, b"\r\n")


class Guest(Case):
    def setUp(self):
        super().setUp()
        self.target = Target(lambda data: None)
        self.addCleanup(self.target.__exit__)

    def source(self, messages, **more) -> Moody:
        server = Moody(messages, **more)
        self.addCleanup(server.__exit__)
        return server

    def urls(self, source, user="anna"):
        return [f"imap://{user}@127.0.0.1:{server.port}?tls=off&auth=plain" for server in (source, self.target)]

    def copy(self, source, *options, **more) -> Run:
        return self.run_program("copy", *self.urls(source), "--json", *options, **more)

    def arrived(self) -> list[bytes]:
        return [stored.data for stored in self.target.folders[b"INBOX"]]


class Pauses(Guest):
    def waited_out(self, words: bytes, *, seconds: float, moods: int = 1):
        messages = [message(n) for n in range(1, 31)]
        source = self.source(messages, at=11, words=words, moods=moods)
        run = self.copy(source, "--timeout", "20")
        self.assertEqual(run.messages["copied"], 30, run)
        self.assertEqual(sorted(self.arrived()), sorted(messages), "each once")
        throttled = run.mailbox["throttled"]
        self.assertEqual(throttled["times"], moods, run)
        self.assertGreaterEqual(throttled["seconds"], seconds)
        self.assertEqual(throttled["by"], "127.0.0.1")
        shown = [e for e in run.events if e["event"] == "progress" and e["state"] == "throttled"]
        self.assertTrue(shown, run.out)
        self.assertEqual(shown[0]["throttled_by"], "127.0.0.1")
        self.assertRegex(shown[0]["until"], r"^\d{4}-\d\d-\d\dT")
        self.assertIn("throttled by 127.0.0.1 until", shown[0]["note"])
        # Resumed by UID: what had come before the pause is not asked for again.
        self.assertNotIn(1, source.fetched[-1], source.fetched)
        return run

    def test_office_365_names_the_time(self):
        run = self.waited_out(b"TAG BAD Request is throttled. Suggested Backoff Time: 1299 milliseconds\r\n* BYE Connection is closed. 14\r\n",
                              seconds=1.299)
        self.assertIn("Suggested Backoff Time", run.mailbox["throttled"]["reason"])

    def test_office_365_says_it_with_its_goodbye(self):
        self.waited_out(b"* BYE Request is throttled. Suggested Backoff Time: 700 milliseconds\r\n", seconds=0.7)

    def test_yahoo_names_none(self):
        self.waited_out(b"TAG NO [LIMIT] UID FETCH Rate limit hit.\r\n* BYE IMAP4rev1 Server logging out\r\n", seconds=0.15, moods=2)

    def test_gmail_says_throttled_and_goes_on(self):
        messages = [message(n) for n in range(1, 31)]
        source = self.source(messages, ok=b"[THROTTLED] Success")
        began = time.monotonic()
        run = self.copy(source, "--limit-messages", "1000")
        self.assertEqual(run.messages["copied"], 30, run)
        self.assertNotIn("throttled", run.mailbox)
        self.assertLess(time.monotonic() - began, 120)

    def test_gmails_bandwidth_takes_long_and_no_wait_comes_again_later(self):
        messages = [message(n) for n in range(1, 31)]
        source = self.source(messages, at=11, moods=1,
                             words=b"* BYE [ALERT] Account exceeded command or bandwidth limits. (Failure)\r\n")
        run = self.copy(source, "--no-wait", code=4)
        self.assertEqual(run.mailbox["state"], "throttled", run)
        self.assertEqual(run.mailbox["stopped_by"]["class"], "throttled")
        self.assertRegex(run.mailbox["stopped_by"]["advice"], r"Run the same command again after .*UTC")
        self.assertIn("bandwidth", run.mailbox["throttled"]["reason"])
        before = len(self.arrived())
        self.assertEqual(before, 10, "what had come is kept")
        run = self.copy(source)
        self.assertEqual((run.messages["copied"], run.messages["present"]), (20, 10), run)
        self.assertEqual(sorted(self.arrived()), sorted(messages))

    def test_ctrl_c_ends_the_wait(self):
        messages = [message(n) for n in range(1, 31)]
        source = self.source(messages, at=11, moods=1,
                             words=b"TAG BAD Request is throttled. Suggested Backoff Time: 299609 milliseconds\r\n* BYE\r\n")
        report = self.folder / "report.json"
        line = self.command("copy", *self.urls(source), "--json", report=report)
        process = subprocess.Popen(line, env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL, cwd=self.folder)
        self.addCleanup(process.kill)
        heard = []
        for event in process.stdout:
            heard.append(event)
            if b'"state":"throttled"' in event:
                break
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        self.assertLess(time.monotonic() - began, 120)
        run = self.judge(line, process.returncode, b"".join(heard) + out, err, report, 130)
        self.assertEqual(run.mailbox["state"], "interrupted")
        self.assertEqual(len(self.arrived()), 10)


class Connections(Guest):
    def accounts(self, source, users, more="") -> pathlib.Path:
        path = self.folder / "accounts.csv"
        rows = [f"{user},{PASSWORD},{user},{PASSWORD}" for user in users]
        path.write_text("\n".join(["source_user,source_password,target_user,target_password", *rows]) + "\n")
        return path

    def migrate(self, source, users, query="", *options, **more) -> Run:
        return self.run_program("migrate", self.accounts(source, users), "--source",
                                f"imap://127.0.0.1:{source.port}?tls=off&auth=plain{query}", "--target",
                                f"imap://127.0.0.1:{self.target.port}?tls=off&auth=plain", *options, **more)

    def test_max_connections_is_a_limit_of_the_server(self):
        source = self.source([message(n) for n in range(1, 4)], goodbye_pause=0.1)
        run = self.migrate(source, [f"u{n}" for n in range(12)], "&max-connections=2", "--jobs", "12")
        self.assertEqual({one["state"] for one in run.report["mailboxes"]}, {"synced"}, run)
        self.assertLessEqual(source.peak, 2)
        self.assertGreater(source.peak, 0)

    def test_too_many_connections_are_no_refused_login(self):
        source = self.source([message(n) for n in range(1, 4)], most=2)
        run = self.migrate(source, [f"u{n}" for n in range(12)], "", "--jobs", "8")
        self.assertEqual({one["state"] for one in run.report["mailboxes"]}, {"synced"}, run)
        self.assertEqual(source.peak, 2)
        self.assertGreater(source.refusals, 0, "it was tried")
        self.assertLess(source.refusals, 40, "and understood")

    def test_a_throttled_mailbox_holds_up_nobody(self):
        slow = self.source([message(n) for n in range(1, 31)], at=11, moods=1,
                           words=b"TAG BAD Request is throttled. Suggested Backoff Time: 4000 milliseconds\r\n* BYE\r\n")
        fast = self.source([message(n) for n in range(1, 4)])
        path = self.folder / "accounts.csv"
        rows = [f"slow,{PASSWORD},slow,{PASSWORD},imap://{{user}}@127.0.0.1:{slow.port}?tls=off&auth=plain"]
        rows += [f"u{n},{PASSWORD},u{n},{PASSWORD},imap://{{user}}@127.0.0.1:{fast.port}?tls=off&auth=plain" for n in range(5)]
        path.write_text("\n".join(["source_user,source_password,target_user,target_password,source_url", *rows]) + "\n")
        run = self.run_program("migrate", path, "--jobs", "1", "--json", "--target",
                               f"imap://127.0.0.1:{self.target.port}?tls=off&auth=plain")
        ends = [e["source"].split("//")[1].split("@")[0] for e in run.events if e["event"] == "mailbox"]
        self.assertEqual(ends[-1], "slow", run.out)
        self.assertEqual(len(ends), 6)


class Limits(Guest):
    def test_octets_a_second(self):
        messages = [message(n, 20_000) for n in range(1, 11)]
        source = self.source(messages)
        began = time.monotonic()
        run = self.copy(source, "--limit-rate", "100kB/s")
        self.assertEqual(run.messages["copied"], 10, run)
        self.assertGreaterEqual(time.monotonic() - began, 1.6)  # 200 kB, less the first burst
        self.assertEqual(sorted(self.arrived()), sorted(messages))

    def test_messages_a_second(self):
        source = self.source([message(n) for n in range(1, 21)])
        began = time.monotonic()
        run = self.copy(source, "--limit-messages", "10")
        self.assertEqual(run.messages["copied"], 20, run)
        self.assertGreaterEqual(time.monotonic() - began, 0.9)
        self.assertLessEqual(max(map(len, source.fetched)), 10)

    def test_a_budget_of_a_day(self):
        messages = [message(n, 10_000) for n in range(1, 11)]
        source = self.source(messages)
        run = self.copy(source, "--daily-bytes", "35kB", "--no-wait", code=4)
        self.assertEqual(run.mailbox["state"], "throttled", run)
        self.assertEqual(run.mailbox["stopped_by"]["response_code"], "BUDGET")
        self.assertIn("daily budget", run.mailbox["stopped_by"]["reason"])
        self.assertIn("35 kB", run.mailbox["stopped_by"]["reason"])
        self.assertRegex(run.mailbox["stopped_by"]["advice"], "again after .* UTC")
        arrived = len(self.arrived())
        self.assertTrue(0 < arrived < 10, arrived)
        # It is kept in the ledger: another run does not even log in.
        logins = source.logins
        self.copy(source, "--daily-bytes", "35kB", "--no-wait", code=4)
        self.assertEqual(source.logins, logins)
        self.assertEqual(len(self.arrived()), arrived)
        # Without --no-wait it sleeps, and says until when.
        for json_events in ((), ("--json",)):
            line = self.command("copy", *self.urls(source), "--daily-bytes", "35kB", *json_events)
            process = subprocess.Popen(line, env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=self.folder)
            self.addCleanup(process.kill)
            shown = next(text.decode() for text in process.stdout if b"throttled by" in text)
            self.assertRegex(shown, r"throttled by 127.0.0.1 until (\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d UTC: (source: )?The daily budget")
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=120)
            self.assertEqual(process.returncode, 143)
        # A larger one goes on where it was.
        run = self.copy(source, "--daily-bytes", "1MB")
        self.assertEqual((run.messages["copied"], run.messages["present"]), (10 - arrived, arrived), run)
        self.assertEqual(sorted(self.arrived()), sorted(messages))

    def test_check_says_which_limits_hold(self):
        source = self.source([message(1)])
        source.CAPABILITIES = b"IMAP4rev1 AUTH=PLAIN SASL-IR X-GM-EXT-1"
        run = self.run_program("check", *self.urls(source), "--preset", "target=office365")
        one = run.report["mailboxes"][0]
        self.assertEqual(one["source"]["limits"]["preset"], "gmail")
        self.assertEqual(one["source"]["limits"]["why"], "capability X-GM-EXT-1")
        self.assertIn("2.5 GB a day from the account", one["source"]["limits"]["limits"])
        self.assertEqual(one["target"]["limits"]["preset"], "office365")
        self.assertIn("limits: preset gmail", run.out)


if __name__ == "__main__":
    unittest.main()
