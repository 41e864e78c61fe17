"""OAuth 2 through the service: it gets tokens with the refresh tokens that mailboxes have, renews them in mid-copy, and keeps
what the endpoint gives in their place."""

import contextlib
import itertools

from service_rig import *  # noqa: F403

from lab.imap_client import Append, connect
from lab.oauth import TokenServer

SECRET = "application-secret-1"


class OAuth(ServiceCase):
    MAILBOXES, MESSAGES = 4, 30

    @classmethod
    def source_options(cls) -> dict:
        # Each use of a refresh token ends it: what is not kept is lost.
        cls.oauth = TokenServer(cls.folder / "oauth", {"app": SECRET}, rotate=True)
        cls.addClassCleanup(cls.oauth.stop)
        return {"mechanisms": ("plain", "xoauth2", "oauthbearer"), "extra": cls.oauth.dovecot(cls.folder / "ext")}

    @contextlib.contextmanager
    def serving(self, store: str, **sections: dict):
        """A service on it; what it is given is its batch."""
        secret = self.place / "client-secret"
        secret.write_text(SECRET + "\n")
        secret.chmod(0o600)
        client = {"token_endpoint": self.oauth.url, "client_id": "app", "client_secret_file": str(secret), "grant": "refresh-token",
                  "ca": str(self.oauth.ca)}
        with self.subTest(store=store):
            self.service = None
            options = {"jobs": self.MAILBOXES, "sections": {"oauth.app": client, **sections}}
            self.new_service(**options) if store == "sqlite" else self.on_postgres(self.postgres(), **options)
            self.service.serve()
            yield self.new_batch_with_tokens()
            self.assert_no_secrets()
            self.service.stop()
            self.forget_mail()

    def new_batch_with_tokens(self) -> int:
        """Each mailbox has a refresh token and no password for the old server; both mechanisms in turn."""
        batch = self.service.call("POST", "/batches", {"name": "all of them", "settings": {"retries": 0}})["id"]
        for user, mechanism in zip(self.sample, itertools.cycle(("xoauth2", "oauthbearer"))):
            mailbox = {**self.mailbox(user), "source_url": f"imap://{self.HOST}:{self.source.port}?tls=off&auth={mechanism}&oauth=app"}
            del mailbox["source_password"]
            made = self.service.call("POST", f"/batches/{batch}/mailboxes", mailbox)
            self.give(made["id"], user)
        return batch

    def give(self, mailbox: int, user: str) -> None:
        self.service.call("POST", f"/mailboxes/{mailbox}/credentials", {"source_refresh_token": self.oauth.grant(user)})

    def assert_no_secrets(self) -> None:
        for path in self.service.folder.iterdir():
            if path.is_file() and path.suffix != ".key":
                held = path.read_bytes()
                for one in (SECRET, *self.oauth.issued):
                    self.assertNotIn(one.encode(), held, path.name)

    def test_tokens_are_renewed_in_mid_copy(self):
        for store in self.STORES:
            with self.serving(store, limits={"limit_messages": 4}) as batch:
                already, asked = len(self.target.writes), len(self.oauth.asked)
                self.service.call("POST", f"/batches/{batch}/start")
                until(lambda: len({write.user for write in self.target.writes[already:]}) == self.MAILBOXES, 60, "all are being copied")
                # What they logged in with is good no more, and all have to log in again.
                self.assertEqual(len(self.oauth.asked) - asked, self.MAILBOXES)
                self.oauth.revoke()
                self.source.cut(self.random)
                until(lambda: len(self.oauth.asked) - asked == 2 * self.MAILBOXES, 60, "each has asked for another token")
                self.full_speed()
                self.settle(batch, {"synced"}, 60)
                for one in self.mailboxes(batch):
                    self.assertEqual(len(self.service.items(f"/mailboxes/{one['id']}/passes")), 1, "in one and the same pass")
                self.assert_identical()
                # Another process begins with what lies in the store: the refresh token that came last.
                self.service.processes["serve"].kill()
                self.oauth.revoke()
                self.service.serve()
                self.service.call("POST", f"/batches/{batch}/finish")
                self.settle(batch, {"completed"}, 60)
                self.assert_identical()
                self.assert_sums(batch)
                self.assertEqual({one["grant_type"] for one in self.oauth.asked}, {"refresh_token"})

    def test_a_refresh_token_that_is_refused_asks_for_another(self):
        for store in self.STORES:
            with self.serving(store) as batch:
                self.oauth.revoke(refresh=True)
                self.service.call("POST", f"/batches/{batch}/start")
                self.settle(batch, {"needs_credentials"}, 60)
                for one, user in zip(sorted(self.mailboxes(batch), key=lambda one: one["id"]), self.sample):
                    self.assertIn("invalid_grant", one["reason"])
                    self.assertEqual(one["source_user"], user)
                    self.give(one["id"], user)
                # They go on by themselves.
                self.settle(batch, {"synced"}, 60)
                self.assert_identical()


if __name__ == "__main__":
    unittest.main()
