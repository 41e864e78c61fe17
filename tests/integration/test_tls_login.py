"""Every way to a mailbox: TLS in all modes, certificates good and bad, SASL mechanisms, the admin on behalf of the owner."""

import base64
import hashlib
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403
from lab.dovecot import has_ipv6  # noqa: E402


def setUpModule():
    need_servers()


class WaysIn(PairCase):
    """Both servers take passwords in the clear and speak TLS on both ports."""

    def setUp(self):
        super().setUp()
        self.fill(self.old, folder("INBOX", mails(2)))

    def way(self, source: str, target: str, code: int = 0, **more) -> Run:
        run = self.run_program("copy", source, target, code=code, **more)
        if code == 0:
            self.assertEqual(run.messages["residual"], 0, run)
            self.assert_same()
        else:
            self.assertEqual(self.content(self.new).messages(), 0)
        return run

    def imaps(self, server, query="", host="localhost", user=None):
        return f"imaps://{user or self.user}@{host}:{server.imaps_port}" + (f"?{query}" if query else "")

    def imap(self, server, query="", host="localhost"):
        return f"imap://{self.user}@{host}:{server.imap_port}" + (f"?{query}" if query else "")

    def log_of(self, server) -> str:
        return server.log.read_text(errors="replace")

    def test_tls_from_the_first_octet(self):
        self.way(*(self.imaps(s, f"ca={s.ca}") for s in (self.old, self.new)))
        check = self.run_program("check", *(self.imaps(s, f"ca={s.ca}") for s in (self.old, self.new)))
        self.assertIn("TLS", check.report["mailboxes"][0]["source"]["tls"])

    def test_tls_by_ip_address(self):
        self.way(*(self.imaps(s, f"ca={s.ca}", host) for s, host in ((self.old, "127.0.0.1"), (self.new, "[::1]" if has_ipv6() else "127.0.0.1"))))

    def test_starttls_required(self):
        self.way(*(self.imap(s, f"tls=require&ca={s.ca}") for s in (self.old, self.new)))

    def test_starttls_detected(self):
        urls = [self.imap(s, f"ca={s.ca}") for s in (self.old, self.new)]
        self.way(*urls)
        check = self.run_program("check", *urls).report["mailboxes"][0]
        self.assertTrue(check["source"]["tls"] and check["target"]["tls"], check)

    def test_an_unknown_authority_is_refused_with_advice(self):
        run = self.way(self.imaps(self.old), self.imaps(self.new, f"ca={self.new.ca}"), code=3)
        self.assertRegex(run.text, "ertificate")
        self.assertIn("ca=", run.text)

    def test_detect_verifies_too(self):
        run = self.way(self.imap(self.old), self.imap(self.new, f"ca={self.new.ca}"), code=3)
        self.assertRegex(run.text, "ertificate")

    def test_verify_off_is_asked_for_by_name(self):
        self.way(self.imaps(self.old, "verify=off"), self.imap(self.new, "verify=off&tls=require"))

    def test_pins(self):
        key = subprocess.run(["openssl", "x509", "-in", self.old.folder / "tls" / "server.pem", "-noout", "-pubkey"], capture_output=True, check=True)
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=key.stdout, capture_output=True, check=True).stdout
        pin = base64.b64encode(hashlib.sha256(der).digest()).decode().replace("+", "%2B")
        self.way(self.imaps(self.old, f"verify=pin:sha256/{pin}"), self.imaps(self.new, f"ca={self.new.ca}"))
        wrong = base64.b64encode(hashlib.sha256(b"x").digest()).decode().replace("+", "%2B")
        run = self.run_program("copy", self.imaps(self.old, f"verify=pin:sha256/{wrong}"), self.imaps(self.new, f"ca={self.new.ca}"), code=3)
        self.assertIn("pin", run.text)

    def test_a_ca_file_that_is_none(self):
        for text in (None, "no certificate in here\n"):
            path = self.folder / "ca.pem"
            path.write_text(text) if text else path.unlink(missing_ok=True)
            with self.subTest(text=text):
                run = self.run_program("copy", self.imaps(self.old, f"ca={path}"), self.imaps(self.new, f"ca={self.new.ca}"), code=None)
                self.assertIn(run.code, (2, 3), run)
                self.assertIn(str(path), run.text)

    def test_every_mechanism(self):
        for mechanism in ("auto", "plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256"):
            with self.subTest(mechanism):
                urls = [self.imap(s, f"tls=off&auth={mechanism}") for s in (self.old, self.new)]
                check = self.run_program("check", *urls).report["mailboxes"][0]
                if mechanism != "auto":
                    self.assertIn(mechanism.upper(), check["source"]["login"].upper())
                else:
                    self.assertIn("SCRAM-SHA-256", check["source"]["login"].upper())

    def test_a_mechanism_that_is_not_offered(self):
        (self.folder / "token").write_text("a-token-of-nobody\n")
        self.secrets += ["a-token-of-nobody"]
        for mechanism in ("oauthbearer", "xoauth2"):
            run = self.run_program("copy", self.imap(self.old, f"tls=off&auth={mechanism}"), self.imap(self.new, "tls=off"),
                                   "--source-token-file", self.folder / "token", code=3)
            self.assertIn("SCRAM-SHA-256", run.text)  # what it does offer
            self.assertIn("auth=", run.text)
        run = self.run_program("copy", self.imap(self.old, "tls=off&auth=oauthbearer"), self.imap(self.new, "tls=off"), code=2)
        self.assertIn("--source-token-file", run.text)

    def test_an_admin_on_behalf_of_the_owner(self):
        self.secrets += [self.old.master[1]]
        environment = self.environment(POSTFERRY_SOURCE_PASSWORD=self.old.master[1])
        for form in ("", "&admin-form=sasl", "&admin-form=star"):
            with self.subTest(form):
                for name in self.folder.glob("state.db*"):
                    name.unlink()
                url = self.imap(self.old, f"tls=off&admin={self.old.master[0]}{form}")
                run = self.run_program("copy", url, self.imap(self.new, "tls=off"), environment=environment)
                self.assertEqual(run.messages["residual"], 0, run)
        self.assert_same()

    def test_an_admin_with_each_mechanism(self):
        self.secrets += [self.old.master[1]]
        environment = self.environment(POSTFERRY_SOURCE_PASSWORD=self.old.master[1])
        for form, mechanism in (("sasl", "plain"), ("sasl", "scram-sha-256"), ("star", "plain"), ("star", "login"), ("star", "cram-md5")):
            with self.subTest(f"{form} {mechanism}"):
                url = self.imap(self.old, f"tls=off&admin={self.old.master[0]}&admin-form={form}&auth={mechanism}")
                self.run_program("check", url, self.imap(self.new, "tls=off"), environment=environment)

    def test_an_admin_with_a_mechanism_that_cannot_say_for_whom(self):
        run = self.run_program("copy", self.imap(self.old, "tls=off&admin=admin&auth=cram-md5"), self.imap(self.new, "tls=off"), code=None)
        self.assertIn(run.code, (2, 3), run)
        self.assertIn("on behalf of", run.text)
        self.assertIn("auth=plain", run.text)

    def test_wrong_passwords(self):
        self.secrets += ["Wrong-Word-77"]
        for source, target, word in (("Wrong-Word-77", PASSWORD, "source"), (PASSWORD, "Wrong-Word-77", "target")):
            with self.subTest(word):
                environment = self.environment(POSTFERRY_SOURCE_PASSWORD=source, POSTFERRY_TARGET_PASSWORD=target)
                run = self.way(self.imap(self.old, "tls=off"), self.imap(self.new, "tls=off"), code=3, environment=environment)
                self.assertIn(word, run.text)
                self.assertIn(self.user, run.text)
                self.assertIn("password", run.text)
                self.assertEqual(run.mailbox["stopped_by"]["class"], "auth")
        both = self.environment(POSTFERRY_SOURCE_PASSWORD="Wrong-Word-77", POSTFERRY_TARGET_PASSWORD="Wrong-Word-77")
        run = self.way(self.imap(self.old, "tls=off"), self.imap(self.new, "tls=off"), code=3, environment=both)
        self.assertRegex(run.text, "source: .*target: ")

    def test_passwords_from_files(self):
        files = []
        for name in ("source", "target"):
            path = self.folder / f"{name}.password"
            path.write_text(f"{PASSWORD}\nsecond line\n")
            files += [f"--{name}-password-file", path]
        none = self.environment(POSTFERRY_SOURCE_PASSWORD=None, POSTFERRY_TARGET_PASSWORD=None)
        self.way(self.imap(self.old, "tls=off"), self.imap(self.new, "tls=off"))
        self.run_program("copy", self.imap(self.old, "tls=off"), self.imap(self.new, "tls=off"), *files, environment=none)

    def test_no_password_anywhere(self):
        none = self.environment(POSTFERRY_SOURCE_PASSWORD=None, POSTFERRY_TARGET_PASSWORD=None)
        run = self.way(self.imap(self.old, "tls=off"), self.imap(self.new, "tls=off"), code=2, environment=none)
        self.assertIn("--source-password-file", run.err)
        self.assertIn("POSTFERRY_SOURCE_PASSWORD", run.err)

    def test_the_wire_trace_holds_no_secret(self):
        log = self.folder / "trace.log"
        for mechanism in ("plain", "login", "cram-md5", "scram-sha-256"):
            for more in ((), ("--log-format", "json")):
                self.run_program("copy", *(self.imap(s, f"tls=off&auth={mechanism}") for s in (self.old, self.new)), "-vv", "--log", log, *more)
        octets = log.read_bytes()
        self.assertIn(b"AUTHENTICATE", octets)
        self.assert_no_secret(octets, "the log")


class TlsOnly(Case):
    """A server that takes no password in the clear, and one that has no TLS at all."""

    def fill(self, server):
        samples.fill(server, "anna", [folder("INBOX", mails(1))])

    def test_detect_upgrades_before_the_password(self):
        old = self.server(plaintext_without_tls=False, mechanisms=("plain", "login"))
        new = self.server(storage="mdbox")
        self.fill(old)
        new_url = f"imap://anna@127.0.0.1:{new.imap_port}?tls=off"
        self.run_program("copy", f"imap://anna@{old.host}:{old.imap_port}?ca={old.ca}", new_url)
        self.assertEqual(digest.mailbox_content(new, "anna").messages(), 1)
        run = self.run_program("copy", f"imap://anna@{old.host}:{old.imap_port}?tls=off", new_url, code=3)
        self.assertRegex(run.text, "(?i)tls")

    def test_a_mechanism_that_hides_the_password_needs_no_tls(self):
        old, new = self.server(starttls=False, mechanisms=("plain", "scram-sha-256")), self.server(storage="mdbox")
        self.fill(old)
        self.run_program("copy", f"imap://anna@127.0.0.1:{old.imap_port}", f"imap://anna@127.0.0.1:{new.imap_port}?tls=off")
        self.assertIn("method=SCRAM-SHA-256", old.log.read_text())

    def test_without_tls_no_password_is_sent_unless_asked_for(self):
        old, new = self.server(starttls=False, mechanisms=("plain", "login")), self.server(storage="mdbox")
        self.fill(old)
        new_url = f"imap://anna@127.0.0.1:{new.imap_port}?tls=off"
        logins = old.log.read_text().count("Login: user=<anna>")  # of the lab itself
        for query in ("", "?tls=require", "?tls=detect&auth=plain"):
            with self.subTest(query):
                run = self.run_program("copy", f"imap://anna@127.0.0.1:{old.imap_port}{query}", new_url, code=None)
                self.assertEqual(run.code, 3, run)
                self.assertIn("tls=off", run.text)
        self.assertEqual(old.log.read_text().count("Login: user=<anna>"), logins)
        self.run_program("copy", f"imap://anna@127.0.0.1:{old.imap_port}?tls=off", new_url)

    def test_bad_certificates(self):
        good = self.server(storage="mdbox")
        for kind, words in (("other_host", "(?i)host|name"), ("expired", "(?i)expired"), ("self_signed", "(?i)self")):
            with self.subTest(kind):
                server = self.server(certificate=kind)
                ca = "" if kind == "self_signed" else f"?ca={server.ca}"
                run = self.run_program("copy", f"imaps://anna@localhost:{server.imaps_port}{ca}",
                                       f"imap://anna@127.0.0.1:{good.imap_port}?tls=off", code=3)
                self.assertRegex(run.mailbox["stopped_by"]["reason"], words)
                self.assertEqual(run.mailbox["stopped_by"]["phase"], "tls")
                advice = run.mailbox["stopped_by"]["advice"]
                if kind == "self_signed":
                    self.assertIn("ca=FILE", advice)
                # What is advised works as it stands.
                pin = re.search(r"verify=pin:sha256/[A-Za-z0-9+/]{43}=", advice)
                self.assertTrue(pin, advice)
                self.assertIn(pin[0], run.text)
                self.run_program("copy", f"imaps://anna@localhost:{server.imaps_port}?{pin[0]}",
                                 f"imap://anna@127.0.0.1:{good.imap_port}?tls=off")
                server.stop()


if __name__ == "__main__":
    unittest.main()
