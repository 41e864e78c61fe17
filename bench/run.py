#!/usr/bin/python3
"""Measures Postferry, its peers and the limit of the servers on private servers; writes bench/results.md."""

import argparse
import os
import pathlib
import shutil
import signal
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from bench import report, rows, service_rows, tools  # noqa: E402


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, none of the long rows, no disk")
    parser.add_argument("--only", action="append", default=[], metavar="ROW", help="this row; may be repeated")
    parser.add_argument("--service", action="store_true", help="the rows of accounts, service and workers; writes their "
                                                               "section of the page anew")
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    parser.add_argument("--out", type=pathlib.Path, help="where the page goes (default: bench/results.md; with --quick "
                                                         "or --only bench/work/results.md)")
    return parser.parse_args()


def _programs() -> rows.Programs:
    built = ROOT / "build" / "release"
    programs = rows.Programs(
        launcher=tools.find("bench_launch", "BENCH_LAUNCH", built / "bench" / "bench_launch"),
        raw=tools.find("raw_client", "RAW_CLIENT", built / "bench" / "raw_client"),
        line=tools.find("line_proxy", "LINE_PROXY", built / "lab" / "line_proxy"),
        postferry=tools.find("postferry", "POSTFERRY", built / "postferry"),
        directory=tools.find("directory_bench", "DIRECTORY_BENCH", built / "bench" / "directory_bench"))
    for name in ("launcher", "raw"):
        if not getattr(programs, name):
            sys.exit("bench: bench_launch and raw_client are not built; run `make bench`, or cmake --build "
                     "build/release --target raw_client bench_launch line_proxy")
    for name in ("mbsync", "doveadm"):
        if not shutil.which(name):
            sys.exit(f"bench: {name} is missing; scripts/install bench lab")
    if not programs.postferry:
        print("bench: no postferry (build/release/postferry or POSTFERRY=...): only the others are measured",
              file=sys.stderr)
    return programs


def _stop(number, _frame) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    arguments = _arguments()
    if os.geteuid() != 0 and not arguments.list:
        sys.exit("bench: the private Dovecots start as root only")
    programs = _programs() if not arguments.list else rows.Programs("", "", "", "postferry")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    work = ROOT / "bench" / "work"
    work.mkdir(exist_ok=True)
    memory = pathlib.Path(tempfile.mkdtemp(prefix="postferry-bench-", dir="/dev/shm"))
    disk = pathlib.Path(tempfile.mkdtemp(prefix="disk-", dir=work))
    for folder in (memory, disk):
        folder.chmod(0o711)  # Dovecot's mail processes have no privileges
    bench = rows.Bench(programs, memory, disk, quick=arguments.quick)
    try:
        return _run(bench, arguments, programs, work)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the clean-up itself is short and must be whole
        bench.close()


def _run(bench: rows.Bench, arguments: argparse.Namespace, programs: rows.Programs, work: pathlib.Path) -> int:
    of_service = {row.id for row in service_rows.all_rows(bench)}
    every = ([] if arguments.service else rows.all_rows(bench)) + service_rows.all_rows(bench)
    chosen = [row for row in every if (row.id in arguments.only if arguments.only else row.quick or not arguments.quick)]
    unknown = set(arguments.only) - {row.id for row in chosen}
    if unknown:
        sys.exit(f"bench: no row called {', '.join(sorted(unknown))}; --list names them")
    if arguments.list:
        for row in chosen:
            print(f"{row.id:18} {row.title}{'' if row.quick else ' (not with --quick)'}")
        return 0
    partial = arguments.quick or arguments.only
    kept = ROOT / "bench" / "results.md"
    out = arguments.out or (work / "results.md" if partial else kept)
    mail: report.Results = {}
    service: report.Results = {}
    words = {"postferry": programs.postferry, "arguments": " ".join(sys.argv[1:])}
    for row in chosen:
        (service if row.id in of_service else mail)[row.id] = rows.measure(bench, row)
        # Written after each row: whoever ends the run early keeps what there is.
        text = report.page(mail, **words) if mail else report.without_service(kept) if not partial else ""
        text += report.service_section(service, **words) if service else ""
        out.write_text(text)
    print(text)
    print(f"written to {out}", file=sys.stderr)
    every = report.verdicts(mail) + report.service_verdicts(service)
    return 1 if report.is_void(mail) or any(verdict.state == "missed" for verdict in every) else 0


if __name__ == "__main__":
    sys.exit(main())
