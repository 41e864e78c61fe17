"""A worker on a machine whose network is cut: everything at once, both ways, without a word to anybody. Another takes over, and
when the line is back, what the first had begun does no harm."""

import os
import subprocess

from service_rig import *  # noqa: F403
from witness import sockets_of


def run(*line: str) -> None:
    try:
        done = subprocess.run(line, capture_output=True, text=True)
    except FileNotFoundError as why:
        raise unittest.SkipTest(str(why)) from why
    if done.returncode != 0:
        raise unittest.SkipTest(f"{' '.join(line)}: {done.stderr.strip()}")


class Cut(ServiceCase):
    MAILBOXES, MESSAGES = 2, 0

    @classmethod
    def setUpClass(cls):
        rig.require_lab()
        cls.far = f"pf-far-{os.getpid()}"
        number = os.getpid() % 250
        # Not an address of the line's own: that would be gone with the line for those on this side, too.
        cls.HOST, here, there = (f"10.213.{number}.{last}" for last in (9, 1, 2))
        cls.near_end, far_end = f"pfn{os.getpid()}", f"pff{os.getpid()}"
        run("ip", "netns", "add", cls.far)
        cls.addClassCleanup(subprocess.run, ["ip", "netns", "del", cls.far], check=True)
        run("ip", "link", "add", cls.near_end, "type", "veth", "peer", "name", far_end, "netns", cls.far)
        run("ip", "addr", "add", f"{here}/30", "dev", cls.near_end)
        run("ip", "addr", "add", f"{cls.HOST}/32", "dev", "lo")
        cls.addClassCleanup(subprocess.run, ["ip", "addr", "del", f"{cls.HOST}/32", "dev", "lo"], check=True)
        run("ip", "link", "set", cls.near_end, "up")
        for words in (f"addr add {there}/30 dev {far_end}", f"link set {far_end} up", "link set lo up",
                      f"route add default via {here}"):
            run("ip", "-n", cls.far, *words.split())
        super().setUpClass()
        # Large ones: a cut finds the systems' buffers full.
        cls.MESSAGES = 40
        for user in cls.sample:
            samples.fill(cls.old, user, [samples.Folder(("INBOX",), lambda: samples.Writer(3).sized([400_000] * cls.MESSAGES))])

    def line(self, state: str) -> None:
        run("ip", "link", "set", self.near_end, state)

    def bring_back(self) -> None:
        self.line("up")

    def workers(self) -> dict[str, dict]:
        return {one["name"]: one for one in self.service.call("GET", "/workers")["items"] if one["state"] == "running"}

    def written_by(self, one: Process, user: str) -> int:
        return sum(write.pid == one.pid and write.user == user for write in self.target.writes)

    def test_the_line_is_cut_beyond_the_lease_and_comes_back(self):
        server = self.postgres()
        database = Witness(server.port, reads=False, host=self.HOST)
        self.addCleanup(database.close)
        self.on_postgres(server, database.port, jobs=0)
        self.service.serve()
        user, other = self.sample
        self.limit(self.target, 8)
        far = self.service.worker("far", "--jobs", "1", before=("ip", "netns", "exec", self.far))
        batch = self.new_batch(users=[user])
        self.service.call("POST", f"/batches/{batch}/start")
        until(lambda: self.written_by(far, user) > 3, 30, "the far worker copies")
        self.line("down")
        self.addCleanup(self.bring_back)
        near = self.service.worker("near", "--jobs", "1")
        until(lambda: self.written_by(near, user), LEASE + 15, "the near worker has taken over")
        # What the far one's system still had to send would reach the server with the line.
        late = [one for one in sockets_of(far.pid) if one.peer == self.target.port and one.unsent]
        self.assertEqual(late, [])
        self.line("up")
        self.limit(self.target, None)
        self.settle(batch, {"synced"}, 60)
        self.assert_identical([user])
        # It is of use again.
        self.assertEqual(near.stop(), 0)
        until(lambda: time.time() - instant(self.workers()["far"]["seen"]) < LEASE, 60, "the far worker is heard of again")
        again = self.new_batch("again", users=[other])
        self.service.call("POST", f"/batches/{again}/start")
        self.settle(again, {"synced"}, 60)
        self.assertTrue(self.written_by(far, other))
        for one in (batch, again):
            self.service.call("POST", f"/batches/{one}/finish")
            self.settle(one, {"completed"}, 60)
            self.assert_one_at_a_time(one)
            self.assert_sums(one)
        self.assert_identical()


if __name__ == "__main__":
    unittest.main()
