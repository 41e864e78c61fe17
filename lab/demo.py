#!/usr/bin/python3
"""The demo: a mailbox full of oddities moves from one private Dovecot to another, is proven, and everything is cleaned up.

Runs `postferry` as a user would. What it says about the outcome at the end comes from the lab's own IMAP client, not
from Postferry. Takes the program from POSTFERRY or build/release/postferry.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from lab import digest, dovecot, memory, samples  # noqa: E402

USER = "anna"
LOGS = ROOT / "build" / "demo-logs"
COLOURS = sys.stdout.isatty() and "NO_COLOR" not in os.environ


class Failed(Exception):
    """Something did not go as it should; the text is for people."""


def paint(code: str, text: str) -> str:
    return f"\033[{code}m{text}\033[0m" if COLOURS else text


def say(text: str = "") -> None:
    print(text, flush=True)


def step(number: int, title: str, *words: str) -> None:
    say()
    say(paint("1;36", f"{number}. {title}"))
    for line in words:
        say("   " + line)


def width(text: str) -> int:
    """Columns on a terminal: East Asian characters and emoji take two, combining marks none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def pad(text: str, columns: int) -> str:
    return text + " " * max(0, columns - width(text))


class Stage:
    """The two servers, the program, and the folder in which all of it lives."""

    def __init__(self, folder: pathlib.Path):
        self.program = pathlib.Path(os.environ.get("POSTFERRY", ROOT / "build" / "release" / "postferry"))
        if not os.access(self.program, os.X_OK):
            raise Failed(f"{self.program} is not there; run `make release` first")
        self.folder = folder
        self.run_folder = folder / "run"
        self.run_folder.mkdir()
        password = "correct horse battery staple"
        try:
            self.old, self.new = dovecot.start_pair(folder, users={USER: password}, target={"special_auto": "create"})
        except (OSError, RuntimeError) as error:
            raise Failed(f"the private mail servers did not start: {error}") from error
        self.environment = {**os.environ, "POSTFERRY_SOURCE_PASSWORD": password, "POSTFERRY_TARGET_PASSWORD": password}

    def url(self, server: dovecot.Dovecot) -> str:
        return f"imaps://{USER}@{server.host}:{server.imaps_port}?ca={server.ca}"

    def postferry(self, command: str, *options: str) -> float:
        say(paint("1", f'   $ postferry {" ".join([command, "OLD", "NEW", *options])}'))
        say()
        started = time.monotonic()
        arguments = [str(self.program), command, self.url(self.old), self.url(self.new), *options]
        code = subprocess.run(arguments, cwd=self.run_folder, env=self.environment, timeout=300).returncode
        if code != 0:
            raise Failed(f"`postferry {command}` ended with exit code {code}; its own words stand above")
        return time.monotonic() - started

    def save_logs(self) -> None:
        shutil.rmtree(LOGS, ignore_errors=True)
        LOGS.mkdir(parents=True)
        for log in [*self.folder.glob("*/dovecot.log"), *self.run_folder.glob("*.log"), *self.run_folder.glob("*.json")]:
            shutil.copyfile(log, LOGS / f"{log.parent.name}-{log.name}")


def print_folders(stage: Stage, old: digest.Content, new: digest.Content) -> None:
    translate = digest.default_map(stage.old, stage.new)
    rows = [(name, len(messages), translate(name)) for name, messages in old.folders.items()]
    rows.sort(key=lambda row: (row[0] != "INBOX", row[0]))
    left = max(width(name) for name, _, _ in rows)
    say(paint("2", "   " + pad("old server", left + 2) + "messages      messages  new server"))
    for name, count, target in rows:
        arrived = len(new.folders.get(target, []))
        same = count == arrived and target in new.folders
        mark = paint("32", "=") if same else paint("1;31", "!")
        say(f"   {pad(name, left + 2)}{count:8}   {mark}  {arrived:8}  {target}")
    say(paint("1", f"   {pad('', left + 2)}{old.messages():8}      {new.messages():8}"))


def prove(stage: Stage, untouched: str) -> None:
    old, new = digest.mailbox_content(stage.old, USER), digest.mailbox_content(stage.new, USER)
    print_folders(stage, old, new)
    differences = digest.compare(old, new, digest.default_map(stage.old, stage.new), subscriptions=True)
    say()
    if differences:
        raise Failed("the two mailboxes differ:\n   " + "\n   ".join(differences[:10]))
    say(paint("32", "   Same content to the octet, same flags, keywords, dates and subscriptions."))
    if digest.tree_digest(stage.old.store(USER)) != untouched:
        raise Failed("files of the old server's mailbox were changed")
    say(paint("32", "   The old server's files are as they were before: not one was changed, moved or marked."))


def film(stage: Stage) -> None:
    old, new = stage.old, stage.new
    step(1, "Two private mail servers on this machine, gone when the demo ends",
         f"OLD  {stage.url(old)}",
         f'     Dovecot, Maildir, folders like "{old.prefix}Kunden{old.delimiter}Nord", German names for Sent and Trash',
         f"NEW  {stage.url(new)}",
         f'     Dovecot, mdbox, folders like "Kunden{new.delimiter}Nord", English names, empty')
    count = samples.fill(old, USER, samples.demo())
    untouched = digest.tree_digest(old.store(USER))
    say(f"   {count} messages are in OLD: 1 kB to 25 MB, folders in several scripts, old dates, keywords, exact repeats,")
    say("   messages without any header, and mails whose text is IMAP commands.")

    step(2, "What would be done? Look for the folders that change their names.")
    stage.postferry("plan")
    step(3, "Copy. The old server is only read; the ledger remembers every message.")
    took = stage.postferry("copy")
    say(f"   ({took:.1f} s)")
    step(4, "Copy again, as on the evening before the switch: nothing is new, so nothing is done.")
    took = stage.postferry("copy")
    say(f"   ({took:.1f} s)")
    step(5, "Prove it: both servers are read again, message by message.")
    stage.postferry("verify", "--report", "proof.json")
    step(6, "And counted by somebody else: the lab's own client, which shares no code with Postferry")
    prove(stage, untouched)
    say()
    say("Now with your own servers:  build/release/postferry check imaps://you@old.example.org imaps://you@new.example.org")


def _stop(number, _frame) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postferry-demo-", dir=memory.folder()))
    stage = None
    started = time.monotonic()
    try:
        stage = Stage(folder)
        film(stage)
        say(paint("2", f"The demo took {time.monotonic() - started:.0f} s and has cleaned up behind itself."))
        return 0
    except KeyboardInterrupt:
        say("\ndemo: interrupted; everything is cleaned up")
        return 130
    except (Failed, RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        say()
        say(paint("1;31", f"demo: {error}"))
        if stage:
            stage.save_logs()
            say(f"demo: the servers' logs are in {LOGS}")
        return 1
    finally:
        if stage:
            stage.old.stop()
            stage.new.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
