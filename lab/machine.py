"""A clean Debian that is booted for a test, beside the host: systemd-nspawn, with a network of its own. For root, in mount and PID
namespaces of the caller's own, with which everything goes.

The clean Debian (debootstrap, minbase and systemd) is made once, in /var/cache/postferry-lab or where POSTFERRY_ROOTS says, and
never written to: each machine is a copy in memory.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"
BASE = ("systemd", "systemd-sysv", "dbus", "ca-certificates", "curl", "python3-minimal")
NEEDED = ("dh", "lintian", "dovecot", "debootstrap", "systemd-nspawn", "unshare", "nsenter", "mount", "apt-get", "dpkg-deb")
PLACE = pathlib.Path("/run/postferry-check")  # of the caller's mount namespace, which is its own
MIRROR_MINUTES = 6  # a mirror that takes longer is not there
# apt says so when a mirror fails it; all else is a package that cannot be installed.
MIRROR_FAILED = re.compile(r"Failed to fetch|Could not resolve|Could not connect|Connection failed|Unable to fetch")


class Unavailable(RuntimeError):
    """It cannot run here; the text says why."""


def run(*line, check=True, minutes=15.0, **options):
    done = subprocess.run([str(word) for word in line], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=60 * minutes, **options)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, line))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def clean_debian() -> pathlib.Path:
    """The clean Debian, made first if need be."""
    folder = pathlib.Path(os.environ.get("POSTFERRY_ROOTS", "/var/cache/postferry-lab"))
    recipe = hashlib.sha256(repr((SUITE, MIRROR, BASE)).encode()).hexdigest()[:8]
    place = folder / f"debian-{recipe}"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "debian.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.exists():
            return place
        work = pathlib.Path(tempfile.mkdtemp(prefix="debian.", dir=folder))
        try:
            run("debootstrap", "--variant=minbase", f"--include={','.join(BASE)}", SUITE, work / "root", MIRROR,
                minutes=MIRROR_MINUTES)
            (work / "root").rename(place)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"debootstrap was not done within {MIRROR_MINUTES} minutes: {MIRROR} is slow, or not there") from error
        except RuntimeError as error:
            raise Unavailable(f"debootstrap could not make a clean Debian: {str(error).splitlines()[-1]}") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return place


def check_here() -> None:
    missing = [tool for tool in NEEDED if not shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")]
    if os.geteuid() != 0:
        raise Unavailable("needs root")
    if missing:
        raise Unavailable(f"not here: {', '.join(missing)} (scripts/install package lab)")


class Machine:
    """A copy of the clean Debian. Everything it starts lives in our PID namespace and goes with us."""

    def __init__(self):
        PLACE.mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", "size=2g,mode=755", "none", PLACE)
        self.tree = PLACE / "root"
        for name in ("upper", "work", "root"):
            (PLACE / name).mkdir()
        run("mount", "-t", "overlay", "none", "-o", f"lowerdir={clean_debian()},upperdir={PLACE}/upper,workdir={PLACE}/work", self.tree)
        self.process = self.leader = self.beside = None

    def fetch(self, deb: pathlib.Path) -> None:
        """Everything that the package depends on, into apt's cache: once it is booted it has no network."""
        shutil.copy(deb, self.tree / "root" / deb.name)
        shutil.copy("/etc/resolv.conf", self.tree / "etc/resolv.conf")
        apt = ("chroot", self.tree, "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get", "-q", "-y", "-o", "Acquire::Retries=3",
               "-o", "Acquire::http::Timeout=30", "-o", "APT::Update::Error-Mode=any")
        try:
            run(*apt, "update", minutes=MIRROR_MINUTES)
            run(*apt, "--download-only", "--no-install-recommends", "install", f"/root/{deb.name}", minutes=MIRROR_MINUTES)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"the dependencies were not fetched within {MIRROR_MINUTES} minutes: {MIRROR} is slow") from error
        except RuntimeError as error:
            failed = [line for line in str(error).splitlines() if MIRROR_FAILED.search(line)]
            if not failed:
                raise
            raise Unavailable(f"the dependencies cannot be fetched: {failed[-1].strip()}") from error

    def boot(self) -> None:
        log = open(PLACE / "console", "wb")
        master, slave = os.openpty()  # without a console systemd-nspawn waits for one
        os.set_blocking(master, True)
        self.process = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "-b", "-D", str(self.tree), "--private-network", "--register=no", "--keep-unit",
             "--link-journal=no", "--machine=postferry-check"],
            stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"})
        os.close(slave)
        if os.fork() == 0:  # reads what the console says for as long as there is one
            with contextlib.suppress(OSError):
                while data := os.read(master, 65536):
                    log.write(data)
                    log.flush()
            os._exit(0)
        os.close(master)
        try:
            self.wait_for("the machine to boot", self.is_up, 240)
        except RuntimeError as error:
            waiting = self.sh("systemctl is-system-running; systemctl list-jobs --no-pager", check=False).stdout if self.leader else ""
            raise RuntimeError(f"{error}: {waiting}\n{(PLACE / 'console').read_text(errors='replace')[-2000:]}") from error

    def is_up(self) -> bool:
        if self.process.poll() is not None:
            raise Unavailable(f"systemd-nspawn cannot boot here: {self.console()}")
        # Looked for each time: the first child is one that only makes the others.
        children = run("ps", "-o", "pid=", "--ppid", self.process.pid, check=False).stdout.split()
        self.leader = int(children[-1]) if children else None
        return self.leader is not None and self.sh("systemctl is-system-running", check=False).stdout.strip() in ("running", "degraded")

    def console(self) -> str:
        text = (PLACE / "console").read_text(errors="replace").strip()
        return text.splitlines()[-1] if text else "it says nothing"

    def sh(self, text: str, check=True):
        return run("nsenter", "-t", self.leader, "-a", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/root",
                   "DEBIAN_FRONTEND=noninteractive", "sh", "-c", text, check=check)

    def start_servers(self, messages: int) -> dict:
        """What lab/beside.py runs, with so many messages, on this machine's 127.0.0.1; where it is."""
        self.beside = subprocess.Popen(
            ["nsenter", "-t", str(self.leader), "-n", sys.executable, str(ROOT / "lab/beside.py"), str(PLACE / "servers"), str(messages)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return json.loads(self.beside.stdout.readline())

    def ask_servers(self, word: str):
        print(word, file=self.beside.stdin, flush=True)
        return json.loads(self.beside.stdout.readline())

    def configure(self, section: str, **values) -> None:
        """In its configuration, as an administrator would."""
        path = self.tree / "etc/postferry/postferry.toml"
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
        before, found, after = path.read_text().partition(f"\n[{section}]\n")
        path.write_text(before + found + lines + after)

    @staticmethod
    def wait_for(what: str, holds, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > until:
                raise RuntimeError(f"waited {seconds:g} s in vain for {what}")
            time.sleep(0.2)

    def stop(self) -> None:
        if self.beside:
            self.beside.stdin.close()
            self.beside.wait(60)
            self.beside.stdout.close()
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
