"""Private Dovecot servers on loopback, each in a folder of its own, gone with the process that started them.

    with Dovecot("/dev/shm/x/old", storage="maildir", special_use=GERMAN) as old:
        old.imap_port, old.imaps_port, old.ca, old.users, old.master

The host's own Dovecot and /etc/dovecot are never touched.
"""

import atexit
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

from lab import tls
from lab.dovecot_conf import CAPABILITIES, ENGLISH, GERMAN, Options, Places, configuration, layout

__all__ = ["CAPABILITIES", "ENGLISH", "GERMAN", "Dovecot", "Options", "start_pair", "stop_folder"]

HOST = "127.0.0.1"
# Dovecot takes a client for secure whose address is the server's own; seen from here it is 127.0.0.1.
STRICT_HOST = "127.0.0.2"
DEFAULT_USERS = {"anna": "anna-secret", "bela": "bela-secret"}
MASTER = ("admin", "admin-secret")

# Any unprivileged number does; Dovecot never opens mail as root.
MAIL_UID = 61234
_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")
_MAX_SOCKET_FOLDER = 70  # sun_path holds 107 octets; Dovecot's longest socket name needs the rest


class Dovecot:
    """One private server. Starts in the constructor, or raises RuntimeError with the end of its log.

    folder   where everything lives; made if missing; None: a temporary folder that stop() removes.
             A folder of an earlier server is taken over with its mail.
    users    name -> password
    detach   the server outlives this process; stop it with stop_folder()
    options  fields of dovecot_conf.Options, e.g. storage="mdbox", hide=("LITERAL+",)

    Attributes: host, imap_port (plain, STARTTLS), imaps_port, pop3_port and pop3s_port (with pop3=True),
    lmtp_port (with lmtp=True), ca (path), users, master (name, password), delimiter,
    prefix, special_use, conf, log, pid, folder.
    """

    def __init__(self, folder=None, *, name: str = "lab", users: dict[str, str] | None = None, detach: bool = False,
                 **options):
        self.options = Options(**options)
        if self.options.quota_bytes or self.options.max_message_bytes:
            self.options.quota = True
        self.name = name
        self.host = HOST if self.options.plaintext_without_tls else STRICT_HOST
        self.delimiter, self.prefix = layout(self.options)
        self.special_use = dict(self.options.special_use)
        self.users = dict(DEFAULT_USERS if users is None else users)
        self.master = MASTER
        self._quotas: dict[str, int] = {}
        self._temporary = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="postferry-lab-")).resolve()
        self.conf = self.folder / "dovecot.conf"
        self.log = self.folder / "dovecot.log"
        self._run_is_elsewhere = False
        self._process: subprocess.Popen | None = None
        self._watchdog: subprocess.Popen | None = None
        if os.geteuid() != 0:
            raise RuntimeError("the lab's Dovecot starts as root only: its login processes change their user")
        self._prepare()
        self._start(detach)

    # -- life ---------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        _let_mail_user_in(self.folder)
        mail = self.folder / "mail"
        mail.mkdir(exist_ok=True)
        os.chown(mail, MAIL_UID, MAIL_UID)
        self._run = self.folder / "run"
        if len(str(self._run)) > _MAX_SOCKET_FOLDER:
            self._run = pathlib.Path(tempfile.mkdtemp(prefix="pfl-", dir="/tmp"))
            self._run.chmod(0o755)
            self._run_is_elsewhere = True
        self.ca, self._certificate, self._key = tls.make_certificates(self.folder / "tls", self.options.certificate)
        self._write_users()

    def _write_users(self) -> None:
        def line(user: str, password: str) -> str:
            quota = f" userdb_quota_rule=*:bytes={self._quotas[user]}" if user in self._quotas else ""
            return f"{user}:{{PLAIN}}{password}:{MAIL_UID}:{MAIL_UID}::{self.home(user)}::{quota.strip()}\n"

        _replace(self.folder / "users", "".join(line(u, p) for u, p in self.users.items()))
        _replace(self.folder / "master-users", f"{self.master[0]}:{{PLAIN}}{self.master[1]}\n")

    def _start(self, detach: bool) -> None:
        # Another process may take a port between our look and Dovecot's bind: then choose again.
        for attempt in range(5):
            self._write_configuration()
            self._launch(detach)
            if self._wait_until_ready():
                break
            log = self._end_of_log()
            self._reap()
            if attempt == 4 or "Address already in use" not in log:
                raise RuntimeError(f"Dovecot in {self.folder} did not start:\n{log}")
        atexit.register(self.stop) if not detach else None
        _replace(self.folder / "server.json", json.dumps(self.describe(), indent=2) + "\n")

    def _write_configuration(self) -> None:
        addresses = (self.host, "::1") if self.host == HOST and has_ipv6() else (self.host,)
        self.imap_port, self.imaps_port, self.pop3_port, self.pop3s_port, self.lmtp_port = _free_ports(5, addresses)
        self.conf.write_text(configuration(self.options, Places(
            self.folder, self._run, self.imap_port, self.imaps_port, addresses, self._certificate, self._key,
            MAIL_UID, MAIL_UID, self.pop3_port, self.pop3s_port, self.lmtp_port)))

    def _launch(self, detach: bool) -> None:
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", 'ulimit -n 65536 2>/dev/null; exec "$0" -F -c "$1"', _dovecot(), str(self.conf)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.pid = self._process.pid
        if detach:
            return
        # The pipe closes however this process ends, SIGKILL included. PR_SET_PDEATHSIG would not do: it fires when
        # the *thread* that started the server ends.
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", 'read _; kill -TERM "$0" 2>/dev/null', str(self.pid)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def _wait_until_ready(self) -> bool:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with socket.create_connection((self.host, self.imap_port), timeout=5) as connection:
                    if connection.recv(4096).startswith(b"* OK"):
                        return True
            except OSError:
                time.sleep(0.01)
        return False

    def kill(self) -> None:
        """Ends every process of the server with SIGKILL, as a crash would; stop() is still to be called."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def restart(self) -> None:
        """Stops the server if it runs and starts it again on the same ports and the same mail."""
        self._reap()
        self._launch(detach=False)
        if not self._wait_until_ready():
            raise RuntimeError(f"Dovecot in {self.folder} did not start again:\n{self._end_of_log()}")

    def stop(self) -> None:
        """Stops the server and waits for it; safe to call twice."""
        atexit.unregister(self.stop)
        self._reap()
        if self._run_is_elsewhere:
            shutil.rmtree(self._run, ignore_errors=True)
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _reap(self) -> None:
        if self._process:
            _end(self._process.pid, self._process)
            self._process = None
        if self._watchdog:
            self._watchdog.kill()
            self._watchdog.stdin.close()
            self._watchdog.wait()
            self._watchdog = None

    def __enter__(self) -> "Dovecot":
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    # -- use ----------------------------------------------------------------------------------------------------

    def home(self, user: str) -> pathlib.Path:
        return self.folder / "mail" / user

    def store(self, user: str) -> pathlib.Path:
        """The root of the user's mail store, e.g. the Maildir."""
        return self.home(user) / self.options.storage

    def add_users(self, users: dict[str, str]) -> None:
        self.users.update(users)
        self._write_users()

    def set_quota(self, user: str, limit_bytes: int) -> None:
        """Needs quota=True. Counts for sessions that start from now on."""
        self._quotas[user] = limit_bytes
        self._write_users()

    def doveadm(self, *arguments: str, check: bool = True) -> str:
        """Runs doveadm on this server and returns its standard output."""
        done = subprocess.run(["doveadm", "-c", str(self.conf), *arguments], capture_output=True, text=True)
        if check and done.returncode != 0:
            raise RuntimeError(f"doveadm {' '.join(arguments)} said {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def forget(self, user: str) -> None:
        """Deletes all mail of the user, who must not be logged in."""
        self.doveadm("kick", user, check=False)
        shutil.rmtree(self.home(user), ignore_errors=True)

    def describe(self) -> dict:
        """What another process needs to use this server."""
        return {"name": self.name, "folder": str(self.folder), "pid": self.pid, "host": self.host,
                "imap_port": self.imap_port, "imaps_port": self.imaps_port,
                **({"pop3_port": self.pop3_port, "pop3s_port": self.pop3s_port} if self.options.pop3 else {}),
                **({"lmtp_port": self.lmtp_port} if self.options.lmtp else {}), "ca": str(self.ca),
                "users": self.users, "master": {"user": self.master[0], "password": self.master[1]},
                "storage": self.options.storage, "delimiter": self.delimiter, "prefix": self.prefix,
                "special_use": self.special_use, "conf": str(self.conf), "log": str(self.log)}

    def _end_of_log(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:]) if self.log.exists() else ""


def start_pair(folder, *, users: dict[str, str] | None = None, source: dict | None = None,
               target: dict | None = None, **both) -> tuple[Dovecot, Dovecot]:
    """An old server (Maildir, "INBOX." and ".", German special-use names) and a new one (mdbox, "/", English names).

    `source`, `target` and `both` override Options for one or both of them. Folders: FOLDER/old and FOLDER/new.
    """
    folder = pathlib.Path(folder)
    old = Dovecot(folder / "old", name="old", users=users,
                  **{"storage": "maildir", "special_use": dict(GERMAN), **both, **(source or {})})
    try:
        new = Dovecot(folder / "new", name="new", users=users,
                      **{"storage": "mdbox", "special_use": dict(ENGLISH), **both, **(target or {})})
    except BaseException:
        old.stop()
        raise
    return old, new


def stop_folder(folder) -> bool:
    """Stops a detached server by its folder. False: none was running there."""
    folder = pathlib.Path(folder).resolve()
    described = folder / "server.json"
    if not described.exists():
        return False
    pid = json.loads(described.read_text())["pid"]
    try:
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    # The number may have been given to another process since.
    if str(folder / "dovecot.conf").encode() not in command:
        return False
    _end(pid, None)
    return True


def _end(pid: int, process: subprocess.Popen | None) -> None:
    """Ends the server whose master is `pid`, which leads a process group that holds nothing but this server."""

    def gone(seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if process:
                process.poll()
            if not group_lives(pid):
                return True
            time.sleep(0.005)
        return False

    # To the group, not to the master alone: that waits a whole second for its children before it ends them.
    for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            return
        if gone(patience):
            return


def group_lives(group: int) -> bool:
    """But for those that have ended and that nobody asks about: the first process of a container may leave them lying."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(its_group) == group and state != "Z":
            return True
    return False


def _dovecot() -> str:
    return shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or "/usr/sbin/dovecot"


def _replace(path: pathlib.Path, text: str) -> None:
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.chmod(0o644)
    new.replace(path)


def _let_mail_user_in(folder: pathlib.Path) -> None:
    """Mail processes run without privileges: every folder above the mail must let them pass."""
    for place in [folder, *folder.parents]:
        mode = stat.S_IMODE(place.stat().st_mode)
        if mode & 0o001:
            continue
        if place == folder or any(place.is_relative_to(root) for root in _TEMPORARY):
            place.chmod(mode | 0o011)
        else:
            raise RuntimeError(f"{place} is closed to other users, so Dovecot's mail processes cannot reach {folder}")


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def _free_ports(count: int, addresses: tuple[str, ...]) -> list[int]:
    """Ports that are free on every address at this moment."""
    held: list[socket.socket] = []
    ports: list[int] = []
    try:
        while len(ports) < count:
            first = socket.socket(socket.AF_INET)
            held.append(first)
            first.bind((addresses[0], 0))
            port = first.getsockname()[1]
            try:
                for address in addresses[1:]:
                    other = socket.socket(socket.AF_INET6)
                    held.append(other)
                    other.bind((address, port))
            except OSError:
                continue
            ports.append(port)
    finally:
        for one in held:
            one.close()
    return ports
