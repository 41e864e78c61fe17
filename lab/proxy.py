"""Starts line_proxy, a line with the delay and the faults of a real one, in front of a server."""

import json
import os
import pathlib
import subprocess


def program() -> str:
    """LAB_LINE_PROXY, or the newest build of the program in this repository."""
    named = os.environ.get("LAB_LINE_PROXY")
    if named:
        return named
    root = pathlib.Path(__file__).resolve().parent.parent
    built = sorted(root.glob("build/*/lab/line_proxy"), key=lambda path: path.stat().st_mtime)
    if not built:
        raise RuntimeError("line_proxy is not built: cmake --build --preset dev --target line_proxy")
    return str(built[-1])


class LineProxy:
    """One running proxy; `port` is where clients connect, on 127.0.0.1.

    target    port of the server on 127.0.0.1, or "host:port"
    options   line_proxy's own, with _ for -: delay_ms=40, rate=..., cut_after=1000, stall_after=..., side="client" or
              "server" (whose octets are counted), reset=True, split=1, split_gap_us=..., only_connection=2
    """

    def __init__(self, target: int | str, **options):
        arguments = [program(), "--target", str(target), "--exit-on-eof"]
        for name, value in options.items():
            if value is None or value is False:
                continue
            arguments.append("--" + name.replace("_", "-"))
            if value is not True:
                arguments.append(str(value))
        # Its standard input closes when this process ends, however that happens.
        self._process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        first = self._process.stdout.readline()
        if not first.strip().isdigit():
            self._process.wait()
            raise RuntimeError(f"line_proxy did not start: {' '.join(arguments)}")
        self.port = int(first)
        self.pid = self._process.pid
        self._counts: list[dict] | None = None

    def stop(self) -> list[dict]:
        """Ends the proxy; returns one dictionary per connection, in the order of their end: connection,
        client_octets, server_octets (as passed on), turns (changes of direction seen by the client), seconds."""
        if self._counts is None:
            self._process.stdin.close()
            lines = self._process.stdout.read().splitlines()
            self._process.stdout.close()
            self._process.wait()
            self._counts = [json.loads(line) for line in lines]
        return self._counts

    def __enter__(self) -> "LineProxy":
        return self

    def __exit__(self, *_) -> None:
        self.stop()
