"""A service of a benchmark: what it costs, what it is given, and clients that ask it and listen to it."""

import math
import os
import pathlib
import re
import socket
import time
import urllib.parse

from lab.service import Process, Service

TICKS = os.sysconf("SC_CLK_TCK")
START_WITHIN = 60.0
SLOWEST = 300.0  # seconds, of an import


def cpu_of(process: Process) -> float:
    """Seconds so far, user and system."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_of(process: Process) -> int:
    """The most octets that were resident at a time: what ru_maxrss says of a process that has ended."""
    return _status(process, "VmHWM")


def resident_of(process: Process) -> int:
    return _status(process, "VmRSS")


def _status(process: Process, name: str) -> int:
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+) kB", text, re.M)[1]) * 1024


class Measured(Service):
    """A service that runs, with a token for whoever asks over TCP. jobs: mailboxes at a time of `serve`."""

    def __init__(self, folder: pathlib.Path, *, program: str, **more):
        super().__init__(folder, program=program, lease=60, **more)
        try:
            self.api = self.serve()
            _, self.port = self.address
            user = self.call("POST", "/users", {"name": "bench", "role": "owner"})
            words = {"name": "bench", "scopes": ["admin"], "user": user["id"]}
            self.token = self.call("POST", "/tokens", words)["token"]
        except BaseException:
            self.stop()
            raise

    def hands(self, number: int, jobs: int) -> Process:
        """A worker that is at work."""
        one = self.worker(f"worker{number}", "--jobs", str(jobs))
        end = time.monotonic() + START_WITHIN
        while " works: " not in one.said():
            if not one.alive or time.monotonic() > end:
                raise RuntimeError(f"postferry worker does not begin:\n{one.said()[-1000:]}")
            time.sleep(0.02)
        return one

    def upload(self, csv: bytes, **form) -> dict:
        """A file of accounts, looked at: the preview. form: what openapi.yaml calls the import's parameters."""
        words = urllib.parse.urlencode({name: str(value).lower() if isinstance(value, bool) else value
                                        for name, value in form.items()})
        made = self.call("POST", f"/imports?{words}", csv, headers={"Content-Type": "text/csv"}, seconds=SLOWEST)
        return self._good(made, "checked")

    def commit(self, which: str) -> dict:
        return self._good(self.call("POST", f"/imports/{which}/commit", {}, seconds=SLOWEST), "committed")

    @staticmethod
    def _good(made: dict, state: str) -> dict:
        if made["state"] != state or made["faults"]:
            raise RuntimeError(f"the import is {made}")
        return made

    def states(self, batch: int) -> dict[str, int]:
        """How many mailboxes of the batch are in which state."""
        return {state: count for state, count in self.call("GET", f"/batches/{batch}")["mailbox_states"].items() if count}

    def wait_for(self, batch: int, state: str, *, patience: float, every: float = 0.05) -> None:
        """Until all mailboxes of the batch are in that state. RuntimeError: one has failed, or it takes too long."""
        end = time.monotonic() + patience
        while (there := self.states(batch)).keys() != {state}:
            if there.get("failed") or there.get("needs_credentials"):
                raise RuntimeError(f"mailboxes failed: {there}: {self._a_reason(batch)}")
            if time.monotonic() > end:
                raise RuntimeError(f"not done within {patience:.0f} s: {there}")
            time.sleep(every)

    def _a_reason(self, batch: int) -> str:
        failed = self.call("GET", f"/batches/{batch}/mailboxes?state=failed,needs_credentials&limit=1")["items"]
        return str(failed[0]["reason"]) if failed else "?"


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
