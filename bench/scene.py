"""The servers of a benchmark, on one file system, with users for every run."""

import contextlib
import itertools
import pathlib
import shutil

from bench.lines import Line
from bench.tools import PASSWORD, End
from lab import samples
from lab.dovecot import Dovecot
from lab.imap_client import connect, encode_name, parse, quote


class Scene:
    """One source (Maildir, "INBOX." and ".") and two targets (mdbox and Maildir, "/"), the same for every tool.

    Users of the source are samples, filled when first asked for. Users of the targets are fresh for each run.
    """

    def __init__(self, folder: pathlib.Path, *, fsync: str):
        self.folder = folder
        folder.mkdir(parents=True)
        # Fresh users are taken from names made beforehand: no run then waits for the list of users to be read again.
        names = {f"run{number:04}": PASSWORD for number in range(2000)}
        names |= {f"user{number:05}": PASSWORD for number in range(1000)}
        users = {name: PASSWORD for name in SAMPLES} | {f"user{number:05}": PASSWORD for number in range(1000)}
        common = {"fsync": fsync, "fast_login": True, "idle_processes": 4, "mechanisms": ("plain", "login"), "special_use": {}}
        self._servers = contextlib.ExitStack()
        enter = self._servers.enter_context
        self.source = enter(Dovecot(folder / "source", name="source", users=users, storage="maildir", pop3=True, **common))
        self.targets = {
            storage: enter(Dovecot(folder / storage, name=storage, users=names, storage=storage, delimiter="/",
                                   prefix="", **common))
            for storage in ("mdbox", "maildir")}
        self._fresh = itertools.count()
        self._filled: dict[str, tuple[int, int]] = {}

    def close(self) -> None:
        self._servers.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- mailboxes ----------------------------------------------------------------------------------------------

    def sample(self, name: str) -> str:
        """The source user with that sample; fills it when it is not there yet."""
        if name not in self._filled:
            if name.startswith("huge"):
                _fill_in_bulk(self.source, name, SAMPLES[name]())
            else:
                samples.fill(self.source, name, SAMPLES[name]())
            self._filled[name] = totals(self.source, name)
        return name

    def many(self, count: int, messages: int) -> list[str]:
        made = samples.many(count, messages=messages)
        for user, sample in made.items():
            if user not in self._filled:
                samples.fill(self.source, user, sample)
                self._filled[user] = totals(self.source, user)
        return list(made)

    def content(self, user: str) -> tuple[int, int]:
        """Messages and octets of a source user, as its server counts them."""
        return self._filled[user]

    def fresh_user(self) -> str:
        return f"run{next(self._fresh):04}"

    def forget(self, storage: str, user: str) -> None:
        shutil.rmtree(self.targets[storage].home(user), ignore_errors=True)

    # -- ways to the servers ------------------------------------------------------------------------------------

    def ends(self, storage: str, *, tls: bool = False) -> tuple[End, End]:
        def end(server: Dovecot) -> End:
            return End(server, server.imaps_port if tls else server.imap_port, tls)

        return end(self.source), end(self.targets[storage])

    def pop3_ends(self, storage: str) -> tuple[End, End]:
        return (End(self.source, self.source.pop3_port, protocol="pop3"),
                End(self.targets[storage], self.targets[storage].imap_port))

    @contextlib.contextmanager
    def deflating_ends(self, program: str, rate: int):
        """A source of letters and an empty target that offer COMPRESS=DEFLATE: (source end, target end, the same two
        behind a line of `rate` octets a second and 10 ms on each side)."""
        users = {name: PASSWORD for name in ("letters", *(f"run{number:04}" for number in range(2000)))}
        common = {"users": users, "fast_login": True, "mechanisms": ("plain", "login"), "special_use": {},
                  "compress": True}
        for place in ("deflating-source", "deflating-target"):  # of an earlier row
            shutil.rmtree(self.folder / place, ignore_errors=True)
        with (Dovecot(self.folder / "deflating-source", name="deflating source", **common) as old,
              Dovecot(self.folder / "deflating-target", name="deflating target", storage="mdbox", **common) as new,
              Line(program, old, 10, rate) as from_old, Line(program, new, 10, rate) as to_new):
            samples.fill(old, "letters", samples.letters())
            yield (End(old, old.imap_port, False), End(new, new.imap_port, False),
                   End(old, from_old.port, False), End(new, to_new.port, False))

    @contextlib.contextmanager
    def far_ends(self, program: str, storage: str, round_trip_ms: int):
        """Both servers behind lines of that round trip: (source end, target end, the two lines)."""
        target = self.targets[storage]
        with Line(program, self.source, round_trip_ms) as old, Line(program, target, round_trip_ms) as new:
            yield End(self.source, old.port), End(target, new.port), (old, new)


def totals(server: Dovecot, user: str) -> tuple[int, int]:
    """Messages and octets of a mailbox over all its folders."""
    messages = octets = 0
    with connect(server, user) as client:
        for response in client.command(b'LIST "" * RETURN (STATUS (MESSAGES SIZE))'):
            words = parse(response)
            if words[:2] == [b"*", b"STATUS"]:
                status = dict(zip(words[3][::2], words[3][1::2]))
                messages += int(status[b"MESSAGES"])
                octets += int(status[b"SIZE"])
    return messages, octets


def _fill_in_bulk(server: Dovecot, user: str, sample: samples.Sample) -> None:
    """Few, very large appends: each transaction on a Maildir costs Dovecot time in proportion to the folder."""
    with connect(server, user) as client:
        for folder in sample:
            name = quote(encode_name(samples.place(server, folder.path)))
            if folder.path != ("INBOX",):
                client.command(b"CREATE " + name)
            messages = iter(folder.messages())
            while batch := list(itertools.islice(messages, 10_000)):
                pieces = [b"APPEND ", name]
                for message in batch:
                    pieces += [b' (%s) "%s" {%d+}\r\n' % (" ".join(message.flags).encode(), message.date.encode(),
                                                          len(message.data)), message.data]
                client.command(pieces)


def _folders(count: int) -> samples.Sample:
    """Very many folders with three messages each."""
    return [samples.Folder(("INBOX",), _few(0))] + [
        samples.Folder(("Projects", f"Project {number:03}"), _few(number)) for number in range(1, count)]


def _few(number: int):
    return lambda: samples.Writer(number).sized([1500, 2500, 3500])


SAMPLES = {
    "bench5000": lambda: samples.bench(5000),
    "bench500": lambda: samples.bench(500),
    "folders200": lambda: _folders(200),
    "inbox5000": lambda: samples.bench(5000, folders=1),
    "large": lambda: samples.large(3),
    "huge5000": lambda: samples.huge(5000),
    "huge200000": lambda: samples.huge(200_000),
} | {f"eight{number}": (lambda number=number: samples.bench(1000, seed=10 + number)) for number in range(8)}
