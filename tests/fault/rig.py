"""What the fault tests share: servers, runs of the program, and the proof."""

import concurrent.futures
import dataclasses
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from lab import digest, memory, samples  # noqa: E402
from lab.dovecot import start_pair  # noqa: E402

TEMPORARY = memory.folder()
SEED = int(os.environ.get("POSTFERRY_FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
PASSWORD = "fault-secret"


def program() -> str:
    """POSTFERRY, or the newest build in this repository."""
    named = os.environ.get("POSTFERRY")
    if named:
        return named
    built = sorted(ROOT.glob("build/*/postferry"), key=lambda path: path.stat().st_mtime)
    if not built:
        raise RuntimeError("postferry is not built: cmake --build --preset dev --target postferry")
    return str(built[-1])


def require_lab() -> None:
    if os.geteuid() != 0 or not shutil.which("dovecot", path=os.environ["PATH"] + ":/usr/sbin"):
        raise unittest.SkipTest("needs Dovecot and root")


@dataclasses.dataclass
class Run:
    """How a run of the program ended."""

    code: int
    text: str                # what it wrote
    report: dict | None      # of the one mailbox
    seconds: float

    def said(self) -> str:
        return f"exit {self.code} after {self.seconds:.1f} s\n{self.text[-3000:]}"


class Copy:
    """One mailbox's way from `source` to `target` with a ledger of its own. `source` and `target` are ports."""

    def __init__(self, folder, source: int, target: int, user: str, to: str | None = None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.source, self.target, self.user, self.to = source, target, user, to or user
        self.ledger = self.folder / "ledger.db"
        self.report = self.folder / "report.json"
        self._runs = 0

    def start(self, *options: str, source: int | None = None, target: int | None = None) -> subprocess.Popen:
        self.report.unlink(missing_ok=True)
        self._runs += 1
        arguments = [program(), "copy", f"imap://{self.user}@127.0.0.1:{source or self.source}?tls=off&auth=plain",
                     f"imap://{self.to}@127.0.0.1:{target or self.target}?tls=off&auth=plain",
                     "--state", str(self.ledger), "--report", str(self.report),
                     "--log", str(self.folder / f"log-{self._runs}"), *options]
        environment = {**os.environ, "POSTFERRY_SOURCE_PASSWORD": PASSWORD, "POSTFERRY_TARGET_PASSWORD": PASSWORD}
        self._began = time.monotonic()
        return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                env=environment, text=True, errors="replace")

    def finish(self, process: subprocess.Popen, patience: float = 300) -> Run:
        try:
            text, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            text, _ = process.communicate()
            text += f"\n(killed by the test after {patience} s)"
        report = json.loads(self.report.read_text())["mailboxes"][0] if self.report.exists() else None
        return Run(process.returncode, text, report, time.monotonic() - self._began)

    def run(self, *options: str, source: int | None = None, target: int | None = None, patience: float = 300) -> Run:
        return self.finish(self.start(*options, source=source, target=target), patience)

    def run_killed_by(self, arm, *options: str, source: int | None = None, target: int | None = None) -> Run:
        """`arm` is given a function that kills the program with SIGKILL; it may be called at any time, twice too."""
        gate = threading.Lock()
        found: list[subprocess.Popen] = []

        def kill() -> None:
            with gate:
                os.kill(found[0].pid, signal.SIGKILL)

        gate.acquire()
        arm(kill)
        found.append(self.start(*options, source=source, target=target))
        gate.release()
        return self.finish(found[0])


class Pair(unittest.TestCase):
    """An old server whose user "anna" has the small sample, and a new one with as many empty users as are needed.

    Subclasses may set SOURCE and TARGET (options of the servers) and SAMPLE.
    """

    SOURCE: dict = {}
    TARGET: dict = {}
    SAMPLE = staticmethod(samples.small)

    @classmethod
    def setUpClass(cls):
        if cls is Pair:
            raise unittest.SkipTest("a base")
        require_lab()
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="pf-fault-", dir=TEMPORARY))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        users = {"anna": PASSWORD} | {f"u{number:03}": PASSWORD for number in range(1, 100)}
        cls.old, cls.new = start_pair(cls.folder, users=users, source=cls.SOURCE,
                                      target={"special_auto": "create", **cls.TARGET})
        cls.addClassCleanup(cls.new.stop)
        cls.addClassCleanup(cls.old.stop)
        samples.fill(cls.old, "anna", cls.SAMPLE())
        cls.before = digest.tree_digest(cls.old.store("anna"))
        cls.expected = digest.mailbox_content(cls.old, "anna")
        cls.map = staticmethod(digest.default_map(cls.old, cls.new))
        cls.random = random.Random(f"{SEED} {cls.__name__}")
        cls._users = 0
        cls._gate = threading.Lock()
        print(f"\n{cls.__name__}: POSTFERRY_FAULT_SEED={SEED}", file=sys.stderr, flush=True)

    @classmethod
    def tearDownClass(cls):
        if cls is not Pair and digest.tree_digest(cls.old.store("anna")) != cls.before:
            raise AssertionError("the source was changed")

    def new_copy(self, name: str = "") -> Copy:
        """A copy from anna to a new empty user."""
        cls = type(self)
        with cls._gate:
            cls._users += 1
            user = f"u{cls._users:03}"
        return Copy(self.folder / f"{user}{name}", self.old.imap_port, self.new.imap_port, "anna", user)

    def differences(self, copy: Copy, **options) -> list[str]:
        """What is lost, twice or altered on the target."""
        return digest.compare(self.expected, digest.mailbox_content(self.new, copy.to), self.map, subscriptions=True,
                              **options)

    def assert_identical(self, copy: Copy, run: Run | None = None) -> None:
        found = self.differences(copy)
        self.assertEqual(found, [], run.said() if run else "")

    def assert_done(self, copy: Copy, run: Run) -> None:
        """Exit code 0, a balance sheet that closes, everything there once."""
        self.assertEqual(run.code, 0, run.said())
        self.assertEqual(run.report["messages"]["residual"], 0, run.said())
        self.assertEqual(run.report["messages"]["source"], self.expected.messages(), run.said())
        self.assert_identical(copy, run)

    def every(self, cases, work, hands: int = 3) -> None:
        """Calls work(case) for every case, a few at a time; all failures are told, each with its case."""
        failures = []

        def one(case) -> None:
            try:
                work(case)
            except Exception as failure:  # noqa: BLE001: told below
                failures.append(f"--- {case}\n{failure}")

        with concurrent.futures.ThreadPoolExecutor(hands) as pool:
            list(pool.map(one, cases))
        if failures:
            self.fail(f"{len(failures)} of {len(cases)} failed, POSTFERRY_FAULT_SEED={SEED}\n" + "\n".join(failures))
