"""Tiny IMAP servers in memory that misbehave on purpose: a target that takes offence at one message, a source that
fails on one UID. They speak just enough of RFC 3501, 3502, 4315 and 7888 for a copy."""

import collections.abc
import dataclasses
import re
import socket
import threading

LITERAL = re.compile(rb"\{(\d+)(\+?)\}\r\n\Z")


class Gone(Exception):
    """The connection ends here."""


@dataclasses.dataclass
class Stored:
    uid: int
    data: bytes


class Line:
    """One client's connection: commands come with their literals, answers are gathered and sent at once."""

    def __init__(self, connection: socket.socket):
        self.socket = connection
        self.reader = connection.makefile("rb")

    def send(self, *pieces: bytes) -> None:
        self.socket.sendall(b"".join(pieces))

    def line(self) -> bytes:
        line = self.reader.readline()
        if not line.endswith(b"\n"):
            raise Gone
        return line

    def octets(self, count: int) -> bytes:
        data = self.reader.read(count)
        if len(data) != count:
            raise Gone
        return data


class Server:
    """Listens on 127.0.0.1:`port` until the context ends. Subclasses answer commands in on_<command>()."""

    CAPABILITIES = b"IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ UIDPLUS MULTIAPPEND"
    GREETING = b"here"

    def __init__(self):
        self.logins = 0
        self.gate = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(Line(connection),), daemon=True).start()

    def _serve(self, line: Line) -> None:
        line.selected = None
        try:
            line.send(b"* OK [CAPABILITY ", self.CAPABILITIES, b"] ", self.GREETING, b"\r\n")
            while True:
                self._command(line, line.line())
        except (Gone, OSError):
            pass
        finally:
            line.reader.close()
            line.socket.close()

    def _command(self, line: Line, first: bytes) -> None:
        tag, _, rest = first.rstrip(b"\r\n").partition(b" ")
        verb, _, arguments = rest.partition(b" ")
        if verb.upper() == b"UID":
            verb, _, arguments = arguments.partition(b" ")
        handler = getattr(self, f"on_{verb.decode().lower()}", None)
        if handler is None:
            line.send(tag, b" BAD unknown command\r\n")
            return
        handler(line, tag, arguments)

    def on_capability(self, line: Line, tag: bytes, _: bytes) -> None:
        line.send(b"* CAPABILITY ", self.CAPABILITIES, b"\r\n", tag, b" OK done\r\n")

    def on_authenticate(self, line: Line, tag: bytes, _: bytes) -> None:
        self.logins += 1
        line.send(tag, b" OK [CAPABILITY ", self.CAPABILITIES, b"] logged in\r\n")

    def on_logout(self, line: Line, tag: bytes, _: bytes) -> None:
        line.send(b"* BYE\r\n", tag, b" OK bye\r\n")
        raise Gone

    def on_noop(self, line: Line, tag: bytes, _: bytes) -> None:
        line.send(tag, b" OK done\r\n")

    on_lsub = on_subscribe = on_noop

    @staticmethod
    def names(arguments: bytes) -> list[bytes]:
        return [quoted or atom for quoted, atom in re.findall(rb'"([^"]*)"|([^\s()]+)', arguments)]


class Folders(Server):
    """Folders of messages, readable by EXAMINE, UID SEARCH and UID FETCH."""

    VALIDITY = 7

    def __init__(self):
        super().__init__()
        self.folders: dict[bytes, list[Stored]] = {b"INBOX": []}

    def validity(self, name: bytes) -> int:
        return self.VALIDITY

    def next_uid(self, name: bytes) -> int:
        return max((stored.uid for stored in self.folders[name]), default=0) + 1

    def on_list(self, line: Line, tag: bytes, _: bytes) -> None:
        line.send(*(b'* LIST () "/" "' + name + b'"\r\n' for name in self.folders), tag, b" OK done\r\n")

    def on_status(self, line: Line, tag: bytes, arguments: bytes) -> None:
        name = self.names(arguments)[0]
        line.send(b'* STATUS "%s" (MESSAGES %d UIDNEXT %d UIDVALIDITY %d)\r\n' % (
            name, len(self.folders[name]), self.next_uid(name), self.validity(name)), tag, b" OK done\r\n")

    def on_create(self, line: Line, tag: bytes, arguments: bytes) -> None:
        self.folders.setdefault(self.names(arguments)[0], [])
        line.send(tag, b" OK done\r\n")

    def on_select(self, line: Line, tag: bytes, arguments: bytes) -> None:
        name = self.names(arguments)[0]
        line.selected = name
        line.send(b"* %d EXISTS\r\n* OK [UIDVALIDITY %d] x\r\n* OK [UIDNEXT %d] x\r\n"
                  b"* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*)] x\r\n" % (
                      len(self.folders[name]), self.validity(name), self.next_uid(name)),
                  tag, b" OK [READ-WRITE] done\r\n")

    on_examine = on_select

    def on_search(self, line: Line, tag: bytes, _: bytes) -> None:
        uids = b"".join(b" %d" % stored.uid for stored in self.folders[line.selected])
        line.send(b"* SEARCH", uids, b"\r\n", tag, b" OK done\r\n")

    def on_fetch(self, line: Line, tag: bytes, arguments: bytes) -> None:
        wanted = uid_set(arguments.split(b" ")[0])
        for number, stored in enumerate(list(self.folders[line.selected]), 1):
            if stored.uid in wanted:
                self.fetch_one(line, number, stored, arguments)
        line.send(tag, b" OK done\r\n")

    def head(self, number: int, stored: Stored) -> bytes:
        return b'* %d FETCH (UID %d FLAGS (\\Seen) INTERNALDATE "01-Feb-2021 10:00:00 +0000"' % (number, stored.uid)

    def fetch_one(self, line: Line, number: int, stored: Stored, arguments: bytes) -> None:
        head = self.head(number, stored)
        if b"HEADER.FIELDS" in arguments:
            section = arguments[arguments.index(b"BODY.PEEK[") + 10:arguments.index(b"]") + 1]
            header = stored.data.split(b"\r\n\r\n")[0] + b"\r\n\r\n"
            line.send(head, b" RFC822.SIZE %d BODY[" % len(stored.data), section, b" {%d}\r\n" % len(header), header,
                      b")\r\n")
        elif b"BODY.PEEK[]" in arguments:
            line.send(head, b" BODY[] {%d}\r\n" % len(stored.data), stored.data, b")\r\n")
        else:
            line.send(head, b")\r\n")


def uid_set(text: bytes) -> set[int]:
    out: set[int] = set()
    for part in text.split(b","):
        first, _, last = part.partition(b":")
        out.update(range(int(first), (1000 if last == b"*" else int(last or first)) + 1))
    return out


class Target(Folders):
    """Takes APPENDs, several messages each; all or none of one command are kept (RFC 3502).

    judge(data) is asked as soon as a message has arrived: None to take it, "die" to hang up, "die later" to hang up
    instead of the tagged answer with everything stored, or the text of a NO or BAD.
    """

    def __init__(self, judge: collections.abc.Callable[[bytes], str | None]):
        super().__init__()
        self.judge = judge

    def verdict(self, data: bytes, literal8: bool) -> str | None:
        return self.judge(data)

    def on_append(self, line: Line, tag: bytes, arguments: bytes) -> None:
        name = self.names(arguments)[0]
        messages, verdicts, rest = [], [], arguments + b"\r\n"
        while found := LITERAL.search(rest):
            if not found[2]:
                line.send(b"+ go ahead\r\n")
            data = line.octets(int(found[1]))
            verdict = self.verdict(data, literal8=rest[:found.start()].endswith(b"~"))
            if verdict == "die":
                raise Gone
            messages.append(data)
            verdicts.append(verdict)
            rest = line.line()
        refused = [verdict for verdict in verdicts if verdict and verdict != "die later"]
        if refused:
            line.send(tag, b" ", refused[0].encode(), b"\r\n")
            return
        with self.gate:
            first = self.next_uid(name)
            self.folders[name] += [Stored(first + n, data) for n, data in enumerate(messages)]
        if "die later" in verdicts:
            raise Gone
        uids = b"%d:%d" % (first, first + len(messages) - 1) if len(messages) > 1 else b"%d" % first
        line.send(tag, b" OK [APPENDUID %d %s] done\r\n" % (self.VALIDITY, uids))


class Source(Folders):
    """Has `messages` in INBOX under the UIDs 1, 2, ...; `faults` says what happens to some UIDs when they are fetched:
    "die", "die in the middle", "short" (fewer octets than announced), "surplus" (more), "nothing" (OK without the
    message), "empty TEXT" (BODY[] with that for a value), or the text of a NO."""

    CAPABILITIES = b"IMAP4rev1 AUTH=PLAIN SASL-IR"

    def __init__(self, messages: list[bytes], faults: dict[int, str]):
        super().__init__()
        self.folders[b"INBOX"] = [Stored(n, data) for n, data in enumerate(messages, 1)]
        self.faults = faults

    def on_fetch(self, line: Line, tag: bytes, arguments: bytes) -> None:
        refused = [self.faults[uid] for uid in uid_set(arguments.split(b" ")[0]) & self.faults.keys()
                   if self.faults[uid].startswith("NO") and b"BODY.PEEK[]" in arguments]
        if refused:
            line.send(tag, b" ", refused[0].encode(), b"\r\n")
            return
        super().on_fetch(line, tag, arguments)

    def fetch_one(self, line: Line, number: int, stored: Stored, arguments: bytes) -> None:
        fault = self.faults.get(stored.uid) if b"BODY.PEEK[]" in arguments else None
        if fault == "nothing":
            return
        if fault == "die":
            raise Gone
        if fault == "die in the middle":
            line.send(b'* %d FETCH (UID %d FLAGS () INTERNALDATE "01-Feb-2021 10:00:00 +0000" BODY[] {%d}\r\n' % (
                number, stored.uid, len(stored.data)), stored.data[:len(stored.data) // 2])
            raise Gone
        if fault == "surplus":
            line.send(b'* %d FETCH (UID %d FLAGS () INTERNALDATE "01-Feb-2021 10:00:00 +0000" BODY[] {%d}\r\n' % (
                number, stored.uid, len(stored.data) - 2), stored.data, b")\r\n")
            return
        if fault and fault.startswith("empty "):
            line.send(b"* %d FETCH (UID %d FLAGS () INTERNALDATE NIL BODY[] %s)\r\n" % (
                number, stored.uid, fault.removeprefix("empty ").encode()))
            return
        if fault == "short":
            line.send(b'* %d FETCH (UID %d FLAGS () INTERNALDATE "01-Feb-2021 10:00:00 +0000" BODY[] {%d}\r\n' % (
                number, stored.uid, len(stored.data)), stored.data[:-30], b")\r\n")
            return
        super().fetch_one(line, number, stored, arguments)
