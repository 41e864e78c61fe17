"""A running service: one store, one `postferry serve`, any number of `postferry worker`s, all below one folder.

    with Service(folder, program=program()) as service:
        service.serve()
        service.call("POST", "/batches", {"name": "one"})
        worker = service.worker("w1"); worker.kill()

The requests go over the local socket, so they are the owner's (peer credentials); Service.over_tcp() asks as anybody.
"""

import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time

LEASE = 15  # seconds; the least that the configuration takes


class Refused(Exception):
    """The service answered with something else than success."""

    def __init__(self, answer: "Answer", what: str):
        super().__init__(f"{what}: {answer.status} {answer.text[:2000]}")
        self.answer = answer


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict[str, str]  # names in lower case; of several with one name the last
    octets: bytes

    @property
    def text(self) -> str:
        return self.octets.decode(errors="replace")

    @property
    def body(self):
        return json.loads(self.octets) if self.octets else None


class Process:
    """`postferry serve` or `postferry worker`; what it says is in `log`, anew with each start."""

    def __init__(self, name: str, line: list[str], log: pathlib.Path, environment: dict[str, str]):
        self.name, self._line, self.log, self._environment = name, line, log, environment
        self._process: subprocess.Popen | None = None

    def start(self) -> "Process":
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(self._line, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             env=self._environment)
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def kill(self) -> None:
        self._send(signal.SIGKILL)
        self.wait()

    def freeze(self) -> None:
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def stop(self, patience: float = 120) -> int:
        """In good order; the exit code. Killed when that takes too long, or when it is frozen."""
        self._send(signal.SIGTERM)
        try:
            return self.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            return -9

    def wait(self, patience: float = 120) -> int:
        return self._process.wait(patience) if self._process else 0

    def _send(self, number: signal.Signals) -> None:
        if self.alive:
            self._process.send_signal(number)


class Service:
    """
    program   the binary
    store     URL; None: an SQLite file in the folder
    password  of the PostgreSQL user
    jobs      mailboxes at a time of `serve`
    sections  further lines of the configuration: {"limits": {"limit_messages": 20}}
    before    put in front of every command line: ("faketime", ...)
    """

    def __init__(self, folder, *, program: str, store: str | None = None, password: str | None = None, jobs: int = 4,
                 lease: int = LEASE, log_level: str = "info", sections: dict[str, dict] | None = None,
                 environment: dict[str, str] | None = None, before: tuple[str, ...] = (), name: str = "service"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.program, self.before = program, before
        # A socket's name holds 107 octets, and the folders of tests are deep.
        self._run = tempfile.mkdtemp(prefix="pfs-", dir="/tmp")
        self.socket = pathlib.Path(self._run) / "s"
        self.database = self.folder / "store.db"
        self.key_file = self.folder / "postferry.key"
        self.environment = {**os.environ, "POSTFERRY_CONFIG": "", **(environment or {})}
        self.processes: dict[str, Process] = {}
        self.sections: dict[str, dict] = {
            "service": {"listen": ["127.0.0.1:0"], "socket": str(self.socket), "jobs": jobs, "lease": f"{lease}s"},
            "store": {"url": store or f"sqlite:{self.database}", "key_file": str(self.key_file)},
            "log": {"level": log_level}}
        if password is not None:
            file = self.folder / "database-password"
            file.write_text(password + "\n")
            file.chmod(0o600)
            self.sections["store"]["password_file"] = str(file)
        for section, values in (sections or {}).items():
            self.sections.setdefault(section, {}).update(values)
        self.config = self.write_config(f"{name}.toml")

    def write_config(self, name: str, **changes: dict) -> pathlib.Path:
        """The configuration, with changes by section, under another name."""
        merged = {section: {**self.sections.get(section, {}), **changes.get(section, {})}
                  for section in {**self.sections, **changes}}
        # What JSON says of texts, numbers, booleans and their lists is TOML too.
        text = "".join(f"[{section}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
                       for section, values in merged.items())
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    # -- processes ------------------------------------------------------------------------------------------------

    def process(self, name: str, *words: str, config: pathlib.Path | None = None, before: tuple[str, ...] = ()) -> Process:
        """Started; ended with the service at the latest."""
        line = [*self.before, *before, self.program, *words, "--config", str(config or self.config)]
        one = Process(name, line, self.folder / f"{name}.log", self.environment)
        self.processes[name] = one.start()  # known only when it has a number: others read along
        return one

    def serve(self, *words: str, wait: bool = True, name: str = "serve", **options) -> Process:
        one = self.process(name, "serve", *words, **options)
        if wait:
            self.wait_until_ready(one)
        return one

    def worker(self, name: str, *words: str, **options) -> Process:
        return self.process(name, "worker", "--name", name, *words, **options)

    def wait_until_ready(self, serve: Process, seconds: float = 120) -> None:
        """Until it answers."""
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask("GET", "/me").status == 200:
                    return
            if not serve.alive or time.monotonic() > end:
                raise RuntimeError(f"postferry serve does not answer:\n{serve.said()[-3000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Everything, and waits for it."""
        for one in self.processes.values():
            one.thaw()
            one._send(signal.SIGTERM)
        for one in self.processes.values():
            one.stop(15)
        self.socket.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            os.rmdir(self._run)

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    # -- requests -------------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, body=None, *, headers: dict[str, str] | None = None, seconds: float = 120) -> Answer:
        """Over the local socket. body: JSON, or octets as they are. path: below /api/v1, or from // on as it is."""
        return _ask(_LocalConnection(str(self.socket), seconds), method, path, body, headers)

    def over_tcp(self, method: str, path: str, body=None, *, headers: dict[str, str] | None = None,
                 seconds: float = 120) -> Answer:
        return _ask(http.client.HTTPConnection(*self.address, timeout=seconds), method, path, body, headers)

    @property
    def address(self) -> tuple[str, int]:
        """Where `serve` listens, from what it has said; it answers a moment before it says so."""
        serve, end = self.processes["serve"], time.monotonic() + 60
        while True:
            for line in reversed(serve.said().splitlines()):
                _, found, after = line.partition("listening on ")
                if found:
                    host, _, port = after.split(",")[0].rpartition(":")
                    return host, int(port)
            if not serve.alive or time.monotonic() > end:
                raise RuntimeError("postferry serve does not say where it listens")
            time.sleep(0.02)

    def call(self, method: str, path: str, body=None, **options):
        """What it answered; Refused when that is no success."""
        answer = self.ask(method, path, body, **options)
        if answer.status >= 300:
            raise Refused(answer, f"{method} {path}")
        return answer.body

    def items(self, path: str) -> list[dict]:
        """All pages of a collection."""
        found, cursor = [], None
        while True:
            join = "&" if "?" in path else "?"
            page = self.call("GET", path + (f"{join}limit=500" + (f"&cursor={cursor}" if cursor else "")))
            found += page["items"]
            cursor = page.get("next")
            if not cursor:
                return found


class _LocalConnection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float):
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _ask(connection: http.client.HTTPConnection, method: str, path: str, body, headers) -> Answer:
    with contextlib.closing(connection):
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path[1:] if path.startswith("//") else "/api/v1" + path, body, sent)
        except BrokenPipeError:
            pass  # it has answered before it had read everything
        reply = connection.getresponse()
        return Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
