"""A service whose surroundings fail it: the database goes away, the disk fills up, somebody sets the clock, a client says
everything twice. Each is a clear answer, nothing is lost, and the service goes on by itself.

POSTFERRY_OUTAGE_SECONDS=60 is the outage that is promised; the default is shorter and goes the same ways.
"""

import concurrent.futures
import os
import signal
import threading
import urllib.parse

from service_rig import *  # noqa: F403
import test_disk  # not its classes: unittest would run them here, too
from test_disk import mount, unmount

OUTAGE = float(os.environ.get("POSTFERRY_OUTAGE_SECONDS", "7"))
DAY = 86_400


class Trouble(ServiceCase):
    MAILBOXES, MESSAGES = 6, 16

    def run_to_the_end(self, batch: int, *, clock: bool = True) -> None:
        """clock: the times that the service says are right."""
        self.settle(batch, {"synced"}, 60)
        self.service.call("POST", f"/batches/{batch}/finish")
        self.settle(batch, ENDED, 60)
        self.assertEqual(self.states(batch), {"completed": len(self.mailboxes(batch))})
        self.assert_identical()
        self.assert_sums(batch)
        if clock:
            self.assert_one_at_a_time(batch)

    def begin(self) -> int:
        """Mail is being moved, slowly."""
        self.limit(self.target, 12)
        batch = self.new_batch()
        self.service.call("POST", f"/batches/{batch}/start")
        until(lambda: len(self.target.writes) > 5, 30, "mail is being moved")
        return batch

    def go_on(self, batch: int, **options) -> None:
        until(lambda: self.service.ask("GET", "/me").status == 200, 20, "it answers again")
        self.limit(self.target, None)
        self.run_to_the_end(batch, **options)

    def assert_problem(self, answer, *statuses: int) -> None:
        self.assertIn(answer.status, statuses, answer.text)
        self.assertEqual(answer.headers["content-type"], "application/problem+json")
        self.assertTrue(answer.body["detail"])

    # -- PostgreSQL -----------------------------------------------------------------------------------------------

    def test_postgresql_goes_away_and_comes_back(self):
        server = self.postgres(fsync=True)  # what is killed must have kept what it confirmed
        self.on_postgres(server, jobs=2)
        self.service.serve()
        self.service.worker("w1", "--jobs", "2")
        batch = self.begin()
        server.kill()
        gone = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            # A change waits for the database, as long as its client does.
            made = pool.submit(self.service.ask, "POST", "/batches", {"name": "in the dark"},
                               headers={"Idempotency-Key": "dark"}, seconds=OUTAGE + 60)
            answer = self.service.ask("GET", f"/batches/{batch}", seconds=20)
            self.assert_problem(answer, 503)
            self.assertIn("cannot be reached", answer.text)
            self.assertEqual(self.service.ask("GET", "//healthz").status, 200)
            self.assertEqual(self.service.ask("GET", "//readyz").status, 503)
            self.assertTrue(all(one.alive for one in self.service.processes.values()))
            threading.Event().wait(max(0, gone + OUTAGE - time.monotonic()))  # it is the outage that is tested
            server.start()
            self.assertIn(made.result().status, (201, 503), made.result().text)
        again = self.service.ask("POST", "/batches", {"name": "in the dark"}, headers={"Idempotency-Key": "dark"})
        self.assertEqual(again.status, 201, again.text)
        self.assertEqual(sum(one["name"] == "in the dark" for one in self.service.items("/batches")), 1)
        self.go_on(batch)
        for one in self.service.processes.values():
            said = one.said()
            begun, over = (said.count(words) for words in (" does not answer: ", " answers again, after "))
            self.assertEqual(begun, over, said)
            self.assertLessEqual(begun, 1, said)
            if OUTAGE >= 12:  # whatever waits for a read has given up by then
                self.assertEqual(begun, 1, said)
            self.assertNotRegex(said, r"(?m)^\S+ warning .*cannot be reached")  # a mailbox may say it, once, as info
            self.assertNotIn("\\x09", said)

    def test_a_service_can_be_stopped_without_its_postgresql(self):
        """systemd kills after a minute and a half what does not end; half of that is enough."""
        server = self.postgres()
        self.on_postgres(server, jobs=2)
        self.service.serve()
        self.service.worker("w1", "--jobs", "2")
        batch = self.begin()
        server.kill()
        began = time.monotonic()
        for one in self.service.processes.values():
            one._send(signal.SIGTERM)
        for one in self.service.processes.values():
            self.assertEqual(one.wait(180), 0, one.said()[-2000:])
        self.assertLess(time.monotonic() - began, 180)
        server.start()
        self.service.serve()
        self.go_on(batch)

    def test_a_worker_that_is_stopped_in_a_transaction_holds_nobody_up(self):
        server = self.postgres()
        self.on_postgres(server, jobs=0)
        self.service.serve()
        sleeper = self.service.worker("sleeper", "--jobs", "1")
        batch = self.begin()
        in_transaction = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND " \
                         "now() - state_change > interval '300 ms'"

        def caught() -> bool:
            sleeper.freeze()
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                if server.sql(in_transaction) != "0":
                    return True
            sleeper.thaw()
            return False

        until(caught, 120, "it sleeps in a transaction", every=0.003)
        asleep = time.monotonic()
        self.limit(self.target, None)
        self.service.worker("w1", "--jobs", "4")
        self.settle(batch, {"synced"}, 180)
        # What it was at is free when its lease has lapsed; its locks must not outlive that.
        self.assertLess(time.monotonic() - asleep, LEASE + 60)
        sleeper.thaw()
        self.run_to_the_end(batch)

    def test_a_service_that_starts_without_its_postgresql_says_so(self):
        server = self.postgres()
        here = self.on_postgres(server, jobs=0)
        server.stop()
        one = here.serve(wait=False)
        until(lambda: "postgresql://" in one.said() and ("cannot" in one.said() or "failed" in one.said()), 30, "it says so")

    # -- disks ----------------------------------------------------------------------------------------------------

    def test_the_disk_under_the_store_is_full_for_a_while(self):
        disk = self.place / "disk"
        mount(disk, "6m")
        self.addCleanup(unmount, disk)
        self.new_service(folder=self.place / "service", store=f"sqlite:{disk}/store.db", jobs=3)
        self.service.serve()
        self.addCleanup(self.service.stop)  # before the disk goes
        batch = self.begin()
        test_disk.FullDiskUnderTheLedger.fill(disk)
        answer = until(lambda: self.refused_change(), 20, "a change that finds no room")
        self.assert_problem(answer, 500, 503, 507)
        self.assertRegex(answer.text, r"(?i)(no space|disk is full|space left)")
        self.service.call("GET", f"/batches/{batch}")
        self.assertTrue(self.service.processes["serve"].alive)
        (disk / "ballast").unlink()
        until(lambda: self.service.ask("POST", "/batches", {"name": "there is room"}).status == 201, 20, "it writes again")
        self.go_on(batch)

    def refused_change(self):
        answer = self.service.ask("POST", "/batches", {"name": "x" * 200})
        return answer if answer.status >= 300 else None

    def csv(self, rows: int = 0) -> bytes:
        head = "source_url,source_user,source_password,target_url,target_user,target_password\n"
        users = list(self.sample) if not rows else [f"u{number}@example.org" for number in range(rows)]
        lines = (f"{self.url(self.source)},{user},{user}-secret,{self.url(self.target)},{user},{user}-secret\n" for user in users)
        return (head + "".join(lines)).encode()

    def upload(self, text: bytes, name: str = "imported", **options):
        return self.service.ask("POST", f"/imports?batch={name}&mode=messages-only&check_hosts=false", text,
                                headers={"Content-Type": "text/csv"}, seconds=60, **options)

    def test_the_disk_under_uploads_is_full(self):
        disk = self.place / "uploads"
        mount(disk, "1m")
        self.addCleanup(unmount, disk)
        self.new_service(environment={"TMPDIR": str(disk)})
        self.service.serve()
        self.addCleanup(self.service.stop)
        answer = self.upload(self.csv(rows=20_000))
        self.assert_problem(answer, 503, 507)
        self.assertRegex(answer.text, r"(?i)(no space|disk is full|space left)")
        self.assertEqual(self.service.items("/batches"), [])
        self.assertEqual(self.upload(self.csv()).status, 201)

    # -- clocks ---------------------------------------------------------------------------------------------------

    def test_the_clock_jumps_a_day_ahead_and_back_again(self):
        for first, then in ((DAY, 0), (-DAY, 0)):
            with self.subTest(jump=first):
                self.service = None
                clock = self.clock()
                self.new_service(jobs=3, environment=clock.environment)
                self.service.serve()
                cookie = self.sign_in()
                batch = self.begin()
                clock.set(first)
                until(lambda: abs(self.service_time() - time.time() - first) < 60, 10, "it believes it")
                waiting = len(self.target.writes)
                until(lambda: len(self.target.writes) > waiting + 10, 30, "mail is being moved all the same")
                clock.set(then)
                self.assertIn(self.signed_in(cookie), (200, 401))
                self.go_on(batch, clock=False)
                self.assertEqual(self.signed_in(self.sign_in(make=False)), 200)
                self.service.stop()
                self.target.writes.clear()
                self.forget_mail()

    def service_time(self) -> float:
        self.service.call("POST", "/batches", {"name": f"what time is it {time.monotonic()}"})
        return instant(self.service.items("/batches")[0]["created"])

    def sign_in(self, make: bool = True) -> str:
        who = {"name": "olga", "password": "a long password"}
        if make:
            self.service.call("POST", "/users", {**who, "role": "viewer"})
        answer = self.service.over_tcp("POST", "/session", who)
        self.assertEqual(answer.status, 201, answer.text)
        return answer.headers["set-cookie"].partition(";")[0]

    def signed_in(self, cookie: str) -> int:
        return self.service.over_tcp("GET", "/me", headers={"Cookie": cookie}).status

    def test_a_database_whose_clock_jumps(self):
        """On PostgreSQL it is the server's clock that counts, for all workers at once."""
        clock = self.clock()
        server = self.postgres(environment=clock.environment)
        self.on_postgres(server, jobs=2)
        self.service.serve()
        self.service.worker("w1", "--jobs", "2")
        batch = self.begin()
        for jump in (DAY, -DAY, 0):
            clock.set(jump)
            told = int(server.sql("SELECT extract(epoch FROM clock_timestamp())::bigint"))
            self.assertLess(abs(told - time.time() - jump), 60)
            waiting = len(self.target.writes)
            until(lambda: len(self.target.writes) > waiting + 10 or self.states(batch) == {"synced": self.MAILBOXES}, 40,
                  "mail is being moved all the same")
        taken = [one for one in self.service.items("/events?kind=mailbox.state")
                 if "not heard of" in one["detail"].get("reason", "")]
        self.assertEqual(taken, [], "from workers that are alive")
        self.limit(self.target, None)
        self.settle(batch, {"synced"}, 60)
        self.assert_identical()

    # -- twice ----------------------------------------------------------------------------------------------------

    def test_the_same_batch_is_made_once(self):
        for store in self.STORES:
            with self.subTest(store=store):
                self.service = None
                self.on_postgres(self.postgres(), jobs=2) if store == "postgresql" else self.new_service(jobs=2)
                self.service.serve()
                wanted, key = {"name": "once", "settings": {"retries": 0}}, {"Idempotency-Key": "one and the same"}
                with concurrent.futures.ThreadPoolExecutor(8) as pool:
                    answers = [job.result() for job in
                               [pool.submit(self.service.ask, "POST", "/batches", wanted, headers=key) for _ in range(8)]]
                # Whoever asks while the first is still at work may be told to ask again.
                self.assertLessEqual({one.status for one in answers}, {201, 409})
                again = self.service.ask("POST", "/batches", wanted, headers=key)
                ids = {one.body["id"] for one in answers + [again] if one.status == 201}
                self.assertEqual((again.status, len(ids)), (201, 1))
                self.assert_problem(self.service.ask("POST", "/batches", {"name": "other"}, headers=key), 409, 422)
                self.assertEqual(len(self.service.items("/batches")), 1)

    def test_a_mailbox_is_in_a_batch_once(self):
        self.new_service(jobs=0)
        self.service.serve()
        batch = self.new_batch()
        self.assert_problem(self.service.ask("POST", f"/batches/{batch}/mailboxes", self.mailbox("user00000")), 409)
        self.assertEqual(len(self.mailboxes(batch)), self.MAILBOXES)

    def test_a_csv_that_is_committed_twice_adds_nothing(self):
        self.new_service(jobs=2)
        self.service.serve()
        for _ in range(2):
            seen = self.upload(self.csv())
            self.assertEqual(seen.status, 201, seen.text)
            path = f"/imports/{urllib.parse.quote(seen.body['id'])}/commit"
            for _ in range(2):
                self.service.call("POST", path, {})
        (batch,) = self.service.items("/batches")
        self.assertEqual(len(self.mailboxes(batch["id"])), self.MAILBOXES)
        self.service.call("POST", f"/batches/{batch['id']}/start")
        self.run_to_the_end(batch["id"])


if __name__ == "__main__":
    unittest.main()
