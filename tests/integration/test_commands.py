"""plan, check and verify; wrong usage and bad places; exit codes, words that help, events, interruptions."""

import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403
from lab.proxy import LineProxy  # noqa: E402


def setUpModule():
    need_servers()


class Looking(PairCase):
    target = {"special_auto": "create"}

    def test_plan_says_what_a_copy_would_do(self):
        self.fill(self.old, folder("INBOX", mails(5)), folder("\\Sent", mails(3, "sent")), folder("Work/Deep", mails(2, "w")), folder("Skip", mails(1)))
        rules = ("--exclude", "Skip", "--map", "Work/(.*)=>Labour/\\1")
        run = self.postferry("plan", *rules)
        (plan,) = run.report["mailboxes"]
        rows = {f["source"]: f for f in plan["folders"]}
        self.assertEqual((rows["Gesendete Objekte"]["target"], rows["Work/Deep"]["target"]), ("Sent", "Labour/Deep"))
        self.assertEqual({n: f["to_copy"] for n, f in rows.items() if f["to_copy"]}, {"INBOX": 5, "Gesendete Objekte": 3, "Work/Deep": 2})
        for word in ("Gesendete Objekte", "Sent", "Labour/Deep", "excluded"):
            self.assertIn(word, run.out)
        self.copy(*rules)
        again = self.postferry("plan", *rules).report["mailboxes"][0]
        self.assertEqual(sum(f["to_copy"] for f in again["folders"]), 0, again)
        self.append(self.old, "INBOX", mail("new"))
        again = self.postferry("plan", *rules).report["mailboxes"][0]
        self.assertEqual(sum(f["to_copy"] for f in again["folders"]), 1, again)

    def test_plan_sees_collisions(self):
        self.fill(self.old, folder("Sent", mails(1)), folder("\\Sent", mails(1, "s")))
        run = self.postferry("plan", code=None)
        self.assertTrue(run.report["mailboxes"][0]["collisions"], run)

    def test_plan_check_and_dry_run_speak_in_events_too(self):
        self.fill(self.old, folder("INBOX", mails(2)))
        for command in (("plan",), ("check",), ("copy", "--dry-run")):
            events = self.postferry(*command, "--json").events
            self.assertEqual([e["event"] for e in events if e["event"] != "progress"],
                             ["started", "check" if command[0] == "check" else "plan", "finished"])

    def test_check_tells_each_step(self):
        self.fill(self.old, folder("INBOX", mails(2)))
        run = self.postferry("check")
        (check,) = run.report["mailboxes"]
        for side in ("source", "target"):
            self.assertEqual([s["name"] for s in check[side]["steps"]], ["resolve", "connect", "tls", "login", "list"])
        self.assertEqual((check["messages"], check["source"]["delimiter"], check["source"]["prefix"]), (2, ".", "INBOX."), check)

    def test_check_names_the_step_that_fails(self):
        source = f"imap://{self.user}@127.0.0.1:1?tls=off"
        run = self.run_program("check", source, self.url(self.new, self.user), code=None)
        (check,) = run.report["mailboxes"]
        self.assertEqual(check["verdict"], "not_ready")
        self.assertEqual({s["name"]: s["state"] for s in check["source"]["steps"]}["connect"], "failed")
        self.assertIn(run.code, (1, 3), run)
        self.assertIn("refused", run.out)


class Verify(PairCase):
    target = {"special_auto": "create"}

    def verify(self, *options, code=0):
        run = self.postferry("verify", *options, code=code)
        return run, run.mailbox["verify"]

    def test_a_copy_is_proven(self):
        filled = samples.fill(self.old, self.user, samples.small())
        self.copy()
        before = (digest.tree_digest(self.old.store(self.user)), self.content(self.new))
        run, proof = self.verify()
        self.assertEqual((proof["identical"], proof["missing"], proof["different"], proof["extra"]), (filled, 0, 0, 0), run)
        self.assertEqual((run.mailbox["state"], run.mailbox["pass"], run.mailbox["grade"]), ("completed", "verify", "perfect"), run)
        self.assertEqual((digest.tree_digest(self.old.store(self.user)), self.content(self.new)), before)

    def test_what_is_missing_or_foreign_is_found_without_a_ledger(self):
        self.fill(self.old, folder("INBOX", mails(10)), folder("Work", mails(4, "work")))
        self.fill(self.new, folder("INBOX", mails(8)[1:] + mails(1, "stranger")))
        run, proof = self.verify(code=1)
        self.assertEqual((proof["identical"], proof["missing"], proof["extra"]), (7, 7, 1), run)
        self.assertNotEqual(run.mailbox["state"], "completed")

    def test_one_of_two_repeats_is_missing(self):
        self.fill(self.old, folder("INBOX", mails(2) + mails(1)))
        self.fill(self.new, folder("INBOX", mails(2)))
        run, proof = self.verify(code=1)
        self.assertEqual((proof["identical"], proof["missing"]), (2, 1), run)

    def test_a_message_with_another_body_is_different_or_missing(self):
        self.fill(self.old, folder("INBOX", [mail("m", body="one\r\n"), *mails(3)]))
        self.copy()
        self.do(self.new, b"SELECT INBOX", b"STORE 1 +FLAGS (\\Deleted)", b"EXPUNGE")
        self.append(self.new, "INBOX", mail("m", body="two\r\n"))
        _, proof = self.verify()
        self.assertEqual((proof["identical"], proof["changed_since"]), (3, 2))  # the ledger knows that it was there
        self.state.unlink()
        run, proof = self.verify(code=1)
        self.assertEqual((proof["identical"], proof["missing"] + proof["different"]), (3, 1), run)
        self.assertEqual(run.mailbox["grade"], "poor")

    def test_what_its_owner_did_since_is_no_fault(self):
        self.fill(self.old, folder("INBOX", mails(6)))
        self.copy()
        self.do(self.new, b"SELECT INBOX", b"STORE 1 +FLAGS (\\Deleted)", b"EXPUNGE")
        self.append(self.new, "INBOX", mail("received since"))
        run, proof = self.verify(code=None)
        self.assertEqual((proof["identical"], proof["missing"], proof["different"]), (5, 0, 0), run)
        self.assertEqual(proof["changed_since"], 2, run)
        self.assertEqual(run.code, 0, run)

    def test_rules_hold_for_verify(self):
        self.fill(self.old, folder("INBOX", mails(3)), folder("Skip", mails(2, "skip")))
        self.copy("--exclude", "Skip")
        run, proof = self.verify("--exclude", "Skip")
        self.assertEqual((proof["identical"], proof["missing"], run.messages["skipped"]), (3, 0, 2), run)

    def test_pass_verify_is_the_same(self):
        self.fill(self.old, folder("INBOX", mails(3)))
        self.copy()
        run = self.copy("--pass", "verify")
        self.assertEqual((run.mailbox["verify"]["identical"], run.mailbox["pass"]), (3, "verify"))


class BadPlaces(PairCase):
    """One end is not what it should be: exit code, reason, advice; nothing is changed."""

    def setUp(self):
        super().setUp()
        self.fill(self.old, folder("INBOX", mails(2)))

    def bad(self, source=None, target=None, code=3, words=(), phase=None, cls=None, **more):
        run = self.run_program("copy", source or self.url(self.old, self.user), target or self.url(self.new, self.user), code=code, **more)
        for word in words:
            self.assertIn(word.lower(), run.text.lower())
        if phase:
            self.assertEqual(run.mailbox["stopped_by"]["phase"], phase, run)
        if cls:
            self.assertEqual(run.mailbox["stopped_by"]["class"], cls, run)
        self.assertEqual(self.content(self.new).messages(), 0)
        return run

    def test_an_unknown_host(self):
        for side in ("source", "target"):
            run = self.bad(**{side: f"imap://{self.user}@no-such-host.invalid?tls=off"}, words=(side, "no-such-host.invalid"), phase="resolve")
            self.assertTrue(run.mailbox["stopped_by"]["advice"], run)

    def test_a_refused_port(self):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            port = nobody.getsockname()[1]
            self.bad(target=f"imap://{self.user}@127.0.0.1:{port}?tls=off", words=("target", "refused", str(port), "check host and port"), phase="connect")

    def test_a_server_that_speaks_something_else(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            import threading

            def greet():
                for _ in range(20):
                    try:
                        peer, _ = listener.accept()
                    except OSError:
                        return
                    with peer:
                        peer.sendall(b"220 mail.example ESMTP\r\n")

            threading.Thread(target=greet, daemon=True).start()
            run = self.bad(source=f"imap://{self.user}@127.0.0.1:{listener.getsockname()[1]}?tls=off", code=3)
            self.assertIn("220 mail.example", run.text)

    def test_tls_to_a_port_without(self):
        self.bad(source=f"imaps://{self.user}@localhost:{self.old.imap_port}?ca={self.old.ca}", words=("tls",), phase="tls")

    def test_a_line_that_is_cut_at_once_each_time(self):
        with LineProxy(self.old.imap_port, cut_after=300, side="server") as line:
            run = self.bad(source=f"imap://{self.user}@127.0.0.1:{line.port}?tls=off", code=None)
        self.assertIn(run.code, (1, 3), run)
        self.assertEqual(run.mailbox["stopped_by"]["class"], "transient", run)


class Usage(Case):
    """Wrong usage: exit code 2, one sentence that helps, nothing started."""

    def wrong(self, *arguments, words=(), code=2):
        done = subprocess.run([program(), *map(str, arguments)], env=self.environment(), capture_output=True, text=True, cwd=self.folder,
                              stdin=subprocess.DEVNULL, timeout=120)
        self.assertEqual(done.returncode, code, done)
        text = done.stderr if code else done.stdout
        for word in words:
            self.assertIn(word, text)
        self.assertFalse((self.folder / "postferry.db").exists())
        self.assert_no_secret((done.stdout + done.stderr).encode(), "the output")
        return done

    def test_help_and_version(self):
        for command in ("copy", "migrate", "plan", "check", "verify"):
            self.wrong(command, "--help", code=0, words=("Usage: postferry " + command, "--state"))
        self.wrong("--help", code=0, words=("copy", "migrate", "verify"))
        self.wrong("--version", code=0, words=("postferry 0.",))

    def test_wrong_words(self):
        a, b = "imap://a@one.invalid", "imap://a@two.invalid"
        for arguments, words in (
                ((), ("copy", "migrate")), (("cpoy",), ("cpoy",)), (("copy", a), ("TARGET",)), (("copy", a, b, "third"), ("SOURCE and TARGET",)),
                (("copy", a, b, "--jobs", "0"), ("--jobs",)), (("copy", a, b, "--jobs", "many"), ("--jobs",)),
                (("copy", a, b, "--since", "yesterday"), ("--since", "2024-02-29")), (("copy", a, b, "--since", "2023-02-30"), ("--since",)),
                (("copy", a, b, "--max-size", "25XB"), ("--max-size",)), (("copy", a, b, "--map", "no arrow"), ("--map", "=>")),
                (("copy", a, b, "--map", "([=>x"), ("--map",)), (("copy", a, b, "--map", "a=>\\7"), ("--map",)),
                (("copy", a, b, "--pass", "fast"), ("sweep",)), (("copy", a, b, "--report", "x.txt"), (".html",)),
                (("copy", a, b, "--sample", "5"), ("verify",)), (("verify", a, b, "--delete-extra"), ("deletes nothing",)),
                (("copy", a, b, "--frobnicate"), ("--frobnicate",)), (("copy", a, b, "--log", "/nonexistent/x/y.log"), ("/nonexistent/x/y.log",))):
            with self.subTest(arguments):
                code = 5 if "--log" in arguments else 2
                self.wrong(*arguments, words=words, code=code)

    def test_wrong_urls(self):
        good = "imap://a@one.invalid"
        for url, words in ((f"imap://a:{PASSWORD.replace('/', '%2F')}@host", ("password", "--source-password-file")), ("ftp://a@host", ("scheme", "imap://")), ("imap://a@", ("host",)),
                           ("imap://a@host?tls=maybe", ("tls", "detect")), ("imap://a@host?colour=blue", ("colour",)), ("imap://host", ("user",)),
                           ("imap://a@host:99999", ("port",)), ("imap://a@ho st", ()), ("imap://a@host?auth=kerberos", ("auth",)),
                           ("imap://a@host?verify=pin:md5/xx", ("pin",)), ("nonsense", ())):
            with self.subTest(url):
                self.wrong("copy", url, good, words=words)

    def test_what_is_not_there_yet_is_refused_by_name(self):
        for command in ("bulletin", "dns", "cutover", "route", "ping"):
            with self.subTest(command):
                self.wrong(command, words=(command,))

    def test_reports_that_cannot_be_written_are_found_out_first(self):
        a, b = "imap://a@127.0.0.1:1", "imap://b@127.0.0.1:1"
        done = subprocess.run([program(), "copy", a, b, "--report", "/nonexistent/folder/r.json", "--state", self.state], env=self.environment(),
                              capture_output=True, text=True, timeout=120)
        self.assertIn(done.returncode, (2, 5), done)
        self.assertIn("/nonexistent/folder", done.stderr)
        self.assertNotIn("refused", done.stdout + done.stderr)


class Interrupted(PairCase):
    def setUp(self):
        super().setUp()
        self.fill(self.old, folder("INBOX", mails(120, size=20_000)), folder("Work", mails(60, "work", size=20_000)))

    def interrupt(self, number, code, *options):
        report = self.folder / "report.json"
        with LineProxy(self.old.imap_port, rate=400_000) as line:
            process = self.start("copy", f"imap://{self.user}@127.0.0.1:{line.port}?tls=off", self.url(self.new, self.user), *options, report=report)
            self.assertTrue(self.until(lambda: len(self.messages_on(self.new, "INBOX")) > 10), "messages are on their way")
            process.send_signal(number)
            out, err = process.communicate(timeout=120)
        run = self.judge(process.args, process.returncode, out, err, report, code)
        self.assertEqual(run.mailbox["state"], "interrupted", run)
        there = self.content(self.new)
        self.assertLess(there.messages(), 180)
        line = self.run_program("copy", f"imap://{self.user}@127.0.0.1:{self.old.imap_port}?tls=off", self.url(self.new, self.user))
        self.assertEqual(line.messages["residual"], 0, line)
        self.assert_same()
        return run, there.messages(), line

    def test_ctrl_c(self):
        run, arrived, again = self.interrupt(signal.SIGINT, 130)
        self.assertIn("run it again", run.out)
        self.assertEqual(run.messages["copied"], arrived, run)

    def test_terminated(self):
        self.interrupt(signal.SIGTERM, 143)

    def test_interrupted_with_events(self):
        run, _, _ = self.interrupt(signal.SIGINT, 130, "--json")
        self.assertEqual(run.events[-1]["exit_code"], 130)

    def test_while_it_connects(self):
        with LineProxy(self.old.imap_port, stall_after=0, side="server") as line:
            process = self.start("copy", f"imap://{self.user}@127.0.0.1:{line.port}?tls=off", self.url(self.new, self.user))
            self.assertTrue(self.until(lambda: self.state.exists()))
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130)

    def test_while_the_target_is_silent(self):
        for octets in (800, 1200, 1600):
            with self.subTest(octets), LineProxy(self.new.imap_port, stall_after=octets, side="server") as line:
                process = self.start("plan" if octets == 800 else "copy", self.url(self.old, self.user), f"imap://{self.user}@127.0.0.1:{line.port}?tls=off")
                self.assertTrue(self.until(lambda: self.heeds(process, signal.SIGINT)))
                time.sleep(0.4)
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=120)
                self.assertEqual(process.returncode, 130)

    def test_a_verification(self):
        self.copy()
        with LineProxy(self.new.imap_port, rate=200_000) as line:  # 18 s
            process = self.start("verify", self.url(self.old, self.user), f"imap://{self.user}@127.0.0.1:{line.port}?tls=off", "--json")
            for event in process.stdout:
                if json.loads(event).get("state") == "copying":
                    break
            process.send_signal(signal.SIGINT)
            started = time.monotonic()
            process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130)
        self.assertLess(time.monotonic() - started, 10)

    def test_twice_at_once_ends_at_once(self):
        with LineProxy(self.new.imap_port, stall_after=2000, side="server") as line:
            process = self.start("copy", self.url(self.old, self.user), f"imap://{self.user}@127.0.0.1:{line.port}?tls=off")
            self.assertTrue(self.until(lambda: self.state.exists()))
            time.sleep(0.5)
            for _ in range(2):
                process.send_signal(signal.SIGINT)
                time.sleep(0.2)
            process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(self.copy().messages["residual"], 0)
        self.assert_same()


if __name__ == "__main__":
    unittest.main()
