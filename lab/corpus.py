"""A collection of real messages, one file each, put into a Dovecot's Maildir as they are.

The collection does not belong to the project: POSTFERRY_CORPUS names its folder. Its first level are the collections,
which become folders. What a careful reader calls a message there:

- a file that is one (.eml, .msg, .raw, .mime, .txt or without a suffix), however broken, also one of no octets;
- each message of an mbox;
- of a parser's expected results (.golden) those with a sender; the others are parts of messages;
- of what servers have answered (transcripts) each message that an answer holds whole: BODY[], RFC822 or RETR.

No message is what tells where a collection comes from, the other words of servers, and a message within a message,
which travels with it.
"""

import collections
import collections.abc
import dataclasses
import os
import pathlib
import re

_ABOUT = re.compile(r"SOURCE|README.*|.*LICEN[CS]E.*|NOTICE|COPYING|BSDL|.*\.(md|yml)|\.(LICENSE|NOTICE|COPYING)", re.IGNORECASE)
_ABOUT_FOLDER = re.compile(r"LICEN[CS]ES?", re.IGNORECASE)
_TRANSCRIPTS = re.compile(r".*(transcripts|responses).*")
_MBOX_LINE = re.compile(rb"^From \S+.* \d\d:\d\d:\d\d .*\r?\n", re.MULTILINE)
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_SENDER = re.compile(rb"^From:", re.MULTILINE | re.IGNORECASE)
_LITERAL = re.compile(rb"(?:BODY\[\]|RFC822) \{(\d+)\}\r\n")
_RETRIEVED = re.compile(rb"^\+OK.*\r\n((?:.*\r\n)*?)\.\r\n", re.MULTILINE)
_MANY = 10
# Instants of arrival: a day apart, so that a date that moved is seen. 2001-01-01.
_FIRST, _DAY = 978_307_200, 86_400
_FLAGS = ("", "S", "S", "RS", "FS", "S", "DS", "T")


def folder() -> pathlib.Path | None:
    named = os.environ.get("POSTFERRY_CORPUS")
    return pathlib.Path(named) if named and os.path.isdir(named) else None


@dataclasses.dataclass
class Reading:
    """What became of the files of one collection: kind of place -> messages, and reason -> files without any."""

    files: int = 0
    messages: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    left_out: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def __str__(self) -> str:
        def listed(counter):
            return ", ".join(f"{count} {what}" for what, count in sorted(counter.items())) or "none"
        return f"{self.files} files: messages {self.messages.total()} ({listed(self.messages)}); no messages: {listed(self.left_out)}"


def _in_mbox(data: bytes) -> list[bytes]:
    starts = list(_MBOX_LINE.finditer(data))
    ends = [match.start() for match in starts][1:] + [len(data)]
    return [data[match.end():end] for match, end in zip(starts, ends)]


def _in_answers(data: bytes, pop3: bool) -> list[bytes]:
    """Messages in what a server said. The files have lost their CRs, which the literals count."""
    data = re.sub(rb"\r?\n", b"\r\n", data)
    if pop3:
        found = [match[1].replace(b"\r\n..", b"\r\n.") for match in _RETRIEVED.finditer(data)]
    else:
        found = [data[match.end():match.end() + int(match[1])] for match in _LITERAL.finditer(data)]
    return [message for message in found if _FIELD.match(message)]


def _read(collection: pathlib.Path, path: pathlib.Path) -> tuple[str, list[bytes]]:
    """Of which kind a file is, and its messages; without any, why."""
    if _ABOUT.fullmatch(path.name) or any(_ABOUT_FOLDER.fullmatch(part) for part in path.relative_to(collection).parts[:-1]):
        return "about the collection", []
    data = path.read_bytes()
    if _TRANSCRIPTS.fullmatch(collection.name) and path.suffix not in (".msg", ".eml"):
        # TOP sends a header and some lines, no message.
        pop3 = "Pop3" in path.parts
        found = [] if pop3 and path.name.startswith("top") else _in_answers(data, pop3)
        return ("in answers of servers", found) if found else ("words of servers", [])
    if path.suffix == ".golden" and not _SENDER.search(data.partition(b"\n\n")[0]):
        return "parts of messages", []
    found = _in_mbox(data) if data.startswith(b"From ") else []
    if len(found) >= _MANY:
        return "in an mbox", found
    return ("files" if data else "files of no octets"), [data]


def messages(collection: pathlib.Path, reading: Reading | None = None) -> collections.abc.Iterator[bytes]:
    """Every message of a collection, in the order of their paths; `reading` is filled on the way."""
    reading = reading if reading is not None else Reading()
    for path in sorted(path for path in collection.rglob("*") if path.is_file()):
        kind, found = _read(collection, path)
        reading.files += 1
        (reading.messages if found else reading.left_out)[kind] += len(found) or 1
        yield from found


def load(server, user: str, corpus: pathlib.Path) -> dict[str, Reading]:
    """Writes the corpus into `user`'s Maildir, who must not have been logged in before; returns folder -> what was read."""
    uid = os.stat(server.folder / "mail").st_uid
    store, readings, number = server.store(user), {}, 0
    for collection in sorted(path for path in corpus.iterdir() if path.is_dir()):
        place = store / f".{collection.name.replace('.', '_')}"
        reading = readings[collection.name] = Reading()
        for name in ("cur", "new", "tmp"):
            (place / name).mkdir(parents=True)
        for data in messages(collection, reading):
            path = place / "cur" / f"{_FIRST + number}.M{number}.lab:2,{_FLAGS[number % len(_FLAGS)]}"
            path.write_bytes(data)
            os.utime(path, (_FIRST + number * _DAY // 4, _FIRST + number * _DAY // 4))
            number += 1
    for path in [server.home(user), *server.home(user).rglob("*")]:
        os.chown(path, uid, uid)
    return readings
