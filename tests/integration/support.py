"""What the tests of Postferry against real servers share: a pair of servers per class, one user per test, and a run of
the program that holds every promise that any run must keep (a report that adds up, no secrets in any output)."""

import base64
import collections
import functools
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import jsonschema

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from lab import digest, memory, samples  # noqa: E402
from lab.dovecot import Dovecot, start_pair  # noqa: E402
from lab.imap_client import Append, connect, encode_name, parse, quote  # noqa: E402

SHM = memory.folder()
PASSWORD = "Zauber-Wort/7+x"
TALLY = ("source", "copied", "present", "skipped", "failed")
_numbers = itertools.count(1)


def program() -> str:
    named = os.environ.get("POSTFERRY")
    if named:
        return named
    built = sorted(ROOT.glob("build/*/postferry"), key=lambda path: path.stat().st_mtime)
    if not built:
        raise unittest.SkipTest("postferry is not built")
    return str(built[-1])


def need_servers() -> None:
    """For setUpModule."""
    if os.geteuid() != 0 or not shutil.which("dovecot", path=os.environ["PATH"] + ":/usr/sbin"):
        raise unittest.SkipTest("needs Dovecot and root")


@functools.cache
def works(*line: str) -> bool:
    """Whether this may be done here: in many containers even root may not unshare, mount or trace."""
    try:
        return subprocess.run(line, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0
    except FileNotFoundError:
        return False


def mail(subject: str, body: str = "", *, flags=(), date: str = "03-Mar-2021 10:20:30 +0100", message_id: str | None = None,
         size: int = 0) -> Append:
    """A message whose Message-ID follows from its subject; size pads it to about so many octets."""
    identity = f"<{subject.replace(' ', '.')}@integration.example>" if message_id is None else message_id
    head = f"From: a@old.example\r\nSubject: {subject}\r\n" + (f"Message-ID: {identity}\r\n" if identity else "")
    text = body or f"text of {subject}\r\n"
    text += "".join("=" * 78 + "\r\n" for _ in range(max(0, size - len(head) - len(text)) // 80))
    return Append((head + "\r\n" + text).encode(), tuple(flags), date)


def mails(count: int, word: str = "letter", **options) -> list[Append]:
    return [mail(f"{word} {number}", **options) for number in range(1, count + 1)]


def folder(name: str, messages=(), *, subscribed: bool = False) -> samples.Folder:
    """name: levels joined by "/"."""
    return samples.Folder(tuple(name.split("/")), lambda: list(messages), subscribed)


@functools.cache
def validator(kind: str) -> jsonschema.Draft202012Validator:
    """kind: report, plan, check or event."""
    schemas = [json.loads(path.read_text()) for path in sorted((ROOT / "docs" / "schema").glob("*.schema.json"))]
    by_id = {one["$id"]: one for one in schemas}
    (mine,) = [one for one in schemas if one["$id"].endswith(f"/{kind}.schema.json")]
    return jsonschema.Draft202012Validator(mine, resolver=jsonschema.RefResolver(mine["$id"], mine, store=by_id))


def adds_up(report: dict) -> list[str]:
    """Says where a report's sums do not close."""
    wrong = []

    def check(what: str, one: dict) -> None:
        messages = one["messages"]
        if messages["source"] != sum(messages[k] for k in TALLY[1:]) + messages["residual"]:
            wrong.append(f"{what}: {messages}")

    def total(what: str, parts: list[dict], whole: dict) -> None:
        for kind, names in (("messages", (*TALLY, "residual")), ("bytes", TALLY)):
            for name in names:
                if sum(part[kind][name] for part in parts) != whole[kind][name]:
                    wrong.append(f"{what}: {kind} {name} is {whole[kind][name]}, the parts make "
                                 f"{sum(part[kind][name] for part in parts)}")

    for mailbox in report["mailboxes"]:
        check(mailbox["source"], mailbox)
        for one in mailbox["folders"]:
            check(f'{mailbox["source"]} {one["source"]}', one)
        total(mailbox["source"], mailbox["folders"], mailbox)
    total("totals", report["mailboxes"], report["totals"])
    check("totals", report["totals"])
    if report["totals"]["mailboxes"] != len(report["mailboxes"]):
        wrong.append("totals: mailboxes")
    return wrong


class Run:
    """One run of Postferry that has ended."""

    def __init__(self, code: int, out: str, err: str, report: dict | None, arguments: list[str]):
        self.code, self.out, self.err, self.report, self.arguments = code, out, err, report, arguments

    @property
    def text(self) -> str:
        return self.out + self.err

    @property
    def mailbox(self) -> dict:
        """The report's only mailbox."""
        (one,) = self.report["mailboxes"]
        return one

    @property
    def messages(self) -> dict:
        return self.mailbox["messages"]

    @property
    def events(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines()]

    def folder(self, source: str) -> dict:
        (one,) = [one for one in self.mailbox["folders"] if one["source"] == source]
        return one

    def __str__(self) -> str:
        return f"{' '.join(self.arguments)}\nexit {self.code}\n{self.out}\n{self.err}\n{json.dumps(self.report, indent=1)}"


class Case(unittest.TestCase):
    """A test with a folder of its own and Postferry at hand."""

    longMessage = True
    maxDiff = None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pf-integ-", dir=SHM))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.state = self.folder / "state.db"
        self.secrets = [PASSWORD]

    @classmethod
    def server_folder(cls) -> str:
        where = tempfile.mkdtemp(prefix="pf-servers-", dir=SHM)
        cls.addClassCleanup(shutil.rmtree, where, ignore_errors=True)
        return where

    def server(self, **options) -> Dovecot:
        """A server for this test alone."""
        where = tempfile.mkdtemp(prefix="pf-server-", dir=SHM)
        self.addCleanup(shutil.rmtree, where, ignore_errors=True)
        server = Dovecot(where, users={"anna": PASSWORD}, **options)
        self.addCleanup(server.stop)
        return server

    # -- running ------------------------------------------------------------------------------------------------

    def environment(self, **changes) -> dict:
        # An installed Postferry's configuration is none of the tests' business.
        environment = {**os.environ, "POSTFERRY_SOURCE_PASSWORD": PASSWORD, "POSTFERRY_TARGET_PASSWORD": PASSWORD,
                       "POSTFERRY_CONFIG": "", **changes}
        return {name: value for name, value in environment.items() if value is not None}

    def command(self, *arguments, report: pathlib.Path | None = None, state: pathlib.Path | None = None) -> list[str]:
        line = [program(), *map(str, arguments)]
        if "--state" not in line:
            line += ["--state", str(state or self.state)]
        return line + (["--report", str(report)] if report else [])

    def run_program(self, *arguments, code: int | None = 0, environment: dict | None = None, kind: str | None = None,
                    seconds: float = 240) -> Run:
        """Runs `postferry ARGUMENTS` with a ledger and a report and judges what any run must keep.

        code: the expected exit code, None: any.  kind: the report's schema (report, plan, check).
        """
        report = self.folder / f"report-{next(_numbers)}.json"
        line = self.command(*arguments, report=report)
        done = subprocess.run(line, env=environment or self.environment(), capture_output=True, timeout=seconds,
                              cwd=self.folder, stdin=subprocess.DEVNULL)
        return self.judge(line, done.returncode, done.stdout, done.stderr, report, code, kind)

    def judge(self, line, returned, out, err, report, code=0, kind=None) -> Run:
        written = report.read_text() if report.exists() else None
        run = Run(returned, out.decode(), err.decode(), json.loads(written) if written else None, line[1:])
        for text, where in ((run.out, "standard output"), (run.err, "standard error"), (written or "", "the report")):
            self.assert_no_secret(text.encode(), where)
        if code is not None:
            self.assertEqual(run.code, code, run)
        if run.report is not None:
            dry = "--dry-run" in line
            kind = kind or {"plan": "plan", "check": "check"}.get(line[1], "plan" if dry else "report")
            validator(kind).validate(run.report)
            if kind == "report":
                self.assertEqual(adds_up(run.report), [], run)
        if "--json" in line:
            for event in run.events:
                validator("event").validate(event)
        return run

    def assert_no_secret(self, octets: bytes, where: str) -> None:
        for secret in self.secrets:
            raw = secret.encode()
            # Base64 of something that holds the secret: one of three alignments, less what neighbours decide.
            forms = [raw] + [base64.b64encode(b"\0" * shift + raw)[4 if shift else 0:][:-4] for shift in range(3)]
            for form in forms:
                self.assertNotIn(form, octets, f"a secret is in {where}")

    def start(self, *arguments, report: pathlib.Path | None = None, **options) -> subprocess.Popen:
        """Postferry in the background; ended with the test at the latest."""
        process = subprocess.Popen(self.command(*arguments, report=report), env=self.environment(), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, cwd=self.folder, stdin=subprocess.DEVNULL, **options)

        def end():
            if process.poll() is None:
                process.kill()
            process.communicate()

        self.addCleanup(end)
        return process

    @staticmethod
    def heeds(process: subprocess.Popen, number: int) -> bool:
        """Whether it would catch this signal: until it does, the signal ends it without a word."""
        caught = re.search(r"SigCgt:\s*(\w+)", pathlib.Path(f"/proc/{process.pid}/status").read_text())
        return bool(caught and int(caught[1], 16) >> (number - 1) & 1)

    @staticmethod
    def until(condition, seconds: float = 120) -> bool:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True


class PairCase(Case):
    """Two servers for the class, a fresh user for each test: self.user, on self.old and self.new."""

    source: dict = {}
    target: dict = {}
    spare_users = 40

    @classmethod
    def setUpClass(cls):
        # All of them beforehand: Dovecot looks at its file of users at most once a second.
        users = {f"user{number}": PASSWORD for number in range(cls.spare_users)}
        cls.users = iter(users)
        cls.old, cls.new = start_pair(cls.server_folder(), users=users, source=cls.source, target=cls.target)
        cls.addClassCleanup(cls.new.stop)
        cls.addClassCleanup(cls.old.stop)
        cls.map = staticmethod(digest.default_map(cls.old, cls.new))

    def setUp(self):
        super().setUp()
        self.user = next(self.users)

    @staticmethod
    def url(server: Dovecot, user: str, query: str = "tls=off") -> str:
        return f"imap://{user}@{server.host}:{server.imap_port}" + (f"?{query}" if query else "")

    def fill(self, server: Dovecot, *folders: samples.Folder, user: str | None = None) -> int:
        return samples.fill(server, user or self.user, list(folders))

    def append(self, server: Dovecot, name: str, *messages: Append) -> None:
        with connect(server, self.user) as client:
            client.append(name, messages)

    def do(self, server: Dovecot, *commands: bytes) -> list:
        """Runs commands as the user; returns the last one's responses."""
        with connect(server, self.user) as client:
            return [client.command(command) for command in commands][-1]

    def postferry(self, command: str, *options, code: int | None = 0, user: str | None = None, **more) -> Run:
        user = user or self.user
        return self.run_program(command, self.url(self.old, user), self.url(self.new, user), *options, code=code, **more)

    def copy(self, *options, **more) -> Run:
        return self.postferry("copy", *options, **more)

    def content(self, server: Dovecot, user: str | None = None) -> digest.Content:
        return digest.mailbox_content(server, user or self.user)

    def messages_on(self, server: Dovecot, name: str) -> list[digest.Message]:
        return self.content(server).folders[name]

    def subjects(self, server: Dovecot, name: str) -> collections.Counter:
        """How often each subject is in a folder."""
        with connect(server, self.user) as client:
            client.command(b"EXAMINE " + quote(encode_name(name)))
            found = client.command(b"UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        heads = [part for parts in found for part in parts[1:2]]
        return collections.Counter(head.decode().partition(":")[2].strip() for head in heads)

    def flags(self, server: Dovecot, name: str) -> dict[str, set[str]]:
        """subject -> flags."""
        with connect(server, self.user) as client:
            client.command(b"EXAMINE " + quote(encode_name(name)))
            found = client.command(b"UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        out = {}
        for parts in found:
            if b" FETCH (" not in parts[0]:
                continue
            items = parse(parts)[3]
            fields = dict(zip(items[::2], items[1::2]))
            head = next(part for part in parts[1:] if part.lower().startswith(b"subject:"))
            out[head.decode().partition(":")[2].strip()] = {f.decode() for f in fields[b"FLAGS"]} - {"\\Recent"}
        return out

    def differences(self, user: str | None = None, **options) -> list[str]:
        return digest.compare(self.content(self.old, user), self.content(self.new, user), self.map,
                              **{"subscriptions": True, **options})

    def assert_same(self, user: str | None = None, **options) -> None:
        self.assertEqual(self.differences(user, **options), [])

    def assert_nothing_new(self, *options) -> Run:
        """A re-run copies nothing and leaves the target as it is."""
        before = self.content(self.new)
        run = self.copy(*options)
        self.assertEqual(run.messages["copied"], 0, run)
        self.assertEqual(run.mailbox["flags_updated"], 0, run)
        after = self.content(self.new)
        self.assertEqual(after.folders, before.folders)
        return run


__all__ = ["Append", "Case", "Dovecot", "PASSWORD", "PairCase", "ROOT", "Run", "SHM", "TALLY", "connect", "digest", "encode_name",
           "folder", "json", "mail", "mails", "need_servers", "os", "parse", "pathlib", "program", "quote", "re", "samples",
           "shutil", "signal", "start_pair", "subprocess", "tempfile", "time", "unittest", "validator", "works"]
