"""The line between the program and a server: cut, stalled, split, slow, on either side and in either direction."""

import unittest

import rig
from lab.proxy import LineProxy
from wire import CLIENT, SERVER, Trip, Wire

# Moments by what passes at them; the line dies just before it: (end, who sends it, text, occurrences to let pass).
PLACES = {
    "greeting of the source": ("source", SERVER, b"* OK", 0),
    "greeting of the target": ("target", SERVER, b"* OK", 0),
    "login of the source": ("source", CLIENT, b" AUTHENTICATE", 0),
    "answer to the login of the target": ("target", SERVER, b" OK ", 1),
    "LIST of the source": ("source", SERVER, b"* LIST", 5),
    "LIST of the target": ("target", SERVER, b"* LIST", 1),
    "scan": ("source", SERVER, b"UIDVALIDITY", 9),
    "listing of a folder": ("source", SERVER, b"* ESEARCH", 3),
    "CREATE": ("target", CLIENT, b" CREATE ", 0),
    "in the middle of CREATE": ("target", CLIENT, b"Kunden/Nord", 1),
    "answer to CREATE": ("target", SERVER, b"OK Create completed", 3),
    "first message": ("source", SERVER, b"BODY[]", 0),
    "between two messages": ("source", SERVER, b"BODY[]", 17),
    "first APPEND": ("target", CLIENT, b" APPEND ", 0),
    "between two batches": ("target", CLIENT, b" APPEND ", 4),
    "first go-ahead": ("target", SERVER, b"+ OK", 0),
    "answer to the first APPEND": ("target", SERVER, b"[APPENDUID", 0),
    "answer to a later APPEND": ("target", SERVER, b"[APPENDUID", 7),
    "answer to a later APPEND, half of it sent": ("target", SERVER, b"Append completed", 7),
    "SUBSCRIBE": ("target", CLIENT, b" SUBSCRIBE ", 2),
}


class Cut(rig.Pair):
    """A cut is mended within the run: it connects again, finds out what arrived, and ends with 0."""

    def copy_over(self, end: str, trip: Trip) -> None:
        copy = self.new_copy()
        with Wire(getattr(copy, end), trip) as wire:
            run = copy.run(**{end: wire.port})
        self.assertTrue(trip.tripped, "the moment never came: " + run.said())
        self.assert_done(copy, run)

    def test_chosen_places(self):
        def one(case):
            place, action = case
            end, side, text, skip = PLACES[place]
            self.copy_over(end, Trip(side, text=text, skip=skip, action=action))

        self.every([(place, ("cut", "reset")[n % 2]) for n, place in enumerate(PLACES)], one, hands=4)

    def test_random_octets(self):
        def one(case):
            end, side, octets, reset = case
            copy = self.new_copy()
            with LineProxy(getattr(copy, end), cut_after=octets, side=side, reset=reset, only_connection=1) as line:
                run = copy.run(**{end: line.port})
                connections = line.stop()
            self.assertGreater(len(connections), 1, run.said())
            self.assert_done(copy, run)

        few = {("source", CLIENT): 1_500, ("source", SERVER): 700_000, ("target", CLIENT): 700_000,
               ("target", SERVER): 5_000}
        cases = [(end, side, self.random.randrange(1, octets), self.random.random() < 0.5)
                 for (end, side), octets in few.items() for _ in range(4)]
        self.every(cases, one, hands=4)

    def test_both_lines_at_once(self):
        copy = self.new_copy()
        with LineProxy(copy.source, cut_after=300_000, only_connection=1) as source, \
                LineProxy(copy.target, cut_after=200_000, side=CLIENT, reset=True, only_connection=1) as target:
            run = copy.run(source=source.port, target=target.port)
        self.assert_done(copy, run)

    def test_every_connection_is_cut_after_some_progress(self):
        # Each connection brings a little; no message is larger than what one brings.
        copy = self.new_copy()
        with LineProxy(copy.target, cut_after=700_000, side=CLIENT) as line:
            run = copy.run(target=line.port)
        self.assert_done(copy, run)


class DeadServer(rig.Pair):
    """Every connection dies: the run gives up by itself, says why and what is missing; later all is well."""

    def give_up(self, code: int, *, end: str, missing: bool, **fault) -> None:
        copy = self.new_copy()
        server = getattr(copy, end)
        with LineProxy(server, **fault) as line:
            setattr(copy, end, line.port)
            run = copy.run()
        self.assertEqual(run.code, code, run.said())
        self.assertRegex(run.text, r"127\.0\.0\.1\S* closed the connection|connection to 127\.0\.0\.1:\d+ lost")
        if missing:
            self.assertGreater(run.report["messages"]["residual"] + run.report["messages"]["failed"], 0, run.said())
            self.assertEqual(run.report["messages"]["source"], self.expected.messages(), run.said())
            self.assertEqual(run.report["state"], "failed")
        with LineProxy(server, port=line.port):
            self.assert_done(copy, copy.run())

    def test_every_connection_dies(self):
        cases = {
            "before the greeting is complete": dict(code=3, end="source", missing=False, cut_after=20),
            "in the login": dict(code=3, end="target", missing=False, cut_after=20, side=CLIENT, reset=True),
            "in the scan": dict(code=1, end="source", missing=True, cut_after=12_000),
            "in the first append": dict(code=1, end="target", missing=True, cut_after=6_000, side=CLIENT),
        }
        self.every(cases, lambda case: self.give_up(**cases[case]), hands=4)


class Stall(rig.Pair):
    """The line is open and nothing passes any more: --timeout decides when the server is taken for dead."""

    def stall(self, case) -> None:
        end, side, octets = case
        if octets is None:
            return self.dead_silence()
        copy = self.new_copy()
        with LineProxy(getattr(copy, end), stall_after=octets, side=side, only_connection=1) as line:
            run = copy.run("--timeout", "5", **{end: line.port})
        self.assert_done(copy, run)
        self.assertGreater(run.seconds, 4.5)
        self.assertLess(run.seconds, 60)

    def test_stalls_are_noticed(self):
        self.every([("source", SERVER, 0), ("source", SERVER, 900), ("source", SERVER, 300_000), ("target", SERVER, 0),
                    ("target", SERVER, 1_500), ("target", SERVER, 4_000), ("target", CLIENT, 200_000),
                    ("source", CLIENT, 800), ("source", SERVER, None)], self.stall, hands=9)

    def dead_silence(self) -> None:
        copy = self.new_copy()
        with LineProxy(copy.source, stall_after=0) as line:
            run = copy.run("--timeout", "5", source=line.port)
        self.assertEqual(run.code, 3, run.said())
        self.assertRegex(run.text, r"gave no answer for 5(\.\d+)? s")


def few_messages():
    """The small sample without its larger messages: split into single octets they would take minutes."""
    kept = []
    for folder in rig.samples.demo(2, scale=0.05, huge_messages=False):
        kept.append(rig.samples.Folder(folder.path, lambda f=folder: [m for m in f.messages() if len(m.data) < 3000],
                                       folder.subscribed))
    return kept


class SplitAndSlow(rig.Pair):
    SAMPLE = staticmethod(few_messages)

    def over(self, copy, **line_options) -> rig.Run:
        with LineProxy(copy.source, **line_options) as source, LineProxy(copy.target, **line_options) as target:
            return copy.run(source=source.port, target=target.port)

    def test_split(self):
        def one(size):
            copy = self.new_copy()
            self.assert_done(copy, self.over(copy, split=size, split_gap_us=1 if size < 3 else 20))

        self.every([1, 2, 7, 61, 509], one)

    def test_slow(self):
        copy = self.new_copy()
        run = self.over(copy, rate=40_000, delay_ms=60)
        self.assert_done(copy, run)


if __name__ == "__main__":
    unittest.main()
