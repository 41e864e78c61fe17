"""Servers that are killed in mid-copy, and come back."""

import threading
import unittest

import rig
from wire import CLIENT, SERVER, Trip, Wire


class KilledServer(rig.Pair):
    """Every process of a server is killed in mid-copy; it comes back after a moment, or after the run has given up."""

    TARGET = {"storage": "mdbox"}

    def with_storage_that_holds(self, case):
        """Killed in the middle of a write, Dovecot may find its own mdbox damaged and rebuild it: flags are gone then, and
        messages come back that nobody can tell apart. That is no copy's fault: the case is tried with another mailbox."""
        for _ in range(4):
            seen = self.new.log.stat().st_size
            try:
                return case()
            except AssertionError:
                with open(self.new.log, errors="replace") as log:
                    log.seek(seen)
                    if "rebuilding indexes" not in log.read():
                        raise
        self.skipTest("Dovecot damaged its own storage each time it was killed")

    def kill_at(self, end: str, side: str, octets: int, back_after: float | None) -> rig.Run:
        return self.with_storage_that_holds(lambda: self.kill_once(end, side, octets, back_after))

    def kill_once(self, end: str, side: str, octets: int, back_after: float | None) -> rig.Run:
        """With None the server is back only for another run."""
        server = {"source": self.old, "target": self.new}[end]
        copy = self.new_copy()
        back = None

        def crash() -> None:
            nonlocal back
            server.kill()
            if back_after is not None:
                back = threading.Timer(back_after, server.restart)
                back.start()

        trip = Trip(side, octets=octets, action=crash)
        with Wire(getattr(copy, end), trip) as wire:
            setattr(copy, end, wire.port)
            run = copy.run()
            self.assertTrue(trip.tripped, run.said())
            if back:
                back.join()
                self.assert_done(copy, run)
            else:
                server.restart()
                self.assert_done(copy, copy.run())
        return run

    def test_it_comes_back(self):
        for end, side, octets in (("source", SERVER, 400_000), ("target", CLIENT, 500_000), ("target", SERVER, 4_500)):
            with self.subTest(end=end, octets=octets):
                self.kill_at(end, side, octets, 1.5)

    def test_it_stays_away(self):
        run = self.kill_at("target", CLIENT, self.random.randrange(50_000, 900_000), None)
        self.assertEqual(run.code, 1, run.said())
        self.assertRegex(run.text, r"refused|closed the connection|lost")
        self.assertGreater(run.report["messages"]["residual"], 0, run.said())

    def test_both_are_killed(self):
        self.with_storage_that_holds(self.kill_both)

    def kill_both(self):
        copy = self.new_copy()
        backs = []

        def crash() -> None:
            for server in (self.old, self.new):
                server.kill()
                backs.append(threading.Timer(1, server.restart))
                backs[-1].start()

        with Wire(copy.target, Trip(CLIENT, octets=300_000, action=crash)) as wire:
            run = copy.run(target=wire.port)
        for back in backs:
            back.join()
        self.assert_done(copy, run)


if __name__ == "__main__":
    unittest.main()
