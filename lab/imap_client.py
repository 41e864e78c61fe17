"""A small IMAP client on a plain socket: enough to fill a mailbox quickly and to read it back without touching it.

It is deliberately independent of Postferry's own code, so that a shared mistake cannot hide in a comparison.
"""

import base64
import collections.abc
import re
import socket
import ssl
import typing

# Large, because Dovecot reads the whole folder again for every APPEND into a Maildir.
_BATCH_OCTETS = 8 << 20
_BATCH_MESSAGES = 10_000
_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
_TOKEN = re.compile(rb'\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|(\{\d+\}\r\n)|([^\s()"]+))')


class ImapError(Exception):
    """The server said NO or BAD, or hung up."""


class Append(typing.NamedTuple):
    """One message on its way into a folder."""

    data: bytes
    flags: tuple[str, ...] = ()
    date: str = "01-Jan-2020 00:00:00 +0000"  # INTERNALDATE as in RFC 3501 date-time, without quotes


def encode_name(name: str) -> bytes:
    """A mailbox name in modified UTF-7 (RFC 3501, 5.1.3)."""
    def shift(match: re.Match) -> str:
        packed = base64.b64encode(match[0].encode("utf-16-be")).decode().rstrip("=").replace("/", ",")
        return f"&{packed}-"

    return re.sub(r"[^\x20-\x7e]+", shift, name.replace("&", "&-")).encode("ascii")


def decode_name(name: bytes) -> str:
    def unshift(match: re.Match) -> str:
        packed = match[1].replace(",", "/")
        return base64.b64decode(packed + "=" * (-len(packed) % 4)).decode("utf-16-be") if packed else "&"

    return re.sub(r"&([^-]*)-", unshift, name.decode("ascii"))


def quote(text: bytes) -> bytes:
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def parse(parts: list[bytes]) -> list:
    """A response (text, literal, text, ...) as nested lists of octet strings."""
    stack: list[list] = [[]]
    for index in range(0, len(parts), 2):
        text = parts[index].rstrip(b"\r\n") if index == len(parts) - 1 else parts[index]
        for opening, closing, quoted, literal, atom in _TOKEN.findall(text):
            if opening:
                stack.append([])
            elif closing:
                done = stack.pop()
                stack[-1].append(done)
            elif literal:
                stack[-1].append(parts[index + 1])
            elif atom:
                stack[-1].append(atom)
            else:
                stack[-1].append(re.sub(rb"\\(.)", rb"\1", quoted))
    return stack[0]


class Imap:
    """One connection, logged in from the constructor on.

    authorize: the mailbox to open when `user` is a master user.
    ca: with it the connection is TLS from the first octet and verified.
    login: by LOGIN, for servers without SASL-IR.
    """

    def __init__(self, host: str, port: int, user: str, password: str, *, authorize: str = "", ca=None,
                 login: bool = False):
        connection = socket.create_connection((host, port), timeout=120)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if ca:
            connection = ssl.create_default_context(cafile=str(ca)).wrap_socket(connection, server_hostname=host)
        self._socket = connection
        self._reader = connection.makefile("rb", 1 << 20)
        self._number = 0
        plain = base64.b64encode(f"{authorize}\0{user}\0{password}".encode()).decode()
        try:
            self._expect_greeting()
            if login:
                self.command([b"LOGIN ", quote(user.encode()), b" ", quote(password.encode())])
            else:
                self.command(f"AUTHENTICATE PLAIN {plain}".encode())
        except BaseException:
            self._reader.close()
            self._socket.close()
            raise

    def _expect_greeting(self) -> None:
        greeting = self._reader.readline()
        if not greeting.startswith(b"* OK"):
            raise ImapError(f"greeting: {greeting!r}")

    def responses(self, tag: bytes) -> collections.abc.Iterator[list[bytes]]:
        """Yields untagged responses until the tagged one, which must be OK."""
        while True:
            parts = [self._reader.readline()]
            while match := _LITERAL.search(parts[-1]):
                parts.append(self._reader.read(int(match[1])))
                parts.append(self._reader.readline())
            first = parts[0]
            if not first.endswith(b"\n") and len(parts) == 1:
                raise ImapError("the server closed the connection")
            if first.startswith(tag + b" "):
                if not first.startswith(tag + b" OK"):
                    raise ImapError(first.decode(errors="replace").strip())
                return
            yield parts

    def send(self, command: bytes | list[bytes]) -> bytes:
        """Sends a command (without tag and line end) and returns its tag; pieces are joined as they are."""
        self._number += 1
        tag = b"L%d" % self._number
        pieces = command if isinstance(command, list) else [command]
        self._socket.sendall(b"".join([tag, b" ", *pieces, b"\r\n"]))
        return tag

    def command(self, command: bytes | list[bytes]) -> list[list[bytes]]:
        return list(self.responses(self.send(command)))

    def run_all(self, commands: list[bytes]) -> None:
        """Pipelines commands that need no answer but OK."""
        for start in range(0, len(commands), 100):
            for tag in [self.send(command) for command in commands[start:start + 100]]:
                collections.deque(self.responses(tag), maxlen=0)

    def append(self, folder: str, messages: collections.abc.Iterable[Append]) -> int:
        """Appends with MULTIAPPEND and LITERAL+, one batch always under way; returns the number of messages.

        Relies on Dovecot, which understands both even where they are hidden from its capabilities.
        """
        head = [b"APPEND ", quote(encode_name(folder))]
        pieces, octets, inside, total = list(head), 0, 0, 0
        pending: list[bytes] = []

        def flush() -> None:
            pending.append(self.send(pieces))
            if len(pending) > 1:
                collections.deque(self.responses(pending.pop(0)), maxlen=0)

        for message in messages:
            pieces.append(b' (%s) "%s" {%d+}\r\n' % (
                " ".join(message.flags).encode(), message.date.encode(), len(message.data)))
            pieces.append(message.data)
            octets, inside, total = octets + len(message.data), inside + 1, total + 1
            if octets >= _BATCH_OCTETS or inside >= _BATCH_MESSAGES:
                flush()
                pieces, octets, inside = list(head), 0, 0
        if inside:
            flush()
        for tag in pending:
            collections.deque(self.responses(tag), maxlen=0)
        return total

    def append_each(self, folder: str, messages: collections.abc.Iterable[Append]) -> dict[int, str]:
        """Appends one by one, asking before each literal; returns what was refused: number in the order given -> the
        server's words. For any server."""
        refused = {}
        for number, message in enumerate(messages):
            flags = f"({' '.join(message.flags)})"
            head = b'APPEND %s %s "%s" {%d}' % (quote(encode_name(folder)), flags.encode(), message.date.encode(),
                                               len(message.data))
            tag = self.send(head)
            line = self._reader.readline()
            while line.startswith(b"* "):
                line = self._reader.readline()
            if not line.startswith(b"+"):
                refused[number] = line.decode(errors="replace").strip().partition(" ")[2]
                continue
            self._socket.sendall(message.data + b"\r\n")
            try:
                collections.deque(self.responses(tag), maxlen=0)
            except ImapError as error:
                refused[number] = str(error).partition(" ")[2]
        return refused

    def capabilities(self) -> frozenset[bytes]:
        found = [parts[0].upper().split()[2:] for parts in self.command(b"CAPABILITY") if b"CAPABILITY" in parts[0].upper()]
        return frozenset(word for words in found for word in words)

    def close(self) -> None:
        try:
            self.command(b"LOGOUT")
        except (ImapError, OSError):
            pass
        self._reader.close()
        self._socket.close()

    def __enter__(self) -> "Imap":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def connect(server, user: str, password: str | None = None) -> Imap:
    """Opens `user`'s mailbox on a server of the lab, as the master user where there is one and no password is given."""
    if not server.master:
        return Imap(server.host, server.imap_port, user, password or server.users[user], login=True)
    port, ca = (server.imap_port, None) if server.options.plaintext_without_tls else (server.imaps_port, server.ca)
    if password is not None:
        return Imap(server.host, port, user, password, ca=ca)
    return Imap(server.host, port, *server.master, authorize=user, ca=ca)
