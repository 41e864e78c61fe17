"""What keeps a service or a worker from starting is said in words that help, and harms nothing that runs already."""

import contextlib
import sqlite3
import subprocess

from service_rig import *  # noqa: F403


class Start(ServiceCase):
    MAILBOXES, MESSAGES = 4, 5

    def refused(self, one: Process, *words: str, code: int = 2) -> str:
        """It ends by itself with that code, and has said all of these words."""
        try:
            self.assertEqual(one.wait(120), code, one.said())
        except subprocess.TimeoutExpired:
            self.fail(f"it runs:\n{one.said()}")
        said = one.said()
        for word in words:
            self.assertIn(word, said)
        self.assertNotIn("--state", said, "an option that neither serve nor worker has")
        return said

    # -- keys -----------------------------------------------------------------------------------------------------

    def other(self, *, key: pathlib.Path | None = None, **options) -> Service:
        """As on another machine: a folder of its own for the same store."""
        there = self.new_service(store=self.store, **options)
        if key:
            shutil.copy(key, there.key_file)
            there.key_file.chmod(0o600)
        return there

    def key_of_another_store(self) -> pathlib.Path:
        foreign = self.new_service(jobs=0)
        foreign.serve().stop()
        return foreign.key_file

    def serve_on_postgres(self, **options) -> Service:
        server = self.postgres()
        self.store = server.url("postferry")
        here = self.on_postgres(server, jobs=0, **options)
        here.serve()
        return here

    def test_a_worker_with_the_wrong_key_takes_no_mailboxes(self):
        here, wrong = self.serve_on_postgres(), self.key_of_another_store()
        # Before anything is sealed, too: the store's key must stay the service's.
        self.refused(self.other(key=wrong).worker("early"), "seals with key", "is not in the key file", "Copy the key file")
        batch = self.new_batch()
        here.call("POST", f"/batches/{batch}/start")
        self.refused(self.other(key=wrong).worker("wrong"), "seals with key", "is not in the key file", "Copy the key file")
        self.refused(self.other().worker("none"), "key file", "Copy the key file of the service's machine here")
        self.assertEqual(self.states(batch), {"queued": self.MAILBOXES})
        self.assertEqual(here.items(f"/batches/{batch}/mailboxes?state=needs_credentials"), [])
        self.other(key=here.key_file).worker("right")
        self.settle(batch, {"synced"}, 30)

    def test_a_service_with_the_wrong_key_asks_nobody_for_passwords(self):
        here, wrong = self.serve_on_postgres(), self.key_of_another_store()
        batch = self.new_batch()
        self.refused(self.other(key=wrong, jobs=0).serve(wait=False), "seals with key", "rotate-key")
        self.refused(self.other(jobs=0).serve(wait=False), "is not there, and passwords in the store are sealed", "rotate-key")
        self.assertEqual(self.states(batch), {"ready": self.MAILBOXES})

    def test_a_key_that_was_changed_reaches_a_running_worker_or_ends_it(self):
        here = self.serve_on_postgres()
        there = self.other(key=here.key_file)
        worker = there.worker("w1")
        until(lambda: here.call("GET", "/workers")["items"], 15, "the worker is known")
        self.rotate(here)
        batch = self.new_batch()
        here.call("POST", f"/batches/{batch}/start")
        said = self.refused(worker, "seals with key", "is not in the key file")
        self.assertIn("leases are given back", said)
        until(lambda: self.states(batch) == {"queued": self.MAILBOXES}, 10, "they wait for somebody who can")
        shutil.copy(here.key_file, there.key_file)
        there.worker("w2")
        self.settle(batch, {"synced"}, 30)

    def rotate(self, service: Service) -> None:
        done = subprocess.run([rig.program(), "store", "rotate-key", "--config", str(service.config)],
                              capture_output=True, text=True, env=service.environment, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    # -- stores ---------------------------------------------------------------------------------------------------

    def test_schemas_that_do_not_fit(self):
        server = self.postgres()
        self.store = server.url("postferry")
        self.refused(self.other(key=self.key_of_another_store()).worker("first"), "is empty", "Start this version of postferry serve")
        self.assertEqual(server.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "postferry"), "0")
        here = self.on_postgres(server, jobs=0)
        here.serve().stop()
        version = int(server.sql("SELECT version FROM postferry_schema", "postferry"))
        for found, words in ((99, ("newer Postferry", "its version is 99")), (version - 1, ("an older Postferry",))):
            server.sql(f"UPDATE postferry_schema SET version = {found}", "postferry")
            self.refused(self.other(key=here.key_file).worker(f"w{found}"), *words)
            self.assertEqual(server.sql("SELECT version FROM postferry_schema", "postferry"), str(found))

    def test_two_services_on_one_file(self):
        here = self.new_service()
        here.serve()
        second = self.new_service(store=f"sqlite:{here.database}")
        shutil.copy(here.key_file, second.key_file)
        self.refused(second.serve(wait=False), f"is in use by PID {here.processes['serve'].pid}", "postferry serve")
        here.call("GET", "/me")
        # A worker is told what it needs, whether somebody serves or not.
        self.refused(second.worker("w"), "postgresql://")

    def test_a_file_that_is_no_store(self):
        with contextlib.closing(sqlite3.connect(self.place / "other.db")) as foreign:
            foreign.execute("CREATE TABLE bookmarks (url TEXT)")
            foreign.commit()
        self.refused(self.new_service(store=f"sqlite:{self.place}/other.db").serve(wait=False), "belongs to another program",
                     "[store] url")
        (self.place / "text.db").write_text("this is a text\n" * 1000)
        self.refused(self.new_service(store=f"sqlite:{self.place}/text.db").serve(wait=False), "text.db")

    # -- places ---------------------------------------------------------------------------------------------------

    def test_a_port_or_a_socket_that_is_taken(self):
        here = self.new_service()
        here.serve()
        host, port = here.address
        taken = self.new_service(sections={"service": {"listen": [f"{host}:{port}"]}})
        self.refused(taken.serve(wait=False), f"Cannot listen on {host}:{port}", "in use")
        self.refused(self.new_service(sections={"service": {"socket": str(here.socket)}}).serve(wait=False),
                     f"Cannot listen on {here.socket}", "another service answers there")
        here.call("GET", "/me")

    def test_a_socket_that_a_killed_service_has_left(self):
        here = self.new_service()
        here.serve().kill()
        self.assertTrue(here.socket.exists())
        here.serve()
        here.call("GET", "/me")

    def test_something_else_where_the_socket_should_be(self):
        here = self.new_service()
        here.socket.write_text("a file of somebody's")
        self.refused(here.serve(wait=False), f"Cannot listen on {here.socket}")
        self.assertEqual(here.socket.read_text(), "a file of somebody's")


if __name__ == "__main__":
    unittest.main()
