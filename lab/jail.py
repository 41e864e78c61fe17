"""A server in a root of its own: namespaces for mounts and processes, a chroot, and an end that leaves nothing behind.

The server's root (lab/roots.py) is mounted read-only, its own folder on /lab inside, a copy of the root's /etc on /etc.
The network is the host's, and the server listens on loopback. The first process of the namespace waits for the end of
its standard input, a pipe from here: however this process ends, SIGKILL included, the kernel ends every process in it.
"""

import atexit
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from lab import roots

HOST = "127.0.0.1"
DEFAULT_USERS = {"anna": "anna-secret", "bela": "bela-secret"}
# Outside of what Debian gives away, the same for every server.
MAIL_UID = 61234

# Runs in the new namespaces, before the chroot. Nothing of it is seen outside, and all of it goes with the namespace.
_ENTER = """set -e
root=$1 folder=$2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --bind "$folder" "$root/lab"
mount --bind "$folder/etc" "$root/etc"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 lab "$root/run"
mount -t tmpfs -o mode=1777 lab "$root/tmp"
mount -t tmpfs -o mode=755 lab "$root/dev"
for name in null zero full random urandom; do
    : > "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s /lab/log.socket "$root/dev/log"
cd /
exec chroot "$root" /bin/sh /lab/start.sh
"""

# Ends when the server does, or when nobody holds the other end of the pipe any more.
_START = """exec 3<&0 </dev/null
trap 'exit 0' TERM
{ read -r _ <&3; kill -TERM 1; } &
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
%s
wait $!
"""


class Jail:
    """What the servers have in common. A subclass says what to write, what to run, and what the server is like.

    folder   where everything lives; made if missing; None: a temporary folder that stop() removes
    users    name -> password

    Attributes: name, host, imap_port (plain), users, delimiter, prefix, special_use, folder, log, pid; pop3_port where
    the server has POP3. After the constructor the server answers, or RuntimeError holds the end of its log;
    roots.Unavailable when there is no root for it.
    """

    kind = ""                      # of roots.PACKAGES
    delimiter, prefix = "/", ""
    special_use: dict[str, str] = {}
    master = None                  # nobody may open the mailboxes of others: log in as the user
    pop3_port = 0
    accounts = ""                  # lines for /etc/passwd

    def __init__(self, folder=None, *, name: str = "", users: dict[str, str] | None = None):
        self.root = roots.root(self.kind)
        self.name = name or self.kind
        self.host = HOST
        self.users = dict(DEFAULT_USERS if users is None else users)
        self._temporary = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="postferry-lab-")).resolve()
        self.log = self.folder / "server.log"
        self._process: subprocess.Popen | None = None
        self._syslog: socket.socket | None = None
        try:
            self._prepare()
            self._start()
        except BaseException:
            self.stop()
            raise

    # -- for subclasses -----------------------------------------------------------------------------------------

    def configure(self) -> str:
        """Writes what the server reads, for the ports of this attempt; returns the shell lines that start it, the
        last one in the background."""
        raise NotImplementedError

    def greetings(self) -> list[tuple[int, bytes]]:
        """The ports that must answer, and what with."""
        return [(self.imap_port, b"* OK")]

    def furnish(self) -> None:
        """Called once the server answers: users, mailboxes."""

    def write(self, place: str, text: str, mode: int = 0o644) -> None:
        """A file below /etc or /lab of the server, by its path inside."""
        path = self._outside(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def give(self, place: str) -> pathlib.Path:
        """A folder for the server's own user."""
        path = self._outside(place)
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, MAIL_UID, MAIL_UID)
        return path

    def _outside(self, place: str) -> pathlib.Path:
        return self.folder / (place.removeprefix("/lab/") if place.startswith("/lab/") else place.lstrip("/"))

    # -- life ---------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        if not (self.folder / "etc").exists():
            shutil.copytree(self.root / "etc", self.folder / "etc", symlinks=True)
        self.write("/etc/passwd", f"root:x:0:0::/:/bin/sh\n{self.accounts}nobody:x:65534:65534::/:/bin/sh\n")
        self.write("/etc/group", f"root:x:0:\nmail:x:{MAIL_UID}:\ntty:x:5:\nnogroup:x:65534:\n")
        self.write("/etc/hosts", "127.0.0.1 localhost lab.example\n")
        self.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n")
        self._listen_for_syslog()

    def _listen_for_syslog(self) -> None:
        """Cyrus and Courier log by syslog alone: what they say there goes to our log."""
        path = self.folder / "log.socket"
        path.unlink(missing_ok=True)
        self._syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # By way of the descriptor, because a path may be longer than a socket's name.
        holder = os.open(self.folder, os.O_RDONLY)
        try:
            self._syslog.bind(f"/proc/self/fd/{holder}/{path.name}")
        finally:
            os.close(holder)
        path.chmod(0o666)
        threading.Thread(target=_copy_syslog, args=(self._syslog, self.log), daemon=True).start()

    def _start(self) -> None:
        for attempt in range(5):
            self.write("/lab/start.sh", _START % self.configure())
            self._launch()
            if self._wait_until_ready():
                break
            self._reap()
            # Another process may have taken a port between our look and the server's bind.
            if attempt == 4 or "in use" not in self._end_of_log():
                raise RuntimeError(f"{self.name} in {self.folder} did not start:\n{self._end_of_log()}")
        atexit.register(self.stop)
        self.furnish()

    def _launch(self) -> None:
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "/bin/sh", "-c", _ENTER, "sh",
                 str(self.root), str(self.folder)], stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)
        self.pid = self._process.pid

    def _wait_until_ready(self) -> bool:
        deadline = time.monotonic() + 20
        for port, words in self.greetings():
            while not _answers(port, words):
                if time.monotonic() > deadline or self._process.poll() is not None:
                    return False
                time.sleep(0.01)
        return True

    def stop(self) -> None:
        """Ends every process of the server and waits for it; safe to call twice."""
        atexit.unregister(self.stop)
        self._reap()
        if self._syslog:
            self._syslog.close()
            self._syslog = None
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _reap(self) -> None:
        if not self._process:
            return
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            # Its first process goes with it (--kill-child), and with that one all others.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def _end_of_log(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:]) if self.log.exists() else ""

    # -- use ----------------------------------------------------------------------------------------------------

    def run(self, *command: str, words: str = "") -> str:
        """Runs a program of the server's root beside it, in the namespace of the running server."""
        (first,) = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        done = subprocess.run(["nsenter", "--target", first, "--mount", "--pid", "--ipc", "--root", "--wdns=/", *command],
                              input=words, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} said {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def version(self) -> str:
        return roots.version(self.kind, roots.PACKAGES[self.kind][0])

    def describe(self) -> dict:
        """What another process needs to use this server."""
        return {"name": self.name, "kind": self.kind, "folder": str(self.folder), "pid": self.pid, "host": self.host,
                "imap_port": self.imap_port, "pop3_port": self.pop3_port, "users": self.users,
                "delimiter": self.delimiter, "prefix": self.prefix, "special_use": self.special_use,
                "log": str(self.log)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _answers(port: int, words: bytes) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=5) as connection:
            return connection.recv(4096).startswith(words)
    except OSError:
        return False


def _copy_syslog(incoming: socket.socket, log: pathlib.Path) -> None:
    with open(log, "ab", buffering=0) as file:
        while True:
            try:
                line = incoming.recv(65536)
            except OSError:
                return
            if not line:
                return
            file.write(line.partition(b">")[2].rstrip(b"\n\0") + b"\n")
