"""kill -9 of the program at random moments, then a re-run, then proof: nothing lost, nothing twice."""

import dataclasses
import unittest

import rig
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

    def kill_at(self, copy, end: str, side: str, octets: int) -> rig.Run:
        trip = Trip(side, octets=octets)
        wires = {"source": Wire(copy.source), "target": Wire(copy.target)}

        def arm(kill) -> None:
            trip.action = kill
            wires[end].trips.append(trip)

        try:
            return copy.run_killed_by(arm, source=wires["source"].port, target=wires["target"].port)
        finally:
            for wire in wires.values():
                wire.close()

    def tear(self, copy, share: float) -> None:
        log = copy.ledger.with_name(copy.ledger.name + "-wal")
        if log.exists():
            with open(log, "r+b") as file:
                file.truncate(int(log.stat().st_size * share))

    def survive(self, moment: Moment, totals: dict) -> None:
        copy = self.new_copy()
        for end, side, share in moment.kills:
            run = self.kill_at(copy, end, side, int(totals[(end, side)] * share))
            # A run that follows a kill sends less, so its own moment may never come.
            self.assertIn(run.code, (-9, 0), run.said())
            if moment.torn is not None:
                self.tear(copy, moment.torn)
        self.assert_done(copy, copy.run())
        again = copy.run()
        self.assertEqual(again.report["messages"]["copied"], 0, again.said())
        self.assert_done(copy, again)

    def test_every_moment(self):
        totals = self.measure()
        self.every(self.moments(), lambda moment: self.survive(moment, totals))


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


if __name__ == "__main__":
    unittest.main()
