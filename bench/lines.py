"""A line of a given round trip in front of a server: the lab's line_proxy."""

import json
import subprocess
import threading
import time


class Line:
    """Runs line_proxy between the tools and a server, with half of the round trip each way. `port`: where to connect.
    rate: octets a second in each direction, 0 = no limit; each: of every connection by itself."""

    def __init__(self, program: str, server, round_trip_ms: int, rate: int = 0, each: bool = False):
        self._round_trip = round_trip_ms / 1000
        # --exit-on-eof: its standard input closes when this process ends, however that happens.
        self._process = subprocess.Popen(
            [program, "--target", str(server.imap_port), "--delay-ms", str(round_trip_ms // 2), "--exit-on-eof"]
            + (["--rate", str(rate)] if rate else []) + (["--rate-each"] if each else []),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self._process.stdout.readline())
        self._ended: list[dict] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._ended.append(json.loads(line))

    def mark(self) -> int:
        """The place in the count before a run; give it to round_trips()."""
        return len(self._ended)

    def round_trips(self, mark: int) -> float:
        """What the run since then spent on its longest connection, the TCP handshake included.

        A request that is answered turns the line's direction twice. Requests that are sent while answers still come
        in turn it more often, so that this number means something for conversations, not for streams.
        """
        time.sleep(4 * self._round_trip)  # the last octets and the closing are still on the line
        return max((1 + connection["turns"] / 2 for connection in self._ended[mark:]), default=0.0)

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()
