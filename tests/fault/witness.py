"""A relay in front of a server that remembers who wrote what: which process, for which user, when. It can be cut."""

import base64
import collections.abc
import dataclasses
import os
import pathlib
import random
import re
import select
import socket
import struct
import threading
import time

_LOGIN = re.compile(rb" AUTHENTICATE PLAIN(?: |\r\n)([A-Za-z0-9+/=]+)\r\n", re.IGNORECASE)
_WRITES = re.compile(rb"\r\n\S+ (?:UID )?(?:APPEND|CREATE|STORE|COPY|MOVE|EXPUNGE|SUBSCRIBE) ", re.IGNORECASE)
_LONGEST = 40  # octets that a command's beginning may have


@dataclasses.dataclass(frozen=True)
class Write:
    at: float      # time.time()
    pid: int       # 0: of nobody that `pids` names
    user: str


class Witness:
    """`port` is where clients connect, on 127.0.0.1 and any other address that `host` names; it stays the same.

    pids     tells the processes that connections may be of
    reads    whether it reads along (a mail server), or passes on what it does not understand (a database)
    """

    def __init__(self, target: int, pids: collections.abc.Callable[[], list[int]] = list, *, reads: bool = True,
                 host: str = "127.0.0.1"):
        self.target, self.writes = target, []  # list[Write]
        self.refuses = False
        self.connections = self.cuts = 0
        self._pids, self._reads = pids, reads
        self._lock = threading.Lock()
        self._open: dict[socket.socket, socket.socket] = {}
        self._doomed: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closing = False
        self._listener = socket.create_server((host, 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def cut(self, choice: random.Random, share: float = 1.0) -> None:
        """Resets connections in mid-sentence, that share of them: what the kernels still hold is lost, both ways."""
        with self._lock:
            doomed = [one for one in self._open if choice.random() < share]
            self._doomed.update(doomed)
            self.cuts += len(doomed)

    def close(self) -> None:
        self._closing = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(5)
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> "Witness":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, peer = self._listener.accept()
            except OSError:
                return
            try:
                if self.refuses:
                    raise ConnectionRefusedError
                server = socket.create_connection(("127.0.0.1", self.target), timeout=60)
            except OSError:
                _reset(client)
                continue
            for one in (client, server):
                one.settimeout(20)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._open[client] = server
            pid = owner_of(peer[1], self._pids()) if self._reads else 0
            thread = threading.Thread(target=self._serve, args=(client, server, pid), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket, server: socket.socket, pid: int) -> None:
        ways = {client: server, server: client}
        user, tail, broken = "", b"\r\n", False
        while ways and not self._closing and not broken:
            if client in self._doomed:
                broken = True
                break
            readable, _, _ = select.select(list(ways), [], [], 0.05)
            for sender in readable:
                try:
                    octets = sender.recv(1 << 16)
                    if octets and sender is client and self._reads:
                        user, tail = self._note(pid, user, tail, octets)
                    if octets:
                        ways[sender].sendall(octets)
                        continue
                    receiver = ways.pop(sender)
                    receiver.shutdown(socket.SHUT_WR)
                except OSError:
                    broken = True
        with self._lock:
            self._open.pop(client, None)
            self._doomed.discard(client)
        for one in (client, server):
            _reset(one) if broken else one.close()

    def _note(self, pid: int, user: str, tail: bytes, octets: bytes) -> tuple[str, bytes]:
        text = tail + octets
        if not user:
            login = _LOGIN.search(text)
            if not login:
                return "", text[-4096:]
            user = base64.b64decode(login[1]).split(b"\0")[1].decode()
        if _WRITES.search(text):
            with self._lock:
                self.writes.append(Write(time.time(), pid, user))
        return user, text[-_LONGEST:]


def owner_of(port: int, pids: list[int]) -> int:
    """Which of these processes has a connection from that port, in whatever network it is; 0: none of them."""
    for pid in pids:
        inodes = {f"socket:[{one.inode}]" for one in sockets_of(pid) if one.port == port}
        try:
            if inodes and any(os.readlink(f"/proc/{pid}/fd/{one}") in inodes for one in os.listdir(f"/proc/{pid}/fd")):
                return pid
        except OSError:
            continue
    return 0


@dataclasses.dataclass(frozen=True)
class Socket:
    port: int
    peer: int    # its port
    state: int   # 1: established, 4: FIN_WAIT1 ... (tcp_states.h)
    unsent: int  # octets that were not acknowledged yet
    inode: int   # 0: nobody's any more


def sockets_of(pid: int) -> list[Socket]:
    """Every TCP socket (IPv4) in the network of that process."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return []
    table = [line.split() for line in lines]
    return [Socket(int(row[1].split(":")[1], 16), int(row[2].split(":")[1], 16), int(row[3], 16),
                   int(row[4].split(":")[0], 16), int(row[9])) for row in table]


def _reset(one: socket.socket) -> None:
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    one.close()
