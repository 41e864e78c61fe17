"""Maildirs that Courier serves: read with Courier's numbers, written beside it, and given out by its POP3 to the octet."""

import pathlib
import poplib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from servers import need_roots  # noqa: E402
from support import *  # noqa: E402,F403
from lab.courier import Courier  # noqa: E402
from lab.dovecot import MAIL_UID  # noqa: E402


def setUpModule():
    need_servers()
    need_roots()


class Beside(Case):
    def courier(self) -> Courier:
        server = Courier(users={"anna": PASSWORD})
        self.addCleanup(server.stop)
        return server

    @staticmethod
    def imap(server) -> str:
        return f"imap://anna@{server.host}:{server.imap_port}?tls=off"

    def test_couriers_maildir_is_read_with_its_uids(self):
        old, new = self.courier(), self.server(storage="maildir", prefix="", special_use={})
        samples.fill_each(old, "anna", [folder("INBOX", mails(8, flags=("\\Seen",))), folder("Sent", mails(3, "sent"), subscribed=True)])
        with connect(old, "anna") as client:
            client.command(b"SELECT INBOX")
            client.command(b"STORE 2,3 +FLAGS (\\Deleted)")
            client.command(b"EXPUNGE")
        session = poplib.POP3(old.host, old.pop3_port)
        session.user("anna")
        session.pass_(PASSWORD)
        uidls = {line.split()[1].decode() for line in session.uidl()[1]}
        session.quit()
        home = new.home("anna")
        home.mkdir()
        os.chown(home, MAIL_UID, MAIL_UID)
        before = digest.tree_digest(old.store("anna"))
        run = self.run_program("copy", f"maildir:{old.store('anna')}", f"maildir:{new.store('anna')}")
        self.assertEqual((run.messages["copied"], run.messages["residual"]), (9, 0), run)
        self.assertEqual(digest.tree_digest(old.store("anna")), before)
        kept = (new.store("anna") / "dovecot-uidlist").read_text()
        self.assertEqual(set(re.findall(r" P(\S+) :", kept)), uidls)
        ours, theirs = (digest.mailbox_content(server, "anna") for server in (new, old))
        self.assertEqual(sorted(m.uid for m in ours.folders["INBOX"]), sorted(m.uid for m in theirs.folders["INBOX"]))
        self.assertEqual(digest.compare(theirs, ours, lambda name: name.removeprefix("INBOX.")), [])

    def test_mail_is_brought_beside_courier(self):
        old, new = self.server(storage="maildir", special_use={}), self.courier()
        odd = next(one for one in samples.small() if one.path == ("Seltsam",)).messages()
        samples.fill(old, "anna", [folder("INBOX", [*mails(20, flags=("\\Seen", "\\Answered")), *odd]), folder("Work/Deep", mails(5, "work"))])
        samples.fill_each(new, "anna", [folder("INBOX", mails(2, "was here"))])
        place = f"maildir:{new.store('anna')}"
        run = self.run_program("copy", self.imap(old), place)
        self.assertEqual(run.messages["residual"], 0, run)
        samples.fill_each(new, "anna", [folder("INBOX", [mail("delivered by Courier")])])
        self.assertEqual(self.run_program("copy", self.imap(old), place).messages["copied"], 0)
        theirs, ours = (digest.mailbox_content(server, "anna") for server in (old, new))
        inbox = {m.sha256: (m.flags, m.instant) for m in ours.folders["INBOX"]}
        self.assertEqual(len(ours.folders["INBOX"]), len(theirs.folders["INBOX"]) + 3)
        self.assertEqual([m for m in theirs.folders["INBOX"] if inbox.get(m.sha256) != (m.flags, m.instant)], [])
        self.assertEqual(sorted(m.sha256 for m in ours.folders["INBOX.Work.Deep"]),
                         sorted(m.sha256 for m in theirs.folders["INBOX.Work.Deep"]))
        # And its POP3 gives the octets that the old server gave.
        self.addCleanup(setattr, poplib, "_MAXLINE", poplib._MAXLINE)
        poplib._MAXLINE = 1 << 20  # mail has longer lines than RFC 1939 knows
        session = poplib.POP3(new.host, new.pop3_port)
        session.user("anna")
        session.pass_(PASSWORD)
        given = {b"\r\n".join(session.retr(n + 1)[1]) for n in range(session.stat()[0])}
        session.quit()
        for made in mails(20):
            self.assertIn(made.data.removesuffix(b"\r\n"), given)


if __name__ == "__main__":
    unittest.main()
