"""The lab's own tests: a comparison that misses a loss, or a cut that does not cut, would make every other test lie."""

import imaplib
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from lab import corpus, digest, memory, samples  # noqa: E402
from lab.dovecot import Dovecot, group_lives, start_pair, stop_folder  # noqa: E402
from lab.imap_client import Append, Imap, ImapError, connect, decode_name, encode_name, parse  # noqa: E402
from lab.proxy import LineProxy  # noqa: E402

TEMPORARY = memory.folder()
TEXT = b"Subject: one\r\n\r\nbody\r\n"


def setUpModule():
    if os.geteuid() != 0 or not shutil.which("dovecot", path=os.environ["PATH"] + ":/usr/sbin"):
        raise unittest.SkipTest("needs Dovecot and root")


def eventually(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class CorpusTest(unittest.TestCase):
    """What counts as a message of a collection."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pf-lab-test-", dir=TEMPORARY))
        self.addCleanup(shutil.rmtree, self.folder)

    def read(self, collection, **files):
        for name, data in files.items():
            path = self.folder / collection / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        reading = corpus.Reading()
        return list(corpus.messages(self.folder / collection, reading)), reading

    def test_files_and_mboxes(self):
        letter = b"From anna@x Thu Jan  1 00:00:01 1970\n" + TEXT.replace(b"\r\n", b"\n") + b"\n"
        found, reading = self.read("some", a_eml=TEXT, b=letter * 12, c=letter, d_txt=b"", SOURCE=b"from there",
                                   LICENSES__mit_txt=b"words", e_golden=b"Content-Type: text/plain\n\nFrom: no\n",
                                   f_golden=b"Subject: x\nFrom: me\n\ntext\n")
        self.assertEqual(len(found), 1 + 12 + 1 + 1 + 1)
        self.assertEqual(found[1], letter.partition(b"\n")[2])
        self.assertIn(letter, found, "a file with one such line is one message with it")
        self.assertEqual(dict(reading.messages), {"files": 3, "files of no octets": 1, "in an mbox": 12})
        self.assertEqual(dict(reading.left_out), {"about the collection": 2, "parts of messages": 1})
        self.assertEqual(reading.files, 8)

    def test_answers_of_servers(self):
        fetch = b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%s)\r\nA1 OK\r\n" % (len(TEXT), TEXT)
        retr = b"+OK\n" + TEXT.replace(b"\r\n", b"\n") + b"..dot\n.\n"
        found, reading = self.read("transcripts", a_txt=fetch.replace(b"\r\n", b"\n") + b"* 2 FETCH (BODY[] {3}\nnot)\n",
                                   Pop3__b_txt=retr * 2, Pop3__top_txt=retr, c_txt=b"* OK hello\n", d_msg=TEXT)
        self.assertEqual(found, [TEXT + b".dot\r\n"] * 2 + [TEXT, TEXT])
        self.assertEqual(dict(reading.messages), {"in answers of servers": 3, "files": 1})
        self.assertEqual(dict(reading.left_out), {"words of servers": 2})


class PairTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="pf-lab-test-", dir=TEMPORARY)
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.old, cls.new = start_pair(cls.folder)
        cls.addClassCleanup(cls.new.stop)
        cls.addClassCleanup(cls.old.stop)
        for server in (cls.old, cls.new):
            cls.filled = samples.fill(server, "anna", samples.small())
        cls.map = staticmethod(digest.default_map(cls.old, cls.new))
        cls.source = digest.mailbox_content(cls.old, "anna")

    def compare(self, **options):
        return digest.compare(self.source, digest.mailbox_content(self.new, "anna"), self.map, **options)

    def change(self, *commands):
        """Runs commands on the target; the sample is put back afterwards."""
        def restore():
            self.new.forget("anna")
            samples.fill(self.new, "anna", samples.small())

        self.addCleanup(restore)
        with connect(self.new, "anna") as client:
            for command in commands:
                client.command(command)

    def test_the_same_sample_in_both_layouts_is_identical(self):
        self.assertEqual(self.compare(subscriptions=True), [])
        self.assertEqual(self.source.messages(), self.filled)
        self.assertGreater(self.filled, 150)
        self.assertIn("INBOX.日本語.メール", self.source.folders)
        self.assertIn("INBOX.Kunden", self.source.no_select)
        self.assertEqual(self.source.special_use["\\Sent"], "INBOX.Gesendete Objekte")
        self.assertEqual(self.map("INBOX.Gesendete Objekte"), "Sent")

    def test_what_was_appended_is_what_is_read(self):
        wanted = sorted((len(m.data), tuple(sorted(m.flags)), digest.instant(m.date.encode()))
                        for m in next(f for f in samples.small() if f.path == ("Seltsam",)).messages())
        found = sorted((m.size, m.flags, m.instant) for m in self.source.folders["INBOX.Seltsam"])
        self.assertEqual(found, wanted)

    def test_a_lost_message_is_named(self):
        self.change(b"SELECT Flags", b"STORE 1 +FLAGS (\\Deleted)", b"UID EXPUNGE 1")
        differences = self.compare()
        self.assertEqual(len(differences), 1)
        self.assertRegex(differences[0], r"^INBOX.Flags -> Flags: message .* source UID 1\) is missing, 1 time")

    def test_one_of_three_repeats_lost_is_named(self):
        self.change(b"SELECT Wiederholungen", b"STORE 1 +FLAGS (\\Deleted)", b"UID EXPUNGE 1")
        self.assertIn("is there 2 times, expected 3", "\n".join(self.compare()))

    def test_a_duplicate_is_named(self):
        self.change(b"SELECT INBOX", b"COPY 1 INBOX")
        self.assertIn("is there 2 times, expected 1", "\n".join(self.compare()))

    def test_a_changed_flag_is_named(self):
        self.change(b"SELECT Flags", b"STORE 1 +FLAGS (Projekt-X)")
        self.assertRegex("\n".join(self.compare()), r"has \(flags, instant\) \[\(\('Projekt-X',\)")
        self.assertEqual(self.compare(flags=False), [])

    def test_a_strange_message_and_a_missing_folder_are_named(self):
        self.change([b"APPEND Flags ", b"{%d+}\r\n" % len(TEXT), TEXT],
                    b'DELETE "Leer/auch leer"', b"UNSUBSCRIBE Flags")
        text = "\n".join(self.compare(subscriptions=True))
        self.assertIn("was never on the source, found 1 time(s)", text)
        self.assertIn("INBOX.Leer.auch leer -> Leer/auch leer: the folder is missing", text)
        self.assertIn("Flags: subscription is missing", text)

    def test_reading_leaves_the_store_alone_and_a_delivery_shows(self):
        before = digest.tree_digest(self.old.store("anna"))
        digest.mailbox_content(self.old, "anna")
        self.assertEqual(digest.tree_digest(self.old.store("anna")), before)
        samples.fill(self.old, "bela", [samples.Folder(("INBOX",), lambda: [Append(TEXT)])])
        bela = digest.tree_digest(self.old.store("bela"))
        with connect(self.old, "bela") as client:
            client.command(b"SELECT INBOX")
            client.command(b"STORE 1 +FLAGS (\\Flagged)")
        self.assertNotEqual(digest.tree_digest(self.old.store("bela")), bela)

    def test_every_way_to_log_in(self):
        user, password = "anna", self.old.users["anna"]
        trust = ssl.create_default_context(cafile=str(self.old.ca))
        for host in ("localhost", "127.0.0.1"):
            with imaplib.IMAP4_SSL(host, self.old.imaps_port, ssl_context=trust) as client:
                client.login(user, password)
        with imaplib.IMAP4(self.old.host, self.old.imap_port) as client:
            self.assertIn("AUTH=SCRAM-SHA-256", client.capabilities)
            client.starttls(trust)
            client.login_cram_md5(user, password)
        with imaplib.IMAP4(self.old.host, self.old.imap_port) as client:
            client.login(f"{user}*{self.old.master[0]}", self.old.master[1])
        with imaplib.IMAP4(self.old.host, self.old.imap_port) as client:
            client.login_cram_md5(f"{user}*{self.old.master[0]}", self.old.master[1])
        for wrong in ("anna", "nobody"):
            with self.assertRaisesRegex(ImapError, "AUTHENTICATIONFAILED"):
                Imap(self.old.host, self.old.imap_port, wrong, "wrong")
        with self.assertRaises(ImapError):
            Imap(self.old.host, self.old.imap_port, *self.old.master, authorize="nobody")

    def test_a_cut_line_is_cut_to_the_octet(self):
        with LineProxy(self.old.imap_port, cut_after=30) as line:
            with socket.create_connection((self.old.host, line.port)) as client:
                received = b"".join(iter(lambda: client.recv(4096), b""))
        self.assertEqual(len(received), 30)
        self.assertTrue(received.startswith(b"* OK"))
        self.assertEqual([(c["client_octets"], c["server_octets"]) for c in line.stop()], [(0, 30)])

    def test_only_the_second_connection_is_cut_and_the_cut_can_be_a_reset(self):
        with LineProxy(self.old.imap_port, cut_after=5, side="client", reset=True, only_connection=2) as line:
            password = self.old.users["anna"]
            with Imap(self.old.host, line.port, "anna", password) as first:
                with self.assertRaises(ConnectionResetError):
                    Imap(self.old.host, line.port, "anna", password)
                first.command(b"NOOP")
        self.assertEqual(sorted(c["client_octets"] for c in line.stop())[0], 5)

    def test_a_stalled_line_stays_open_and_silent(self):
        with LineProxy(self.old.imap_port, stall_after=10) as line:
            with socket.create_connection((self.old.host, line.port)) as client:
                received = b""
                while len(received) < 10:
                    received += client.recv(4096)
                client.settimeout(0.2)
                self.assertRaises(TimeoutError, client.recv, 1)
        self.assertEqual(len(received), 10)

    def test_a_long_line_takes_its_round_trips_and_counts_them(self):
        with LineProxy(self.old.imap_port, delay_ms=10) as line:
            start = time.monotonic()
            client = Imap(self.old.host, line.port, "anna", self.old.users["anna"])
            client.command(b"NOOP")
            took = time.monotonic() - start
            client.close()
        # Handshake, greeting, AUTHENTICATE, NOOP: four round trips of 20 ms.
        self.assertGreaterEqual(took, 0.08)
        # Greeting | AUTHENTICATE | OK | NOOP | OK | LOGOUT | BYE
        self.assertEqual(line.stop()[0]["turns"], 6)

    def test_a_mailbox_read_through_single_octets_is_the_same(self):
        samples.fill(self.new, "bela", [samples.Folder(("INBOX",), lambda: [Append(TEXT)])])
        with LineProxy(self.new.imap_port, split=1, split_gap_us=0) as line:
            with Imap(self.new.host, line.port, "bela", self.new.users["bela"]) as client:
                client.command(b"EXAMINE INBOX")
                fetched = parse(client.command(b"FETCH 1 (BODY.PEEK[])")[0])
        self.assertEqual(fetched[3], [b"BODY[]", TEXT])


class OptionsTest(unittest.TestCase):
    def server(self, **options):
        folder = tempfile.mkdtemp(prefix="pf-lab-test-", dir=TEMPORARY)
        self.addCleanup(shutil.rmtree, folder)
        server = Dovecot(folder, **options)
        self.addCleanup(server.stop)
        return server

    def append(self, server, user, octets):
        with connect(server, user) as client:
            return client.append("INBOX", [Append(TEXT + b"x" * octets + b"\r\n")])

    def test_hidden_capabilities_are_not_announced(self):
        server = self.server(hide=("LITERAL+", "MULTIAPPEND", "CONDSTORE"), plaintext_without_tls=False)
        with imaplib.IMAP4(server.host, server.imap_port) as client:
            self.assertIn("LOGINDISABLED", client.capabilities)
            client.starttls(ssl.create_default_context(cafile=str(server.ca)))
            client.login("anna", server.users["anna"])
            # TLS changed nothing about what is hidden.
            announced = client.capability()[1][0].decode().split()
        self.assertIn("UIDPLUS", announced)
        self.assertFalse({"LITERAL+", "MULTIAPPEND", "CONDSTORE"} & set(announced))

    def test_quota_and_message_size_refuse(self):
        server = self.server(quota=True, max_message_bytes=50_000)
        server.set_quota("bela", 30_000)
        with self.assertRaisesRegex(ImapError, "NO"):
            self.append(server, "anna", 60_000)
        self.assertEqual(self.append(server, "anna", 40_000), 1)
        with self.assertRaisesRegex(ImapError, "OVERQUOTA"):
            self.append(server, "bela", 40_000)

    def test_bad_certificates_are_bad(self):
        for kind in ("other_host", "expired", "self_signed"):
            with self.subTest(kind):
                server = self.server(certificate=kind)
                trust = ssl.create_default_context(cafile=str(server.ca))
                with self.assertRaises(ssl.SSLCertVerificationError):
                    imaplib.IMAP4_SSL("localhost", server.imaps_port, ssl_context=trust)

    def test_a_crashed_server_starts_again_where_it_was(self):
        server = self.server(storage="sdbox")
        self.append(server, "anna", 10)
        port = server.imap_port
        server.kill()
        self.assertRaises(OSError, connect, server, "anna")
        server.restart()
        self.assertEqual(server.imap_port, port)
        self.assertEqual(digest.mailbox_content(server, "anna").messages(), 1)

    def test_nothing_survives_a_killed_owner(self):
        code = ("import sys; sys.path.insert(0, sys.argv[1])\n"
                "from lab.dovecot import Dovecot\n"
                "server = Dovecot(sys.argv[2])\nprint(server.pid, flush=True)\nsys.stdin.read()\n")
        folder = tempfile.mkdtemp(prefix="pf-lab-test-", dir=TEMPORARY)
        self.addCleanup(shutil.rmtree, folder)
        with subprocess.Popen([sys.executable, "-c", code, str(ROOT), folder], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as owner:
            group = int(owner.stdout.readline())
            os.killpg(group, 0)
            owner.send_signal(signal.SIGKILL)
        self.assertTrue(eventually(lambda: not group_lives(group)))

    def test_the_command_line_starts_and_stops(self):
        folder = tempfile.mkdtemp(prefix="pf-lab-test-", dir=TEMPORARY)
        self.addCleanup(shutil.rmtree, folder)
        self.addCleanup(stop_folder, folder)
        tool = [sys.executable, str(ROOT / "lab" / "lab.py")]
        subprocess.run([*tool, "start", "--dir", folder, "--storage", "mdbox", "--name", "new"], check=True,
                       stdout=subprocess.DEVNULL)
        self.assertEqual(subprocess.run([*tool, "stop", "--dir", folder]).returncode, 0)
        self.assertEqual(subprocess.run([*tool, "stop", "--dir", folder], stderr=subprocess.DEVNULL).returncode, 1)


class NamesTest(unittest.TestCase):
    def test_modified_utf_7(self):
        # RFC 3501, 5.1.3
        self.assertEqual(encode_name("~peter/mail/台北/日本語"), b"~peter/mail/&U,BTFw-/&ZeVnLIqe-")
        self.assertEqual(encode_name("R&D 📬"), b"R&-D &2D3c7A-")
        for name in ("Été", "日本語/メール", "R&D", "&", "📬 Post", "plain"):
            self.assertEqual(decode_name(encode_name(name)), name)


if __name__ == "__main__":
    unittest.main()
