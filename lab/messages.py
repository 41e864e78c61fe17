"""Writes sample messages: ordinary ones, and one of every kind that has ever broken a mail program."""

import base64
import collections.abc
import functools
import random

from lab.imap_client import Append

_LINE = 78  # octets in a line of base64, its end included
_POOL_LINES = 30_000
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_ZONES = ("+0000", "+0100", "+0200", "-0800", "+0530", "-0330", "+0900", "+1245")
_WORDS = ("ferry harbour tide ledger anchor mailbox invoice Rechnung délai naïve Grüße budget meeting notes lunch "
          "Angebot route crew weather deck cargo manifest 日程 返信 report").split()
_FLAGS = ((), ("\\Seen",), ("\\Seen",), ("\\Seen", "\\Answered"), ("\\Seen", "\\Flagged"), ("\\Seen", "$Label1"),
          ("\\Seen", "$Forwarded"), ("\\Draft",), ("\\Seen", "Projekt-X", "$Label1"))
_SENDERS = ("Anna Berg <anna@old.example>", "Béla Kovács <bela@old.example>", "news@list.example",
            '"Müller, Jörg" <jm@partner.example>')


@functools.cache
def _pool() -> bytes:
    """What attachments are slices of, because making base64 afresh for each is slow."""
    raw = random.Random(94).randbytes(_POOL_LINES * 57)
    return base64.encodebytes(raw).replace(b"\n", b"\r\n")


class Writer:
    """A source of messages; everything follows from the seed."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self._seed = seed
        self._number = 0

    # -- parts --------------------------------------------------------------------------------------------------

    def date(self, first: int = 2004, last: int = 2024) -> str:
        """An INTERNALDATE."""
        pick = self.random.randint
        return (f"{pick(1, 28):02}-{self.random.choice(_MONTHS)}-{pick(first, last)} "
                f"{pick(0, 23):02}:{pick(0, 59):02}:{pick(0, 59):02} {self.random.choice(_ZONES)}")

    def _message_id(self) -> bytes:
        self._number += 1
        return b"<%d.%d@postferry.example>" % (self._seed, self._number)

    def _header(self, date: str, *, subject: str = "", message_id: bytes | None = None, more: bytes = b"") -> bytes:
        day, month, rest = date.split("-", 2)
        words = subject or " ".join(self.random.choice(_WORDS) for _ in range(4))
        encoded = words if words.isascii() else f"=?utf-8?B?{base64.b64encode(words.encode()).decode()}?="
        sender = self.random.choice(_SENDERS)
        if not sender.isascii():
            sender = f"=?utf-8?B?{base64.b64encode(sender.split(' <')[0].encode()).decode()}?= <{sender.split(' <')[1]}"
        return (f"From: {sender}\r\nTo: anna@old.example\r\nSubject: {encoded}\r\nDate: {day} {month} {rest}\r\n"
                .encode() + b"Message-ID: " + (message_id or self._message_id()) + b"\r\n" + more)

    def _text(self, octets: int) -> bytes:
        lines, length = [], 0
        while length < octets:
            line = " ".join(self.random.choice(_WORDS) for _ in range(10)).encode() + b"\r\n"
            lines.append(line)
            length += len(line)
        return b"".join(lines)

    def _base64(self, octets: int) -> bytes:
        """Lines of base64, `octets` long to the octet."""
        pool = _pool()
        rest = max(octets - 2, 0)
        start = self.random.randrange(_POOL_LINES) * _LINE
        pieces = []
        while rest > 0:
            pieces.append(pool[start:start + rest])
            rest -= len(pieces[-1])
            start = 0
        text = b"".join(pieces)
        return text.rstrip(b"\r\n").ljust(len(text), b"=") + b"\r\n"

    # -- kinds --------------------------------------------------------------------------------------------------

    def sized(self, sizes: collections.abc.Iterable[int], flags=_FLAGS) -> collections.abc.Iterator[Append]:
        """Messages with one attachment, each of almost exactly the size asked for."""
        for size in sizes:
            date = self.date()
            head = self._header(date, subject=f"Sample {self._number + 1}", more=(
                b"MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
                b"Content-Transfer-Encoding: base64\r\n")) + b"\r\n"
            yield Append(head + self._base64(size - len(head)), self.random.choice(flags), date)

    def letters(self, sizes: collections.abc.Iterable[int]) -> collections.abc.Iterator[Append]:
        """Plain text of about each size."""
        for size in sizes:
            date = self.date()
            head = self._header(date, more=b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n")
            yield Append(head + b"\r\n" + self._text(size), (), date)

    def ordinary(self, count: int) -> list[Append]:
        """Text of 1 to 6 kB, now and then multipart with an attachment of up to 60 kB."""
        made = []
        for number in range(count):
            date = self.date()
            text = self._text(self.random.randrange(600, 5000))
            plain = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
            if number % 10 == 9:
                data = (self._header(date, more=b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="cut"\r\n')
                        + b"\r\n--cut\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text
                        + b"--cut\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                        + self._base64(self.random.randrange(4000, 60_000)) + b"--cut--\r\n")
            else:
                data = self._header(date, more=plain) + b"\r\n" + text
            made.append(Append(data, self.random.choice(_FLAGS), date))
        return made

    def old(self, count: int) -> list[Append]:
        """Received between 1994 and 1999 in every zone; the first one on a day that is another year elsewhere."""
        dates = ["31-Dec-1993 23:59:59 -1000", " 1-Jan-1994 00:00:00 +0000"]
        dates += [self.date(1994, 1999) for _ in range(count - 2)]
        return [Append(self._header(date) + b"\r\n" + self._text(800), ("\\Seen",), date) for date in dates]

    def every_flag(self) -> list[Append]:
        sets = [(), ("\\Seen",), ("\\Answered",), ("\\Flagged",), ("\\Deleted",), ("\\Draft",),
                ("\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen"), ("$Label1",), ("$Forwarded",),
                ("Projekt-X",), ("\\Seen", "$Label1", "$Forwarded", "Projekt-X", "NonJunk")]
        made = []
        for flags in sets:
            date = self.date()
            made.append(Append(self._header(date, subject=f"flags {' '.join(flags)}") + b"\r\nflags\r\n", flags, date))
        return made

    def repeats(self) -> list[Append]:
        """Exact repeats, with the same and with other flags and dates; several bodies under one Message-ID."""
        date = self.date()
        same = self._header(date, subject="three times the same") + b"\r\n" + self._text(1500)
        made = [Append(same, ("\\Seen",), date)] * 3
        other = self._header(date, subject="same message, other flags and dates") + b"\r\n" + self._text(900)
        made += [Append(other, (), date), Append(other, ("\\Seen", "\\Flagged"), self.date())]
        shared = b"<shared@postferry.example>"
        for number in range(4):
            head = self._header(date, subject="one Message-ID, several bodies", message_id=shared)
            made.append(Append(head + b"\r\nbody number %d\r\n" % number, (), date))
        # Same header to the octet and the same size, only the body differs.
        head = self._header(date, subject="same header and size", message_id=shared) + b"\r\n"
        made += [Append(head + b"body A\r\n", (), date), Append(head + b"body B\r\n", (), date)]
        return made

    def oddities(self) -> list[Append]:
        date = self.date()
        body = self._text(700)
        from_only = b"From: x@old.example\r\n"
        bodies = [
            b"Subject: no Message-ID\r\n" + from_only + b"\r\n" + body,
            b"Subject: no Message-ID either\r\n" + from_only + b"\r\n" + body,
            b"\r\nno header at all, an empty line first\r\n",
            b"no header at all and no empty line\r\n",
            b"\r\n",
            b"x",
            self._header(date, subject="empty body") + b"\r\n",
            self._header(date, subject="no empty line after the header"),
            self._header(date, subject="no line end at the end") + b"\r\nthe end",
            self._header(date, subject="dots") + b"\r\n.\r\n..\r\n.dot\r\n...\r\n.\r\n",
            self._header(date, subject="mbox lines") + b"\r\nFrom nobody Thu Jan  1 00:00:00 1970\r\n>From x\r\n",
            self._header(date, subject="long lines") + b"\r\n" + b"x" * 20_000 + b"\r\n" + b"y" * 70_000 + b"\r\n",
            "Subject: Grüße in UTF-8 unverschlüsselt\r\n".encode() + from_only + b"\r\n" + body,
            "Subject: Grüße in Latin-1\r\n".encode("latin-1") + from_only + b"\r\n" + body,
            b"Subject: every octet\r\n\r\n" + bytes(n for n in range(1, 256) if n not in (10, 13)) + b"\r\n",
            b"Subject: many\r\n" + b"".join(b"X-Line-%d: %s\r\n" % (n, b"v" * 60) for n in range(500)) + b"\r\n",
            b"Message-ID: <folded\r\n @postferry.example>\r\nSubject: folded\r\n  twice\r\n\r\n" + body,
            b"Message-ID: <one@x.example>\r\nMessage-ID: <two@x.example>\r\nSubject: two IDs\r\n\r\n" + body,
            b"Message-ID:\r\nSubject: empty ID\r\n\r\n" + body,
        ]
        return [Append(data, ("\\Seen",) if number % 2 else (), date) for number, data in enumerate(bodies)]

    def commands(self) -> list[Append]:
        """Messages that read as IMAP: whoever sends a literal that the server did not accept runs them."""
        date = self.date()
        bodies = [
            b"x DELETE Archive\r\nx DELETE INBOX.Archiv\r\nx LOGOUT\r\n",
            b"x SELECT INBOX\r\nx STORE 1:* +FLAGS.SILENT (\\Deleted)\r\nx EXPUNGE\r\n",
            b"* BYE we are closing\r\n+ go ahead\r\nL1 OK done\r\n* 1 FETCH (UID 1)\r\n",
            b"x APPEND INBOX {10+}\r\n0123456789\r\n{100}\r\n{99999999+}\r\n",
            b")\r\n) (\\Seen) {5}\r\n\"\\\r\n",
        ]
        made = [Append(self._header(date, subject="x LOGOUT") + b"\r\n" + body, ("\\Seen",), date) for body in bodies]
        return made + [Append(body, (), date) for body in bodies]
