"""The service with real servers: batches from their start to their end, on both stores, and what happens to them when
processes stop, die or stall."""

import contextlib
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403
from support import adds_up  # noqa: E402
import on_postgresql  # noqa: E402
from lab.service import LEASE, Service  # noqa: E402

MAILBOXES = 6
SLOWLY = {"limits": {"limit_messages": 15}}  # a second, of each server


def setUpModule():
    need_servers()


class ServiceCase(PairCase):
    """A service of its own for each test; self.batch with mailboxes of fresh users."""

    spare_users = 80
    store_url = None

    def service(self, **options) -> Service:
        service = Service(self.folder / "service", program=program(), store=self.store_url, **options)
        self.addCleanup(self.look_for_secrets)
        self.addCleanup(service.stop)
        return service

    def look_for_secrets(self) -> None:
        for path in (self.folder / "service").glob("*"):
            if path.is_file() and path.suffix != ".key":
                self.assert_no_secret(path.read_bytes(), path.name)

    def begin(self, service: Service, messages: int = 20, mailboxes: int = MAILBOXES, **settings) -> int:
        """A batch that was started; self.owners are its users."""
        self.owners = [next(self.users) for _ in range(mailboxes)]
        batch = service.call("POST", "/batches", {"name": "one", "mode": "messages-only", "settings": settings})["id"]
        for owner in self.owners:
            self.fill(self.old, folder("INBOX", mails(messages)), folder("Work", mails(3, "work")), user=owner)
            self.add(service, batch, owner)
        service.call("POST", f"/batches/{batch}/start")
        return batch

    def add(self, service: Service, batch: int, owner: str, password: str = PASSWORD) -> dict:
        return service.call("POST", f"/batches/{batch}/mailboxes", {
            "source_url": f"imap://{self.old.host}:{self.old.imap_port}?tls=off", "source_user": owner,
            "source_password": password,
            "target_url": f"imap://{self.new.host}:{self.new.imap_port}?tls=off", "target_user": owner,
            "target_password": PASSWORD})

    def states(self, service: Service, batch: int) -> list[str]:
        return [one["state"] for one in service.items(f"/batches/{batch}/mailboxes")]

    def wait_for(self, service: Service, batch: int, state: str, seconds: float = 240) -> None:
        """Until the batch is so."""
        if self.until(lambda: service.call("GET", f"/batches/{batch}")["state"] == state, seconds):
            return
        said = {name: one.said()[-3000:] for name, one in service.processes.items()}
        self.fail(f"the batch is {service.call('GET', f'/batches/{batch}')}, not {state}\n"
                  f"{json.dumps(service.items(f'/batches/{batch}/mailboxes'), indent=1)}\n" + "\n".join(said.values()))

    def on_target(self) -> int:
        """Messages that have come so far."""
        return sum(len(messages) for owner in self.owners for messages in self.content(self.new, owner).folders.values())

    def wait_until_half_way(self, messages: int = MAILBOXES) -> None:
        self.assertTrue(self.until(lambda: self.on_target() >= messages), "nothing is copied")
        self.assertLess(self.on_target(), sum(len(m) for owner in self.owners for m in self.content(self.old, owner).folders.values()),
                        "all of it is there already: too quick for this test")

    def assert_all_the_same(self) -> None:
        for owner in self.owners:
            self.assert_same(owner)


class OnSqlite(ServiceCase):
    def test_from_the_start_to_the_end(self):
        service = self.service()
        service.serve()
        batch = self.begin(service)
        self.wait_for(service, batch, "synced")
        self.assert_all_the_same()
        for one in service.items(f"/batches/{batch}/mailboxes"):
            self.assertEqual((one["state"], one["grade"]), ("synced", "perfect"), one)
        for owner in self.owners:
            self.user = owner
            self.append(self.old, "INBOX", mail("the last one"))
        service.call("POST", f"/batches/{batch}/finish")
        self.wait_for(service, batch, "completed")
        self.assert_all_the_same()
        self.assertEqual(self.states(service, batch), ["completed"] * MAILBOXES)
        report = service.ask("GET", f"/batches/{batch}/report.json")
        self.assertEqual(report.status, 200, report.text)
        validator("report").validate(report.body)
        self.assertEqual(adds_up(report.body), [])
        self.assertEqual(report.body["totals"]["mailboxes"], MAILBOXES)

    def test_a_sweep_after_the_end_brings_what_came_late(self):
        service = self.service()
        service.serve()
        batch = self.begin(service, mailboxes=2)
        self.wait_for(service, batch, "synced")
        service.call("POST", f"/batches/{batch}/finish")
        self.wait_for(service, batch, "completed")
        self.user = self.owners[0]
        self.append(self.old, "INBOX", mail("a straggler"))
        service.call("POST", f"/batches/{batch}/finish")
        self.wait_for(service, batch, "completed")
        self.assertTrue(self.until(lambda: self.subjects(self.new, "INBOX").get("a straggler") == 1))

    def test_killed_in_the_middle(self):
        service = self.service(sections=SLOWLY)
        serve = service.serve()
        batch = self.begin(service, messages=50)
        for _ in range(2):
            before = self.on_target()
            self.wait_until_half_way(before + MAILBOXES)
            serve.kill()
            serve = service.serve()
        self.wait_for(service, batch, "synced")
        self.assert_all_the_same()

    def test_stopped_in_the_middle(self):
        service = self.service(sections=SLOWLY)
        serve = service.serve()
        batch = self.begin(service)
        self.wait_until_half_way()
        self.assertEqual(serve.stop(), 0, serve.said())
        arrived = self.on_target()
        self.assertIn("stopped", serve.said().splitlines()[-1])
        service.serve()
        passes = [service.items(f"/mailboxes/{one['id']}/passes") for one in service.items(f"/batches/{batch}/mailboxes")]
        self.assertTrue(any(made and made[-1]["outcome"] == "stopped" or made and made[0]["outcome"] == "stopped"
                            for made in passes), passes)
        self.wait_for(service, batch, "synced")
        self.assertGreater(arrived, 0)
        self.assert_all_the_same()

    def test_paused_in_the_middle(self):
        service = self.service(sections=SLOWLY)
        service.serve()
        batch = self.begin(service)
        self.wait_until_half_way()
        service.call("POST", f"/batches/{batch}/pause")
        self.assertTrue(self.until(lambda: not any(one["mailboxes"] for one in service.items("/servers"))), "somebody is still at it")
        self.assertEqual(set(self.states(service, batch)) - {"paused"}, set())
        arrived = self.on_target()
        first = service.items(f"/batches/{batch}/mailboxes")[0]["id"]
        service.call("POST", f"/mailboxes/{first}/resume")
        self.assertTrue(self.until(lambda: service.call("GET", f"/mailboxes/{first}")["state"] == "paused"),
                        "its batch is stopped")
        self.assertEqual(self.on_target(), arrived)
        service.call("POST", f"/batches/{batch}/resume")
        self.wait_for(service, batch, "synced")
        self.assert_all_the_same()

    def test_a_budget_that_is_spent_holds_nobody_else_up(self):
        service = self.service(jobs=1, sections={"limits": {"daily_bytes": "20kB"}})
        service.serve()
        self.owners = [next(self.users) for _ in range(2)]
        large, small = self.owners
        self.fill(self.old, folder("INBOX", mails(30, size=4_000)), user=large)
        self.fill(self.old, folder("INBOX", mails(3)), user=small)
        batch = service.call("POST", "/batches", {"name": "one"})["id"]
        ids = [self.add(service, batch, owner)["id"] for owner in self.owners]
        service.call("POST", f"/batches/{batch}/start")
        self.assertTrue(self.until(lambda: self.states(service, batch) == ["throttled", "synced"]), self.states(service, batch))
        one = service.call("GET", f"/mailboxes/{ids[0]}")
        self.assertIn("budget", json.dumps(one))
        self.assertTrue(one["until"], one)
        self.assert_same(small)
        self.assertLess(len(self.content(self.new, large).folders["INBOX"]), 30)

    def test_a_refused_password_asks_for_another(self):
        service = self.service()
        service.serve()
        self.secrets.append("Falsches/9+Passwort")
        self.owners = [next(self.users)]
        self.fill(self.old, folder("INBOX", mails(3)), user=self.owners[0])
        batch = service.call("POST", "/batches", {"name": "one"})["id"]
        mailbox = self.add(service, batch, self.owners[0], "Falsches/9+Passwort")["id"]
        service.call("POST", f"/batches/{batch}/start")
        self.assertTrue(self.until(lambda: self.states(service, batch) == ["needs_credentials"]), self.states(service, batch))
        self.wait_for(service, batch, "review_for_cutover")
        service.call("POST", f"/mailboxes/{mailbox}/credentials", {"source_password": PASSWORD})
        self.wait_for(service, batch, "synced")
        self.assert_all_the_same()

    def test_the_hook_is_told(self):
        service = self.service()
        service.serve()
        told = self.folder / "told"
        hook = self.folder / "hook"
        hook.write_text(f"#!/bin/sh\nread -r password\necho $POSTFERRY_TARGET_USER $POSTFERRY_STATE ${{#password}} >> {told}\n"
                        "echo done\n")
        hook.chmod(0o755)
        batch = self.begin(service, mailboxes=1, hook={"command": [str(hook)], "with_password": True})
        self.wait_for(service, batch, "synced")
        self.assertFalse(told.exists())
        service.call("POST", f"/batches/{batch}/finish")
        self.wait_for(service, batch, "completed")
        self.assertEqual(told.read_text(), f"{self.owners[0]} completed {len(PASSWORD)}\n")
        lines = [one["text"] for one in service.items(f"/batches/{batch}/log")]
        self.assertTrue(any("ended with 0; it printed: done" in line for line in lines), lines)

    def test_systemd_is_told_and_the_log_begins_anew(self):
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(told.close)
        told.bind(str(self.folder / "notify"))
        told.settimeout(20)
        log = self.folder / "service.log"
        service = self.service(environment={"NOTIFY_SOCKET": str(self.folder / "notify"), "WATCHDOG_USEC": "200000"},
                               sections={"log": {"file": str(log), "format": "json"}})
        serve = service.serve()
        self.assertIn(b"READY=1", told.recv(4096))
        self.assertEqual([told.recv(4096) for _ in range(3)], [b"WATCHDOG=1"] * 3)
        log.rename(self.folder / "service.log.1")
        serve._send(signal.SIGHUP)
        self.assertTrue(self.until(log.exists), "no new log")
        self.assertEqual(serve.stop(), 0)
        told.setblocking(False)
        last = b""
        with contextlib.suppress(BlockingIOError):
            while True:
                one = told.recv(4096)
                last = one if b"WATCHDOG" not in one else last
        self.assertIn(b"STOPPING=1", last)
        self.assertEqual(json.loads(log.read_text().splitlines()[-1])["message"], "stopped")

    def test_the_key_file_is_made_once_and_missed_afterwards(self):
        service = self.service()
        serve = service.serve()
        self.assertEqual(service.key_file.stat().st_mode & 0o777, 0o600)
        batch = service.call("POST", "/batches", {"name": "one"})["id"]
        self.add(service, batch, self.user)
        self.assertEqual(serve.stop(), 0)
        service.key_file.rename(self.folder / "away")
        again = service.process("again", "serve")
        self.assertEqual(again.wait(), 2)
        self.assertIn("rotate-key", again.said())
        self.assertFalse(service.key_file.exists())
        (self.folder / "away").rename(service.key_file)
        service.serve()

    def test_a_worker_needs_postgresql(self):
        if self.store_url:
            self.skipTest("it has it")
        service = self.service()
        worker = service.worker("w1")
        self.assertEqual(worker.wait(), 2)
        self.assertIn("postgresql://", worker.said())


class OnPostgresql(on_postgresql.OnPostgresql, OnSqlite):
    postgres_options = {"fsync": True}

    def test_workers_share_a_batch_and_take_over_from_one_that_died(self):
        service = self.service(jobs=0, sections=SLOWLY)
        service.serve()
        first = service.worker("w1", "--jobs", "3")
        batch = self.begin(service)
        self.wait_until_half_way()
        service.worker("w2", "--jobs", "3")
        self.assertTrue(self.until(lambda: len({one["name"] for one in service.items("/workers") if one["state"] == "running"}) >= 2))
        first.kill()
        self.wait_for(service, batch, "synced", 300)
        self.assert_all_the_same()

    def test_a_worker_that_wakes_up_late_writes_nothing(self):
        service = self.service(jobs=0, sections=SLOWLY)
        service.serve()
        sleeper = service.worker("w1", "--jobs", str(MAILBOXES))
        batch = self.begin(service)
        self.wait_until_half_way()
        sleeper.freeze()
        service.worker("w2", "--jobs", str(MAILBOXES))
        self.wait_for(service, batch, "synced", LEASE + 240)
        self.assert_all_the_same()
        before = [self.content(self.new, owner).folders for owner in self.owners]
        sleeper.thaw()
        # It has understood when it is back on the list, as itself, with nothing at work.
        self.assertTrue(self.until(lambda: "w1" in {one["name"] for one in service.items("/workers") if one["state"] == "running"}))
        self.assertEqual(sleeper.stop(), 0, sleeper.said())
        self.assertEqual([self.content(self.new, owner).folders for owner in self.owners], before)
        self.assertEqual(self.states(service, batch), ["synced"] * MAILBOXES)

    def test_a_worker_with_another_key_starts_nothing(self):
        service = self.service(jobs=0)
        service.serve()
        batch = service.call("POST", "/batches", {"name": "one"})["id"]
        self.add(service, batch, self.user)
        other = self.folder / "other.key"
        other.write_text("postferry-seal-key-1 " + "ab" * 32 + "\n")
        other.chmod(0o600)
        worker = service.worker("w1", config=service.write_config("other.toml", store={"key_file": str(other)}))
        self.assertEqual(worker.wait(), 2)
        self.assertIn("is not in the key file", worker.said())


if __name__ == "__main__":
    unittest.main()
