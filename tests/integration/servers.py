"""The servers of the lab as ends of a copy: what each is called, how its names are spelt, what it makes of a message, what it
refuses and in which words. Whatever is not said here must arrive to the octet, with flags and date."""

import collections
import collections.abc
import concurrent.futures
import dataclasses
import os
import pathlib
import re
import socket
import subprocess
import unittest

from support import ROOT, digest, samples

from lab import roots  # noqa: E402
from lab.courier import Courier  # noqa: E402
from lab.cyrus import Cyrus  # noqa: E402
from lab.dovecot import Dovecot  # noqa: E402
from lab.jail import MAIL_UID  # noqa: E402
from lab.mailutils import Mailutils  # noqa: E402

SECRET = "Fähre 7/+x"
SOURCE = "source"
NAMES = ("Dovecot", "Cyrus", "Cyrus altnamespace off", "Courier", "Mailutils")
DOCS = ROOT / "docs" / "servers.md"
# A name, then a colon; or the line of an mbox; or no header at all, told by an empty line.
_HEADER = re.compile(rb"\r\n|From |[!-9;-~]+[ \t]*:")


def _as_it_is(body: bytes) -> bytes:
    return body


def _takes_all(_body: bytes, _date: str) -> str | None:
    return None


@dataclasses.dataclass
class Place:
    """One server as source and target."""

    name: str
    start: collections.abc.Callable
    spelling: collections.abc.Callable[[str], str] = lambda name: name  # of a folder, decoded, "/" between levels
    alter: collections.abc.Callable[[bytes], bytes] = _as_it_is       # what it stores
    refusal: collections.abc.Callable[[bytes, str], str | None] = _takes_all  # its words
    alterations: tuple[str, ...] = ("altered_by_server",)  # what verify calls those that are more than a last line end
    mends: dict[str, str] = dataclasses.field(default_factory=dict)    # its words -> the repair that it takes
    keeps_flags: bool = True
    keeps_dates: bool = True
    subscribes: bool = True
    server: object = None

    @property
    def receiver(self) -> str:
        """The user of another server to whom this one's sample is copied."""
        return "from-" + self.name.lower().replace(" ", "-")

    def url(self, user: str) -> str:
        return f"imap://{user}@{self.server.host}:{self.server.imap_port}?tls=off"


def _cyrus_alters(body: bytes) -> bytes:
    """docs/quirks.md#header-8bit"""
    head, empty, rest = body.partition(b"\r\n\r\n")
    return re.sub(rb"[\x80-\xff]", b"X", head) + empty + rest


def _cyrus_refuses(body: bytes, _date: str) -> str | None:
    return None if _HEADER.match(body) else "NO Message contains invalid header"


def _courier_alters(body: bytes) -> bytes:
    """docs/quirks.md#last-line-end"""
    return body if body.endswith(b"\n") else body + b"\r\n"


def _mailutils_alters(body: bytes) -> bytes:
    """Its Maildirs: one space after the colon of a field, an empty line after the header whether there is a body or not, and
    nothing at all of a message that begins with that line."""
    if body.startswith(b"\r\n"):
        return b"\r\n"
    head, empty, rest = body.partition(b"\r\n\r\n")
    return re.sub(rb"(?m)^([!-9;-~]+:)[ \t]*", rb"\1 ", head) + (empty or b"\r\n") + rest


def _mailutils_refuses(body: bytes, date: str) -> str | None:
    if date.endswith("+1245"):
        return "NO APPEND Invalid date/time format"
    return None if _HEADER.match(body) else "NO APPEND [TRYCREATE] failed"


def _full_width(name: str) -> str:
    return re.sub(r'[!"%;<>\\^`{|}]', lambda match: chr(ord(match[0]) + 0xFEE0), name)


def _by_number(name: str) -> str:
    return re.sub(r"[^\0-\uffff]", lambda match: f"U+{ord(match[0]):X}", name)


def _places() -> list[Place]:
    def cyrus(name: str, **options) -> Place:
        return Place(name, lambda where, users: Cyrus(where, users=users, **options), _full_width, _cyrus_alters,
                     _cyrus_refuses, mends={"NO Message contains invalid header": "header"})

    return [
        Place("Dovecot", lambda where, users: Dovecot(where, users=users)),
        cyrus("Cyrus"),
        cyrus("Cyrus altnamespace off", altnamespace=False, unixhierarchysep=False),
        Place("Courier", lambda where, users: Courier(where, users=users), _by_number, _courier_alters),
        Place("Mailutils", lambda where, users: Mailutils(where, users=users), alter=_mailutils_alters,
              refusal=_mailutils_refuses, mends={"NO APPEND [TRYCREATE] failed": "header"},
              alterations=("missing", "extra"), keeps_flags=False, keeps_dates=False),
    ]


def need_roots() -> None:
    """For setUpModule: makes the roots on the first call on a machine, from Debian's packages."""
    for kind in roots.PACKAGES:
        try:
            roots.root(kind)
        except roots.Unavailable as error:
            raise unittest.SkipTest(str(error)) from error


def start_all(folder: pathlib.Path, clean_up) -> list[Place]:
    places = _places()
    users = {SOURCE: SECRET, **{place.receiver: SECRET for place in places}}

    def start(number: int) -> None:
        places[number].server = places[number].start(folder / str(number), users)
        clean_up(places[number].server.stop)

    with concurrent.futures.ThreadPoolExecutor(len(places)) as pool:
        list(pool.map(start, range(len(places))))
    return places


# -- what is expected -------------------------------------------------------------------------------------------------

class Expectation:
    """What a target must hold of a source, and what may not arrive."""

    def __init__(self, source: Place, target: Place):
        self.failures = collections.Counter()
        self.repairs = collections.Counter()
        self.altered = collections.Counter()
        self._source, self._target = source, target
        self.content = digest.mailbox_content(source.server, SOURCE, as_stored=self._store)
        self._translate = lambda name: _wire_name(target, target.spelling(_plain_name(source, name)))

    def _store(self, body: bytes, date: str) -> bytes | None:
        words = self._target.refusal(body, date)
        if words in self._target.mends:
            self.repairs[self._target.mends[words]] += 1
            return None
        if words:
            self.failures[words] += 1
            return None
        stored = self._target.alter(body)
        if stored != body:
            only_end = stored.rstrip(b"\r\n") == body.rstrip(b"\r\n")
            self.altered.update(("altered_by_server",) if only_end else self._target.alterations)
        return stored

    def differences(self, found: digest.Content) -> list[str]:
        """Repaired messages are not looked at but counted."""
        told = digest.compare(self.content, found, self._translate, subscriptions=self._target.subscribes,
                              flags=self._target.keeps_flags,
                              dates=self._source.keeps_dates and self._target.keeps_dates)
        foreign = [line for line in told if "was never on the source" in line]
        repaired = sum(self.repairs.values())
        return [line for line in told if line not in foreign] + ([] if len(foreign) == repaired else foreign)


def _plain_name(place: Place, name: str) -> str:
    """A server's name as Postferry shows it."""
    return name if name == "INBOX" else name.removeprefix(place.server.prefix).replace(place.server.delimiter, "/")


def _wire_name(place: Place, name: str) -> str:
    return name if name == "INBOX" else place.server.prefix + name.replace("/", place.server.delimiter)


def reasons(run) -> collections.Counter:
    """Why a run's failures failed: in the server's words where it said any."""
    told = (failure["reason"] for failure in run.mailbox["failures"])
    return collections.Counter(re.sub(r'^.*server said: "(.*)"$', r"\1", reason) for reason in told)


def as_seen(place: Place, content: digest.Content) -> dict[str, list[tuple]]:
    """All that must not change from one look to the next: Mailutils makes up a date where a message has none."""
    return {name: [message._replace(instant=message.instant if place.keeps_dates else 0) for message in messages]
            for name, messages in content.folders.items()}


# -- what is written --------------------------------------------------------------------------------------------------

def counted(words: collections.abc.Mapping[str, int]) -> str:
    return "; ".join(f"{count} x {word}" for word, count in sorted(words.items())) or "-"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def write_section(name: str, text: str) -> None:
    """Replaces what stands between the two marks of a section of docs/servers.md."""
    page = DOCS.read_text()
    begin, end = f"<!-- {name}: written by the tests -->\n", f"<!-- end of {name} -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    DOCS.write_text(before + begin + text + end + after)


def versions() -> dict[str, str]:
    dovecot = subprocess.run(["dovecot", "--version"], capture_output=True, text=True).stdout.split()[0]
    return {"Dovecot": dovecot, **{name: roots.version(kind, roots.PACKAGES[kind][0]) for name, kind in (
        ("Cyrus", "cyrus"), ("Courier", "courier"), ("Mailutils", "mailutils"))}}


# -- processes --------------------------------------------------------------------------------------------------------

def serves(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except OSError:
        return False


def processes_of(folder: str) -> list[str]:
    """Processes whose root has `folder` mounted, or that were told its name, but for those that own a server there."""
    found = []
    disk = pathlib.Path(folder)
    while not disk.is_mount():
        disk = disk.parent
    in_disk = "/" + str(pathlib.Path(folder).relative_to(disk))
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            told = (entry / "cmdline").read_bytes()
            mounted = (entry / "mountinfo").read_text()
        except OSError:
            continue
        # A mount's line begins with its place in the file system that it comes from.
        inside = folder.encode() in told or in_disk + " /" in mounted
        if inside and b"python" not in told.split(b"\0")[0]:
            found.append(f"{entry.name} {told.decode(errors='replace')}")
    return found


__all__ = ["Courier", "Cyrus", "Dovecot", "Expectation", "MAIL_UID", "Mailutils", "NAMES", "Place", "SECRET", "SOURCE",
           "as_seen", "counted", "need_roots", "processes_of", "reasons", "roots", "serves", "start_all", "table", "versions",
           "write_section"]
