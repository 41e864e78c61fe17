"""What the service does by the clock: it stops when the hours close and goes on when they open, a delta comes when it is due,
and a budget is there again. On SQLite it is the service's clock that counts, on PostgreSQL the server's; the tests set it."""

import contextlib
import time

from service_rig import *  # noqa: F403

from lab.imap_client import Append, connect

HOUR = 3_600
SLOWLY = {"limits": {"limit_messages": 1}}  # a second, of each server: it would take minutes


def hours(opens: float, closes: float) -> list[dict]:
    """Every day from one moment to another, to the minute."""
    words = {name: time.strftime("%H:%M", time.gmtime(at)) for name, at in (("from", opens), ("to", closes))}
    return [{"days": "daily", **words, "time_zone": "UTC"}]


def usual_hours(opens: float, closes: float) -> str:
    """The same as [schedule] hours has it, in this machine's time zone."""
    return time.strftime("%H:%M-", time.localtime(opens)) + time.strftime("%H:%M", time.localtime(closes))


class Clocked(ServiceCase):
    MAILBOXES, MESSAGES = 4, 40

    @contextlib.contextmanager
    def serving(self, store: str, *, everybody: bool = False, **options):
        """A service on it, with a clock that is self.clocked. everybody: the service's too, where PostgreSQL's counts."""
        with self.subTest(store=store):
            self.service, self.clocked = None, self.clock()
            if store == "sqlite":
                self.new_service(jobs=self.MAILBOXES, environment=self.clocked.environment, **options)
            else:
                if everybody:
                    options["environment"] = self.clocked.environment
                self.on_postgres(self.postgres(environment=self.clocked.environment), jobs=self.MAILBOXES, **options)
            self.service.serve()
            yield
            self.service.stop()
            self.forget_mail()

    def passes(self, batch: int) -> list[list[dict]]:
        return [self.service.items(f"/mailboxes/{one['id']}/passes") for one in self.mailboxes(batch)]


class Hours(Clocked):
    def begin(self, **settings) -> int:
        """Mail is being moved."""
        batch = self.new_batch(**settings)
        already = len(self.target.writes)
        self.service.call("POST", f"/batches/{batch}/start")
        until(lambda: len(self.target.writes) > already + 3, 30, "mail is being moved")
        return batch

    def set_hours(self, batch: int, windows: list[dict]) -> None:
        def done() -> bool:
            """Not when the batch's own state has changed in between."""
            tag = self.service.ask("GET", f"/batches/{batch}").headers["etag"]
            answer = self.service.ask("PATCH", f"/batches/{batch}", {"settings": {"windows": windows}}, headers={"If-Match": tag})
            self.assertIn(answer.status, (200, 412), answer.text)
            return answer.status == 200

        until(done, 20, "the batch is at rest")

    def wait_until_paused(self, batch: int, opens: float) -> None:
        """All of them, by the hours, until then; nobody is at a server any more."""
        self.settle(batch, {"paused"}, 30)
        for one in self.mailboxes(batch):
            self.assertEqual(one["reason"], "window", one)
            self.assertEqual(instant(one["until"]), opens // 60 * 60, one)
        until(lambda: not any(one["mailboxes"] for one in self.service.items("/servers")), 20, "the leases are given back")

    def arrived(self) -> int:
        return sum(digest.mailbox_content(self.new, user).messages() for user in self.sample)

    def go_on(self, batch: int) -> None:
        """To the end; what was there when the hours closed is taken for what it is."""
        self.full_speed()
        self.settle(batch, {"synced"}, 60)
        self.assert_identical()
        self.assert_sums(batch)
        for made in self.passes(batch):
            self.assertEqual(len({one["id"] for one in made if one["outcome"] == "stopped"}), 1, made)

    def test_hours_that_close_in_mid_copy(self):
        for store in self.STORES:
            with self.serving(store, sections=SLOWLY):
                now = self.clocked.now()
                batch = self.begin(windows=hours(now - HOUR, now + HOUR))
                self.clocked.set(2 * HOUR)
                self.wait_until_paused(batch, now + 23 * HOUR)
                arrived, made = self.arrived(), self.passes(batch)
                self.assertLess(arrived, self.MAILBOXES * self.MESSAGES)
                self.clocked.set(22 * HOUR)
                self.assertEqual((self.arrived(), self.passes(batch)), (arrived, made))
                self.clocked.set(24 * HOUR)
                self.go_on(batch)

    def test_hours_that_are_changed_hold_at_once(self):
        for store in self.STORES:
            with self.serving(store, sections=SLOWLY):
                batch = self.begin()
                now = self.clocked.now()
                self.set_hours(batch, hours(now + 2 * HOUR, now + 3 * HOUR))
                self.wait_until_paused(batch, now + 2 * HOUR)
                # Closed all the same, for longer; then open.
                self.set_hours(batch, hours(now + 4 * HOUR, now + 5 * HOUR))
                until(lambda: {instant(one["until"]) for one in self.mailboxes(batch)} == {(now + 4 * HOUR) // 60 * 60}, 20, "the new hours")
                self.set_hours(batch, hours(now - HOUR, now + HOUR))
                self.go_on(batch)

    def test_hours_of_the_configuration_that_are_changed_hold_from_its_start_on(self):
        for store in self.STORES:
            begun = time.time()
            usual = {"schedule": {"hours": [usual_hours(begun - HOUR, begun + HOUR)]}}
            with self.serving(store, sections={**SLOWLY, **usual}):
                batch = self.begin()
                self.clocked.set(2 * HOUR)
                self.wait_until_paused(batch, begun + 23 * HOUR)
                self.assertEqual(self.service.processes["serve"].stop(), 0)
                self.service.sections["schedule"]["hours"] = [usual_hours(begun + HOUR, begun + 4 * HOUR)]
                self.service.write_config(self.service.config.name)
                self.service.serve()
                self.go_on(batch)


class Deltas(Clocked):
    def assert_next_delta(self, batch: int) -> None:
        for one in self.mailboxes(batch):
            ended = max(instant(made["ended"]) for made in self.service.items(f"/mailboxes/{one['id']}/passes"))
            self.assertAlmostEqual(instant(one["until"]), ended + 300, delta=5, msg=one)

    def test_a_delta_comes_by_itself_when_it_is_due(self):
        for store in self.STORES:
            with self.serving(store):
                batch = self.new_batch(delta_every_minutes=5)
                self.service.call("POST", f"/batches/{batch}/start")
                self.settle(batch, {"synced"}, 60)
                self.assert_next_delta(batch)
                self.assertEqual([[one["pass"] for one in made] for made in self.passes(batch)], [["bulk"]] * self.MAILBOXES)
                user = next(iter(self.sample))
                with connect(self.old, user) as client:
                    client.append("INBOX", [Append(b"Subject: a late one\r\n\r\nlate\r\n")])
                self.clocked.set(6 * 60)
                until(lambda: all(len(made) == 2 and made[0]["ended"] and made[1]["ended"] for made in self.passes(batch)), 60, "a delta each")
                self.settle(batch, {"synced"}, 30)
                self.assertEqual([sorted(one["pass"] for one in made) for made in self.passes(batch)], [["bulk", "delta"]] * self.MAILBOXES)
                self.assert_identical()
                self.assert_next_delta(batch)


class Budgets(Clocked):
    def test_a_budget_that_is_spent_is_there_again_the_next_day(self):
        for store in self.STORES:
            with self.serving(store, everybody=True, sections={"limits": {"daily_bytes": "60kB"}}):
                batch = self.new_batch()
                self.service.call("POST", f"/batches/{batch}/start")
                self.settle(batch, {"throttled", "synced"}, 60)
                self.assertGreater(self.states(batch)["throttled"], 0)
                for day in (1, 2, 3, 4):
                    for one in self.mailboxes(batch):
                        if one["state"] == "throttled":
                            self.assertIn("budget", one["reason"], one)
                            self.assertLess(instant(one["until"]), self.clocked.now() + 24.5 * HOUR, one)
                    before = sum(one["messages"]["copied"] for one in self.mailboxes(batch))
                    self.clocked.set(day * 25 * HOUR)
                    until(lambda: all(one["state"] == "synced" or one["state"] == "throttled" and instant(one["until"]) > self.clocked.now()
                                      for one in self.mailboxes(batch)), 60, "as much as a day allows")
                    self.assertGreater(sum(one["messages"]["copied"] for one in self.mailboxes(batch)), before)
                    if self.states(batch) == {"synced": self.MAILBOXES}:
                        break
                self.assertEqual(self.states(batch), {"synced": self.MAILBOXES})
                self.assert_identical()


if __name__ == "__main__":
    unittest.main()
