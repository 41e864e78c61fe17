#!/usr/bin/python3
"""Throw-away PostgreSQL clusters: an unprivileged user's, in a temporary folder, on a free loopback port and a socket.

    with Postgres() as server:
        server.socket, server.port, server.user, server.url("postferry")
        server.sql("CREATE DATABASE postferry")
        server.kill()     # as kill -9 would; then server.start()

The host's own clusters, /etc/postgresql and port 5432 are never touched.

As a program it prints where the server is, as JSON, obeys the words start, stop and kill (one a line, each answered
with "ok" or what went wrong), and ends the server when its standard input closes: lab/postgres.py [--fsync] [--tls].
"""

import argparse
import ctypes
import fcntl
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from lab import memory, roots, tls  # noqa: E402

HOST = "127.0.0.1"
SUPERUSER = "postgres"
PASSWORD = "lab-superuser"  # over TCP; the socket trusts everybody
# ICU with English rules sorts otherwise than octets do: a query that forgets COLLATE "C" shows itself.
_INITDB = ("--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US", f"--username={SUPERUSER}",
           "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync", "--wal-segsize=1")
_PR_SET_PDEATHSIG = 1


class Unavailable(RuntimeError):
    """There is no PostgreSQL here; the text says what to install."""


def programs() -> pathlib.Path:
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found:
        raise Unavailable("PostgreSQL is not here: scripts/install lab")
    return found[-1].parent


class Postgres:
    """Starts in the constructor, or raises RuntimeError with the end of its log. Ends with the thread that starts it.

    fsync     as a real server: commits wait for the disk
    tls       also takes TLS, with the lab's CA (attribute ca)
    folder    where the temporary folder is made: memory by default; a small tmpfs fills up quickly
    settings  further lines of postgresql.conf
    environment  of the server, besides ours

    Attributes: host, port, socket (the folder of the socket), user (the superuser), password (of the superuser, over
    TCP), pid, log, ca.
    """

    def __init__(self, *, fsync: bool = False, tls: bool = False, folder=None, settings: dict[str, str] | None = None,
                 environment: dict[str, str] | None = None):
        self.host, self.user, self.password = HOST, SUPERUSER, PASSWORD
        self._programs = programs()
        self._as = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="postferry-pg-", dir=folder or memory.folder()))
        self.socket, self.log, self._data = str(self.folder), self.folder / "log", self.folder / "data"
        self.port = _free_port()
        self.ca: str | None = None
        self._process: subprocess.Popen | None = None
        self._environment = {**os.environ, **(environment or {})}
        self._settings = {"fsync": "on" if fsync else "off", "full_page_writes": "on" if fsync else "off",
                          "shared_buffers": "16MB", "max_connections": "60", "min_wal_size": "2MB",
                          "max_wal_size": "64MB", "log_min_messages": "warning", **(settings or {})}
        try:
            if self._as:
                os.chown(self.folder, pwd.getpwnam("postgres").pw_uid, pwd.getpwnam("postgres").pw_gid)
            self._fill()
            if tls:
                self._prepare_tls()
            self.start()
            self.sql(f"ALTER ROLE {SUPERUSER} PASSWORD '{PASSWORD}'")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Waits until it answers. After kill() it recovers first."""
        end = time.monotonic() + 180
        while True:
            self._launch()
            while self._process.poll() is None and time.monotonic() < end:
                if self._answers():
                    return
                time.sleep(0.02)
            # The children of a killed server hold its memory until they have noticed.
            if self._process.poll() is None or time.monotonic() > end or "shared memory block" not in self._last_words():
                raise RuntimeError(f"PostgreSQL does not start: {self._last_words()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Cuts every connection, tidily."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """kill -9 of the server, as a power cut of the machine would end it."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def _launch(self) -> None:
        options = {"listen_addresses": HOST, "port": str(self.port), "unix_socket_directories": self.socket,
                   **self._settings}
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen([str(self._programs / "postgres"), "-D", str(self._data), *words],
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=self._environment,
                                             preexec_fn=_die_with_parent, **self._as)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        return self._run("pg_isready", "--quiet", "-t", "1", check=False).returncode == 0

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-600:].strip() if self.log.exists() else ""

    # -- what is in it --------------------------------------------------------------------------------------------

    def sql(self, text: str, database: str = "postgres") -> str:
        """As the superuser; rows as lines, columns separated by |."""
        return self._run("psql", "-qXAt", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", text).stdout.strip()

    def url(self, database: str, user: str = SUPERUSER, *, tcp: bool = False) -> str:
        if tcp:
            return f"postgresql://{user}@{self.host}:{self.port}/{database}"
        return f"postgresql://{user}@/{database}?host={urllib.parse.quote(self.socket, safe='')}&port={self.port}"

    def _run(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        line = [str(self._programs / program), "-h", self.socket, "-p", str(self.port), "-U", SUPERUSER, *arguments]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stderr.strip()}")
        return done

    # -- making -----------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """initdb takes a second; a copy of what it made takes a tenth of that."""
        try:
            template = _template(self._programs, self._as)
        except OSError:
            return _initdb(self._programs, self._data, self._as)
        subprocess.run(["cp", "-a", str(template), str(self._data)], check=True, capture_output=True, text=True)

    def _prepare_tls(self) -> None:
        ca, certificate, key = tls.make_certificates(self.folder / "tls")
        self.ca = str(ca)
        for source, name in ((certificate, "server.crt"), (key, "server.key")):
            copy = self._data / name
            shutil.copyfile(source, copy)
            copy.chmod(0o600)
            if self._as:
                shutil.chown(copy, "postgres", "postgres")
        self._settings["ssl"] = "on"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _initdb(place: pathlib.Path, data: pathlib.Path, user: dict) -> None:
    done = subprocess.run([str(place / "initdb"), *_INITDB, "-D", str(data)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, cwd="/", **user)
    if done.returncode != 0:
        raise RuntimeError(f"initdb: {done.stderr.strip()}")


def _template(place: pathlib.Path, user: dict) -> pathlib.Path:
    """A cluster nobody runs, kept beside the lab's roots. OSError: there is no place for it."""
    home = roots.folder() if os.geteuid() == 0 else pathlib.Path.home() / ".cache" / "postferry-lab"
    home.mkdir(parents=True, exist_ok=True)
    stamp = int((place / "postgres").stat().st_mtime)
    template = home / f"postgres-{place.parts[4]}-{stamp:x}"
    if (template / "PG_VERSION").exists():
        return template
    with open(home / "postgres.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (template / "PG_VERSION").exists():
            with tempfile.TemporaryDirectory(prefix="postferry-pg-") as work:
                if user:
                    shutil.chown(work, "postgres", "postgres")
                _initdb(place, pathlib.Path(work) / "data", user)
                partial = home / f"{template.name}.new"
                shutil.rmtree(partial, ignore_errors=True)
                subprocess.run(["cp", "-a", f"{work}/data", str(partial)], check=True)
                partial.rename(template)
    return template


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fsync", action="store_true")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--folder", help="where its temporary folder is made")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Postgres(fsync=arguments.fsync, tls=arguments.tls, folder=arguments.folder) as server:
        print(json.dumps({"socket": server.socket, "port": server.port, "host": server.host, "user": server.user,
                          "password": server.password, "pid": server.pid, "ca": server.ca}), flush=True)
        for line in sys.stdin:
            word = line.strip()
            try:
                {"start": server.start, "stop": server.stop, "kill": server.kill}[word]()
                print("ok", flush=True)
            except (KeyError, RuntimeError) as error:
                print(str(error).replace("\n", " "), flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Unavailable, RuntimeError) as error:
        print(f"postgres: {error}", file=sys.stderr)
        sys.exit(1)
