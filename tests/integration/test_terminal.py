"""What a person sees and does: the table on a real terminal, Ctrl-C, a terminal that is closed, pipes that end early, full disks."""

import fcntl
import pathlib
import pty
import socket
import struct
import sys
import termios
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403
from lab.proxy import LineProxy  # noqa: E402


def setUpModule():
    need_servers()


class Terminal:
    """A process on a terminal of its own, and what its screen shows."""

    def __init__(self, line: list[str], environment: dict, where: pathlib.Path, columns: int = 80, rows: int = 24):
        self.master, slave = pty.openpty()
        self.resize(columns, rows)
        self.process = subprocess.Popen(line, env=environment, cwd=where, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.octets = b""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            try:
                chunk = os.read(self.master, 65536)
            except OSError:
                return  # EIO: nobody is at the other end
            if not chunk:
                return
            self.octets += chunk

    def resize(self, columns: int, rows: int):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes):
        os.write(self.master, keys)

    def wait(self, seconds: float = 120) -> int:
        code = self.process.wait(seconds)
        self.reader.join(5)
        return code

    def text(self) -> str:
        return self.octets.decode(errors="replace")

    def screen(self) -> list[str]:
        """The lines, after the few escape sequences that the program uses."""
        lines, row = [""], 0
        for piece in re.findall(r"\x1b\[\d*[A-Z]|\n|\r|[^\x1b\r\n]+", self.text()):
            if piece == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
                lines[row] = ""
            elif piece.endswith("F") and piece.startswith("\x1b"):
                row = max(0, row - int(piece[2:-1]))
                lines[row] = ""
            elif piece == "\x1b[J":
                lines[row:] = [""]
            elif not piece.startswith("\x1b") and piece != "\r":
                lines[row] += piece
        return lines


class OnATerminal(PairCase):
    def terminal(self, *arguments, report=None, **options) -> Terminal:
        terminal = Terminal(self.command(*arguments, report=report), self.environment(), self.folder, **options)

        def end():
            if terminal.process.poll() is None:
                terminal.process.kill()
            terminal.process.wait()

        self.addCleanup(end)
        return terminal

    def slow(self, rate: int) -> str:
        """The old server behind a slow line."""
        line = LineProxy(self.old.imap_port, rate=rate)
        line.__enter__()
        self.addCleanup(line.__exit__, None, None, None)
        return f"imap://{self.user}@127.0.0.1:{line.port}?tls=off"

    def silent(self) -> str:
        """A server that takes connections and says nothing."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        return f"imap://{self.user}@127.0.0.1:{listener.getsockname()[1]}?tls=off"

    def test_the_table_does_not_eat_the_end_of_a_document(self):
        self.fill(self.old, folder("INBOX", mails(3)))
        for command, last in (("check", "  ready"), ("plan", "  1 folder, 3 messages")):
            with self.subTest(command):
                terminal = self.terminal(command, self.slow(2000), self.url(self.new, self.user))
                self.assertEqual(terminal.wait(), 0, terminal.text())
                self.assertIn("0 of 1 mailbox done", terminal.text(), "a table was there")
                shown = [line for line in terminal.screen() if line]
                self.assertTrue(shown[-1].startswith(last), shown)
                self.assertFalse([line for line in shown if "mailbox done" in line], "and went away")

    def test_the_clock_goes_on_while_a_server_is_silent(self):
        terminal = self.terminal("check", self.silent(), self.url(self.new, self.user))
        self.assertTrue(self.until(lambda: "done, 2." in terminal.text()), terminal.text())
        self.assertIn("connecting", terminal.text())

    def test_ctrl_c_ends_a_check_that_waits(self):
        for command in ("check", "plan"):
            with self.subTest(command):
                terminal = self.terminal(command, self.silent(), self.url(self.new, self.user))
                self.assertTrue(self.until(lambda: "connecting" in terminal.text()), terminal.text())
                terminal.type(b"\x03")
                self.assertEqual(terminal.wait(), 130, terminal.text())

    def test_a_closed_terminal_is_a_request_to_stop(self):
        self.fill(self.old, folder("INBOX", mails(120, size=20_000)))
        report = self.folder / "report.json"
        terminal = self.terminal("copy", self.slow(150_000), self.url(self.new, self.user), report=report)
        self.assertTrue(self.until(lambda: len(self.messages_on(self.new, "INBOX")) > 5), terminal.text())
        os.close(terminal.master)
        self.assertEqual(terminal.wait(), 143)
        written = json.loads(report.read_text())
        self.assertEqual(written["mailboxes"][0]["state"], "interrupted", written)
        run = self.copy()
        self.assertEqual(run.messages["source"], 120, run)
        self.assert_same()

    def test_the_table_follows_the_size_of_the_terminal(self):
        self.fill(self.old, folder("INBOX", mails(50, size=20_000)))
        terminal = self.terminal("copy", self.slow(80_000), self.url(self.new, self.user), columns=150)
        self.assertTrue(self.until(lambda: "copying" in terminal.text()), terminal.text())
        terminal.resize(60, 24)
        # Only a narrow table has a line of its own for the folder.
        self.assertTrue(self.until(lambda: "\n  INBOX" in terminal.text()), terminal.text())

    def test_what_failed_is_named_while_the_others_run(self):
        other = next(self.users)
        for user in (self.user, other):
            self.fill(self.old, folder("INBOX", mails(20, size=20_000)), user=user)
        csv = self.folder / "two.csv"
        csv.write_text("source_user,source_password,target_user,target_password\n"
                       f"{self.user},{PASSWORD},{self.user},{PASSWORD}\n{other},wrong,{other},{PASSWORD}\n")
        slow = self.slow(100_000).replace(f"{self.user}@", "")
        target = f"imap://{self.new.host}:{self.new.imap_port}?tls=off"
        terminal = self.terminal("migrate", csv, "--source", slow, "--target", target)
        self.assertTrue(self.until(lambda: "refused the login" in terminal.text()), terminal.text())
        self.assertIsNone(terminal.process.poll(), "the other one is still under way")
        self.assertIn("1 with failures", terminal.text())
        self.assertEqual(terminal.wait(), 1, terminal.text())


class IntoAPipe(PairCase):
    def setUp(self):
        super().setUp()
        self.fill(self.old, folder("INBOX", mails(3)))

    def ended(self, stdout, *arguments):
        return subprocess.run(self.command(*arguments), env=self.environment(), cwd=self.folder, stdout=stdout, stderr=subprocess.PIPE,
                              text=True, timeout=60, stdin=subprocess.DEVNULL)

    def test_a_reader_that_has_seen_enough_is_no_failure(self):
        self.copy()
        for command in (("report",), ("--help",), ("copy", self.url(self.old, self.user), self.url(self.new, self.user), "--json")):
            with self.subTest(command):
                reading, writing = os.pipe()
                os.close(reading)
                done = self.ended(writing, *command) if command[0] != "--help" else subprocess.run(
                    [program(), "--help"], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60)
                os.close(writing)
                self.assertEqual((done.returncode, done.stderr), (0, ""), done)

    def test_a_full_disk_below_standard_output_is_one(self):
        ends = (self.url(self.old, self.user), self.url(self.new, self.user))
        for command in (("copy", *ends), ("copy", *ends, "--json"), ("plan", *ends), ("report",)):
            with self.subTest(command), open("/dev/full", "w") as full:
                done = self.ended(full, *command)
                self.assertEqual(done.returncode, 5, done)
                self.assertIn("standard output could not be written: No space left on device", done.stderr)

    def test_a_log_that_ends_in_the_middle_is_one(self):
        done = self.ended(subprocess.DEVNULL, "copy", self.url(self.old, self.user), self.url(self.new, self.user), "--log", "/dev/full")
        self.assertEqual(done.returncode, 5, done)
        self.assertEqual(done.stderr.count("the log is not complete, it could not be written: No space left on device"), 1, done)
        self.assertEqual(self.ended(subprocess.DEVNULL, "copy", self.url(self.old, self.user), self.url(self.new, self.user)).returncode, 0)

    @unittest.skipUnless(works("unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"), "nothing can be mounted here")
    def test_a_report_that_could_not_be_written_is_not_named_as_written(self):
        place = self.folder / "full"
        place.mkdir()
        line = self.command("copy", self.url(self.old, self.user), self.url(self.new, self.user), report=place / "r.json")
        done = subprocess.run(["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=4k none "$0" && exec "$@"', place, *line], text=True,
                              env=self.environment(), cwd=self.folder, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 5, done)
        self.assertIn("No space left on device", done.stderr)
        self.assertIn("3 copied", done.stdout)
        self.assertNotIn("Report:", done.stdout)

    def test_names_are_found_as_people_write_them(self):
        self.copy()
        self.assertEqual(self.ended(subprocess.DEVNULL, "report", self.user.upper()).returncode, 0)
        self.assertEqual(self.ended(subprocess.DEVNULL, "report", "nobody").returncode, 1)


class AsPrinted(Case):
    """Commands that people copy from the README and from --help."""

    def examples(self):
        texts = [line[2:] for line in self.joined((ROOT / "README.md").read_text()) if line.startswith("$ postferry ")]
        self.assertGreater(len(texts), 8)
        for command in ("copy", "migrate", "plan", "check", "verify", "report"):
            said = subprocess.run([program(), command, "--help"], capture_output=True, text=True, check=True).stdout
            found = [line.strip() for line in self.joined(said.partition("Examples:")[2]) if line.startswith("  postferry ")]
            self.assertTrue(found, command)
            texts += found
        return texts

    @staticmethod
    def joined(text: str) -> list[str]:
        return text.replace("\\\n", " ").splitlines()

    @unittest.skipUnless(works("unshare", "-n", "true"), "needs the right to be without a network")
    def test_they_are_understood(self):
        (self.folder / "accounts.csv").write_text("source_user,source_password,target_user,target_password\n"
                                                  "alice@example.org,old-secret,alice@example.org,new-secret\n")
        for name in ("root.txt", "old.txt", "new.txt"):
            (self.folder / name).write_text("secret\n")
        folder = pathlib.Path(program()).parent
        for text in self.examples():
            with self.subTest(text):
                # Without a network: nobody is reached, and that is all that is wrong.
                done = subprocess.run(["unshare", "-n", "bash", "-c", text], cwd=self.folder, capture_output=True, text=True, timeout=60,
                                      env=self.environment(PATH=f"{folder}:{os.environ['PATH']}"), stdin=subprocess.DEVNULL)
                self.assertNotIn("Try: postferry", done.stderr)
                if text.startswith("postferry serve"):
                    self.assertIn("postferry.toml: cannot be read", done.stderr)  # it would run for ever with one
                elif text.startswith("postferry user add"):
                    self.assertIn("there is no terminal to ask for the password", done.stderr)
                elif not text.startswith("postferry report"):
                    self.assertEqual(done.returncode, 3, done)


class ForShells(Case):
    def test_bash_completes_commands_options_and_values(self):
        script = self.folder / "completion"
        script.write_bytes(subprocess.run([program(), "completion", "bash"], capture_output=True, check=True).stdout)

        def offers(*words: str) -> set[str]:
            ask = ('source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _postferry; printf "%s\\n" "${COMPREPLY[@]}"')
            done = subprocess.run(["bash", "-uc", ask, script, "postferry", *words], capture_output=True, text=True, cwd=self.folder, timeout=120)
            self.assertEqual((done.returncode, done.stderr), (0, ""), done)
            return set(done.stdout.split())

        self.assertLessEqual({"copy", "migrate", "plan", "check", "verify", "report", "completion"}, offers(""))
        self.assertEqual(offers("comp"), {"completion"})
        self.assertEqual(offers("completion", ""), {"bash", "zsh", "fish"})
        self.assertEqual(offers("copy", "--excl"), {"--exclude"})
        self.assertEqual(offers("report", "--excl"), set())
        self.assertEqual(offers("copy", "--pass", "b"), {"bulk"})
        self.assertIn("gmail", offers("migrate", "--preset", ""))
        self.assertEqual(offers("copy", "--jobs", ""), set())
        (self.folder / "accounts.csv").touch()
        self.assertIn("accounts.csv", offers("migrate", "acc"))
        self.assertIn("accounts.csv", offers("migrate", "--waive", "acc"))
        self.assertLessEqual({"batch", "mailbox", "user", "serve"}, offers(""))
        self.assertLessEqual({"create", "start", "watch"}, offers("batch", ""))
        self.assertEqual(offers("batch", "sta"), {"start", "status"})
        self.assertEqual(offers("batch", "create", "spring", "--mode", "u"), {"upsert"})
        self.assertEqual(offers("batch", "status", "--tok"), {"--token-file"})
        self.assertEqual(offers("batch", "set", "spring", "--jobs", ""), set())
        self.assertIn("accounts.csv", offers("batch", "import", "spring", "acc"))
        self.assertIn("accounts.csv", offers("user", "add", "anna", "--password-file", "acc"))
        self.assertEqual(offers("log", "--level", "w"), {"warning"})

    def test_other_shells_read_their_scripts(self):
        for shell in ("zsh", "fish"):
            with self.subTest(shell):
                script = subprocess.run([program(), "completion", shell], capture_output=True, check=True).stdout
                self.assertIn(b"--exclude" if shell == "zsh" else b"-l exclude", script)
                if shutil.which(shell):
                    done = subprocess.run([shell, "-n"], input=script, capture_output=True, timeout=120)
                    self.assertEqual((done.returncode, done.stderr), (0, b""), done)

    def test_the_manual_is_up_to_date(self):
        page = subprocess.run([program(), "man"], capture_output=True, check=True, text=True).stdout
        kept = ROOT / "docs" / "man" / "postferry.1"
        self.assertEqual(page, kept.read_text(), f"write it again: postferry man > {kept.relative_to(ROOT)}")


if __name__ == "__main__":
    unittest.main()
