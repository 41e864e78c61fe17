"""COMPRESS=DEFLATE: used where the line is slow, not where it is not, and never at the cost of an octet."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403

from lab.proxy import LineProxy  # noqa: E402

SLOW = 500_000  # octets a second


def setUpModule():
    need_servers()


class Compression(PairCase):
    source = {"compress": True}
    target = {"compress": True}

    def setUp(self):
        super().setUp()
        self.fill(self.old, folder("INBOX", mails(240, size=3000)), folder("Work", mails(30, "work", size=3000)))

    def copy_over(self, source_port: int, target_port: int, query: str = "") -> Run:
        urls = (f"imap://{self.user}@127.0.0.1:{port}?tls=off{query}" for port in (source_port, target_port))
        log = self.folder / "wire.log"
        log.unlink(missing_ok=True)
        run = self.run_program("copy", *urls, "-vv", "--log", log)
        self.assert_same()
        self.asked = log.read_text().count("COMPRESS DEFLATE")
        return run

    def test_the_same_machine_is_not_worth_it(self):
        self.copy_over(self.old.imap_port, self.new.imap_port)
        self.assertEqual(self.asked, 0)

    def test_a_slow_source_is(self):
        with LineProxy(self.old.imap_port, rate=SLOW) as line:
            self.copy_over(line.port, self.new.imap_port)
        self.assertEqual(self.asked, 1)

    def test_a_slow_target_is(self):
        with LineProxy(self.new.imap_port, rate=SLOW) as line:
            self.copy_over(self.old.imap_port, line.port)
        self.assertEqual(self.asked, 1)

    def test_switched_off_it_stays_off(self):
        with LineProxy(self.old.imap_port, rate=SLOW) as line:
            self.copy_over(line.port, self.new.imap_port, "&compress=off")
        self.assertEqual(self.asked, 0)

    def test_switched_on_it_carries_everything(self):
        self.copy_over(self.old.imap_port, self.new.imap_port, "&compress=on")
        self.assertEqual(self.asked, 2)

    def test_a_compressed_line_that_is_cut_is_made_anew(self):
        with LineProxy(self.old.imap_port, cut_after=30_000, side="server") as line:
            run = self.copy_over(line.port, self.new.imap_port, "&compress=on")
        self.assertEqual(run.messages["copied"] + run.messages["present"], 270, run)
        self.assert_nothing_new()


if __name__ == "__main__":
    unittest.main()
