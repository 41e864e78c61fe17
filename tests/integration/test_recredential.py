"""A changed password, from the failed login to the mailbox that goes on; the first owner; and the numbers, after all that."""

import pathlib
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import *  # noqa: E402,F403
from test_service import MAILBOXES, ServiceCase  # noqa: E402
import on_postgresql  # noqa: E402

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
STALE = "what it was before"


def setUpModule():
    need_servers()


def form(**fields: str) -> bytes:
    return urllib.parse.urlencode(fields).encode()


class Links:
    """On both stores."""

    def metrics(self, service) -> dict[str, float]:
        answer = service.ask("GET", "//metrics")
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.headers["content-type"].startswith("text/plain; version=0.0.4"))
        lines = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def test_the_owner_of_a_mailbox_gives_its_new_password(self):
        service = self.service(sections={"service": {"public_url": "https://move.example.org"}}, log_level="debug")
        service.serve()
        owner = next(self.users)
        self.owners = [owner]
        self.fill(self.old, folder("INBOX", mails(7)), user=owner)
        batch = service.call("POST", "/batches", {"name": "one", "mode": "messages-only"})["id"]
        mailbox = self.add(service, batch, owner, STALE)["id"]
        service.call("POST", f"/batches/{batch}/start")
        state = lambda: service.call("GET", f"/mailboxes/{mailbox}")["state"]  # noqa: E731
        self.assertTrue(self.until(lambda: state() == "needs_credentials"), state())

        url = service.call("POST", f"/mailboxes/{mailbox}/recredential-link", {"days": 1})["url"]
        self.assertTrue(url.startswith("https://move.example.org/r/"))
        path = "/" + url.removeprefix("https://move.example.org")
        page = service.over_tcp("GET", path)
        self.assertEqual((page.status, page.headers["content-type"]), (200, "text/html; charset=utf-8"))
        self.assertIn(owner, page.text)
        self.assertIn("frame-ancestors 'none'", page.headers["content-security-policy"])
        wrong = service.over_tcp("POST", path, form(password="not this one"), headers=FORM)
        self.assertEqual(wrong.status, 422)
        self.assertIn("refused this password", wrong.text)
        self.assertEqual(state(), "needs_credentials")
        right = service.over_tcp("POST", path, form(password=PASSWORD), headers=FORM)
        self.assertEqual(right.status, 200, right.text)
        self.wait_for(service, batch, "synced")
        self.assert_all_the_same()
        again = service.over_tcp("POST", path, form(password=PASSWORD), headers=FORM)
        forged = service.over_tcp("GET", path[:-4] + "AAAA")
        self.assertEqual((again.status, again.text), (404, forged.text))
        audit = [one["kind"] for one in service.items("/audit")]
        for what in ("link", "wrong", "used"):
            self.assertEqual(audit.count(f"audit.recredential.{what}"), 1)
        # Neither password nor link are in anything that the service wrote.
        token = path.rsplit("/", 1)[1]
        for file in (self.folder / "service").glob("*"):
            if file.is_file():
                self.assertNotIn(token.encode(), file.read_bytes(), file.name)

        now = self.metrics(service)
        self.assertEqual(now["postferry_copied_messages_total"], 7)
        self.assertEqual(now['postferry_mailboxes{state="synced"}'], 1)
        self.assertEqual(now['postferry_pass_failures_total{class="auth"}'], 1)
        self.assertEqual(now['postferry_http_requests_total{method="POST",route="/r/{token}",status="422"}'], 1)
        self.assertFalse([line for line in now if token in line or owner in line])

    def test_the_numbers_add_up(self):
        service = self.service()
        service.serve()
        batch = self.begin(service)
        self.wait_for(service, batch, "synced")
        octets = sum(one["bytes"]["copied"] for one in service.items(f"/batches/{batch}/mailboxes"))
        now = self.metrics(service)
        self.assertEqual(now["postferry_copied_messages_total"], MAILBOXES * 23)
        self.assertEqual(now['postferry_mailbox_messages{result="copied"}'], MAILBOXES * 23)
        self.assertEqual(now["postferry_copied_bytes_total"], octets)
        self.assertEqual(now['postferry_mailbox_bytes{result="copied"}'], octets)
        self.assertEqual(now['postferry_passes_ended_total{kind="bulk",outcome="done"}'], MAILBOXES)
        self.assertEqual(now['postferry_passes_started_total{kind="bulk"}'], MAILBOXES)
        self.assertEqual((now["postferry_passes_running"], now["postferry_leases"], now["postferry_queue_mailboxes"]), (0, 0, 0))
        self.assertEqual(now['postferry_workers{state="running"}'], 1)
        # What is already there is not counted as copied.
        service.call("POST", f"/batches/{batch}/finish")
        self.wait_for(service, batch, "completed")
        now = self.metrics(service)
        self.assertEqual(now["postferry_copied_messages_total"], MAILBOXES * 23)
        self.assertEqual(now["postferry_copied_bytes_total"], octets)
        self.assertEqual(now['postferry_mailboxes{state="completed"}'], MAILBOXES)
        # For nobody who may not read the rest.
        self.assertEqual(service.over_tcp("GET", "//metrics").status, 401)

    def test_the_first_owner_begins_by_a_link(self):
        # Where nobody has said how people reach it, links name the port that the service got.
        service = self.service(sections={"service": {"metrics": "open"}})
        serve = service.serve()
        reached_by = "http://{}:{}".format(*service.address)
        batch = service.call("POST", "/batches", {"name": "one"})["id"]
        place = {"source_url": "imap://old.example.org", "source_user": "a", "target_url": "imap://new.example.org", "target_user": "a"}
        mailbox = service.call("POST", f"/batches/{batch}/mailboxes", place)["id"]
        self.assertTrue(service.call("POST", f"/mailboxes/{mailbox}/recredential-link", {})["url"].startswith(f"{reached_by}/r/"))
        notice = service.key_file.parent / "first-owner-link"
        self.assertTrue(self.until(notice.exists))
        self.assertEqual(notice.stat().st_mode & 0o777, 0o600)
        self.assertNotIn("/first-owner/", serve.said())
        path = "/" + notice.read_text().strip().removeprefix(reached_by)
        self.assertEqual(service.over_tcp("GET", path).status, 200)
        secret = "correct horse battery"
        made = service.over_tcp("POST", path, form(name="Ada", password=secret, again=secret), headers=FORM)
        self.assertEqual(made.status, 201, made.text)
        self.assertEqual(service.over_tcp("POST", path, form(name="eve", password=secret, again=secret), headers=FORM).status, 404)
        signed_in = service.over_tcp("POST", "/session", {"name": "ada", "password": secret})
        self.assertEqual(signed_in.status, 201, signed_in.text)
        self.assertEqual(service.over_tcp("GET", "//metrics").status, 200)
        # Nobody is asked any more.
        serve.stop()
        service.serve()
        self.assertTrue(self.until(lambda: not notice.exists()))


class OnSqlite(Links, ServiceCase):
    pass


class OnPostgresql(on_postgresql.OnPostgresql, Links, ServiceCase):
    pass


del ServiceCase  # a base: not to be collected here


if __name__ == "__main__":
    unittest.main()
