#!/usr/bin/python3
"""Roots for servers whose packages conflict with Dovecot's, or would take the host's mail over: unpacked beside the host,
never installed on it.

    lab/roots.py [cyrus] [courier] [mailutils] [postfix]      prepares them (all by default) and says where they are

A root holds the server's Debian packages and all that they depend on, down to the C library. It is made once, from
what apt is configured for, and never written to afterwards. It lies in /var/cache/postferry-lab, or where
POSTFERRY_ROOTS says.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

# dash: the script that starts a server runs inside. coreutils, sed, grep: Courier's own scripts.
_SHELL = ("dash", "coreutils", "sed", "grep")
PACKAGES = {
    "cyrus": ("cyrus-imapd", "libsasl2-modules", "libsasl2-modules-db", "sasl2-bin", *_SHELL),
    "courier": ("courier-imap", "courier-pop", "courier-authlib-userdb", *_SHELL),
    "mailutils": ("mailutils-imap4d", *_SHELL),
    "postfix": ("postfix", "postfix-sqlite", "postfix-pgsql", *_SHELL),
}
# What only an installation needs, or what a server depends on for parts that the lab leaves off.
_NOT_NEEDED = re.compile(r"(exim4-.*|cron|cron-daemon-common|dpkg|tar|debconf|adduser|usrmerge|e2fsprogs|logsave|"
                         r"libss2|libext2fs2|lib.*-perl|perl.*|sensible-utils|init-system-helpers|libpam-runtime|"
                         r"libclamav\d+|libmspack0|gnutls-bin|lsb-base|sysvinit-utils)")
_MERGED = ("bin", "sbin", "lib", "lib64")
_MINUTES = 3  # for all of a root; with a mirror that is slower its tests skip themselves
_PLACES = ("dev", "etc", "lab", "proc", "run", "tmp")


class Unavailable(RuntimeError):
    """There is no such root and it cannot be made; the text says why."""


_failed: dict[str, str] = {}  # why; a process tries once


def folder() -> pathlib.Path:
    return pathlib.Path(os.environ.get("POSTFERRY_ROOTS", "/var/cache/postferry-lab"))


def root(name: str) -> pathlib.Path:
    """The root of a server, made first if need be. Raises Unavailable."""
    for tool in ("apt-get", "dpkg-deb", "unshare", "chroot"):
        if not shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            raise Unavailable(f"{tool} is not here: the servers' packages come from Debian")
    if os.geteuid() != 0:
        raise Unavailable("a root of its own is for root only")
    if not _is_mount_point("/"):
        raise Unavailable("this is a chroot whose root is no mount point, so what is mounted for a server could be seen outside; "
                          "bind it onto itself first (mount --bind), as containers do")
    if name in _failed:
        raise Unavailable(_failed[name])
    # Another recipe is another folder, so that a change here never meets an old root.
    recipe = hashlib.sha256(repr((PACKAGES[name], _NOT_NEEDED.pattern, _PLACES)).encode()).hexdigest()[:8]
    place = folder() / f"{name}-{recipe}"
    if (place / "packages.json").exists():
        return place
    try:
        folder().mkdir(parents=True, exist_ok=True)
        with _lock(folder() / f"{name}.lock"):
            if not (place / "packages.json").exists():
                _make(name, place)
    except subprocess.TimeoutExpired as error:
        _failed[name] = f"the root of {name} could not be made: apt had its packages not within {_MINUTES} minutes"
        raise Unavailable(_failed[name]) from error
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        _failed[name] = f"the root of {name} could not be made: {said.strip().splitlines()[-1]}"
        raise Unavailable(_failed[name]) from error
    return place


def _is_mount_point(place: str) -> bool:
    return any(line.split()[4] == place for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines())


def version(name: str, package: str) -> str:
    """The version of a package in a root that is there, without epoch: `3.6.1-4+deb12u5`."""
    return json.loads((root(name) / "packages.json").read_text())[package].split(":", 1)[-1]


@contextlib.contextmanager
def _lock(path: pathlib.Path):
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(name: str, place: pathlib.Path) -> None:
    until = time.monotonic() + 60 * _MINUTES
    work = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}.", dir=folder()))
    try:
        packages = _closure(PACKAGES[name], until)
        debs = work / "debs"
        debs.mkdir()
        _apt("download", *(f"{package}={version}" for package, version in packages.items()), until=until, cwd=debs)
        tree = work / "root"
        _unpack(sorted(debs.glob("*.deb")), tree)
        (tree / "packages.json").write_text(json.dumps(packages, indent=1, sort_keys=True) + "\n")
        shutil.rmtree(place, ignore_errors=True)
        tree.rename(place)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _closure(packages: tuple[str, ...], until: float) -> dict[str, str]:
    """package -> version of all that apt would install on a machine that has nothing."""
    try:
        listed = _apt("install", "--print-uris", "-y", *packages, until=until)
    except subprocess.CalledProcessError:
        # This machine's lists are empty or too old. Fetch lists of our own: the host's are not ours to change.
        _apt("update", until=until)
        listed = _apt("install", "--print-uris", "-y", *packages, until=until)
    found = {}
    for line in listed.splitlines():
        if match := re.match(r"'[^']*' ([^_ ]+)_([^_ ]+)_[^_ ]+\.deb ", line):
            if not _NOT_NEEDED.fullmatch(match[1]):
                found[match[1]] = urllib.parse.unquote(match[2])
    return found


def _apt(command: str, *arguments: str, until: float, cwd=None) -> str:
    own = folder() / "apt"
    (own / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    # Without archives of our own apt leaves out what the host's cache happens to hold.
    options = ["Dir::State::status=/dev/null", f"Dir::Cache::archives={own}/archives", "APT::Install-Recommends=false",
               "Debug::NoLocking=true", "APT::Sandbox::User=root", "Acquire::Retries=2", "Acquire::http::Timeout=20"]
    if command == "update" or (own / "lists").exists():
        (own / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        options += [f"Dir::State::lists={own}/lists", f"Dir::Cache={own}"]
    line = ["apt-get", "-qq", *(word for option in options for word in ("-o", option)), command, *arguments]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
                          timeout=max(1.0, until - time.monotonic()), env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}).stdout


def _unpack(debs: list[pathlib.Path], tree: pathlib.Path) -> None:
    for name in _MERGED:
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    for deb in debs:
        # Not dpkg -x alone: some packages carry /lib as a folder, which must not take the link's place.
        unpacked = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", str(tree)], stdin=unpacked.stdout, check=True,
                       capture_output=True, text=True)
        unpacked.stdout.close()
        if unpacked.wait() != 0:
            raise OSError(f"{deb.name} is damaged")
    if not (tree / "bin/sh").exists():
        (tree / "bin/sh").symlink_to("dash")
    for name in _PLACES:
        (tree / name).mkdir(exist_ok=True)


def main() -> int:
    for name in sys.argv[1:] or PACKAGES:
        if name not in PACKAGES:
            print(f"roots: no server {name!r}; there are {', '.join(PACKAGES)}", file=sys.stderr)
            return 2
        try:
            print(f"{name}: {root(name)} ({PACKAGES[name][0]} {version(name, PACKAGES[name][0])})")
        except Unavailable as error:
            print(f"roots: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
