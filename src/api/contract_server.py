"""The sample server (sample_server.cpp) over a store of its own."""
import json
import os
import pathlib
import secrets
import subprocess
import tempfile

from lab.postgres import Postgres


class Server:
    def __init__(self, program, kind):
        self.folder = tempfile.TemporaryDirectory(prefix="postferry-contract-")
        folder = pathlib.Path(self.folder.name)
        self.postgres = Postgres() if kind == "postgresql" else None
        where = str(folder / "store.db")
        if self.postgres:
            self.postgres.sql("CREATE DATABASE contract")
            where = self.postgres.url("contract")
        key = folder / "key"
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(f"postferry-seal-key-1 {secrets.token_hex(32)}\n")
        self.process = subprocess.Popen([program, where, key, str(folder / "socket")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.about = json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(60) == 0
        if self.postgres:
            self.postgres.stop()
        self.folder.cleanup()
