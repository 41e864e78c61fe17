"""A collection of real messages, one file each, put into a Dovecot's Maildir as they are.

The collection does not belong to the project: POSTFERRY_CORPUS names its folder. Its first level are the collections,
which become folders; everything in them counts as a message but what tells where it comes from, and what is not mail.
"""

import collections.abc
import os
import pathlib
import re

_ABOUT = re.compile(r"SOURCE|README.*|.*LICENSE.*|NOTICE|COPYING|BSDL|.*\.(md|yml|golden)|\.(LICENSE|NOTICE|COPYING)",
                    re.IGNORECASE)
# Words of servers, not messages: of their files only those that end in .msg or .eml are mail.
_TRANSCRIPTS = re.compile(r".*(transcripts|responses).*")
_MBOX_LINE = re.compile(rb"^From \S+.* \d\d:\d\d:\d\d .*\r?\n", re.MULTILINE)
_MANY = 10
# Instants of arrival: a day apart, so that a date that moved is seen. 2001-01-01.
_FIRST, _DAY = 978_307_200, 86_400
_FLAGS = ("", "S", "S", "RS", "FS", "S", "DS", "T")


def folder() -> pathlib.Path | None:
    named = os.environ.get("POSTFERRY_CORPUS")
    return pathlib.Path(named) if named and os.path.isdir(named) else None


def messages(collection: pathlib.Path) -> collections.abc.Iterator[bytes]:
    """Every message of a collection, in the order of their paths; a file that is an mbox gives each of its own."""
    for path in sorted(path for path in collection.rglob("*") if path.is_file()):
        if _ABOUT.fullmatch(path.name):
            continue
        if _TRANSCRIPTS.fullmatch(collection.name) and path.suffix not in (".msg", ".eml"):
            continue
        data = path.read_bytes()
        starts = [match.end() for match in _MBOX_LINE.finditer(data)]
        if len(starts) < _MANY or not data.startswith(b"From "):
            yield data
            continue
        ends = [match.start() for match in _MBOX_LINE.finditer(data)][1:] + [len(data)]
        yield from (data[start:end] for start, end in zip(starts, ends))


def load(server, user: str, corpus: pathlib.Path) -> dict[str, int]:
    """Writes the corpus into `user`'s Maildir, who must not have been logged in before; returns folder -> messages."""
    uid = os.stat(server.folder / "mail").st_uid
    store, counts, number = server.store(user), {}, 0
    for collection in sorted(path for path in corpus.iterdir() if path.is_dir()):
        place = store / f".{collection.name.replace('.', '_')}"
        for name in ("cur", "new", "tmp"):
            (place / name).mkdir(parents=True)
        for data in messages(collection):
            path = place / "cur" / f"{_FIRST + number}.M{number}.lab:2,{_FLAGS[number % len(_FLAGS)]}"
            path.write_bytes(data)
            os.utime(path, (_FIRST + number * _DAY // 4, _FIRST + number * _DAY // 4))
            number += 1
        counts[collection.name] = len(os.listdir(place / "cur"))
    for path in [server.home(user), *server.home(user).rglob("*")]:
        os.chown(path, uid, uid)
    return counts
