"""Three workers on one PostgreSQL, and everything goes wrong that can: workers and the service are killed, connections cut, a
worker sleeps beyond its lease. Then quiet, Finish, and proof that every mailbox is whole, once, and was nobody's twice at once.

POSTFERRY_CHAOS_MAILBOXES=200 is the full size; POSTFERRY_FAULT_SEED repeats a run's decisions.
"""

import collections
import os

from service_rig import *  # noqa: F403

MAILBOXES = int(os.environ.get("POSTFERRY_CHAOS_MAILBOXES", "36"))
WORKERS = ("w1", "w2", "w3")


class Chaos(ServiceCase):
    MAILBOXES, MESSAGES = MAILBOXES, 24

    def setUp(self):
        super().setUp()
        self.done = collections.Counter()
        self.back = {}  # worker or "serve" -> when it is started, or woken, again
        self.slept = None

    def start(self, name: str) -> None:
        self.service.serve(wait=False) if name == "serve" else self.service.worker(name, "--jobs", "4")

    # -- what goes wrong ------------------------------------------------------------------------------------------

    def kill(self, name: str) -> None:
        self.service.processes[name].kill()
        self.back[name] = (time.monotonic() + self.random.uniform(0, 2), self.start)

    def put_to_sleep(self, name: str) -> None:
        self.service.processes[name].freeze()
        self.slept = name
        self.back[name] = (time.monotonic() + LEASE + 4, self.wake)

    def wake(self, name: str) -> None:
        self.service.processes[name].thaw()

    def refuse(self, name: str) -> None:
        """Nobody gets through to that server for a while, and who is there is thrown out."""
        witness = getattr(self, name)
        witness.refuses = True
        witness.cut(self.random)
        self.back[name] = (time.monotonic() + self.random.uniform(0.5, 2), lambda _: setattr(witness, "refuses", False))

    def go_wrong(self) -> None:
        up = [name for name in (*WORKERS, "serve") if name not in self.back]
        awake = [name for name in WORKERS if name in up]
        what = self.random.choice(("kill", "kill", "cut", "cut", "database", "refuse", "sleep", "serve"))
        if what == "kill" and awake:
            self.kill(self.random.choice(awake))
        elif what == "cut":
            self.random.choice((self.source, self.target)).cut(self.random, self.random.choice((0.2, 0.5, 1)))
        elif what == "database":
            self.database.cut(self.random, self.random.choice((0.3, 1)))
        elif what == "refuse" and (name := self.random.choice(("source", "target", "database"))) not in self.back:
            self.refuse(name)
        elif what == "sleep" and len(awake) > 1 and not self.slept:
            self.put_to_sleep(self.random.choice(awake))
        elif what == "serve" and "serve" in up:
            self.kill("serve")
        else:
            return
        self.done[what] += 1

    def come_back(self, *, all_of_them: bool = False) -> None:
        for name, (when, how) in list(self.back.items()):
            if all_of_them or time.monotonic() >= when:
                del self.back[name]
                how(name)

    # -- the test -------------------------------------------------------------------------------------------------

    def test_nothing_is_lost_nor_twice(self):
        server = self.postgres()
        self.database = Witness(server.port, reads=False)
        self.addCleanup(self.database.close)
        self.on_postgres(server, self.database.port, jobs=0)
        self.service.serve()
        # So that there is time for things to go wrong.
        self.limit(self.target, self.MAILBOXES * self.MESSAGES // 30)
        for name in WORKERS:
            self.start(name)
        batch = self.new_batch()
        self.service.call("POST", f"/batches/{batch}/start")
        until(lambda: self.target.writes, 20, "a first message")
        self.rage(seconds=18 + MAILBOXES / 8)
        self.limit(self.target, None)
        self.settle(batch, {"synced"}, 60 + MAILBOXES)
        self.service.call("POST", f"/batches/{batch}/finish")
        self.settle(batch, ENDED, 60 + MAILBOXES)
        print(f"{dict(self.done)}; {self.source.cuts} + {self.target.cuts} connections cut, {self.database.cuts} of the database",
              flush=True)
        self.assertEqual(self.states(batch), {"completed": MAILBOXES})
        self.assert_identical()
        self.assert_sums(batch)
        self.assert_one_at_a_time(batch)
        self.assert_taken_over()

    def rage(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        # These two are not left to chance.
        self.put_to_sleep(self.random.choice(WORKERS))
        self.kill(self.random.choice([name for name in WORKERS if name not in self.back]))
        while time.monotonic() < end:
            self.come_back()
            self.go_wrong()
            time.sleep(self.random.uniform(0.2, 1.2))
        while any(how == self.wake for _, how in self.back.values()):
            self.come_back()
            time.sleep(0.1)
        self.come_back(all_of_them=True)
        self.service.wait_until_ready(self.service.processes["serve"])

    def assert_taken_over(self) -> None:
        """What killed and sleeping workers had was given to others."""
        reasons = [one["detail"].get("reason", "") for one in self.service.items("/events?kind=mailbox.state")
                   if one["after"] == "queued"]
        self.assertTrue(any("was not heard of any more" in one for one in reasons), collections.Counter(reasons))


if __name__ == "__main__":
    unittest.main()
