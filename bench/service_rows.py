"""The rows of the service: what `postferry serve` and its workers take, beside the same work without them."""

import contextlib
import itertools
import random
import sqlite3
import time

from bench.lines import Line
from bench.measure import Run, Series
from bench.report import STORES
from bench.rows import Bench, Result, Row, Skipped, accounts, hashing, postfixadmin, say
from bench.scene import Scene
from bench.service import SLOWEST, Asker, Listener, Measured, cpu_of, peak_of, percentile, resident_of
from bench.tools import PASSWORD, End
from lab.postgres import Postgres, Unavailable

COLUMNS = "source_user,source_password,target_user,target_password,source_url,target_url\n"
HASHED = ("{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/"
          "O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1")


@contextlib.contextmanager
def service(bench: Bench, *, store: str = "SQLite", database: Postgres | None = None, **more):
    """A service on a fresh store, on the file system of the mail stores. database: a server that is there already."""
    if not bench.programs.postferry:
        raise Skipped("there is no postferry")
    folder = bench.folder()
    with contextlib.ExitStack() as things:
        if store == "PostgreSQL":
            try:
                server = database or things.enter_context(Postgres())
            except Unavailable as why:
                raise Skipped(str(why)) from why
            name = folder.name
            server.sql(f"CREATE DATABASE {name}")
            things.callback(server.sql, f"DROP DATABASE {name} WITH (FORCE)")
            more["store"] = server.url(name)
        yield things.enter_context(Measured(folder, program=bench.programs.postferry, **more))


def _url(end: End) -> str:
    return f"{end.protocol}://{end.host}:{end.port}?tls=off"


def accounts_csv(ends: tuple[End, End], pairs: list[tuple[str, str]]) -> bytes:
    """As tools.Postferry writes it for `migrate`."""
    return (COLUMNS + "".join(f"{old},{PASSWORD},{new},{PASSWORD},{_url(ends[0])},{_url(ends[1])}\n"
                              for old, new in pairs)).encode()


def bring(to: Measured, name: str, csv: bytes, *, check_hosts: bool = False, **form) -> tuple[int, float, float]:
    """A batch from a CSV: (its id, seconds until every row was looked at, seconds until they were in the store)."""
    begin = time.monotonic()
    made = to.upload(csv, batch=name, check_hosts=check_hosts, **form)
    checked = time.monotonic()
    done = to.commit(made["id"])
    return done["batches"][0], checked - begin, time.monotonic() - checked


# -- mail through the service ---------------------------------------------------------------------------------------


class _Through:
    """A batch through a service of its own: the time from the start of the batch to the end of its last mailbox."""

    octets_added = 0

    def __init__(self, name: str, *, jobs: int, workers: int = 0, store: str = "SQLite", database=None):
        self.name, self._jobs, self._workers, self._store, self._database = name, jobs, workers, store, database

    def run(self, bench: Bench, scene: Scene, ends: tuple[End, End], pairs: list[tuple[str, str]]) -> Run:
        run = Run()
        in_service = 0 if self._workers else self._jobs
        with service(bench, store=self._store, database=self._database, jobs=in_service) as one:
            batch, _, _ = bring(one, "bench", accounts_csv(ends, pairs))
            processes = [one.api, *(one.hands(number, self._jobs) for number in range(self._workers))]
            before = sum(map(cpu_of, processes))
            begin = time.monotonic()
            one.call("POST", f"/batches/{batch}/start", seconds=SLOWEST)
            try:
                one.wait_for(batch, "synced", patience=600)
            except RuntimeError as why:
                run.error = str(why)
            run.wall = time.monotonic() - begin
            run.cpu = sum(map(cpu_of, processes)) - before
            run.peak_octets = max(map(peak_of, processes))
        run.error = run.error or bench.check(self, scene, "mdbox", pairs)
        for _, new_user in pairs:
            scene.forget("mdbox", new_user)
        return run


def many(bench: Bench, title: str, *, mailboxes: int) -> Result:
    """The same mailboxes by `postferry migrate` and through a service, fifty at a time."""
    if not bench.postferry:
        raise Skipped("there is no postferry")
    scene = bench.scene()
    users = scene.many(mailboxes, 50)
    say("  filled")
    through = _Through("service", jobs=50)

    def once(tool) -> Run:
        if tool is through:
            return through.run(bench, scene, scene.ends("mdbox"), [(user, user) for user in users])
        return bench.first_copy(tool, "tmpfs", "mdbox", scene.ends("mdbox"), users, at_a_time=50)[0]

    return bench.alternate(Result(title), [*bench.postferry, through], 1 if bench.quick else 3, once)


def workers(bench: Bench, title: str, *, mailboxes: int, rate: int) -> Result:
    """One worker and two on a PostgreSQL, every connection to a mail server as slow as a far user's line."""
    if not bench.programs.line:
        raise Skipped("there is no line_proxy")
    scene = bench.scene()
    users = scene.many(mailboxes, 50)
    old, new = scene.ends("mdbox")
    with (Line(bench.programs.line, scene.source, 0, rate, each=True) as from_old,
          Line(bench.programs.line, new.server, 0, rate, each=True) as to_new, Postgres() as database):
        ends = End(old.server, from_old.port), End(new.server, to_new.port)
        tools = [_Through(name, jobs=8, workers=count, store="PostgreSQL", database=database)
                 for count, name in ((1, "one worker"), (2, "two workers"))]
        say("  filled")
        result = bench.alternate(Result(title), tools, 1 if bench.quick else 3,
                                 lambda tool: tool.run(bench, scene, ends, [(user, user) for user in users]))
    for name, series in result.series.items():
        if series.ok:
            result.facts[f"processor of Postferry with {name}, share of one core"] = series.cpu / series.wall
    return result


# -- accounts -------------------------------------------------------------------------------------------------------


def imports(bench: Bench, title: str, *, rows: int) -> Result:
    """A CSV of accounts with passwords: looked at, then written into the store, by HTTP."""
    text = accounts_csv(_nowhere(), [(f"user{number:06}@old.example", f"user{number:06}@new.example")
                                     for number in range(rows)])
    result = Result(title, facts={"rows": rows})
    for store in STORES:
        series = result.series[store] = Series()
        for _ in range(1 if bench.quick else 3):
            with service(bench, store=store) as one:
                before = cpu_of(one.api)
                batch, checked, written = bring(one, "import", text)
                there = one.call("GET", f"/batches/{batch}")["mailboxes"]
                series.runs.append(Run(checked + written, cpu_of(one.api) - before, peak_of(one.api),
                                       "" if there == rows else f"{there} mailboxes instead of {rows}"))
                result.facts[f"{store}: looking at the rows, s"] = checked
                result.facts[f"{store}: writing them, s"] = written
            say(f"  {store}: {series.runs[-1].error or f'{checked:.3f} + {written:.3f} s'}")
    return result


def create(bench: Bench, title: str, *, count: int) -> Result:
    """A batch of mode create-only: every account with its hashed password into PostfixAdmin's tables on the disk."""
    text = "target_user,target_password,target_url,name\n" + "".join(
        f"user{number:06}@bench.example,{HASHED},{_url(_nowhere()[1])},User {number}\n" for number in range(count))
    result = Result(title, facts={"accounts": count})
    for store in STORES:
        series = result.series[store] = Series()
        for _ in range(1 if bench.quick else 3):
            tables = postfixadmin(bench.folder("disk"))
            driver = {"provisioning.mail": {"driver": "sql", "database": f"sqlite:{tables}"}}
            with service(bench, store=store, sections=driver) as one:
                one.call("POST", "/batches", {"name": "new", "mode": "create-only", "settings": {"provisioning": "mail"}})
                batch, _, _ = bring(one, "new", text.encode())
                before, begin = cpu_of(one.api), time.monotonic()
                one.call("POST", f"/batches/{batch}/start", seconds=SLOWEST)
                one.wait_for(batch, "completed", patience=120)
                run = Run(time.monotonic() - begin, cpu_of(one.api) - before, peak_of(one.api))
            with contextlib.closing(sqlite3.connect(tables)) as database:
                (there,) = database.execute("SELECT count(*) FROM mailbox WHERE password = ?", (HASHED,)).fetchone()
            run.error = "" if there == count else f"{there} accounts instead of {count}"
            series.runs.append(run)
            say(f"  {store}: {run.error or f'{run.wall:.3f} s'}")
    return result


def _nowhere() -> tuple[End, End]:
    class Host:
        host = "127.0.0.1"

    return End(Host(), 1143), End(Host(), 2143)


# -- the API --------------------------------------------------------------------------------------------------------


def api(bench: Bench, title: str, *, store: str, mailboxes: int) -> Result:
    """Pages of 100 mailboxes somewhere among very many: at rest, and while fifty copies run at a limited rate."""
    result = Result(title, facts={"mailboxes": mailboxes})
    scene, ends = bench.scene(), bench.scene().ends("mdbox")
    senders = [scene.sample(f"eight{number}") for number in range(8)]
    pairs = [(sender, scene.fresh_user()) for sender, _ in zip(itertools.cycle(senders), range(50))]
    # Such that fifty are at work from the first sample to the last: 1.4 GB at 5 MB/s.
    with service(bench, store=store, jobs=50, sections={"limits": {"limit_rate": "5MB"}}) as one:
        rows = [(f"user{number:06}@old.example", f"user{number:06}@new.example") for number in range(mailboxes)]
        batch, _, _ = bring(one, "many", accounts_csv(_nowhere(), rows))
        copies, _, _ = bring(one, "copies", accounts_csv(ends, pairs))
        say("  filled")
        asker = Asker(one.port, one.token)
        pages = _pages(one, asker, batch)
        health = asker.request("/healthz")
        result.facts |= _quantiles("at rest", asker, pages, health, 500 if bench.quick else 2000)
        one.call("POST", f"/batches/{copies}/start")
        _all_copy(one, copies, len(pairs), within=30)
        result.facts |= _quantiles("while 50 copies run", asker, pages, health, 500 if bench.quick else 2000)
        _all_copy(one, copies, len(pairs), within=0)
        result.facts["peak memory with 50 copies, MB"] = peak_of(one.api) / 1e6
        asker.close()
        one.call("POST", f"/batches/{copies}/cancel")
    for _, new_user in pairs:
        scene.forget("mdbox", new_user)
    return result


def _pages(one: Measured, asker: Asker, batch: int) -> list[bytes]:
    """Requests for pages all over the batch, and for one of its states."""
    first = f"/batches/{batch}/mailboxes?limit=100"
    paths, at = [first, first + "&state=ready"], first
    while at:
        answer = one.call("GET", at)
        if len(answer["items"]) != 100 and not answer["next"]:
            break
        cursor = answer["next"]
        at = f"{first}&cursor={cursor}" if cursor else ""
        paths += [at] if at else []
    chosen = random.Random(1).sample(paths[2:], min(98, len(paths) - 2))
    return [asker.request("/api/v1" + path) for path in paths[:2] + chosen]


def _quantiles(when: str, asker: Asker, pages: list[bytes], health: bytes, count: int) -> dict[str, float]:
    """In turns, so that both meet the same machine."""
    pick, took = random.Random(2), {"a page of 100": [], "/healthz": []}
    for _ in range(count):
        took["a page of 100"].append(asker.time(pick.choice(pages)))
        took["/healthz"].append(asker.time(health))
        time.sleep(0.005)  # a client, not a flood: otherwise the machine is never at rest
    facts = {}
    for what, all_of_them in took.items():
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            facts[f"{what}, {when}, {name}, ms"] = 1000 * percentile(all_of_them, share)
    say("  " + ", ".join(f"{what}: {value:.2f}" for what, value in facts.items()))
    return facts


def _all_copy(one: Measured, batch: int, count: int, within: float) -> None:
    """Logged in, listed, and at it: mail moves in each."""
    end = time.monotonic() + within
    while True:
        states = one.states(batch)
        if states.get("copying", 0) == count:
            return
        if time.monotonic() > end:
            raise RuntimeError(f"not all of them copy: {states}")
        time.sleep(0.05)


def idle(bench: Bench, title: str, *, seconds: float = 10) -> Result:
    """A service that has started, has answered, and has nothing to do."""
    result = Result(title)
    for store in STORES:
        with service(bench, store=store) as one:
            one.call("GET", "/me")
            before, begin = cpu_of(one.api), time.monotonic()
            time.sleep(3 if bench.quick else seconds)
            run = Run(time.monotonic() - begin, cpu_of(one.api) - before, peak_of(one.api))
            result.series[store] = Series([run])
            result.facts[f"{store}: resident now, MB"] = resident_of(one.api) / 1e6
            say(f"  {store}: {peak_of(one.api) / 1e6:.1f} MB at most, {run.cpu:.2f} s of processor")
    return result


def events(bench: Bench, title: str, *, count: int = 100) -> Result:
    """From the moment when a change is asked for to the moment when a listener has its event."""
    result = Result(title)
    for store in STORES:
        took = []
        with service(bench, store=store) as one:
            listener = Listener(one.port, one.token)
            for number in range(count):
                time.sleep(random.Random(number).uniform(0.01, 0.2))  # at any moment of the listener's round
                begin = time.perf_counter()
                one.call("POST", "/users", {"name": f"listener{number}", "role": "viewer"})
                took.append(listener.until(b"listener%d" % number) - begin)
            listener.close()
        result.facts |= {f"{store}: {name}, ms": 1000 * value for name, value in
                         (("median", percentile(took, 0.5)), ("p99", percentile(took, 0.99)), ("most", max(took)))}
        say(f"  {store}: {1000 * percentile(took, 0.5):.0f} ms, at most {1000 * max(took):.0f} ms")
    return result


def all_rows(bench: Bench) -> list[Row]:
    rows: list[Row] = []

    def row(id: str, title: str, measure, quick: bool = True, **given) -> None:
        rows.append(Row(id, title, lambda b, t: measure(b, t, **given), quick))

    count = 200 if bench.quick else 1000
    row("service-1000", f"{count:,} mailboxes of 50 messages, fifty at a time, first copy to mdbox, through the service",
        many, mailboxes=count)
    row("two-workers", "64 mailboxes of 50 messages, PostgreSQL, 8 at a time a worker, 60 kB/s a connection", workers,
        mailboxes=32 if bench.quick else 64, rate=60_000)
    for scheme, passwords in (("BLF-CRYPT", 400), ("ARGON2ID", 400), ("SHA512-CRYPT", 100)):
        row(f"hash-{scheme.lower()}", f"{passwords} passwords hashed with {scheme}, default costs", hashing, scheme=scheme,
            count=passwords)
    row("create-accounts", "10,000 accounts with hashed passwords, SQLite on the disk", accounts, count=10_000)
    row("service-accounts", "the same by a batch of the service, mode create-only", create, count=10_000)
    row("import-10000", "10,000 accounts with passwords, from CSV into the store by HTTP", imports, rows=10_000)
    for store in STORES:
        row(f"api-p99-{store.lower()}", f"pages of 100 mailboxes among 100,000, {store}", api, store=store,
            mailboxes=100_000, quick=False)
    row("service-idle", "a service that has nothing to do", idle)
    row("event-latency", "from a change to its event at a listener, nothing else to do", events)
    return rows
