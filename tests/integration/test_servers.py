"""Servers other than Dovecot, each as source and as target of each other: the whole sample arrives, a re-run brings nothing,
verify agrees; what differs is the servers' doing and stands here by name.

POSTFERRY_WRITE_DOCS=1 writes the table in docs/servers.md.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from servers import *  # noqa: E402,F403
from support import *  # noqa: E402,F403


def setUpModule():
    need_servers()
    need_roots()


class Pairings(Case):
    """Every server to every server. One user on each holds the sample, and one for each source receives it."""

    @classmethod
    def setUpClass(cls):
        cls.places = start_all(pathlib.Path(cls.server_folder()), cls.addClassCleanup)
        cls.filled = {place.name: samples.fill_each(place.server, SOURCE, samples.small()) for place in cls.places}
        cls.rows = {}
        cls.addClassCleanup(cls.write_table)

    @classmethod
    def write_table(cls):
        if os.environ.get("POSTFERRY_WRITE_DOCS") and len(cls.rows) == len(cls.places) ** 2:
            write_section("pairings", cls.page())

    @classmethod
    def page(cls) -> str:
        head = ["from", "to", "messages", "copied", "residual", "refused, and why", "repaired", "identical",
                "altered by the server", "changed beyond recognition", "folders spelt otherwise", "grade"]
        rows = [cls.rows[source.name, target.name] for source in cls.places for target in cls.places]
        about = "".join(f"- {name} {version}\n" for name, version in versions().items())
        return f"{about}\n{table(head, rows)}"

    def setUp(self):
        super().setUp()
        self.secrets = [SECRET]

    def run_pair(self, command: str, source: Place, target: Place, **options) -> Run:
        return self.run_program(command, source.url(SOURCE), target.url(source.receiver), code=None,
                                environment=self.environment(POSTFERRY_SOURCE_PASSWORD=SECRET, POSTFERRY_TARGET_PASSWORD=SECRET),
                                **options)

    def pairing(self, source: Place, target: Place) -> None:
        before = digest.mailbox_content(source.server, SOURCE)
        expected = Expectation(source, target)
        copy = self.run_pair("copy", source, target)
        names = {one["source"]: one["target"] for one in copy.mailbox["folders"]}
        self.assertEqual(names, {name: target.spelling(name) for name in names}, copy)
        found = digest.mailbox_content(target.server, source.receiver)
        self.assertEqual(expected.differences(found), [], copy)
        self.assertEqual((copy.messages["source"], copy.messages["residual"]), (self.filled[source.name].messages, 0), copy)
        self.assertEqual(reasons(copy), expected.failures, copy)
        self.assertEqual(copy.mailbox["repairs"], expected.repairs, copy)

        again = self.run_pair("copy", source, target)
        self.assertEqual((again.messages["copied"], again.messages["residual"]), (0, 0), again)
        self.assertEqual(again.mailbox["flags_updated"], 0, again)
        self.assertEqual(as_seen(target, digest.mailbox_content(target.server, source.receiver)), as_seen(target, found))

        verify = self.run_pair("verify", source, target)
        proof = verify.mailbox["verify"]
        told = {"missing": expected.failures.total(), "different": 0, "extra": 0, "altered_by_server": 0,
                "altered_by_repair": expected.repairs.total()}
        for kind, count in expected.altered.items():
            told[kind] += count
        self.assertEqual({kind: proof[kind] for kind in told}, told, verify)
        self.assertEqual(verify.messages["residual"], 0, verify)
        self.assertEqual(as_seen(source, digest.mailbox_content(source.server, SOURCE)), as_seen(source, before))
        self.rows[source.name, target.name] = self.row(source, target, expected, names, copy, verify)

    @staticmethod
    def row(source: Place, target: Place, expected: Expectation, names: dict, copy: Run, verify: Run) -> list[str]:
        spelt = [after for before, after in sorted(names.items()) if before != after]
        proof = verify.mailbox["verify"]
        beyond = proof["missing"] + proof["different"] - expected.failures.total()
        return [source.name, target.name, *(str(copy.messages[kind]) for kind in ("source", "copied", "residual")),
                counted(expected.failures), counted(expected.repairs), str(proof["identical"]),
                str(proof["altered_by_server"]), str(beyond), ", ".join(f"`{name}`" for name in spelt) or "-",
                verify.mailbox["grade"]]


def _pairing_test(source: str, target: str):
    def test(self):
        by_name = {place.name: place for place in self.places}
        self.pairing(by_name[source], by_name[target])

    return test


for _source in NAMES:
    for _target in NAMES:
        setattr(Pairings, f"test_{_source}_to_{_target}".replace(" ", "_").lower(), _pairing_test(_source, _target))


class Habits(Case):
    """What only these servers show."""

    def setUp(self):
        super().setUp()
        self.secrets = [SECRET]

    def run_to(self, command: str, source: str, new: Dovecot | Courier) -> Run:
        return self.run_program(command, source, f"imap://anna@{new.host}:{new.imap_port}?tls=off", environment=self.environment(
            POSTFERRY_SOURCE_PASSWORD=SECRET, POSTFERRY_TARGET_PASSWORD=SECRET))

    @staticmethod
    def imap(server) -> str:
        return f"imap://anna@{server.host}:{server.imap_port}?tls=off"

    def test_a_new_message_is_old_for_courier_once_somebody_has_looked(self):
        """Courier moves new/ to cur/ even for EXAMINE: of all promises the one that a source can break by itself."""
        with Courier(users={"anna": SECRET}) as old, Dovecot(users={"anna": SECRET}) as new:
            delivered = old.store("anna") / "new" / "1700000000.M1P1.lab"
            delivered.write_bytes(b"Subject: just in\n\nhello\n")
            os.chown(delivered, MAIL_UID, MAIL_UID)
            run = self.run_to("copy", self.imap(old), new)
            self.assertEqual(run.messages["copied"], 1, run)
            self.assertFalse(delivered.exists())
            (moved,) = (old.store("anna") / "cur").iterdir()
            self.assertEqual((moved.name, moved.read_bytes()), (delivered.name + ":2,", b"Subject: just in\n\nhello\n"))
            (message,) = digest.mailbox_content(new, "anna").folders["INBOX"]
            self.assertEqual(message.flags, ())

    def test_courier_takes_a_message_in_less_time_than_the_system_waits_with_an_acknowledgement(self):
        """docs/quirks.md#held-back-plus: 40 ms a message would be 40 s."""
        with Dovecot(users={"anna": SECRET}) as old, Courier(users={"anna": SECRET}) as new:
            samples.fill(old, "anna", [folder("INBOX", mails(1000))])
            run = self.run_to("copy", self.imap(old), new)
            self.assertEqual(run.messages["copied"], 1000, run)
            self.assertLess(run.mailbox["seconds"], 35, run)

    def test_courier_by_pop3(self):
        odd = next(one for one in samples.small() if one.path == ("Seltsam",)).messages()
        with Courier(users={"anna": SECRET}) as old, Dovecot(users={"anna": SECRET}) as new:
            filled = samples.fill_each(old, "anna", [folder("INBOX", [*mails(20), *odd])])
            self.assertEqual(filled.refused, [])
            source = f"pop3://anna@{old.host}:{old.pop3_port}?tls=off"
            run = self.run_to("copy", source, new)
            self.assertEqual((run.messages["copied"], run.messages["residual"]), (filled.messages, 0), run)
            # What its own IMAP tells of the same messages, without flags, which POP3 does not know.
            self.assertEqual(digest.compare(digest.mailbox_content(old, "anna"), digest.mailbox_content(new, "anna"),
                                            lambda name: name, flags=False, dates=False), [])
            self.assertEqual(self.run_to("copy", source, new).messages["copied"], 0)
            proof = self.run_to("verify", source, new).mailbox["verify"]
            self.assertEqual((proof["identical"], proof["missing"], proof["different"]), (filled.messages, 0, 0))


class Renumbering(Case):
    """docs/quirks.md#numbers-move: Mailutils numbers what lies in new/ of a Maildir anew at each look, under one UIDVALIDITY. None
    of it may be missing without a word."""

    def setUp(self):
        super().setUp()
        self.secrets = [SECRET]

    def copy(self, old, new) -> Run:
        run = self.run_program("copy", f"imap://anna@{old.host}:{old.imap_port}?tls=off",
                               f"imap://anna@{new.host}:{new.imap_port}?tls=off", code=None,
                               environment=self.environment(POSTFERRY_SOURCE_PASSWORD=SECRET, POSTFERRY_TARGET_PASSWORD=SECRET))
        box = next(one for one in run.mailbox["folders"] if one["source"] == "box")
        there = next((messages for name, messages in digest.mailbox_content(new, "anna").folders.items() if name.endswith("box")), [])
        # The sum is right whatever was reached, and nothing is there that is not counted.
        self.assertEqual(box["messages"]["source"], 10, run)
        self.assertEqual(len(there), box["messages"]["copied"] + box["messages"]["present"], run)
        self.assertEqual(len({message.sha256 for message in there}), len(there), run)
        if len(there) < 10:
            self.assertEqual((run.code, box["state"]), (1, "failed"), run)
            self.assertRegex(run.out + run.err, "numbers at the next look|UIDVALIDITY changed|OTHER|other numbers")
        return run

    def test_delivered_and_never_read(self):
        with Mailutils(users={"anna": SECRET}) as old, Dovecot(users={"anna": SECRET}) as new:
            with connect(old, "anna") as client:
                client.command(b"CREATE box")
            place = old.folder / "mail" / "anna" / "mail" / "box" / "new"
            for number in range(10):
                path = place / f"{1_600_000_000 + number}.M{number}.lab"
                path.write_bytes(f"From: a@b.example\nMessage-ID: <{number}@new.example>\n\nletter {number}\n".encode())
                os.chown(path, MAIL_UID, MAIL_UID)
            self.copy(old, new)
            with connect(old, "anna") as client:
                client.command(b"SELECT box")  # what the report advises
            again = self.copy(old, new)
            self.assertEqual(again.code, 0, again)
            self.assertEqual(self.copy(old, new).messages["copied"], 0)


class Jails(unittest.TestCase):
    """Nothing of a server outlives its owner."""

    def test_an_owner_that_is_killed_leaves_no_process_and_no_mount(self):
        for name in ("Cyrus", "Courier", "Mailutils"):
            with self.subTest(name):
                where = tempfile.mkdtemp(prefix="pf-server-", dir=SHM)
                self.addCleanup(shutil.rmtree, where, ignore_errors=True)
                program = (f"from lab.{name.lower()} import {name}\nserver = {name}({where!r}, users={{'anna': 'x'}})\n"
                           "print(server.imap_port, flush=True)\nimport time; time.sleep(600)")
                owner = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
                self.addCleanup(owner.stdout.close)
                self.addCleanup(owner.wait)
                self.addCleanup(owner.kill)
                port = int(owner.stdout.readline())
                self.assertTrue(serves(port))
                self.assertTrue(processes_of(where))
                owner.kill()
                self.assertTrue(Case.until(lambda: not processes_of(where) and not serves(port)), processes_of(where))
                self.assertNotIn(where, pathlib.Path("/proc/self/mounts").read_text())

    def test_two_servers_share_one_root_and_leave_it_as_it_was(self):
        with Courier(users={"anna": SECRET}) as one, Courier(users={"anna": SECRET}) as other:
            samples.fill_each(one, "anna", [folder("INBOX", mails(1))])
            self.assertEqual(len(digest.mailbox_content(one, "anna").folders["INBOX"]), 1)
            self.assertEqual(digest.mailbox_content(other, "anna").folders["INBOX"], [])
            with self.assertRaises(RuntimeError):
                one.run("/bin/sh", "-c", ": > /usr/left-behind")


if __name__ == "__main__":
    unittest.main()
