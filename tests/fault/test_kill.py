"""kill -9 of the program at random moments, then a re-run, then proof: nothing lost, nothing twice."""

import dataclasses
import threading
import unittest

import rig
from lab.proxy import LineProxy
from wire import CLIENT, SERVER, Trip, Wire

STREAMS = [(end, side) for end in ("source", "target") for side in (CLIENT, SERVER)]


@dataclasses.dataclass
class Moment:
    number: int
    kills: list[tuple[str, str, float]]  # end, who sent the octets, and after which share of the stream's octets
    torn: float | None = None            # the share of the ledger's log that survives


class KillMixin:
    COUNT = 0
    TORN = False

    def moments(self) -> list[Moment]:
        out = []
        for number in range(self.COUNT):
            kills = [(*self.random.choice(STREAMS), self.random.random())
                     for _ in range(self.random.choice((1, 1, 2, 3)))]
            out.append(Moment(number, kills, self.random.random() if self.TORN else None))
        return out

    def measure(self) -> dict:
        """The octets of each stream in an undisturbed copy."""
        copy = self.new_copy()
        with Wire(copy.source) as source, Wire(copy.target) as target:
            run = copy.run(source=source.port, target=target.port)
        self.assert_done(copy, run)
        return {(end, side): wire.passed[side] for end, wire in (("source", source), ("target", target))
                for side in (CLIENT, SERVER)}

    def kill_at(self, copy, wires: dict, end: str, side: str, octets: int) -> rig.Run:
        for wire in wires.values():
            wire.expect()
        return copy.run_killed_by(lambda kill: wires[end].expect(Trip(side, octets=octets, action=kill)))

    def tear(self, copy, share: float) -> None:
        log = copy.ledger.with_name(copy.ledger.name + "-wal")
        if log.exists():
            with open(log, "r+b") as file:
                file.truncate(int(log.stat().st_size * share))

    def survive(self, moment: Moment, totals: dict) -> None:
        copy = self.new_copy()
        # The program knows a server by its address: all runs go the same way.
        with Wire(copy.source) as source, Wire(copy.target) as target:
            copy.source, copy.target = source.port, target.port
            for end, side, share in moment.kills:
                run = self.kill_at(copy, {"source": source, "target": target}, end, side,
                                   int(totals[(end, side)] * share))
                # A run that follows a kill sends less, so its own moment may never come.
                self.assertIn(run.code, (-9, 0), run.said())
                if moment.torn is not None:
                    self.tear(copy, moment.torn)
            for wire in (source, target):
                wire.expect()
            self.assert_done(copy, copy.run())
            again = copy.run()
            self.assertEqual(again.report["messages"]["copied"], 0, again.said())
            self.assertLess(target.passed[CLIENT], totals[("target", CLIENT)] * 2, again.said())
            self.assert_done(copy, again)

    def test_every_moment(self):
        totals = self.measure()
        self.every(self.moments(), lambda moment: self.survive(moment, totals), hands=6)


class KillMdbox(KillMixin, rig.Pair):
    COUNT = 16


class KillMaildir(KillMixin, rig.Pair):
    COUNT = 14
    TARGET = {"storage": "maildir"}


class KillWithoutUidplus(KillMixin, rig.Pair):
    """The target never says under which UID it stored a message, and takes one message a command."""

    COUNT = 10
    TARGET = {"hide": ("UIDPLUS", "MULTIAPPEND")}


class KillAndTearTheLog(KillMixin, rig.Pair):
    """As if the power had failed: the end of the ledger's write-ahead log never reached the disk."""

    COUNT = 10
    TORN = True


class KillSeveralConnections(KillMixin, rig.Pair):
    """Enough messages for four pairs of connections, which all die at once."""

    COUNT = 8
    SAMPLE = staticmethod(lambda: [
        rig.samples.Folder(("INBOX",) if number == 0 else (f"Folder {number}",),
                           lambda number=number: rig.samples.Writer(number).sized([1000 + number] * 550))
        for number in range(8)])

    def survive(self, moment: Moment, totals: dict) -> None:
        super().survive(moment, totals)
        self.assertGreater(self.most_connections, 1)

    def measure(self) -> dict:
        totals = super().measure()
        copy = self.new_copy()
        with LineProxy(copy.source) as line:
            copy.source = line.port
            self.assert_done(copy, copy.run())
            self.most_connections = len(line.stop())
        return totals


class KillOnASlowLine(rig.Pair):
    """What the line still carries when the program dies arrives later, while the next run is there already."""

    SAMPLE = staticmethod(lambda: [rig.samples.Folder(("INBOX",), lambda: rig.samples.Writer(7).sized([20_000] * 300))])

    def test_late_arrivals_do_not_come_twice(self):
        copy = self.new_copy()
        server = copy.target
        with LineProxy(server, rate=3_000_000) as slow, Wire(slow.port, hides_resets=True) as wire:
            copy.target = wire.port
            reached = threading.Event()
            wire.expect(Trip(CLIENT, octets=5_000_000, action=reached.set))
            process = copy.start()
            self.assertTrue(reached.wait(120))
            process.kill()
            copy.finish(process)
            before = self.arrived(copy)
            wire.target = server
            run = copy.run()
            self.assertLess(before + run.report["messages"]["copied"], 300, "nothing came late: " + run.said())
            slow.stop()
        self.assert_done(copy, run)

    def arrived(self, copy) -> int:
        status = self.new.doveadm("mailbox", "status", "-u", copy.to, "messages", "INBOX")
        return int(status.rpartition("=")[2])


if __name__ == "__main__":
    unittest.main()
