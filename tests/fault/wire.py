"""A relay in front of a server that does something at an exact moment: after so many octets, or at a piece of text.

lab.proxy.LineProxy cuts and stalls at octet counts, fast; this one also kills, and it sees what passes.
"""

import collections.abc
import dataclasses
import select
import socket
import struct
import threading
import typing

CLIENT, SERVER = "client", "server"  # who sent the octets


@dataclasses.dataclass
class Trip:
    """One moment. Exactly one of `octets` (passed in this direction, all connections together) and `text` is set.

    text      nothing of it passes: the fault strikes just before it
    skip      so many occurrences of the text pass first
    action    "cut" (FIN both ways), "reset" (RST), "stall", or a function that is called before anything more passes
    """

    side: str
    octets: int | None = None
    text: bytes | None = None
    skip: int = 0
    action: str | collections.abc.Callable[[], None] = "cut"
    tripped: bool = False


class Wire:
    """Use as a context manager; `port` is where clients connect on 127.0.0.1, and stays the same: to the program it is
    the server. `target` may be changed: another way to that server. `passed` counts octets by side."""

    def __init__(self, target: int, *trips: Trip, hides_resets: bool = False):
        """hides_resets: who is reset looks to the other as if he had closed, after all he has sent."""
        self.target = target
        self.hides_resets = hides_resets
        self.trips = list(trips)
        self.passed = {CLIENT: 0, SERVER: 0}
        self.connections = 0
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._closing = False
        self._spawn(self._accept)

    def _spawn(self, work: collections.abc.Callable, *arguments: typing.Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=60)
            except OSError:
                client.close()
                continue
            for one in (client, server):
                one.settimeout(20)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
            self._spawn(self._serve, client, server)

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        # One thread for both directions: a socket that another thread still reads would not send its RST.
        ways = {client: [CLIENT, server, b""], server: [SERVER, client, b""]}
        stalled = reset = False
        while ways and not self._closing:
            readable, _, _ = select.select(list(ways), [], [], 0.1)
            for sender in readable:
                side, receiver, tail = ways[sender]
                try:
                    octets = sender.recv(1 << 16)
                except OSError:
                    octets = b""
                    if not self.hides_resets:
                        reset = True
                        ways.clear()
                        break
                if stalled and octets:
                    continue
                if not octets:
                    del ways[sender]
                    _quietly(receiver.shutdown, socket.SHUT_WR)
                    continue
                allowed, action = self._pass(side, tail, octets, receiver)
                ways[sender][2] = (tail + octets[:allowed])[-200:]
                stalled = stalled or action == "stall"
                reset = reset or action == "reset"
                if action in ("cut", "reset"):
                    ways.clear()
                    break
        for one in (client, server):
            if reset:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()

    def _pass(self, side: str, tail: bytes, octets: bytes, receiver: socket.socket) -> tuple[int, typing.Any]:
        with self._lock:
            trip, allowed = self._judge(side, tail, octets)
            self.passed[side] += len(octets) if trip and callable(trip.action) else allowed
        _quietly(receiver.sendall, octets[:allowed])
        if trip and callable(trip.action):
            trip.action()
            _quietly(receiver.sendall, octets[allowed:])
        return allowed, trip.action if trip else None

    def _judge(self, side: str, tail: bytes, octets: bytes) -> tuple[Trip | None, int]:
        for trip in self.trips:
            if trip.side != side or trip.tripped:
                continue
            at = self._moment(trip, tail, octets)
            if at is not None:
                trip.tripped = True
                return trip, at
        return None, len(octets)

    def _moment(self, trip: Trip, tail: bytes, octets: bytes) -> int | None:
        if trip.octets is not None:
            left = trip.octets - self.passed[trip.side]
            return max(left, 0) if left <= len(octets) else None
        keep = tail[-(len(trip.text) - 1):] if len(trip.text) > 1 else b""
        text, at = keep + octets, -1
        while (at := text.find(trip.text, at + 1)) >= 0:
            if trip.skip == 0:
                return max(at - len(keep), 0)
            trip.skip -= 1
        return None

    def expect(self, *trips: Trip) -> None:
        """Other trips from now on; octets are counted anew."""
        with self._lock:
            self.trips = list(trips)
            self.passed = {CLIENT: 0, SERVER: 0}

    def close(self) -> None:
        self._closing = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in list(self._threads):
            thread.join(5)

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _quietly(call: collections.abc.Callable, *arguments: typing.Any) -> None:
    try:
        call(*arguments)
    except OSError:
        pass
