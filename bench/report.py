"""The issue's requirements as ratios of one invocation, and bench/results.md."""

import collections.abc
import dataclasses
import datetime
import os
import pathlib
import platform
import subprocess

from bench.measure import MB, Series
from bench.rows import Result

ROUND_TRIP = 0.080
VOID_BELOW = 1.3          # raw must be that much faster than doveadm, or it is no limit
SHORT_TOLERANCE = 1.2     # for times of some hundredths of a second
STORES = ("SQLite", "PostgreSQL")
SERVICE = "# The service"


@dataclasses.dataclass
class Verdict:
    requirement: str
    limit: str
    measured: str
    state: str            # reached, missed, void, not measured


Results = dict[str, Result]


def _series(results: Results, row: str, *names: str) -> Series | None:
    """The quickest of the named tools in that row, where one of them went well."""
    result = results.get(row)
    good = [result.series[name] for name in names if name in result.series and result.series[name].ok] if result else []
    return min(good, key=lambda series: series.wall, default=None)


POSTFERRY, RAWS = ("postferry",), ("raw",)
MBSYNC, DOVEADM = ("mbsync", "mbsync, tuned"), ("doveadm", "doveadm, tuned")


def is_void(results: Results) -> str:
    """Why the run says nothing, or an empty string."""
    for storage in ("mdbox", "maildir"):
        raw, doveadm = (_series(results, f"copy-{storage}", *names) for names in (RAWS, DOVEADM))
        if raw and doveadm and doveadm.wall < VOID_BELOW * raw.wall:
            return (f"the raw client is only {doveadm.wall / raw.wall:.2f} x as fast as doveadm on {storage}, less than "
                    f"{VOID_BELOW}: it is no limit")
    return ""


def _times_as_fast(results: Results, row: str, names: tuple[str, ...]) -> float | None:
    ours, theirs = _series(results, row, *POSTFERRY), _series(results, row, *names)
    return theirs.wall / ours.wall if ours and theirs else None


def verdicts(results: Results) -> list[Verdict]:
    made: list[Verdict] = []
    void = is_void(results)

    def least(what: str, value: float | None, limit: float, about: str, unit: str = " x") -> None:
        _add(made, void, what, f">= {limit:g}{unit} {about}", value and f"{value:.2f}{unit}", value and value >= limit)

    def most(what: str, value: float | None, limit: float, unit: str, show: str = ".2f") -> None:
        _add(made, void, what, f"<= {format(limit, show)}{unit}", None if value is None else f"{format(value, show)}{unit}",
             None if value is None else value <= limit)

    for storage in ("mdbox", "maildir"):
        what = f"first copy to {storage}, plain"
        for names, limit, about in ((RAWS, 0.8, "the raw limit"), (MBSYNC, 2.8, "mbsync"), (DOVEADM, 1.25, "doveadm")):
            least(what, _times_as_fast(results, f"copy-{storage}", names), limit, about)
    for storage in ("mdbox", "maildir"):
        least(f"first copy to {storage}, TLS on both sides", _times_as_fast(results, f"tls-{storage}", RAWS), 0.75,
              "the raw limit over TLS")
    least("first copy to mdbox from POP3, plain", _times_as_fast(results, "pop3-mdbox", RAWS), 0.8,
          "a raw client that pipelines RETR")
    for storage in ("mdbox", "maildir"):
        far, near = (_series(results, f"{row}-{storage}", *POSTFERRY) for row in ("line80", "copy"))
        most(f"first copy to {storage}, 80 ms on both sides: 1.25 x loopback + 15 round trips", far and far.wall,
             1.25 * near.wall + 15 * ROUND_TRIP if near else 0.0, " s") if near else _add(
                 made, void, f"first copy to {storage}, 80 ms on both sides", "<= 1.25 x loopback + 15 round trips",
                 None, None)
    for where in ("source", "target"):
        least(f"COMPRESS left to itself, letters, a {where} behind 10 Mbit/s",
              _times_as_fast(results, f"deflate-{where}", ("postferry, compress=off",)), 1.5, "compress=off")
    least("COMPRESS left to itself, letters, loopback", _times_as_fast(
        results, "deflate-loopback", ("postferry, compress=off",)), 0.8, "compress=off: it is not used")
    least("IMAP into a Maildir on the disk, every message synced", _times_as_fast(results, "imap-maildir-disk", DOVEADM), 1.0,
          "doveadm, mail_fsync=always")
    again = _series(results, "imap-maildir-rerun", *POSTFERRY)
    most("the same, re-run", again and again.wall, 0.1, " s")
    _short_rerun(made, void, results)
    _other_rows(most, results)
    return made


def service_verdicts(results: Results) -> list[Verdict]:
    """What issue by issue was asked of accounts, service and workers."""
    made: list[Verdict] = []

    def fact(row: str, name: str) -> float | None:
        return results[row].facts.get(name) if row in results else None

    def wall(row: str, name: str) -> float | None:
        series = _series(results, row, name)
        return series and series.wall

    def least(what: str, value: float | None, limit: float, unit: str) -> None:
        _add(made, "", what, f">= {limit:g}{unit}", value and f"{value:.2f}{unit}", value and value >= limit)

    def most(what: str, value: float | None, limit: float, unit: str) -> None:
        _add(made, "", what, f"<= {limit:g}{unit}", value and f"{value:.2f}{unit}", value and value <= limit)

    def ratio(above: float | None, below: float | None) -> float | None:
        return above / below if above and below else None

    for store in STORES:
        most(f"10,000 accounts from CSV, checked and in the store, {store}", wall("import-10000", store), 5, " s")
    least("accounts with hashed passwords, the sql driver alone", ratio(
        fact("create-accounts", "accounts"), wall("create-accounts", "postferry")), 1000, " a second")
    for store in STORES:
        least(f"the same by a batch of the service, {store}", ratio(
            fact("service-accounts", "accounts"), wall("service-accounts", store)), 1000, " a second")
    for scheme in ("BLF-CRYPT", "ARGON2ID", "SHA512-CRYPT"):
        row = f"hash-{scheme.lower()}"
        least(f"hashing with {scheme} on all processors", ratio(wall(row, "libraries alone"), wall(row, "postferry")), 0.9,
              " x crypt(3) or libsodium alone")
    most("1,000 mailboxes through the service, fifty at a time", ratio(
        wall("service-1000", "service"), wall("service-1000", "postferry")), 1.15, " x postferry migrate")
    least("two workers on one PostgreSQL", ratio(
        wall("two-workers", "one worker"), wall("two-workers", "two workers")), 1.8, " x one worker")
    for store in STORES:
        row, page, health = f"api-p99-{store.lower()}", "a page of 100, ", "/healthz, "
        most(f"p99 of a page of 100 mailboxes among 100,000, at rest, {store}", fact(row, page + "at rest, p99, ms"), 20, " ms")
        busy = "while 50 copies run, p99, ms"
        most(f"the same while 50 copies run, {store}", ratio(fact(row, page + busy), fact(row, health + busy)), 3,
             " x the p99 of /healthz")
    for store in STORES:
        series = _series(results, "service-idle", store)
        most(f"an idle service, {store}", series and series.peak_octets / MB, 40, " MB")
    for store in STORES:
        most(f"an event at a listener, nothing else to do, {store}", fact("event-latency", f"{store}: most, ms"), 200, " ms")
    return made


def _short_rerun(made: list[Verdict], void: str, results: Results) -> None:
    value = _times_as_fast(results, "rerun", MBSYNC)
    wall = value and 1 / value
    _add(made, void, "re-run, nothing new, loopback (20 % tolerance)", "<= 1.00 x mbsync's wall",
         wall and f"{wall:.2f} x", wall and wall <= SHORT_TOLERANCE)


def _other_rows(most: collections.abc.Callable, results: Results) -> None:
    def ours(row: str) -> Series | None:
        return _series(results, row, *POSTFERRY)

    again = ours("rerun-200-folders")
    most("re-run, 200 folders, 80 ms: wall in round trips", again and again.wall / ROUND_TRIP, 8, "", ".1f")
    for storage in ("mdbox", "maildir"):
        first = ours(f"copy-{storage}")
        most(f"CPU, first copy to {storage}, plain", first and first.cpu, 0.6, " s")
    for row, what, limit in (("memory-large", "peak memory, messages of 100 MB", 24),
                             ("memory-many", "peak memory, 1,000 mailboxes, --jobs 50, no error", 96),
                             ("huge-200000", "peak memory, a folder of 200,000", 48)):
        series = ours(row)
        most(what, series and series.peak_octets / MB, limit, " MB", ".0f")
    growth = results["ledger"].facts.get("octets a message") if "ledger" in results else None
    most("the ledger grows by, for each message", growth, 64, " octets", ".1f")
    huge, usual = ours("huge-200000"), ours("huge-5000")
    per_message = huge.wall / 200_000 / (usual.wall / 5_000) if huge and usual else None
    most("a folder of 200,000: time per message against 5,000 of the same kind", per_message, 1.15, " x")
    rerun = ours("huge-rerun")
    most("a folder of 200,000: re-run", rerun and rerun.wall, 1, " s")


def _add(made: list[Verdict], void: str, what: str, limit: str, measured: str | None, good: bool | None) -> None:
    state = "not measured" if measured is None else "void" if void else "reached" if good else "missed"
    made.append(Verdict(what, limit, measured or "-", state))


# -- the page ---------------------------------------------------------------------------------------------------------

ORIENTATION = """\
| | measured on a machine like this (2 cores, Dovecot 2.3.19) |
|---|---|
| first copy, 5,000 messages, 145 MB | raw 0.59 s, doveadm 0.94 s, mbsync 2.1 s, imapsync (on disk) 15 s |
| first copy, 500 messages, 80 ms round trip | raw 2.0 s, doveadm 5.7 s tuned and 44 s untuned, mbsync 8.4 s, imapcopy 200 s |
| re-run, nothing new, loopback | mbsync 0.04 s, doveadm 0.35 s, imapsync 2.8 s |
| re-run, nothing new, 10 folders, 80 ms | mbsync 26 round trips |
| CPU of the tool, first copy | mbsync 0.43 s, doveadm 0.66 s, imapsync 6.0 s |
| peak memory, one mailbox | doveadm 11 MB, mbsync 40 MB, imapsync 190 to 310 MB |
"""


def page(results: Results, *, postferry: str | None, arguments: str) -> str:
    void = is_void(results)
    lines = ["# Benchmark results", "", "What the rows mean and how to read them: [README.md](README.md).", "",
             *_machine(postferry, arguments), ""]
    if void:
        lines += [f"**This run is void:** {void}.", ""]
    lines += ["## What must be reached", "", *_verdict_table(verdicts(results)), "## Every row", ""]
    for row, result in results.items():
        lines += [f"### {result.title}", f"`--only {row}`", ""]
        lines += [result.note, ""] if result.note else _table(result)
    lines += ["## For orientation", "", ORIENTATION]
    return "\n".join(lines)


def service_section(results: Results, *, postferry: str | None, arguments: str) -> str:
    """The part of the page about accounts, service and workers: the last one, so that it can be written anew alone."""
    lines = [SERVICE, "", *_machine(postferry, arguments), "", *_verdict_table(service_verdicts(results))]
    for row, result in results.items():
        lines += [f"### {result.title}", f"`--only {row}`", ""]
        if result.note:
            lines += [result.note, ""]
        lines += _table(result) if result.series else []
        if result.facts:
            lines += ["| | |", "|---|---:|", *(f"| {name} | {value:,.4g} |" if value < 1000 else f"| {name} | {value:,.0f} |"
                                               for name, value in result.facts.items()), ""]
    return "\n".join(lines)


def without_service(page: pathlib.Path) -> str:
    """A page that was written before, up to the section of the service."""
    return page.read_text().split(SERVICE + "\n")[0] if page.exists() else ""


def _verdict_table(made: list[Verdict]) -> list[str]:
    return ["| | to reach | measured | |", "|---|---|---|---|",
            *(f"| {v.requirement} | {v.limit} | {v.measured} | {_bold(v.state)} |" for v in made), ""]


def _table(result: Result) -> list[str]:
    ours = result.series.get("postferry")
    counted = any(series.ok and series.round_trips is not None for series in result.series.values())
    extra = " round trips counted |" if counted else ""
    lines = [f"| tool | wall, s | range | CPU, s | peak, MB | wall / postferry's | runs |{extra}",
             f"|---|---:|---|---:|---:|---:|---:|{'---:|' if counted else ''}"]
    for name, series in result.series.items():
        if not series.ok:
            lines.append(f"| {name} | - | {series.error.replace('|', '/') or 'no run'} | | | | {len(series.runs)} |{' |' if counted else ''}")
            continue
        walls = [run.wall for run in series.runs]
        ratio = f"{series.wall / ours.wall:.2f}" if ours and ours.ok else "-"
        trips = f" {series.round_trips:.1f} |" if counted and series.round_trips is not None else ""
        lines.append(f"| {name} | {series.wall:.3f} | {min(walls):.3f} to {max(walls):.3f} | {series.cpu:.3f} | "
                     f"{series.peak_octets / MB:.1f} | {ratio} | {len(walls)} |{trips}")
    return lines + [""]


def _bold(state: str) -> str:
    return f"**{state}**" if state in ("missed", "void") else state


def _machine(postferry: str | None, arguments: str) -> list[str]:
    load = os.getloadavg()
    return [
        f"- {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC, `bench/run.py {arguments}`".rstrip(" `") + "`",
        f"- {_processor()}, {os.cpu_count()} cores, {_memory_gb():.0f} GB, Linux {platform.release()}; "
        f"load {load[2]:.1f} over the last quarter of an hour",
        f"- {_said('dovecot', '--version')} (Dovecot), {_said('mbsync', '--version')} (mbsync), "
        f"{_said(postferry, '--version') if postferry else 'no postferry'}, "
        f"commit {_said('git', '-C', str(pathlib.Path(__file__).parent), 'rev-parse', '--short', 'HEAD')}",
    ]


def _processor() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        return (done.stdout.strip().splitlines() or ["?"])[0]
    except (OSError, subprocess.TimeoutExpired):
        return "?"
