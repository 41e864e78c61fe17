"""Logging in with OAuth 2 tokens: got and renewed from a real token server, checked by a real Dovecot; and the other ways
in that take more than a password: client certificates, an administrator in Exchange's form."""

import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403
from lab import tls  # noqa: E402
from lab.oauth import TokenServer  # noqa: E402
from lab.proxy import LineProxy  # noqa: E402

CLIENT = {"app": "application-secret-1"}
MECHANISMS = ("plain", "xoauth2", "oauthbearer")


def setUpModule():
    need_servers()


class OAuth(Case):
    """A token server; an old Dovecot that takes its tokens; a new one with passwords. The user is anna."""

    life = 60.0
    rotate = False
    any_user = False

    def setUp(self):
        super().setUp()
        self.oauth = TokenServer(self.folder / "oauth", CLIENT, life=self.life, rotate=self.rotate)
        self.addCleanup(self.oauth.stop)
        users = {"anna": PASSWORD, "bela": PASSWORD, "cora": PASSWORD}
        self.old = Dovecot(self.folder / "old", users=users, mechanisms=MECHANISMS,
                           extra=self.oauth.dovecot(self.folder / "ext", any_user=self.any_user))
        self.addCleanup(self.old.stop)
        self.new = Dovecot(self.folder / "new", users=users, storage="mdbox")
        self.addCleanup(self.new.stop)
        self.secret_file = self.write("client.secret", CLIENT["app"])

    def write(self, name: str, text: str) -> pathlib.Path:
        path = self.folder / name
        path.write_text(text + "\n")
        path.chmod(0o600)
        return path

    def from_url(self, mechanism="xoauth2", user="anna", port=None):
        return f"imap://{user}@127.0.0.1:{port or self.old.imap_port}?tls=off&auth={mechanism}"

    def to_url(self, user="anna"):
        return f"imap://{user}@127.0.0.1:{self.new.imap_port}?tls=off"

    def client(self, *more):
        return ("--oauth-token-endpoint", self.oauth.url, "--oauth-client-id", "app", "--oauth-ca", self.oauth.ca,
                "--oauth-client-secret-file", self.secret_file, *more)

    def fill(self, count=5, user="anna", size=0):
        samples.fill(self.old, user, [folder("INBOX", mails(count, size=size))])

    def copy(self, *arguments, **more):
        log = self.folder / "log"
        try:
            return self.run_program("copy", *arguments, "-vv", "--log", log, **more)
        finally:
            self.secrets += [*CLIENT.values(), *self.oauth.issued]
            if log.exists():
                self.assert_no_secret(log.read_bytes(), "the log")

    def judge(self, line, returned, out, err, *rest, **more):
        self.secrets += [*CLIENT.values(), *self.oauth.issued]
        return super().judge(line, returned, out, err, *rest, **more)

    def arrived(self, count, user="anna"):
        self.assertEqual(digest.mailbox_content(self.new, user).messages(), count)


class TokenFiles(OAuth):
    def test_both_mechanisms(self):
        self.fill()
        token = self.write("token", self.oauth.access_token("anna"))
        for number, mechanism in enumerate(("xoauth2", "oauthbearer")):
            run = self.copy(self.from_url(mechanism), self.to_url(), "--source-token-file", token)
            self.assertEqual(run.messages["residual"], 0, run)
            self.assertEqual(run.messages["present" if number else "copied"], 5, run)
            check = self.run_program("check", self.from_url(mechanism), self.to_url(), "--source-token-file", token)
            self.assertEqual(check.report["mailboxes"][0]["source"]["login"], mechanism.upper())
        self.arrived(5)

    def test_a_token_that_is_no_good_is_said_so(self):
        self.fill()
        for word, token in (("expired", self.oauth.access_token("anna", life=0)), ("other user", self.oauth.access_token("bela")),
                            ("other scope", self.oauth.access_token("anna", "calendar"))):
            with self.subTest(word):
                run = self.copy(self.from_url(), self.to_url(), "--source-token-file", self.write("token", token), code=3)
                self.assertEqual(run.mailbox["stopped_by"]["class"], "auth", run)
                self.assertIn("token", run.mailbox["stopped_by"]["reason"], run)
                self.assertIn("write a new one", run.mailbox["stopped_by"]["advice"], run)
        self.arrived(0)

    def test_a_file_that_changes_is_read_again(self):
        self.fill(200, size=4000)
        token = self.write("token", self.oauth.access_token("anna"))
        renewed = threading.Event()

        def renew():
            # The first login has been; its token ends, and another is written before the line is cut.
            if self.until(lambda: "method=XOAUTH2" in self.old.log.read_text(errors="replace")):
                self.oauth.revoke()
                self.write("token", self.oauth.access_token("anna"))
                renewed.set()

        threading.Thread(target=renew, daemon=True).start()
        with LineProxy(self.old.imap_port, cut_after=400_000, side="server", only_connection=1) as line:
            run = self.copy(self.from_url(port=line.port), self.to_url(), "--source-token-file", token, "--limit-rate", "300kB")
            connections = line.stop()
        self.assertTrue(renewed.is_set())
        self.assertGreaterEqual(len(connections), 2)
        self.assertEqual(run.messages["copied"], 200, run)
        self.arrived(200)


class Renewal(OAuth):
    life = 2.0

    def test_a_token_that_ends_in_mid_run_is_renewed_before_the_next_login(self):
        self.fill(200, size=4000)
        with LineProxy(self.old.imap_port, cut_after=700_000, side="server", only_connection=1) as line:
            run = self.copy(self.from_url(port=line.port), self.to_url(), *self.refresh(), "--limit-rate", "300kB")
            connections = line.stop()
        self.assertGreaterEqual(len(connections), 2)
        self.assertGreaterEqual(len(self.oauth.asked), 2, "a second token was asked for")
        self.assertEqual({one["grant_type"] for one in self.oauth.asked}, {"refresh_token"})
        self.assertNotIn("invalid", self.old.log.read_text(errors="replace").lower())
        self.assertEqual(run.messages["copied"], 200, run)
        self.arrived(200)

    def refresh(self):
        return self.client("--oauth-refresh-token-file", self.write("refresh", self.oauth.grant("anna")))


class RenewalAfterRefusal(OAuth):
    rotate = True

    def test_a_token_that_the_server_will_not_have_any_more_is_renewed(self):
        self.fill(200, size=4000)
        refresh = self.write("refresh", self.oauth.grant("anna"))
        first = refresh.read_text()

        def revoke():
            if self.until(lambda: "method=XOAUTH2" in self.old.log.read_text(errors="replace")):
                self.oauth.revoke()

        threading.Thread(target=revoke, daemon=True).start()
        with LineProxy(self.old.imap_port, cut_after=400_000, side="server", only_connection=1) as line:
            run = self.copy(self.from_url(port=line.port), self.to_url(), *self.client("--oauth-refresh-token-file", refresh),
                            "--limit-rate", "300kB")
        self.assertEqual(run.messages["copied"], 200, run)
        self.assertEqual(len(self.oauth.asked), 2, self.oauth.asked)
        # The endpoint gave another refresh token each time: the last one is in the file, with the rights it had.
        self.assertNotEqual(refresh.read_text(), first)
        self.assertEqual(refresh.stat().st_mode & 0o777, 0o600)
        self.secrets += self.oauth.issued
        self.copy(self.from_url(), self.to_url(), *self.client("--oauth-refresh-token-file", refresh))
        self.arrived(200)

    def test_a_renewal_that_is_refused_fails_these_mailboxes_and_no_others(self):
        for user in ("anna", "bela"):
            self.fill(3, user)
        refresh = self.write("refresh", self.oauth.grant("anna"))
        self.oauth.revoke(refresh=True)
        csv = self.write("accounts.csv", "\n".join([
            "source_user,source_password,target_user,target_password,source_url",
            f"anna,,anna,{PASSWORD},{self.from_url('xoauth2', '{user}')}",
            f"bela,{PASSWORD},bela,{PASSWORD},imap://{{user}}@127.0.0.1:{self.old.imap_port}?tls=off"]))
        environment = self.environment(POSTFERRY_SOURCE_PASSWORD=None, POSTFERRY_TARGET_PASSWORD=None)
        run = self.run_program("migrate", csv, "--target", f"imap://127.0.0.1:{self.new.imap_port}?tls=off",
                               *self.client("--oauth-refresh-token-file", refresh), code=1, environment=environment)
        states = {one["source"].split("//")[1].split("@")[0]: one for one in run.report["mailboxes"]}
        self.assertEqual(states["bela"]["state"], "synced", run)
        self.assertEqual(states["anna"]["state"], "failed", run)
        self.assertEqual(states["anna"]["stopped_by"]["class"], "auth", run)
        self.assertIn("invalid_grant", states["anna"]["stopped_by"]["reason"])
        self.assertIn("sign in again", states["anna"]["stopped_by"]["advice"])


class Applications(OAuth):
    any_user = True

    def test_one_token_serves_all_mailboxes(self):
        for user in ("anna", "bela", "cora"):
            self.fill(3, user)
        csv = self.write("accounts.csv", "source_user,target_user,target_password\n" + "\n".join(
            f"{user},{user},{PASSWORD}" for user in ("anna", "bela", "cora")))
        environment = self.environment(POSTFERRY_SOURCE_PASSWORD=None, POSTFERRY_TARGET_PASSWORD=None)
        run = self.run_program("migrate", csv, "--source", self.from_url("oauthbearer", "{user}"), "--target",
                               f"imap://127.0.0.1:{self.new.imap_port}?tls=off", *self.client("--oauth-scope", "mail"),
                               environment=environment)
        self.assertEqual(run.report["totals"]["messages"]["copied"], 9, run)
        self.assertEqual([one["grant_type"] for one in self.oauth.asked], ["client_credentials"], self.oauth.asked)
        self.assertEqual(self.oauth.asked[0]["scope"], "mail")

    def test_each_end_has_its_own_client(self):
        self.fill(3)
        self.write("other.secret", "wrong-secret-2")
        self.secrets += ["wrong-secret-2"]
        run = self.copy(self.from_url(), self.to_url(), "--oauth-source-token-endpoint", self.oauth.url, "--oauth-source-client-id", "app",
                        "--oauth-source-ca", self.oauth.ca, "--oauth-source-client-secret-file", self.folder / "other.secret", code=3)
        self.assertIn("invalid_client", run.mailbox["stopped_by"]["reason"])
        self.assertIn("--oauth-client-id", run.mailbox["stopped_by"]["advice"])
        self.copy(self.from_url(), self.to_url(), "--oauth-source-token-endpoint", self.oauth.url, "--oauth-source-client-id", "app",
                  "--oauth-source-ca", self.oauth.ca, "--oauth-source-client-secret-file", self.secret_file)
        self.arrived(3)

    def test_a_wrong_scope(self):
        self.fill(3)
        run = self.copy(self.from_url(), self.to_url(), *self.client("--oauth-scope", "everything"), code=3)
        self.assertIn("invalid_scope", run.mailbox["stopped_by"]["reason"])
        self.assertIn("--oauth-scope", run.mailbox["stopped_by"]["advice"])
        # The endpoint gives it, and the mail server will not have it.
        run = self.copy(self.from_url(), self.to_url(), *self.client("--oauth-scope", "calendar"), code=3)
        self.assertEqual(run.mailbox["stopped_by"]["class"], "auth")
        self.assertIn("scope", run.mailbox["stopped_by"]["advice"])

    def test_the_certificate_of_the_endpoint_is_checked(self):
        self.fill(1)
        run = self.copy(self.from_url(), self.to_url(), "--oauth-token-endpoint", self.oauth.url, "--oauth-client-id", "app",
                        "--oauth-client-secret-file", self.secret_file, code=3)
        self.assertRegex(run.mailbox["stopped_by"]["reason"], "No token from localhost.*ertificate")
        self.assertEqual(self.oauth.asked, [])

    def test_an_endpoint_that_is_down(self):
        self.fill(1)
        self.oauth.stop()
        self.oauth.stop = lambda: None
        run = self.copy(self.from_url(), self.to_url(), *self.client(), code=3)
        self.assertIn("No token from localhost", run.mailbox["stopped_by"]["reason"])


class Configured(OAuth):
    """[oauth.NAME] of the configuration; refresh tokens in the rows of a CSV."""

    rotate = True

    def configure(self, more="", name="work", mode=0o600):
        path = self.write("postferry.toml", f"""
[oauth.{name}]
token_endpoint = "{self.oauth.url}"
client_id = "app"
client_secret_file = "client.secret"
ca = "{self.oauth.ca}"
{more}""")
        path.chmod(mode)
        return path

    def migrate(self, config, rows, *more, source="imap://{{user}}@127.0.0.1:{port}?tls=off&auth=xoauth2&oauth=work", code=0):
        rows = [(user, token, user) for user, token in rows.items()] if isinstance(rows, dict) else rows
        csv = self.write("accounts.csv", "source_user,source_refresh_token,target_user,target_password\n" + "\n".join(
            f"{user},{token},{target},{PASSWORD}" for user, token, target in rows))
        environment = self.environment(POSTFERRY_SOURCE_PASSWORD=None, POSTFERRY_TARGET_PASSWORD=None)
        log = self.folder / "log"
        try:
            return self.run_program("migrate", csv, "-c", config, "--source", source.format(port=self.old.imap_port), "--target",
                                    f"imap://127.0.0.1:{self.new.imap_port}?tls=off", "-vv", "--log", log, *more,
                                    environment=environment, code=code)
        finally:
            self.secrets += [*CLIENT.values(), *self.oauth.issued]
            self.assert_no_secret(log.read_bytes() if log.exists() else b"", "the log")

    def test_two_users_with_different_refresh_tokens_in_one_run(self):
        for user, count in (("anna", 3), ("bela", 4)):
            self.fill(count, user)
        config = self.configure('grant = "refresh-token"')
        tokens = {user: self.oauth.grant(user) for user in ("anna", "bela")}
        run = self.migrate(config, tokens)
        self.assertEqual(run.report["totals"]["messages"]["copied"], 7, run)
        self.assertEqual({one["refresh_token"] for one in self.oauth.asked}, set(tokens.values()))
        self.arrived(3, "anna")
        self.arrived(4, "bela")
        # The endpoint has replaced both, and there is no file for the new ones.
        self.assertIn("2 refresh tokens were replaced by the token endpoint and stood in no file", run.err)
        self.assertIn(f"configuration: {config}", run.err)
        again = self.migrate(config, tokens, code=3)
        for one in again.report["mailboxes"]:
            self.assertIn("invalid_grant", one["stopped_by"]["reason"])

    def test_refresh_tokens_in_files_are_written_back(self):
        files = {}
        for user in ("anna", "bela"):
            self.fill(3, user)
            files[user] = self.write(f"{user}.refresh", self.oauth.grant(user))
        config = self.configure('grant = "refresh-token"')
        before = {user: file.read_text() for user, file in files.items()}
        for turn in range(3):
            run = self.migrate(config, {user: f"file:{file}" for user, file in files.items()})
            self.assertEqual(run.report["totals"]["messages"]["present" if turn else "copied"], 6, run)
            self.assertNotIn("replaced by the token endpoint", run.err)
        for user, file in files.items():
            self.assertNotEqual(file.read_text(), before[user])
            self.assertEqual(file.stat().st_mode & 0o777, 0o600)

    def test_one_file_in_two_rows(self):
        """The first row has its token replaced; the second, when the first is done, goes on with the new one."""
        self.fill(3)
        for token in (f"file:{self.write('anna.refresh', self.oauth.grant('anna'))}", self.oauth.grant("anna")):
            self.oauth.asked.clear()
            run = self.migrate(self.configure('grant = "refresh-token"'), [("anna", token, "anna"), ("anna", token, "bela")],
                               "--jobs", "1", "--state", self.folder / f"{len(token)}.db")
            self.assertEqual({one["state"] for one in run.report["mailboxes"]}, {"synced"}, run)
            self.assertLessEqual(len(self.oauth.asked), 2)

    def test_a_rotated_token_of_a_row_serves_the_rest_of_the_run(self):
        """The line breaks, the token was refused meanwhile: the second refresh token, which is in no file, gets another."""
        self.fill(200, size=4000)
        config = self.configure('grant = "refresh-token"')

        def revoke():
            if self.until(lambda: "method=XOAUTH2" in self.old.log.read_text(errors="replace")):
                self.oauth.revoke()

        threading.Thread(target=revoke, daemon=True).start()
        with LineProxy(self.old.imap_port, cut_after=400_000, side="server", only_connection=1) as line:
            run = self.migrate(config, {"anna": self.oauth.grant("anna")}, "--limit-rate", "300kB",
                               source=f"imap://{{{{user}}}}@127.0.0.1:{line.port}?tls=off&auth=xoauth2&oauth=work")
        self.assertEqual(run.report["totals"]["messages"]["copied"], 200, run)
        self.assertEqual(len({one["refresh_token"] for one in self.oauth.asked}), 2, self.oauth.asked)

    def test_one_client_by_name_for_one_mailbox(self):
        self.fill(3)
        refresh = self.write("refresh", self.oauth.grant("anna"))
        config = self.configure('refresh_token_file = "refresh"')
        first = refresh.read_text()
        self.copy(self.from_url() + "&oauth=work", self.to_url(), "-c", config)
        self.assertNotEqual(refresh.read_text(), first)
        self.copy(self.from_url(), self.to_url(), "-c", config, "--source-oauth", "work")
        check = self.run_program("check", self.from_url() + "&oauth=work", self.to_url(), "-c", config)
        self.assertEqual(check.report["mailboxes"][0]["source"]["login"], "XOAUTH2")
        self.arrived(3)

    def test_ends_and_options_from_the_configuration(self):
        self.fill(5)
        self.write("refresh", self.oauth.grant("anna"))
        self.write("new.password", PASSWORD)
        config = self.configure(f"""refresh_token_file = "refresh"
[defaults]
source = "{self.from_url()}"
source_oauth = "work"
target = "{self.to_url()}"
target_password_file = "new.password"
exclude = ["INBOX"]
""")
        environment = self.environment(POSTFERRY_SOURCE_PASSWORD=None, POSTFERRY_TARGET_PASSWORD=None, POSTFERRY_CONFIG=str(config))
        run = self.run_program("copy", environment=environment)
        self.assertEqual(run.messages["copied"], 0, run)
        run = self.run_program("copy", "--exclude", "Trash", environment=environment)
        self.assertEqual(run.messages["copied"], 5, run)
        self.arrived(5)

    def test_faults_stop_everything_before_it_starts(self):
        config = self.configure("secope = 1\n[defaults]\njobs = 0")
        run = self.run_program("copy", self.from_url(), self.to_url(), "-c", config, code=2)
        self.assertIn(f"{config}:7:1: oauth.work.secope: there is no such key; did you mean scope?", run.err)
        self.assertIn(f"{config}:9:8: defaults.jobs: is 0, and takes a number from 1 to 1000", run.err)
        self.write("client.secret", CLIENT["app"]).chmod(0o644)
        config = self.configure()
        run = self.run_program("copy", self.from_url() + "&oauth=work", self.to_url(), "-c", config, code=2)
        self.assertIn("others can read", run.err)
        self.assertIn("chmod o-rwx", run.err)
        self.assertEqual(self.oauth.asked, [])

    def test_config_check_and_example(self):
        def config(*words, code=0):
            done = subprocess.run([program(), "config", *map(str, words)], capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode, code, done.stderr)
            return done

        path = self.configure(f'refresh_token = "{self.oauth.grant("anna")}"')
        done = config("check", "-c", path)
        self.assertIn("# refresh_token is set", done.stdout)
        self.assertNotIn("refresh.", done.stdout)
        path.chmod(0o644)
        self.assertIn("others can read this file", config("check", "-c", path, code=2).stderr)
        example = self.write("example.toml", config("example").stdout)
        config("check", "-c", example)


class MoreThanAPassword(Case):
    def test_a_client_certificate(self):
        """auth=external: the certificate's common name is the user."""
        folder_of_tls = self.folder / "client"
        ca, _, _ = tls.make_certificates(folder_of_tls)
        command = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                   "anna.key", "-out", "anna.csr", "-subj", "/CN=anna"]
        subprocess.run(command, cwd=folder_of_tls, check=True, capture_output=True)
        subprocess.run(["openssl", "x509", "-req", "-in", "anna.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                        "-days", "2", "-out", "anna.pem"], cwd=folder_of_tls, check=True, capture_output=True)
        ca.chmod(0o644)
        old = self.server(mechanisms=("plain", "external"), extra=f"""
ssl_ca = <{ca}
ssl_verify_client_cert = yes
ssl_require_crl = no
auth_ssl_username_from_cert = yes
ssl_cert_username_field = commonName
passdb {{
  driver = static
  mechanisms = external
  args = nopassword=y
}}
""")
        new = self.server(storage="mdbox")
        samples.fill(old, "anna", [folder("INBOX", mails(3))])
        url = (f"imaps://anna@localhost:{old.imaps_port}?ca={old.ca}&auth=external"
               f"&cert={folder_of_tls / 'anna.pem'}&key={folder_of_tls / 'anna.key'}")
        none = self.environment(POSTFERRY_SOURCE_PASSWORD=None)
        to = f"imap://anna@127.0.0.1:{new.imap_port}?tls=off"
        run = self.run_program("copy", url, to, environment=none)
        self.assertEqual(run.messages["copied"], 3, run)
        check = self.run_program("check", url, to, environment=none)
        self.assertEqual(check.report["mailboxes"][0]["source"]["login"], "EXTERNAL")
        # Another's mailbox with this certificate; no certificate at all.
        run = self.run_program("copy", url.replace("//anna@", "//bela@"), to, environment=none, code=3)
        self.assertEqual(run.mailbox["stopped_by"]["class"], "auth", run)
        run = self.run_program("copy", url.split("&cert=")[0], to, environment=none, code=None)
        self.assertIn(run.code, (2, 3), run)

    def test_an_administrator_in_exchanges_form(self):
        """admin-form=slash: domain/admin/user with the administrator's password."""
        old, new = self.server(), self.server(storage="mdbox")
        with open(old.folder / "users", "a") as users:
            users.write("corp/admin/anna:{PLAIN}admin-secret-7:::::: user=anna\n".replace(":::::: ", "::::::"))
        self.secrets += ["admin-secret-7"]
        samples.fill(old, "anna", [folder("INBOX", mails(3))])
        url = f"imap://anna@127.0.0.1:{old.imap_port}?tls=off&admin=corp/admin&admin-form=slash"
        environment = self.environment(POSTFERRY_SOURCE_PASSWORD="admin-secret-7")

        def logs_in():  # Dovecot looks at its file of users at most once a second
            return self.run_program("check", url, f"imap://anna@127.0.0.1:{new.imap_port}?tls=off", environment=environment,
                                    code=None).code == 0

        self.assertTrue(self.until(logs_in))
        run = self.run_program("copy", url, f"imap://anna@127.0.0.1:{new.imap_port}?tls=off", environment=environment)
        self.assertEqual(run.messages["copied"], 3, run)
        self.assertIn("user=<anna>", old.log.read_text())


if __name__ == "__main__":
    unittest.main()
