"""A message under several of Gmail's labels: read once, in every folder of a real Dovecot, also when the program is killed
at any octet of either line (docs/adr/0020-gmail-labels.md)."""

import collections
import hashlib
import unittest

import rig
from lab import digest
from scripted import Source, Stored
from test_kill import STREAMS
from wire import CLIENT, SERVER, Trip, Wire

LARGE = 700_000  # octets: it streams, it is never whole in the program


def letter(number: int) -> bytes:
    body = b"line of a letter\r\n" * (LARGE // 18 if number == 3 else 5 + number)
    return b"From: a@b.example\r\nMessage-ID: <%d@gmail.example>\r\nSubject: number %d\r\n\r\n" % (number, number) + body


class Gmail(Source):
    """Messages by number, folders by the numbers that bear their label. UIDs differ from folder to folder."""

    CAPABILITIES = b"IMAP4rev1 AUTH=PLAIN SASL-IR X-GM-EXT-1 UIDPLUS"
    GREETING = b"Gimap ready for requests from 127.0.0.1"
    LABELS = {b"INBOX": (1, 2, 3, 4, 5, 6, 7, 8), b"Work": (3, 2, 9, 10), b"[Gmail]/Starred": (2, 9), b"Zoo": (10, 3, 8)}
    NAMES = {b"INBOX": rb'"\\Inbox"', b"[Gmail]/Starred": rb'"\\Starred"', b"Work": b'"Work"', b"Zoo": b'"Zoo"'}
    UNLABELLED = 11

    def __init__(self):
        super().__init__([], {})
        for place, (name, numbers) in enumerate(self.LABELS.items()):
            self.folders[name] = [Stored(10 * place + n, letter(number)) for n, number in enumerate(numbers, 1)]
        self.folders[b"[Gmail]/All Mail"] = [Stored(50 + number, letter(number)) for number in range(1, self.UNLABELLED + 1)]
        self.numbers = {letter(number): number for number in range(1, self.UNLABELLED + 1)}
        self.read: collections.Counter = collections.Counter()  # number -> how often its body was asked for

    def on_list(self, line, tag, _):
        uses = {b"[Gmail]/All Mail": b"\\All", b"[Gmail]/Starred": b"\\Flagged"}
        line.send(*(b'* LIST (%s) "/" "%s"\r\n' % (uses.get(name, b""), name) for name in self.folders), tag, b" OK done\r\n")

    def head(self, number, stored):
        which = self.numbers[stored.data]
        flags = b"\\Seen \\Flagged" if which in (2, 9) else b"\\Seen"
        return b'* %d FETCH (UID %d FLAGS (%s) INTERNALDATE "%02d-Feb-2021 10:00:00 +0100"' % (number, stored.uid, flags, which)

    def fetch_one(self, line, number, stored, arguments):
        which = self.numbers[stored.data]
        if b"X-GM-MSGID" in arguments:
            line.send(self.head(number, stored), b" X-GM-MSGID %d)\r\n" % (1278455344230334865 + which))
        elif b"X-GM-LABELS" in arguments:
            names = [self.NAMES[name] for name, numbers in self.LABELS.items() if which in numbers]
            line.send(self.head(number, stored), b" X-GM-LABELS (", b" ".join(names), b"))\r\n")
        else:
            if b"BODY.PEEK[]" in arguments:
                with self.gate:
                    self.read[which] += 1
            super().fetch_one(line, number, stored, arguments)


class Labels(rig.Pair):
    COUNT = 24

    def setUp(self):
        self.gmail = self.enterContext(Gmail())

    def copy_from(self, port: int) -> rig.Copy:
        copy = self.new_copy()
        copy.source = port
        return copy

    def assert_placed(self, copy: rig.Copy, run: rig.Run) -> None:
        """Each message once under each of its labels, with its flags and its date."""
        self.assertEqual(run.code, 0, run.said())
        placements = sum(map(len, Gmail.LABELS.values())) + 1
        messages = run.report["messages"]
        self.assertEqual((messages["residual"], messages["failed"]), (0, 0), run.said())
        self.assertEqual(messages["copied"] + messages["present"], placements, run.said())
        found = digest.mailbox_content(self.new, copy.to).folders
        expected = {name.decode(): numbers for name, numbers in Gmail.LABELS.items()} | {"[Gmail]/All Mail": (Gmail.UNLABELLED,)}
        for folder, numbers in expected.items():
            shown = collections.Counter((m.sha256, m.flags, m.instant) for m in found[folder])
            wanted = collections.Counter(
                (hashlib.sha256(letter(number)).hexdigest(), ("\\Flagged", "\\Seen") if number in (2, 9) else ("\\Seen",),
                 digest.instant(b"%02d-Feb-2021 10:00:00 +0100" % number)) for number in numbers)
            self.assertEqual(shown, wanted, f"{folder}\n{run.said()}")

    def test_each_is_read_once(self):
        copy = self.copy_from(self.gmail.port)
        run = copy.run()
        self.assert_placed(copy, run)
        self.assertEqual(self.gmail.read, dict.fromkeys(range(1, Gmail.UNLABELLED + 1), 1), run.said())
        rows = {folder["source"]: folder["messages"] for folder in run.report["folders"]}
        for name, numbers in Gmail.LABELS.items():
            self.assertEqual((rows[name.decode()]["source"], rows[name.decode()]["copied"]), (len(numbers),) * 2, run.said())
        again = copy.run()
        self.assertEqual(again.report["messages"]["copied"], 0, again.said())
        self.assert_placed(copy, again)
        self.assertEqual(self.gmail.read.total(), Gmail.UNLABELLED)

    def test_a_run_that_was_killed_between_the_placements_does_not_read_again(self):
        with Wire(self.new.imap_port) as line:
            copy = self.copy_from(self.gmail.port)
            copy.target = line.port
            killed = copy.run_killed_by(lambda kill: line.expect(Trip(CLIENT, text=b"UID COPY", action=kill)))
            self.assertEqual(killed.code, -9, killed.said())
            line.expect()
            self.assert_placed(copy, copy.run())
            self.assertEqual(self.gmail.read, dict.fromkeys(range(1, Gmail.UNLABELLED + 1), 1))

    def test_killed_anywhere_loses_nothing_and_places_nothing_twice(self):
        copy = self.copy_from(self.gmail.port)
        with Wire(copy.source) as source, Wire(copy.target) as target:
            self.assert_placed(copy, copy.run(source=source.port, target=target.port))
            totals = {(end, side): wire.passed[side] for end, wire in (("source", source), ("target", target))
                      for side in (CLIENT, SERVER)}
        moments = [(*self.random.choice(STREAMS), self.random.random()) for _ in range(self.COUNT)]
        # The end of the target's lines is where the copies are made.
        moments += [("target", side, 1 - self.random.random() * share) for side, share in ((CLIENT, 0.002), (SERVER, 0.5))
                    for _ in range(self.COUNT // 2)]
        self.every(moments, lambda moment: self.survive(moment, totals), hands=6)

    def survive(self, moment: tuple[str, str, float], totals: dict) -> None:
        end, side, share = moment
        copy = self.copy_from(self.gmail.port)
        with Wire(copy.source) as source, Wire(copy.target) as target:
            copy.source, copy.target = source.port, target.port
            wires = {"source": source, "target": target}
            trip = Trip(side, octets=int(totals[(end, side)] * share))
            killed = copy.run_killed_by(lambda kill: (setattr(trip, "action", kill), wires[end].expect(trip)))
            self.assertIn(killed.code, (-9, 0), killed.said())
            for wire in wires.values():
                wire.expect()
            self.assert_placed(copy, copy.run())
            again = copy.run()
            self.assertEqual(again.report["messages"]["copied"], 0, again.said())
            self.assert_placed(copy, again)


if __name__ == "__main__":
    unittest.main()
