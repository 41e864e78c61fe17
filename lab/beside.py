#!/usr/bin/python3
"""A PostgreSQL and two mail servers for whoever shares a network with them and nothing else, as a machine that is booted in
namespaces of its own. anna's mailbox on the old one is full.

    nsenter --net=/proc/PID/ns/net lab/beside.py FOLDER MESSAGES

Prints where they are as JSON. Obeys lines on its standard input, each answered with JSON: "compare" (what differs between the
two mailboxes, as a list), "late" (another message comes to the old one). Ends with its input.
"""

import json
import pathlib
import shutil
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from lab import digest, samples  # noqa: E402
from lab.dovecot import start_pair  # noqa: E402
from lab.imap_client import Append, connect  # noqa: E402
from lab.postgres import Postgres  # noqa: E402

USER, PASSWORD = "anna", "anna-secret"


def letters(count: int, word: str) -> list[Append]:
    return [Append(f"From: a@old.example\r\nSubject: {word} {number}\r\nMessage-ID: <{word}.{number}@old.example>\r\n\r\n"
                   f"text of {word} {number}\r\n".encode()) for number in range(count)]


def main() -> int:
    folder, messages = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    old, new = start_pair(folder, users={USER: PASSWORD})
    try:
        samples.fill(old, USER, [samples.Folder(("INBOX",), lambda: letters(messages // 2, "letter")),
                                 samples.Folder(("Work",), lambda: letters(messages - messages // 2, "work"))])
        with Postgres() as database:
            database.sql("CREATE DATABASE postferry")
            print(json.dumps({"imap": [old.imap_port, new.imap_port], "host": database.host, "port": database.port, "user": USER,
                              "password": PASSWORD, "database_user": database.user, "database_password": database.password}),
                  flush=True)
            late = 0
            for line in sys.stdin:
                answer = None
                if line.strip() == "late":
                    late += 1
                    with connect(old, USER) as client:
                        client.append("INBOX", letters(1, f"late{late}"))
                else:
                    answer = digest.compare(digest.mailbox_content(old, USER), digest.mailbox_content(new, USER),
                                            digest.default_map(old, new))
                print(json.dumps(answer), flush=True)
    finally:
        new.stop()
        old.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
