"""Disks that are full: under the ledger, and under the target's mail."""

import pathlib
import subprocess
import time
import unittest

import rig
from wire import CLIENT, Trip, Wire


def mount(folder: pathlib.Path, size: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(folder)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise unittest.SkipTest(f"cannot mount a small disk: {done.stderr.strip()}")


def unmount(folder: pathlib.Path) -> None:
    for _ in range(50):
        if subprocess.run(["umount", str(folder)], capture_output=True).returncode == 0:
            return
        time.sleep(0.1)  # a process of the server has not ended yet
    subprocess.run(["umount", "-l", str(folder)], check=True)


class FullDiskUnderTheLedger(rig.Pair):
    def small_disk(self) -> pathlib.Path:
        disk = self.folder / f"disk-{self.id().rpartition('.')[2]}"
        mount(disk, "4m")
        self.addCleanup(unmount, disk)
        return disk

    @staticmethod
    def fill(disk: pathlib.Path) -> None:
        with open(disk / "ballast", "wb", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while file.write(b"x" * size):
                        pass
                except OSError:
                    pass

    def assert_full(self, run: rig.Run) -> None:
        self.assertEqual(run.code, 5, run.said())
        self.assertRegex(run.text, r"(?i)(no space|disk is full|space left)")
        self.assertIn(".db", run.text)

    def test_from_the_start(self):
        disk, copy = self.small_disk(), self.new_copy()
        copy.ledger = disk / "ledger.db"
        self.fill(disk)
        self.assert_full(copy.run())
        (disk / "ballast").unlink()
        self.assert_done(copy, copy.run())

    def test_in_the_middle(self):
        disk = self.small_disk()
        for octets in (30_000, 400_000, 800_000):
            with self.subTest(octets=octets):
                copy = self.new_copy()
                copy.ledger = disk / f"{copy.to}.db"
                with Wire(copy.target, Trip(CLIENT, octets=octets, action=lambda: self.fill(disk))) as wire:
                    copy.target = wire.port
                    self.assert_full(copy.run())
                    (disk / "ballast").unlink()
                    self.assert_done(copy, copy.run())


class FullDiskUnderTheTarget(rig.Pair):
    KEYWORDS = True  # whether Dovecot keeps the names of keywords when it cannot write them

    @classmethod
    def setUpClass(cls):
        if cls is FullDiskUnderTheTarget:
            raise unittest.SkipTest("a base")
        super().setUpClass()

    def test_full_then_room(self):
        mail = self.new.folder / "mail" / "u050"
        mount(mail, "600k")
        self.addCleanup(unmount, mail)
        self.addCleanup(self.new.doveadm, "kick", "u050", check=False)
        subprocess.run(["chown", "61234:61234", str(mail)], check=True)
        copy = rig.Copy(self.folder / "full", self.old.imap_port, self.new.imap_port, "anna", "u050")
        run = copy.run()
        self.assertEqual(run.code, 1, run.said())
        self.assertRegex(run.text, r"server said: \"NO ")
        missing = run.report["messages"]["residual"] + run.report["messages"]["failed"]
        self.assertGreater(missing, 0, run.said())
        subprocess.run(["mount", "-o", "remount,size=40m", str(mail)], check=True)
        again = copy.run()
        self.assertEqual(again.code, 0, again.said())
        self.assertEqual(self.differences(copy, flags=self.KEYWORDS), [], again.said())


class FullMdbox(FullDiskUnderTheTarget):
    TARGET = {"storage": "mdbox"}


class FullMaildir(FullDiskUnderTheTarget):
    TARGET = {"storage": "maildir"}
    KEYWORDS = False


if __name__ == "__main__":
    unittest.main()
