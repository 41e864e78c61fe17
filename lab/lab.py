#!/usr/bin/python3
"""Command line of the lab: `lab.py start --dir D --storage maildir` prints JSON; `lab.py stop --dir D` ends it."""

import argparse
import json
import pathlib
import signal
import sys

sys.path[0] = str(pathlib.Path(__file__).resolve().parent.parent)

from lab import courier, cyrus, dovecot, mailutils, tls  # noqa: E402


def _start_in_root(arguments: argparse.Namespace, users: dict[str, str] | None):
    if not arguments.foreground:
        sys.exit("a server in a root of its own dies with this process: add --foreground")
    options = {"altnamespace": False, "unixhierarchysep": False} if arguments.kind == "cyrus-dots" else {}
    return {"cyrus": cyrus.Cyrus, "cyrus-dots": cyrus.Cyrus, "courier": courier.Courier,
            "mailutils": mailutils.Mailutils}[arguments.kind](arguments.dir, users=users, **options)


def _start(arguments: argparse.Namespace) -> int:
    special_use = dovecot.GERMAN if arguments.special_use == "german" else dovecot.ENGLISH
    users = dict(user.split(":", 1) for user in arguments.user) or None
    options = {name: value for name, value in (
        ("delimiter", arguments.delimiter), ("prefix", arguments.prefix), ("fsync", arguments.fsync)) if value is not None}
    if arguments.kind != "dovecot":
        server = _start_in_root(arguments, users)
    else:
        server = dovecot.Dovecot(
            arguments.dir, name=arguments.name, users=users, detach=not arguments.foreground, storage=arguments.storage,
            special_use=dict(special_use), certificate=arguments.certificate, fast_login=arguments.fast_login,
            hide=tuple(arguments.hide), **options)
    print(json.dumps(server.describe(), indent=2), flush=True)
    if arguments.foreground:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            sys.stdin.read()
        finally:
            server.stop()
    return 0


def _stop(arguments: argparse.Namespace) -> int:
    if not dovecot.stop_folder(arguments.dir):
        print(f"no server of the lab runs in {arguments.dir}", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    start = commands.add_parser("start", help="start a private server and print how to reach it")
    start.add_argument("--dir", required=True)
    start.add_argument("--kind", choices=("dovecot", "cyrus", "cyrus-dots", "courier", "mailutils"), default="dovecot",
                       help="others than Dovecot take --user and --foreground only")
    start.add_argument("--name", default="lab")
    start.add_argument("--storage", choices=("maildir", "mdbox", "sdbox"), default="maildir")
    start.add_argument("--delimiter")
    start.add_argument("--prefix")
    start.add_argument("--fsync", choices=("never", "optimized", "always"))
    start.add_argument("--special-use", choices=("english", "german"), default="english")
    start.add_argument("--certificate", choices=tls.CERTIFICATES, default="valid")
    start.add_argument("--user", action="append", default=[], metavar="NAME:PASSWORD")
    start.add_argument("--hide", action="append", default=[], metavar="CAPABILITY")
    start.add_argument("--fast-login", action="store_true")
    start.add_argument("--foreground", action="store_true", help="run until standard input closes or SIGTERM")
    start.set_defaults(run=_start)
    stop = commands.add_parser("stop", help="stop the server of a folder")
    stop.add_argument("--dir", required=True)
    stop.set_defaults(run=_stop)
    arguments = parser.parse_args()
    return arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
