"""The rows of the benchmark: what is measured, on which servers, how often."""

import contextlib
import dataclasses
import pathlib
import shutil
import sqlite3
import sys
import time

from bench.measure import Command, Launcher, Run, Series
from bench.scene import Scene, totals
from bench.tools import Doveadm, End, Job, Mbsync, Postferry, PostferryMaildir, Raw
from lab.imap_client import ImapError
from lab.service import Refused

LINE_20, LINE_80 = 20, 80  # milliseconds of round trip, on each side


@dataclasses.dataclass
class Result:
    """One row: what each tool took. `facts` are numbers a requirement needs besides (messages, octets)."""

    title: str
    series: dict[str, Series] = dataclasses.field(default_factory=dict)
    facts: dict[str, float] = dataclasses.field(default_factory=dict)
    note: str = ""


@dataclasses.dataclass
class Programs:
    launcher: str
    raw: str
    line: str | None
    postferry: str | None
    directory: str | None = None


class Bench:
    """Holds the servers and runs the rows. Servers of a file system start with the first row that needs them."""

    def __init__(self, programs: Programs, memory: pathlib.Path, disk: pathlib.Path, *, quick: bool):
        self.programs = programs
        self.quick = quick
        self.launcher = Launcher(pathlib.Path(programs.launcher))
        self._roots = {"tmpfs": memory, "disk": disk}
        self._scenes: dict[str, Scene] = {}
        self._runs = 0
        self.postferry = [Postferry(programs.postferry)] if programs.postferry else []
        self.raws = [Raw(programs.raw), Raw(programs.raw, 2)]

    def scene(self, kind: str = "tmpfs") -> Scene:
        if kind not in self._scenes:
            # The same for every tool: on tmpfs there is nothing to sync, on disk Dovecot's own default.
            fsync = "never" if kind == "tmpfs" else "optimized"
            self._scenes[kind] = Scene(self._roots[kind] / "servers", fsync=fsync)
        return self._scenes[kind]

    def close(self) -> None:
        self.launcher.stop()
        for scene in self._scenes.values():
            scene.close()
        for root in self._roots.values():
            shutil.rmtree(root, ignore_errors=True)

    def folder(self, kind: str = "tmpfs") -> pathlib.Path:
        """A fresh folder for a tool's state, on the same file system as the stores."""
        self._runs += 1
        made = self._roots[kind] / f"state{self._runs}"
        made.mkdir(parents=True)
        return made

    # -- pieces of rows -----------------------------------------------------------------------------------------

    def first_copy(self, tool, kind: str, storage: str, ends: tuple[End, End], users: list[str], *,
                   watch: bool = False, keep: bool = False, at_a_time: int = 8, state: str = "") -> tuple[Run, Job]:
        """One copy into fresh, empty mailboxes, then a look at the target: a wrong copy has no time."""
        scene = self.scene(kind)
        pairs = [(user, user if user.startswith("user") else scene.fresh_user()) for user in users]
        job = Job(*ends, pairs, self.folder(state or kind), at_a_time)
        run = self.launcher.run(tool.commands(job), job.folder, watch=watch)
        run.error = run.error or self.check(tool, scene, storage, pairs)
        if not keep:
            self.drop(kind, storage, job)
        return run, job

    def check(self, tool, scene: Scene, storage: str, pairs: list[tuple[str, str]]) -> str:
        for user, new_user in pairs:
            messages, octets = scene.content(user)
            there = totals(scene.targets[storage], new_user)
            added = getattr(tool, "octets_added", 0) * messages
            if there not in ((messages, octets), (messages, octets + added)):
                return f"wrong copy: {there[0]} messages, {there[1]} octets instead of {messages}, {octets}"
        return ""

    def drop(self, kind: str, storage: str, job: Job) -> None:
        for _, new_user in job.pairs:
            self.scene(kind).forget(storage, new_user)
        shutil.rmtree(job.folder, ignore_errors=True)

    def alternate(self, result: Result, tools: list, repetitions: int, once) -> Result:
        """Each tool once, then each again: what disturbs the machine for a while disturbs all of them."""
        for number in range(repetitions):
            for tool in tools:
                series = result.series.setdefault(tool.name, Series())
                if series.error:
                    continue
                series.runs.append(once(tool))
                if repetitions <= 5 or number == 0:
                    say(f"  {tool.name}: {series.runs[-1].error or f'{series.runs[-1].wall:.3f} s'}")
        return result

    @contextlib.contextmanager
    def ends(self, kind: str, storage: str, *, tls: bool = False, line_ms: int = 0):
        """(source end, target end, the two lines or None)"""
        if not line_ms:
            yield *self.scene(kind).ends(storage, tls=tls), None
        elif not self.programs.line:
            raise Skipped("there is no line_proxy")
        else:
            with self.scene(kind).far_ends(self.programs.line, storage, line_ms) as far:
                yield far


class Skipped(Exception):
    """A row that cannot be measured here, with the reason."""


# -- rows -----------------------------------------------------------------------------------------------------------


def copy(bench: Bench, title: str, storage: str, *, kind: str = "tmpfs", tls: bool = False, line_ms: int = 0,
         users: list[str] | None = None, tools: list | None = None, repetitions: int = 3) -> Result:
    users = users or ["bench5000"]
    for user in users:
        bench.scene(kind).sample(user)
    every = bench.postferry + bench.raws + [Mbsync(), Mbsync(tuned=True), Doveadm(), Doveadm(tuned=True)]
    with bench.ends(kind, storage, tls=tls, line_ms=line_ms) as (source, target, _):
        def once(tool) -> Run:
            return bench.first_copy(tool, kind, storage, (source, target), users)[0]

        # Not counted: fills the source's caches, so that the first tool does not pay for the others.
        if not line_ms:
            once(bench.raws[0])
        return bench.alternate(Result(title), tools if tools is not None else every, repetitions, once)


def rerun(bench: Bench, title: str, *, user: str = "bench5000", storage: str = "mdbox", line_ms: int = 0,
          repetitions: int = 20, tools: list | None = None) -> Result:
    """A first copy each, not measured here, then the same again with nothing new."""
    bench.scene().sample(user)
    tools = tools if tools is not None else bench.postferry + [Mbsync(), Doveadm(), Doveadm(tuned=True)]
    result, jobs = Result(title), {}
    with bench.ends("tmpfs", storage, line_ms=line_ms) as (source, target, lines):
        for tool in tools:
            run, jobs[tool.name] = bench.first_copy(tool, "tmpfs", storage, (source, target), [user], keep=True)
            result.series[tool.name] = Series([run] if run.error else [])

        def once(tool) -> Run:
            marks = [line.mark() for line in lines or ()]
            run = bench.launcher.run(tool.commands(jobs[tool.name]), jobs[tool.name].folder)
            if lines:
                run.round_trips = max(line.round_trips(mark) for line, mark in zip(lines, marks))
            run.error = run.error or bench.check(tool, bench.scene(), storage, jobs[tool.name].pairs)
            return run

        bench.alternate(result, tools, repetitions, once)
        for job in jobs.values():
            bench.drop("tmpfs", storage, job)
    return result


def large(bench: Bench, title: str) -> Result:
    """Messages of 100 MB. The state is on disk, as it would be: spilled octets in /dev/shm would be memory."""
    bench.scene().sample("large")
    tools = bench.postferry + [bench.raws[0], Mbsync(), Doveadm(tuned=True)]

    def once(tool) -> Run:
        return bench.first_copy(tool, "tmpfs", "mdbox", bench.scene().ends("mdbox"), ["large"], watch=True,
                                state="disk")[0]

    return bench.alternate(Result(title), tools, 1 if bench.quick else 3, once)


def many(bench: Bench, title: str, *, mailboxes: int = 1000) -> Result:
    users = bench.scene().many(mailboxes, 50)

    def once(tool) -> Run:
        return bench.first_copy(tool, "tmpfs", "mdbox", bench.scene().ends("mdbox"), users, watch=True,
                                at_a_time=50)[0]

    return bench.alternate(Result(title, facts={"mailboxes": mailboxes}), bench.postferry, 1, once)


def ledger(bench: Bench, title: str) -> Result:
    """How a ledger file grows: a first copy, then the same mailbox into another one, with the same file."""
    scene, tool = bench.scene(), bench.postferry[0] if bench.postferry else None
    if not tool:
        raise Skipped("there is no postferry")
    scene.sample("bench5000")
    ends = scene.ends("mdbox")
    result = Result(title)
    series = result.series[tool.name] = Series()
    run, first = bench.first_copy(tool, "tmpfs", "mdbox", ends, ["bench5000"], keep=True)
    series.runs.append(run)
    before = (first.folder / "postferry.db").stat().st_size if not run.error else 0
    second = Job(*ends, [("bench5000", scene.fresh_user())], first.folder, 1)
    run = bench.launcher.run(tool.commands(second), second.folder)
    run.error = run.error or bench.check(tool, scene, "mdbox", second.pairs)
    series.runs.append(run)
    if series.ok:
        messages, _ = scene.content("bench5000")
        result.facts["octets a message"] = ((second.folder / "postferry.db").stat().st_size - before) / messages
    scene.forget("mdbox", second.pairs[0][1])
    bench.drop("tmpfs", "mdbox", first)
    return result


def pop3(bench: Bench, title: str, *, storage: str, repetitions: int) -> Result:
    """The usual messages, all in INBOX, read by POP3."""
    bench.scene().sample("inbox5000")
    ends = bench.scene().pop3_ends(storage)

    def once(tool) -> Run:
        return bench.first_copy(tool, "tmpfs", storage, ends, ["inbox5000"])[0]

    once(bench.raws[0])  # not counted: fills the source's caches
    return bench.alternate(Result(title), bench.postferry + [bench.raws[0]], repetitions, once)


def deflate(bench: Bench, title: str, *, where: str, rate: int = 1_250_000) -> Result:
    """The same copy with compression off and left to itself, from and to servers that offer it."""
    if not bench.programs.line:
        raise Skipped("there is no line_proxy")
    if not bench.programs.postferry:
        raise Skipped("there is no postferry")
    tools = [Postferry(bench.programs.postferry), Postferry(bench.programs.postferry, "off"),
             Postferry(bench.programs.postferry, "on")]
    scene = bench.scene()
    with scene.deflating_ends(bench.programs.line, rate) as (old, new, far_old, far_new):
        ends = {"source": (far_old, new), "target": (old, far_new), "loopback": (old, new)}[where]
        messages, octets = totals(old.server, "letters")

        def once(tool) -> Run:
            job = Job(*ends, [("letters", scene.fresh_user())], bench.folder(), 1)
            run = bench.launcher.run(tool.commands(job), job.folder)
            there = totals(new.server, job.pairs[0][1])
            if not run.error and there != (messages, octets):
                run.error = f"wrong copy: {there[0]} messages, {there[1]} octets instead of {messages}, {octets}"
            return run

        return bench.alternate(Result(title, facts={"messages": messages}), tools, 1 if bench.quick else 3, once)


def onto_disk(bench: Bench, title: str, *, user: str = "bench5000", again: bool = False) -> Result:
    """Into a Maildir on the disk, every message synced, no server between; again: its re-run, nothing new."""
    if not bench.programs.postferry:
        raise Skipped("there is no postferry")
    bench.scene("disk").sample(user)
    tools = [PostferryMaildir(bench.programs.postferry), Doveadm(fsync="always"), Doveadm(tuned=True, fsync="always")]
    with bench.ends("disk", "maildir") as (source, target, _):
        ends = (source, target)
        if not again:
            def once(tool) -> Run:
                return bench.first_copy(tool, "disk", "maildir", ends, [user])[0]

            return bench.alternate(Result(title), tools, 1 if bench.quick else 3, once)
        run, job = bench.first_copy(tools[0], "disk", "maildir", ends, [user], keep=True)
        result = Result(title)
        if run.error:
            result.series[tools[0].name] = Series([run])
            return result
        bench.alternate(result, tools[:1], 5 if bench.quick else 20,
                        lambda tool: bench.launcher.run(tool.commands(job), job.folder))
        bench.drop("disk", "maildir", job)
        return result


def huge(bench: Bench, title: str, *, user: str, again: bool) -> Result:
    """A first copy of one folder of very many small messages, or (again) its re-run."""
    bench.scene().sample(user)
    if again:
        return rerun(bench, title, user=user, repetitions=3, tools=bench.postferry)
    messages, _ = bench.scene().content(user)
    tools = bench.postferry + [bench.raws[0]]

    def once(tool) -> Run:
        return bench.first_copy(tool, "tmpfs", "mdbox", bench.scene().ends("mdbox"), [user])[0]

    result = Result(title, facts={"messages": messages})
    return bench.alternate(result, tools, 1 if bench.quick else 3, once)


def hashing(bench: Bench, title: str, *, scheme: str, count: int) -> Result:
    """Passwords hashed by the pool, and by crypt(3) or libsodium alone on all processors, at the same costs."""
    program = bench.programs.directory or _missing("directory_bench")
    tools = [Bare("postferry", [program, "hash", scheme, str(count)]), Bare("libraries alone", [program, "limit", scheme, str(count)])]

    def once(tool) -> Run:
        return bench.launcher.run([Command(tool.argv)], bench.folder())

    return bench.alternate(Result(title, facts={"passwords": count}), tools, 1 if bench.quick else 3, once)


def accounts(bench: Bench, title: str, *, count: int) -> Result:
    """Accounts with hashed passwords into PostfixAdmin's tables in SQLite on the disk, every transaction synced."""
    program = bench.programs.directory or _missing("directory_bench")

    def once(tool) -> Run:
        folder = bench.folder("disk")
        return bench.launcher.run([Command([program, "create", str(postfixadmin(folder)), str(count)])], folder)

    return bench.alternate(Result(title, facts={"accounts": count}), [Bare("postferry", [])], 1 if bench.quick else 3, once)


def postfixadmin(folder: pathlib.Path) -> pathlib.Path:
    """PostfixAdmin's tables, empty, in an SQLite file."""
    schema = pathlib.Path(__file__).resolve().parent.parent / "tests" / "support" / "postfixadmin" / "sqlite.sql"
    with contextlib.closing(sqlite3.connect(folder / "mail.db")) as database:
        database.executescript(schema.read_text())
    return folder / "mail.db"


@dataclasses.dataclass
class Bare:
    """A program that needs no servers."""

    name: str
    argv: list[str]


def _missing(program: str):
    raise Skipped(f"there is no {program}")


@dataclasses.dataclass
class Row:
    id: str
    title: str
    measure: object           # (Bench, title) -> Result
    quick: bool = True        # also with --quick


def all_rows(bench: Bench) -> list[Row]:
    repetitions = 1 if bench.quick else 3
    some = bench.postferry + [bench.raws[0], Mbsync(tuned=True), Doveadm(tuned=True)]
    eight = [f"eight{number}" for number in range(8)]
    rows: list[Row] = []

    def row(id: str, title: str, measure, quick: bool = True, **given) -> None:
        rows.append(Row(id, title, lambda b, t: measure(b, t, **given), quick))

    for storage in ("mdbox", "maildir"):
        row(f"copy-{storage}", f"first copy to {storage}, plain", copy, storage=storage, repetitions=repetitions)
    for storage in ("mdbox", "maildir"):
        row(f"tls-{storage}", f"first copy to {storage}, TLS on both sides", copy, storage=storage, tls=True,
            tools=bench.postferry + bench.raws + [Mbsync(), Doveadm(tuned=True)], repetitions=repetitions)
    row("rerun", "re-run, nothing new", rerun, repetitions=5 if bench.quick else 20)
    for storage in ("mdbox", "maildir"):
        for line_ms in (LINE_20, LINE_80):
            row(f"line{line_ms}-{storage}", f"first copy to {storage}, {line_ms} ms round trip on both sides", copy,
                quick=line_ms == LINE_80, storage=storage, line_ms=line_ms, repetitions=repetitions,
                tools=bench.postferry + bench.raws)
    row("line80-500", "first copy of 500 messages to mdbox, 80 ms round trip on both sides", copy, storage="mdbox",
        users=["bench500"], line_ms=LINE_80, repetitions=1, quick=False)
    row("rerun-line80", "re-run, nothing new, 80 ms round trip", rerun, user="bench500", line_ms=LINE_80,
        repetitions=repetitions, tools=bench.postferry + [Mbsync(), Doveadm(tuned=True)])
    row("rerun-200-folders", "re-run, nothing new, 200 folders, 80 ms round trip", rerun, user="folders200",
        line_ms=LINE_80, repetitions=repetitions,
        tools=bench.postferry + ([] if bench.quick else [Mbsync()]))
    for storage in ("mdbox", "maildir"):
        row(f"eight-{storage}", f"eight mailboxes of 1,000 messages at a time, first copy to {storage}", copy,
            storage=storage, users=eight, tools=some, repetitions=repetitions, quick=storage == "mdbox")
    row("eight-line80", "eight mailboxes of 1,000 messages at a time, first copy to mdbox, 80 ms round trip", copy,
        storage="mdbox", users=eight, tools=some, repetitions=1, line_ms=LINE_80, quick=False)
    row("pop3-mdbox", "first copy to mdbox, plain, read by POP3", pop3, storage="mdbox", repetitions=repetitions)
    row("ledger", "the growth of the ledger: 5,000 messages in 10 folders into a file that has as many", ledger)
    row("memory-large", "three messages of 100 MB, first copy to mdbox", large)
    row("memory-many", "1,000 mailboxes of 50 messages, fifty at a time, first copy to mdbox", many)
    row("huge-5000", "a folder of 5,000 messages of 1 to 2 kB, first copy to mdbox", huge, user="huge5000", again=False)
    row("huge-200000", "a folder of 200,000 messages of 1 to 2 kB, first copy to mdbox", huge, user="huge200000",
        again=False)
    row("huge-rerun", "the same folder of 200,000 messages, re-run, nothing new", huge, user="huge200000", again=True)
    for where, words in (("source", "a source behind 10 Mbit/s"), ("target", "a target behind 10 Mbit/s"),
                         ("loopback", "no line at all")):
        row(f"deflate-{where}", f"300 letters of 20 kB, servers that offer COMPRESS, {words}", deflate, where=where)
    row("imap-maildir-disk", "IMAP into a Maildir on the disk, without its server, every message synced", onto_disk,
        quick=False)
    row("imap-maildir-rerun", "the same, re-run, nothing new", onto_disk, again=True, quick=False)
    for storage in ("mdbox", "maildir"):
        row(f"disk-{storage}", f"first copy to {storage}, plain, stores on disk", copy, storage=storage, kind="disk",
            repetitions=repetitions, quick=False)
    return rows


def measure(bench: Bench, row: Row) -> Result:
    say(f"{row.id}: {row.title}")
    begin = time.monotonic()
    try:
        result = row.measure(bench, row.title)
    except (Skipped, RuntimeError, OSError, ImapError, Refused) as why:
        # One row that cannot be had must not cost the others.
        result = Result(row.title, note=f"not measured: {why}")
        say(f"  {result.note}")
    say(f"  ({time.monotonic() - begin:.0f} s)")
    return result


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
