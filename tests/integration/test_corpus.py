"""Real messages (POSTFERRY_CORPUS, a folder that does not belong to the repository) through real servers: every one of them
arrives, or is named with the reason why not.

POSTFERRY_WRITE_DOCS=1 writes the numbers in docs/servers.md; nothing of the messages goes anywhere.
"""

import collections
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from servers import *  # noqa: E402,F403
from support import *  # noqa: E402,F403

from lab import corpus  # noqa: E402


def setUpModule():
    need_servers()
    if not corpus.folder():
        raise unittest.SkipTest("POSTFERRY_CORPUS names no folder")
    need_roots()


class Corpus(Case):
    """One Dovecot that holds the files as they are, and a target of each kind."""

    rows: dict[str, list[str]] = {}

    @classmethod
    def setUpClass(cls):
        where = pathlib.Path(cls.server_folder())
        cls.old = Dovecot(where / "old", users={SOURCE: SECRET}, special_use={})
        cls.addClassCleanup(cls.old.stop)
        cls.readings = corpus.load(cls.old, SOURCE, corpus.folder())
        cls.total = sum(reading.messages.total() for reading in cls.readings.values())
        for name, reading in cls.readings.items():
            print(f"{name}: {reading}", file=sys.stderr)
        print(f"{sum(reading.files for reading in cls.readings.values())} files, {cls.total} messages", file=sys.stderr, flush=True)
        cls.untouched = digest.tree_digest(cls.old.store(SOURCE))
        cls.content = digest.mailbox_content(cls.old, SOURCE)
        cls.where = where
        cls.addClassCleanup(cls.write_table)

    @classmethod
    def write_table(cls):
        if os.environ.get("POSTFERRY_WRITE_DOCS") and len(cls.rows) == 3:
            head = ["from Dovecot to", "messages", "copied", "residual", "refused, and why", "repaired", "identical",
                    "altered by the server", "altered by repair", "different", "grade"]
            kinds = sum((reading.messages for reading in cls.readings.values()), collections.Counter())
            about = (f"{cls.total} messages of {sum(1 for reading in cls.readings.values() if reading.messages)} public "
                     f"collections ({', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}), "
                     "as files in a Maildir that Dovecot serves.\n\n")
            write_section("corpus", about + table(head, [cls.rows[name] for name in ("Dovecot", "Cyrus", "Courier")]))

    def setUp(self):
        super().setUp()
        self.secrets = [SECRET]

    def run_to(self, target, command: str, *options: str) -> Run:
        return self.run_program(command, f"imap://{SOURCE}@{self.old.host}:{self.old.imap_port}?tls=off",
                                f"imap://{SOURCE}@{target.host}:{target.imap_port}?tls=off", *options, code=None, seconds=300,
                                environment=self.environment(POSTFERRY_SOURCE_PASSWORD=SECRET, POSTFERRY_TARGET_PASSWORD=SECRET))

    def bring_all(self, name: str, target) -> None:
        log = self.folder / f"{name}.log"
        copy = self.run_to(target, "copy", "--log", str(log))
        total = self.content.messages()
        self.assertEqual(total, self.total)
        self.assertEqual((copy.messages["source"], copy.messages["residual"]), (total, 0), copy)
        self.assertEqual(copy.messages["copied"] + copy.messages["failed"], total, copy)
        # Each failure is one message, named with its reason.
        named = {(one["folder"], one["source_uid"]) for one in copy.mailbox["failures"] if one["reason"]}
        self.assertEqual(len(named), copy.messages["failed"], copy)
        found = digest.mailbox_content(target, SOURCE)
        self.assertEqual(found.messages(), copy.messages["copied"])
        again = self.run_to(target, "copy")
        self.assertEqual((again.messages["copied"], again.messages["residual"]), (0, 0), again)
        verify = self.run_to(target, "verify")
        proof = verify.mailbox["verify"]
        # docs/quirks.md#parts-cut: Courier has the whole message on its disk and serves the first 300 parts.
        cut = {"Courier": 1}.get(name, 0)
        self.assertEqual((proof["missing"], proof["different"], proof["extra"]), (copy.messages["failed"], cut, 0), verify)
        self.assertEqual(verify.messages["residual"], 0, verify)
        self.assertEqual(proof["identical"] + proof["altered_by_server"] + proof["altered_by_repair"] + cut,
                         copy.messages["copied"], verify)
        # So is each that the target took in another form only, with what it had said to it.
        mended = set(re.findall(r"\] (.*, UID \d+): the target took it with these repairs: .* \(.*server said: .*\)", log.read_text()))
        self.assertEqual(len(mended), proof["altered_by_repair"], verify)
        self.assert_counted_by_somebody_else(proof, found)
        self.assertEqual(digest.tree_digest(self.old.store(SOURCE)), self.untouched)
        self.rows[name] = [name, *(str(copy.messages[kind]) for kind in ("source", "copied", "residual")),
                           counted(reasons(copy)), counted(copy.mailbox["repairs"]), str(proof["identical"]),
                           str(proof["altered_by_server"]), str(proof["altered_by_repair"]), str(proof["different"]), verify.mailbox["grade"]]

    def assert_counted_by_somebody_else(self, proof: dict, found: digest.Content) -> None:
        """What Postferry calls identical is so for the lab's own client."""
        def multiset(content: digest.Content) -> collections.Counter:
            return collections.Counter(
                (name.rpartition(".")[2], message.sha256) for name, messages in content.folders.items() for message in messages)

        self.assertEqual((multiset(self.content) & multiset(found)).total(), proof["identical"])

    def test_dovecot(self):
        with Dovecot(self.where / "new", users={SOURCE: SECRET}, storage="mdbox", special_use={}) as target:
            self.bring_all("Dovecot", target)

    def test_cyrus(self):
        with Cyrus(self.where / "cyrus", users={SOURCE: SECRET}) as target:
            self.bring_all("Cyrus", target)

    def test_courier(self):
        with Courier(self.where / "courier", users={SOURCE: SECRET}) as target:
            self.bring_all("Courier", target)


if __name__ == "__main__":
    unittest.main()
