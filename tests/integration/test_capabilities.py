"""Servers that can less: each capability hidden on either side, then all of them; the outcome is the same."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403

OURS = ("MULTIAPPEND", "LITERAL+", "UIDPLUS", "ESEARCH", "LIST-STATUS", "LIST-EXTENDED", "CONDSTORE", "SPECIAL-USE", "NAMESPACE",
        "SASL-IR")
# What stands or falls with it.
ALSO = {"CONDSTORE": ("QRESYNC",), "LIST-EXTENDED": ("LIST-STATUS",)}
EVERYTHING = tuple({*OURS, "QRESYNC", "UNSELECT", "ENABLE", "STATUS=SIZE", "BINARY", "MOVE", "ID", "CHILDREN", "QUOTA"})


def setUpModule():
    need_servers()


class Hidden(Case):
    """Each of these servers sees a first copy, a re-run, changes, and a run without its ledger."""

    def pair(self, source=(), target=()):
        where = tempfile.mkdtemp(prefix="pf-caps-", dir=SHM)
        self.addCleanup(shutil.rmtree, where, ignore_errors=True)
        old, new = start_pair(where, users={"anna": PASSWORD}, source={"hide": source}, target={"hide": target, "special_auto": "create"})
        self.addCleanup(new.stop)
        self.addCleanup(old.stop)
        return old, new

    def fill(self, old):
        twin = [Append(b"Message-ID: <twin@x>\r\nSubject: t\r\n\r\n%s\r\n" % body, (), "01-Jan-2020 00:00:00 +0000") for body in (b"A", b"B")]
        made = [mail(f"letter {n}", flags=flags) for n, flags in
                enumerate([(), ("\\Seen",), ("$Label1", "\\Flagged"), ("\\Draft", "Projekt-X"), ("\\Deleted",)] * 3)]
        samples.fill(old, "anna", [folder("INBOX", made + made[:2] + twin), folder("\\Sent", mails(4, "sent"), subscribed=True),
                                   folder("Été/日本", mails(3, "été"), subscribed=True), folder("Leer"),
                                   folder("Groß", mails(2, "big", size=700_000))])

    def copy(self, old, new):
        # Nobody can know that "INBOX." is a prefix where NAMESPACE does not say it: then it is said.
        prefix = "&prefix=INBOX" if "NAMESPACE" in old.options.hide else ""
        urls = [f"imap://anna@{server.host}:{server.imap_port}?tls=off" for server in (old, new)]
        urls[0] += prefix
        run = self.run_program("copy", *urls)
        self.assertEqual(run.messages["residual"], 0, run)
        return run

    def same(self, old, new, special=True):
        translate = digest.default_map(old, new)
        return digest.compare(digest.mailbox_content(old, "anna"), digest.mailbox_content(new, "anna"),
                              translate if special else lambda n: n, subscriptions=True)

    def walk(self, source=(), target=(), uidplus=True):
        old, new = self.pair(source, target)
        self.fill(old)
        before = digest.tree_digest(old.store("anna"))
        self.copy(old, new)
        self.assertEqual(self.same(old, new), [])
        self.assertEqual(digest.tree_digest(old.store("anna")), before)
        self.assertEqual(self.copy(old, new).messages["copied"], 0)
        with connect(old, "anna") as client:
            client.append("INBOX", [mail("new")])
            client.command(b"SELECT INBOX")
            client.command(b"UID STORE 2 +FLAGS (\\Answered)")
        run = self.copy(old, new)
        self.assertEqual(run.messages["copied"], 1, run)
        if uidplus:
            self.assertEqual(run.mailbox["flags_updated"], 1, run)
        else:
            self.assertTrue(run.mailbox["flags_updated"] == 1 or any("UIDPLUS" in w for w in run.mailbox.get("warnings", [])), run)
        self.assertEqual([line for line in self.same(old, new) if uidplus or "has (flags" not in line], [])
        self.state.unlink()
        run = self.copy(old, new)
        self.assertEqual(run.messages["copied"], 0, run)
        self.assertEqual(self.copy(old, new).messages["copied"], 0)
        self.assertEqual([line for line in self.same(old, new) if uidplus or "has (flags" not in line], [])
        old.stop()
        new.stop()


def one_by_one(name):
    hide = (name, *ALSO.get(name, ()))

    def test(self):
        self.walk(hide, hide, uidplus=name != "UIDPLUS")

    return test


for _name in OURS:
    setattr(Hidden, f"test_without_{_name.replace('+', '_plus').replace('-', '_').lower()}", one_by_one(_name))


class HiddenTogether(Hidden):
    def test_a_target_that_can_nothing(self):
        self.walk(target=EVERYTHING, uidplus=False)

    def test_a_source_that_can_nothing(self):
        self.walk(source=EVERYTHING)

    def test_two_servers_that_can_nothing(self):
        self.walk(source=EVERYTHING, target=EVERYTHING, uidplus=False)


for _name in [name for name in dir(Hidden) if name.startswith("test_without_")]:
    setattr(HiddenTogether, _name, None)


if __name__ == "__main__":
    unittest.main()
