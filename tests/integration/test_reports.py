"""Reports in all formats, from runs and from the ledger, signed, and the page as a browser shows it."""

import csv
import html.parser
import io
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")


def setUpModule():
    need_servers()


def rows(path: pathlib.Path) -> list[dict]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode())))


class Page(html.parser.HTMLParser):
    """What is shown, and what would be fetched."""

    def __init__(self, text: str):
        super().__init__()
        self.text, self.fetches, self.scripts, self.ids = "", [], 0, set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.scripts += tag == "script"
        named = dict(attributes)
        self.fetches += [named[name] for name in ("src", "href", "data", "action") if name in named and not named[name].startswith("#")]
        self.ids |= {named["id"]} if "id" in named else set()

    def handle_data(self, data):
        self.text += data


class Files(PairCase):
    target = {"max_message_bytes": 60_000}

    def accounts(self, *users: str) -> pathlib.Path:
        path = self.folder / "accounts.csv"
        path.write_text("source_user,source_password,target_user,target_password\n" +
                        "".join(f"{user},{PASSWORD},{user},{PASSWORD}\n" for user in users))
        return path

    def migrate(self, users, *options, **more):
        ends = [f"imap://{server.host}:{server.imap_port}?tls=off" for server in (self.old, self.new)]
        return self.run_program("migrate", self.accounts(*users), "--source", ends[0], "--target", ends[1], *options, **more)

    def test_all_formats_of_one_run_in_the_order_of_the_accounts(self):
        users = [self.user, next(self.users), next(self.users)]
        # The first one takes longest and so ends last.
        self.fill(self.old, folder("INBOX", mails(400)), folder("=1+1", mails(1, "odd")), user=users[0])
        self.fill(self.old, folder("INBOX", [mail("big", size=80_000), *mails(3)]), user=users[1])
        self.fill(self.old, folder("<b>bold</b>", mails(1)), user=users[2])
        table, page = self.folder / "r.csv", self.folder / "r.html"
        run = self.migrate(users, "--report", table, "--report", page, code=1)
        names = [f"imap://{user}@{self.old.host}" for user in users]
        for found in ([m["source"] for m in run.report["mailboxes"]], [row["source"] for row in rows(table)]):
            self.assertEqual([one.split(":", 2)[0] + ":" + one.split(":", 2)[1] for one in found], names)
        by_csv = rows(table)
        for mailbox, row in zip(run.report["mailboxes"], by_csv):
            for name in TALLY:
                self.assertEqual(int(row[f"messages_{name}"]), mailbox["messages"][name])
            self.assertEqual((row["state"], row["grade"], row["pass"]), (mailbox["state"], mailbox["grade"], "bulk"))
        self.assertEqual(by_csv[1]["messages_failed"], "1")
        self.assertTrue(table.read_bytes().endswith(b"\r\n"))
        shown = Page(page.read_text())
        self.assertEqual((shown.fetches, shown.scripts), ([], 0))
        self.assertLessEqual({"m1", "m2", "m3"}, shown.ids)
        for word in ("<b>bold</b>", "=1+1", "Raise the target's limit", "The balance closes", "investigate"):
            self.assertIn(word, shown.text)
        for path in (table, page):
            self.assert_no_secret(path.read_bytes(), path.name)
        again = self.folder / "again.json"
        done = subprocess.run([program(), "report", "--state", self.state, "--report", again], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done)
        kept = json.loads(again.read_text())
        validator("report").validate(kept)
        self.assertEqual(sorted(m["source"] for m in kept["mailboxes"]), sorted(m["source"] for m in run.report["mailboxes"]))
        self.assertEqual({m["source"]: m for m in kept["mailboxes"]}, {m["source"]: m for m in run.report["mailboxes"]})

    def test_the_ledger_shows_old_reports_again(self):
        self.fill(self.old, folder("INBOX", mails(5)))
        copied = self.copy()
        proven = self.postferry("verify")

        def show(*words, code=0):
            done = subprocess.run([program(), "report", *words, "--state", self.state], capture_output=True, text=True, cwd=self.folder)
            self.assertEqual(done.returncode, code, done)
            return done.stdout + done.stderr

        for kind, run in (("bulk", copied), ("verify", proven)):
            show("--pass", kind, "--report", "again.json")
            report = json.loads((self.folder / "again.json").read_text())
            self.assertEqual(report["mailboxes"], run.report["mailboxes"])
        said = show(self.user, "--report", "again.html", "--report", "again.csv")
        self.assertIn("completed, pass verify", said)
        self.assertIn("5 = 0 copied + 5 present", said)
        self.assertEqual(rows(self.folder / "again.csv")[0]["verify_identical"], "5")
        self.assertIn("Every message was read from both servers", (self.folder / "again.html").read_text())
        self.assertIn("holds no report", show("nobody", code=1))
        self.assertIn("holds no report", show("--pass", "sweep", code=1))
        self.assertIn("no ledger", subprocess.run([program(), "report", "--state", "elsewhere.db"], capture_output=True, text=True, cwd=self.folder).stderr)
        # A login that fails is no news about what was done.
        self.secrets.append("Nicht-Dies-9")
        self.postferry("copy", code=3, environment=self.environment(POSTFERRY_SOURCE_PASSWORD="Nicht-Dies-9"))
        self.assertIn("completed, pass verify", show())

    def test_signatures_hold_for_openssl_too(self):
        self.fill(self.old, folder("INBOX", mails(3)))

        def tool(*words, code=0):
            done = subprocess.run(list(map(str, words)), capture_output=True, text=True, cwd=self.folder)
            self.assertEqual(done.returncode, code, done)
            return done.stdout

        ours, theirs = self.folder / "ours.key", self.folder / "theirs.key"
        tool(program(), "report", "--make-key", ours)
        self.assertEqual(ours.stat().st_mode & 0o777, 0o600)
        tool(program(), "report", "--make-key", ours, code=2)  # never over another key
        tool("openssl", "genpkey", "-algorithm", "ed25519", "-out", theirs)
        (self.folder / "theirs.key.pub").write_text(tool("openssl", "pkey", "-in", theirs, "-pubout"))
        for key in (ours, theirs):
            public = pathlib.Path(f"{key}.pub")
            report = self.folder / f"{key.name}.html"
            self.copy("--report", report, "--sign-key", key)
            tool("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", report, "-sigfile", f"{report}.sig")
            self.assertIn("good", tool(program(), "report", "--check-signature", report, "--key", public))
            report.write_text(report.read_text().replace("copied", "Copied", 1))
            self.assertIn("NOT GOOD", tool(program(), "report", "--check-signature", report, "--key", public, code=1))
        tool(program(), "report", "--check-signature", "ours.key.html", "--key", ours, code=2)
        self.copy("--report", "x.json", "--sign-key", self.folder / "ours.key.pub", code=2)
        locked = self.folder / "locked.key"
        tool("openssl", "genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x", "-out", locked)
        self.assertIn("without passphrase", self.copy("--report", "x.json", "--sign-key", locked, code=2).err)

    @unittest.skipUnless(CHROMIUM, "needs chromium")
    def test_a_browser_shows_the_page(self):
        self.fill(self.old, folder("INBOX", [mail("big", size=80_000), *mails(5)]), folder("Été", mails(2, "e")))
        page = self.folder / "r.html"
        self.copy("--report", page, code=1)
        common = [CHROMIUM, "--headless", "--no-sandbox", "--disable-background-networking", "--disable-gpu",
                  f"--user-data-dir={self.folder / 'browser'}"]
        dom = subprocess.run([*common, "--dump-dom", page.as_uri()], capture_output=True, timeout=60)
        shown = Page(dom.stdout.decode())
        self.assertIn("Something needs a look", shown.text)
        self.assertIn("Été", shown.text)
        picture = self.folder / "r.png"
        subprocess.run([*common, "--window-size=1100,1400", f"--screenshot={picture}", page.as_uri()], capture_output=True, timeout=60)
        self.assertGreater(picture.stat().st_size, 10_000)


if __name__ == "__main__":
    unittest.main()
