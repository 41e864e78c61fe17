"""What the fault tests of the service share: a store, mail servers behind witnesses, a batch, and the proof."""

import collections
import datetime
import pathlib
import random
import shutil
import sys
import tempfile
import time
import unittest

import rig
from rig import SEED, TEMPORARY, digest, samples
from witness import Witness

from lab import clock as clocks
from lab.dovecot import start_pair
from lab.postgres import Postgres, Unavailable
from lab.service import LEASE, Process, Service

ENDED = {"completed", "completed_with_exceptions"}
BUSY = 4  # a machine that has other things to do may take so many times as long
SLACK = 0.2  # seconds between a write on the wire and what the witness says of it


def until(condition, seconds: float, what: str, every: float = 0.05):
    """Its first answer that is true."""
    end = time.monotonic() + seconds * BUSY
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds * BUSY} s still not: {what}")
        time.sleep(every)


def instant(text: str) -> float:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class ServiceCase(unittest.TestCase):
    """Two mail servers for the class, with `MAILBOXES` users of `MESSAGES` messages each on the old one; a folder for
    each test. Both ends are reached through witnesses: self.source, self.target."""

    MAILBOXES, MESSAGES = 6, 12
    STORES = ("sqlite", "postgresql")
    HOST = "127.0.0.1"  # where the witnesses listen

    @classmethod
    def source_options(cls) -> dict:
        """Of the old server (lab.dovecot)."""
        return {}

    @classmethod
    def setUpClass(cls):
        if cls is ServiceCase:
            raise unittest.SkipTest("a base")
        rig.require_lab()
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="pf-service-", dir=TEMPORARY))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.old, cls.new = start_pair(cls.folder, users={"nobody": "x"}, source=cls.source_options(), target={"special_auto": "create"})
        cls.addClassCleanup(cls.new.stop)
        cls.addClassCleanup(cls.old.stop)
        cls.sample = samples.many(cls.MAILBOXES, messages=cls.MESSAGES, seed=SEED % 1000)
        samples.fill_many(cls.old, cls.sample)
        cls.new.add_users({user: f"{user}-secret" for user in cls.sample})
        cls.map = staticmethod(digest.default_map(cls.old, cls.new))
        print(f"\n{cls.__name__}: POSTFERRY_FAULT_SEED={SEED}", file=sys.stderr, flush=True)

    def setUp(self):
        self.random = random.Random(f"{SEED} {self.id()}")
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="t-", dir=self.folder))
        self.service: Service | None = None
        self.source = Witness(self.old.imap_port, self.pids, host=self.HOST)
        self.addCleanup(self.source.close)
        self.target = Witness(self.new.imap_port, self.pids, host=self.HOST)
        self.addCleanup(self.target.close)
        self.addCleanup(self.forget_mail)

    def forget_mail(self) -> None:
        for user in self.sample:
            self.new.forget(user)

    def pids(self) -> list[int]:
        return [one.pid for one in list(self.service.processes.values())] if self.service else []

    # -- parts ----------------------------------------------------------------------------------------------------

    def postgres(self, **options) -> Postgres:
        try:
            server = Postgres(**options)
        except Unavailable as why:
            raise unittest.SkipTest(str(why)) from why
        self.addCleanup(server.close)
        server.sql("CREATE DATABASE postferry")
        return server

    def clock(self) -> clocks.Clock:
        """One that the test sets."""
        try:
            clock = clocks.Clock()
        except clocks.Unavailable as why:
            raise unittest.SkipTest(str(why)) from why
        self.addCleanup(clock.close)
        return clock

    def new_service(self, **options) -> Service:
        folder = options.pop("folder", None) or self.place / f"service{len(list(self.place.iterdir()))}"
        service = Service(folder, program=rig.program(), **options)
        self.addCleanup(service.stop)
        self.service = self.service or service
        return service

    def on_postgres(self, server: Postgres, port: int | None = None, **options) -> Service:
        """port: of a witness in front of it; its socket without."""
        url = server.url("postferry")
        if port:
            url = f"postgresql://{server.user}@{self.HOST}:{port}/postferry?sslmode=disable"
        return self.new_service(store=url, password=server.password if port else None, **options)

    def url(self, witness: Witness) -> str:
        return f"imap://{self.HOST}:{witness.port}?tls=off&auth=plain"

    def mailbox(self, user: str) -> dict:
        return {"source_url": self.url(self.source), "source_user": user, "source_password": f"{user}-secret",
                "target_url": self.url(self.target), "target_user": user, "target_password": f"{user}-secret"}

    def new_batch(self, name: str = "all of them", users=None, **settings) -> int:
        """With a mailbox for each user, ready."""
        # Nothing is tried again by itself: the first pause would be half a minute. The tests say retry.
        made = self.service.call("POST", "/batches", {"name": name, "settings": {"retries": 0, **settings}})
        for user in users or self.sample:
            self.service.call("POST", f"/batches/{made['id']}/mailboxes", self.mailbox(user))
        return made["id"]

    def limit(self, witness: Witness, messages_per_second: int | None) -> None:
        """Over all workers; they hear of it within seconds."""
        path = f"/servers/{self.HOST}:{witness.port}"
        tag = self.service.ask("GET", path).headers["etag"]
        self.service.call("PATCH", path, {"messages_per_second": messages_per_second}, headers={"If-Match": tag})

    def full_speed(self) -> None:
        """Whatever [limits] says."""
        for witness in (self.source, self.target):
            self.limit(witness, 100_000)

    # -- looking --------------------------------------------------------------------------------------------------

    def mailboxes(self, batch: int) -> list[dict]:
        return self.service.items(f"/batches/{batch}/mailboxes")

    def states(self, batch: int) -> collections.Counter:
        return collections.Counter(one["state"] for one in self.mailboxes(batch))

    def settle(self, batch: int, states: set[str], seconds: float) -> None:
        """Waits until every mailbox is in one of these states; what failed on the way is told to try again."""

        def settled() -> bool:
            now = self.states(batch)
            if now["failed"] and "failed" not in states:
                self.service.call("POST", f"/batches/{batch}/retry")
            return set(now) <= states

        try:
            until(settled, seconds, f"all in {sorted(states)}", every=0.2)
        except AssertionError as why:
            stuck = [one for one in self.mailboxes(batch) if one["state"] not in states]
            logs = "\n".join(f"--- {one.name}\n{one.said()[-1500:]}" for one in self.service.processes.values())
            raise AssertionError(f"{why}\n{stuck[:3]}\n{logs}") from None

    # -- proof ----------------------------------------------------------------------------------------------------

    def assert_identical(self, users=None) -> None:
        wrong = {}
        for user in users or self.sample:
            found = digest.compare(digest.mailbox_content(self.old, user), digest.mailbox_content(self.new, user),
                                   self.map, subscriptions=True)
            if found:
                wrong[user] = found
        self.assertEqual(wrong, {}, f"POSTFERRY_FAULT_SEED={SEED}")

    def assert_sums(self, batch: int) -> None:
        """What the API says of the batch is what its mailboxes make, and each mailbox's balance closes."""
        shown, all_of_them = self.service.call("GET", f"/batches/{batch}"), self.mailboxes(batch)
        self.assertEqual(shown["mailboxes"], len(all_of_them))
        self.assertEqual({k: v for k, v in shown["mailbox_states"].items() if v},
                         dict(collections.Counter(one["state"] for one in all_of_them)))
        for unit in ("messages", "bytes"):
            for name, value in shown[unit].items():
                self.assertEqual(value, sum(one[unit][name] for one in all_of_them), f"{unit} {name}")
        for one in all_of_them:
            counts = one["messages"]
            self.assertEqual(counts["residual"], 0, one)
            self.assertEqual(counts["source"], counts["copied"] + counts["present"], one)
            self.assertEqual(counts["source"], self.MESSAGES, one)

    def assert_one_at_a_time(self, batch: int) -> None:
        """No pass begins before the one before has ended or was given up, and every octet that was written to a mailbox
        came from the process whose pass was the last to have begun."""
        self.assertTrue(any(write.pid for write in self.target.writes), "the witness knows nobody")
        pid_of = {one["id"]: one["pid"] for one in self.service.call("GET", "/workers")["items"]}
        wrong = []
        for mailbox in self.mailboxes(batch):
            passes = sorted(self.service.items(f"/mailboxes/{mailbox['id']}/passes"), key=lambda one: one["id"])
            begun = [(instant(one["started"]), pid_of.get(one["worker"])) for one in passes]
            for before, after in zip(passes, passes[1:]):
                if before["ended"] and instant(before["ended"]) > instant(after["started"]):
                    wrong.append(f"passes overlap: {before} {after}")
            for write in self.target.writes:
                if write.user != mailbox["target_user"] or not write.pid:
                    continue
                # The witness may have been slow: whoever had a pass within that moment may have written.
                last = [pid for at, pid in begun if at <= write.at]
                recent = {pid for at, pid in begun if write.at - SLACK <= at <= write.at}
                if not last or write.pid not in {last[-1], *(last[-2:-1] if recent else ())}:
                    wrong.append(f"{write} but passes {begun}")
        self.assertEqual(wrong[:5], [], f"{len(wrong)} in all, POSTFERRY_FAULT_SEED={SEED}")


__all__ = ["ENDED", "LEASE", "Postgres", "Process", "SEED", "Service", "ServiceCase", "Witness", "digest", "instant", "pathlib",
           "random", "rig", "samples", "shutil", "time", "unittest", "until"]
