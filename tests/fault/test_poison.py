"""One message that no server digests must not stop the others, nor make them come twice."""

import collections
import concurrent.futures
import pathlib
import shutil
import tempfile
import unittest

import rig
import scripted


def message(number: int, size: int = 900) -> bytes:
    head = f"From: a@b.example\r\nMessage-ID: <{number}@poison.example>\r\nSubject: number {number}\r\n\r\n"
    return (head + f"line of message {number}\r\n" * (size // 24)).encode()


MESSAGES = [message(number, 300 + 977 * number % 40_000) for number in range(1, 61)]


class Rig(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pf-fault-", dir=rig.TEMPORARY))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def copy(self, source: scripted.Source, target: scripted.Target) -> rig.Copy:
        return rig.Copy(tempfile.mkdtemp(dir=self.folder), source.port, target.port, "anna")

    def at_once(self, **scenarios) -> None:
        """name=(function, arguments...), side by side: most of them wait most of the time."""
        failures = []
        with concurrent.futures.ThreadPoolExecutor(len(scenarios)) as pool:
            for name, done in {name: pool.submit(*scenario) for name, scenario in scenarios.items()}.items():
                if done.exception():
                    failures.append(f"--- {name}\n{done.exception()}")
        if failures:
            self.fail("\n".join(failures))

    def assert_arrived(self, target: scripted.Target, messages: list[bytes], bad: set[int], run: rig.Run) -> None:
        uids = {data: uid for uid, data in enumerate(messages, 1)}
        found = collections.Counter(uids.get(stored.data, f"{stored.data[:60]!r}..., {len(stored.data)} octets")
                                    for stored in target.folders[b"INBOX"])
        expected = collections.Counter(uid for uid in uids.values() if uid not in bad)
        self.assertFalse(expected - found, "lost: " + run.said())
        self.assertFalse(found - expected, "twice or never sent: " + run.said())

    def assert_all_but(self, bad: set[int], target: scripted.Target, run: rig.Run, reason: str,
                       messages: list[bytes] = MESSAGES) -> None:
        """The bad UIDs are failed for that reason, all others arrived exactly once."""
        self.assert_arrived(target, messages, bad, run)
        self.assertIsNotNone(run.report, run.said())
        self.assertEqual({failure["source_uid"] for failure in run.report["failures"]}, bad, run.said())
        for failure in run.report["failures"]:
            self.assertRegex(failure["reason"], reason)
        self.assertEqual(run.report["messages"]["residual"], 0, run.said())
        self.assertEqual(run.report["messages"]["copied"], len(messages) - len(bad), run.said())
        self.assertEqual(run.code, 1 if bad else 0, run.said())


class Poison(Rig):
    def refuse(self, bad: set[int], verdict: str, reason: str) -> None:
        poison = {MESSAGES[uid - 1] for uid in bad}
        with scripted.Source(MESSAGES, {}) as source, \
                scripted.Target(lambda data: verdict if data in poison else None) as target:
            copy = self.copy(source, target)
            run = copy.run()
            self.assert_all_but(bad, target, run, reason)
            self.assertLess(target.logins, 12, run.said())
            again = copy.run()
            self.assertEqual(again.report["messages"]["copied"], 0, again.said())
            self.assertEqual(len(target.folders[b"INBOX"]), len(MESSAGES) - len(bad), again.said())

    def test_target_refuses_a_message(self):
        lost = r"connection was lost 4 times"
        self.at_once(hangs_up=(self.refuse, {17}, "die", lost),
                     hangs_up_on_the_first=(self.refuse, {1}, "die", lost),
                     hangs_up_on_two_neighbours=(self.refuse, {30, 31}, "die", lost),
                     says_bad=(self.refuse, {17}, "BAD no such thing", r"no such thing"),
                     says_no=(self.refuse, {2, 17, 60}, "NO I do not like it", r"I do not like it"))

    def test_target_keeps_a_message_but_always_hangs_up(self):
        # The message is there, whatever the line says: it is found, not brought again.
        with scripted.Source(MESSAGES, {}) as source, \
                scripted.Target(lambda data: "die later" if data == MESSAGES[16] else None) as target:
            run = self.copy(source, target).run()
            self.assert_all_but(set(), target, run, "")

    def fetch(self, faults: dict[int, str], reason: str, messages: list[bytes] = MESSAGES, *options: str) -> None:
        with scripted.Source(messages, faults) as source, scripted.Target(lambda data: None) as target:
            copy = self.copy(source, target)
            run = copy.run(*options)
            self.assert_all_but(set(faults), target, run, reason, messages)
            self.assertLess(source.logins, 12, run.said())
            faults.clear()
            mended = copy.run()
            self.assertEqual(mended.code, 0, mended.said())
            self.assert_arrived(target, messages, set(), mended)

    def test_source_fails_at_a_message(self):
        # Large enough to stream: its first half is with the target when the source dies.
        large = MESSAGES[:20] + [message(21, 3_000_000)] + MESSAGES[21:40]
        # Behind the last octet of what was sent lies nothing: only the timeout helps.
        wait = (MESSAGES, "--timeout", "5")
        lost = r"connection was lost"
        self.at_once(dies_before=(self.fetch, {23: "die"}, lost),
                     dies_in_the_middle=(self.fetch, {23: "die in the middle"}, lost),
                     dies_in_a_large_one=(self.fetch, {21: "die in the middle"}, lost, large),
                     sends_less_than_announced=(self.fetch, {23: "short"}, lost, *wait),
                     sends_less_of_the_last=(self.fetch, {60: "short"}, lost, *wait),
                     says_ok_and_sends_nothing=(self.fetch, {23: "nothing", 24: "nothing"}, r"said OK but sent no message"),
                     says_no=(self.fetch, {23: "NO cannot read it"}, r"cannot read it"))


class MovingValidity(scripted.Source):
    """UIDVALIDITY changes so many times, each time a folder is opened for reading messages."""

    def __init__(self, messages, changes: int):
        super().__init__(messages, {})
        self.changes, self.opened = changes, 0

    def on_examine(self, line, tag, arguments):
        self.opened += 1
        if self.opened % 2 == 0 and self.changes > 0:
            self.changes -= 1
            type(self).VALIDITY += 1
        super().on_select(line, tag, arguments)


class UidValidity(Rig):
    def test_changes_once_between_two_commands(self):
        with MovingValidity(MESSAGES, 1) as source, scripted.Target(lambda data: None) as target:
            run = self.copy(source, target).run()
            self.assert_all_but(set(), target, run, "")

    def test_changes_all_the_time(self):
        with MovingValidity(MESSAGES, 1_000_000) as source, scripted.Target(lambda data: None) as target:
            copy = self.copy(source, target)
            run = copy.run()
            self.assertEqual(run.code, 1, run.said())
            self.assertIn("UIDVALIDITY", run.text)
            source.changes = 0
            run = copy.run()
            self.assertEqual(run.code, 0, run.said())
            self.assert_arrived(target, MESSAGES, set(), run)


if __name__ == "__main__":
    unittest.main()
