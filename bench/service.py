"""A `postferry serve` (and workers) of a benchmark: started, asked, measured, stopped."""

import http.client
import json
import math
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.parse

TICKS = os.sysconf("SC_CLK_TCK")
START_WITHIN = 60.0


class Refused(RuntimeError):
    """The service said no; the text is what it said."""


class Process:
    """A running program and what it costs. Its log is kept in `log`."""

    def __init__(self, argv: list[str], folder: pathlib.Path, name: str):
        self.log = folder / f"{name}.log"
        with open(self.log, "wb") as out:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                             cwd=folder)
        self.pid = self._process.pid

    @property
    def cpu(self) -> float:
        """Seconds so far, user and system."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @property
    def peak_octets(self) -> int:
        """The most that was resident at a time: what ru_maxrss says of a process that has ended."""
        return self._status("VmHWM")

    @property
    def resident_octets(self) -> int:
        return self._status("VmRSS")

    def _status(self, name: str) -> int:
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+) kB", text, re.M)[1]) * 1024

    def said(self, pattern: str) -> re.Match:
        """Waits for a line of the log."""
        end = time.monotonic() + START_WITHIN
        while time.monotonic() < end:
            text = self.log.read_text(errors="replace")
            if found := re.search(pattern, text):
                return found
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.log.name}: exit {self._process.returncode}: {text[-300:]}")
            time.sleep(0.01)
        raise RuntimeError(f"{self.log.name} does not say {pattern!r}: {text[-300:]}")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class _Local(http.client.HTTPConnection):
    """By the service's socket: whoever has the user that the service runs as is an owner there."""

    def __init__(self, path: pathlib.Path):
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


class Service(Process):
    """`postferry serve` over a store that is its own.

    store   "sqlite:/path" or "postgresql://..."; `settings`: more TOML, by table: {"limits": 'limit_rate = "5MB"'}
    """

    def __init__(self, program: str, folder: pathlib.Path, *, store: str = "", jobs: int = 8,
                 settings: dict[str, str] | None = None):
        self.program, self.folder = program, folder
        self.store = store or f"sqlite:{folder}/postferry.db"
        self._settings = settings or {}
        self.socket = folder / "api.sock"
        super().__init__([program, "serve", "-c", str(self._write("serve", jobs))], folder, "serve")
        try:
            self.port = int(self.said(r"listening on 127\.0\.0\.1:(\d+)")[1])
            self._line = _Local(self.socket)
            self.token = self._make_token()
        except BaseException:
            self.stop()
            raise

    def worker(self, jobs: int, number: int) -> Process:
        """Hands on the same store."""
        conf = self._write(f"worker{number}", jobs)
        one = Process([self.program, "worker", "-c", str(conf), "--jobs", str(jobs)], self.folder, f"worker{number}")
        one.said("works:")
        return one

    def _write(self, name: str, jobs: int) -> pathlib.Path:
        tables = {"service": f'listen = ["127.0.0.1:0"]\nsocket = "{self.socket}"\njobs = {jobs}',
                  "store": f'url = "{self.store}"\nkey_file = "{self.folder}/postferry.key"'}
        for table, text in self._settings.items():
            tables[table] = f"{tables[table]}\n{text}" if table in tables else text
        path = self.folder / f"{name}.toml"
        path.write_text("".join(f"[{table}]\n{text}\n" for table, text in tables.items()))
        path.chmod(0o600)
        return path

    def _make_token(self) -> str:
        user = self.ask("POST", "/users", {"name": "bench", "role": "owner"})
        return self.ask("POST", "/tokens", {"name": "bench", "scopes": ["admin"], "user": user["id"]})["token"]

    # -- the API ------------------------------------------------------------------------------------------------

    def ask(self, verb: str, path: str, body: dict | bytes | None = None, *, kind: str = "application/json",
            edit: bool = False) -> dict:
        """An answer's JSON. body: a dictionary, or octets of that kind. edit: of what is there now."""
        headers = {"Content-Type": kind} if body is not None else {}
        if edit:
            headers["If-Match"] = self._answer("GET", path)[1]["ETag"]
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        text, _ = self._answer(verb, path, data, headers)
        return json.loads(text) if text else {}

    def _answer(self, verb: str, path: str, body: bytes | None = None, headers: dict | None = None):
        self._line.request(verb, "/api/v1" + path, body, headers or {})
        answer = self._line.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise Refused(f"{verb} {path}: {answer.status} {text.decode(errors='replace')[:300]}")
        return text, answer.headers

    def upload(self, csv: bytes, **form) -> dict:
        """A file of accounts, looked at: the preview. form: what openapi.yaml calls the import's parameters."""
        words = urllib.parse.urlencode({name: str(value).lower() if isinstance(value, bool) else value
                                        for name, value in form.items()})
        made = self.ask("POST", f"/imports?{words}", csv, kind="text/csv")
        return self._until("checking", made)

    def commit(self, which: str) -> dict:
        return self._until("committing", self.ask("POST", f"/imports/{which}/commit", {}))

    def _until(self, stage: str, made: dict) -> dict:
        while made["stage"] == stage:
            time.sleep(0.02)
            made = self.ask("GET", f"/imports/{made['id']}")
        if made["stage"] == "failed":
            raise Refused(f"the import failed: {made}")
        return made

    def wait_for(self, batch: int, states: set[str], *, patience: float, every: float = 0.05) -> dict:
        """Until all mailboxes of the batch are in those states: the batch then. Fails early where one has failed."""
        end = time.monotonic() + patience
        while True:
            now = self.ask("GET", f"/batches/{batch}")
            there = {state: count for state, count in now["mailbox_states"].items() if count}
            if set(there) <= states and there:
                return now
            if there.get("failed") or there.get("needs_credentials"):
                raise RuntimeError(f"mailboxes failed: {there}: {self._a_reason(batch)}")
            if time.monotonic() > end:
                raise RuntimeError(f"not done within {patience:.0f} s: {there}")
            time.sleep(every)

    def _a_reason(self, batch: int) -> str:
        for state in ("failed", "needs_credentials"):
            for one in self.ask("GET", f"/batches/{batch}/mailboxes?state={state}&limit=1")["items"]:
                return str(one["reason"])
        return "?"


class Asker:
    """One connection that asks for the same again and again, as quickly as it is answered."""

    def __init__(self, port: int, token: str):
        self._line = socket.create_connection(("127.0.0.1", port))
        self._line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._token = token
        self._buffer = bytearray(1 << 20)

    def request(self, path: str) -> bytes:
        return (f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self._token}\r\n\r\n").encode()

    def time(self, request: bytes) -> float:
        """Seconds from the request's first octet to the answer's last."""
        begin = time.perf_counter()
        self._line.sendall(request)
        have, whole = 0, None
        while whole is None or have < whole:
            got = self._line.recv_into(memoryview(self._buffer)[have:])
            if got == 0:
                raise RuntimeError("the service has closed the line")
            have += got
            if whole is None and (head := self._buffer.find(b"\r\n\r\n", 0, have)) >= 0:
                whole = head + 4 + int(re.search(rb"(?i)content-length: *(\d+)", self._buffer[:head])[1])
        took = time.perf_counter() - begin
        if not self._buffer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{request[:60]!r}: {bytes(self._buffer[:200])!r}")
        return took

    def body(self) -> bytes:
        """Of the last answer."""
        head = self._buffer.find(b"\r\n\r\n")
        size = int(re.search(rb"(?i)content-length: *(\d+)", self._buffer[:head])[1])
        return bytes(self._buffer[head + 4:head + 4 + size])

    def close(self) -> None:
        self._line.close()


class Listener:
    """A client of the event stream."""

    def __init__(self, port: int, token: str):
        self._line = socket.create_connection(("127.0.0.1", port))
        self._line.sendall((f"GET /api/v1/events/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                            f"Authorization: Bearer {token}\r\n\r\n").encode())
        self._line.settimeout(10)
        self._have = b""
        self.until(b"retry:")

    def until(self, text: bytes) -> float:
        """The moment when that text had come; what came before it is forgotten."""
        while text not in self._have:
            got = self._line.recv(65536)
            if not got:
                raise RuntimeError("the event stream has ended")
            self._have += got
        now = time.perf_counter()
        self._have = self._have[self._have.index(text) + len(text):]
        return now

    def close(self) -> None:
        self._line.close()


def percentile(values: list[float], share: float) -> float:
    """The smallest of them that at least that share does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
