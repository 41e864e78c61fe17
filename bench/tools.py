"""How each tool is told to do one and the same job."""

import dataclasses
import os
import pathlib
import shutil

from bench.measure import Command
from lab.dovecot import MAIL_UID

PASSWORD = "secret"


@dataclasses.dataclass
class End:
    """How a tool reaches one server."""

    server: object            # lab.dovecot.Dovecot
    port: int                 # of the server, or of the line in front of it
    tls: bool = False
    protocol: str = "imap"    # or pop3, as a source

    @property
    def host(self) -> str:
        return self.server.host


@dataclasses.dataclass
class Job:
    """Mailboxes to copy: pairs of user names. `folder` keeps the tool's state, so the same job again is a re-run."""

    source: End
    target: End
    pairs: list[tuple[str, str]]
    folder: pathlib.Path
    at_a_time: int = 8


class Postferry:
    def __init__(self, program: str, compress: str = ""):
        self._program = program
        self._compress = f"&compress={compress}" if compress else ""
        self.name = f"postferry, compress={compress}" if compress else "postferry"

    def _url(self, end: End, user: str) -> str:
        if end.tls:
            return f"{end.protocol}s://{user}@{end.host}:{end.port}?ca={end.server.ca}{self._compress}"
        return f"{end.protocol}://{user}@{end.host}:{end.port}?tls=off{self._compress}"

    def commands(self, job: Job) -> list[Command]:
        state = ["--state", str(job.folder / "postferry.db"), "--quiet"]
        if len(job.pairs) == 1:
            user, new_user = job.pairs[0]
            argv = [self._program, "copy", self._url(job.source, user), self._url(job.target, new_user), *state]
            return [Command(argv, {"POSTFERRY_SOURCE_PASSWORD": PASSWORD, "POSTFERRY_TARGET_PASSWORD": PASSWORD})]
        accounts = job.folder / "accounts.csv"
        rows = [f"{user},{PASSWORD},{new_user},{PASSWORD},{self._url(job.source, user)},{self._url(job.target, new_user)}"
                for user, new_user in job.pairs]
        accounts.write_text("source_user,source_password,target_user,target_password,source_url,target_url\n"
                            + "\n".join(rows) + "\n")
        accounts.chmod(0o600)
        return [Command([self._program, "migrate", str(accounts), "--jobs", str(job.at_a_time), *state])]


class PostferryMaildir(Postferry):
    """IMAP into the target's Maildir on the disk, without its server."""

    def commands(self, job: Job) -> list[Command]:
        (user, new_user), = job.pairs
        home = job.target.server.home(new_user)
        if not home.exists():  # as whoever makes the account does it
            home.mkdir()
            os.chown(home, MAIL_UID, MAIL_UID)
        argv = [self._program, "copy", self._url(job.source, user), f"maildir:{job.target.server.store(new_user)}",
                "--state", str(job.folder / "postferry.db"), "--quiet"]
        return [Command(argv, {"POSTFERRY_SOURCE_PASSWORD": PASSWORD})]


class Raw:
    """The limit of the servers. connections: pairs of connections that share the folders of a mailbox."""

    def __init__(self, program: str, connections: int = 1):
        self._program = program
        self._connections = connections
        self.name = "raw" if connections == 1 else f"raw, {connections} connections"

    def commands(self, job: Job) -> list[Command]:
        def url(end: End, user: str) -> str:
            return f"{end.protocol}{'s' if end.tls else ''}://{user}@{end.host}:{end.port}"

        return [Command([self._program, "--source", url(job.source, user), "--target", url(job.target, new_user),
                         "--connections", str(self._connections)],
                        {"RAW_SOURCE_PASSWORD": PASSWORD, "RAW_TARGET_PASSWORD": PASSWORD})
                for user, new_user in job.pairs]


class Mbsync:
    """isync; its pipeline has no limit by default, tuned it also gets large buffers."""

    # What it puts into every message: "X-TUID: " + 12 characters + CRLF.
    octets_added = 22

    def __init__(self, tuned: bool = False):
        self._tuned = tuned
        self.name = "mbsync, tuned" if tuned else "mbsync"

    @staticmethod
    def _account(label: str, end: End, user: str) -> str:
        tls = f"SSLType IMAPS\nSystemCertificates no\nCertificateFile {end.server.ca}\n" if end.tls else "SSLType None\n"
        # mbsync compares the certificate's names with Host as text and knows no addresses.
        host = "localhost" if end.tls else end.host
        return (f"IMAPAccount {label}\nHost {host}\nPort {end.port}\nUser {user}\nPass {PASSWORD}\n"
                f"AuthMechs LOGIN\nTimeout 300\n{tls}\nIMAPStore {label}\nAccount {label}\n\n")

    def commands(self, job: Job) -> list[Command]:
        made = []
        for index, (user, new_user) in enumerate(job.pairs):
            state = job.folder / f"mbsync{index}"
            state.mkdir(parents=True, exist_ok=True)
            # Both ends keep INTERNALDATE, folders are created on the target only, nothing is deleted anywhere.
            tuned = "BufferLimit 64M\n" if self._tuned else ""
            text = (tuned + self._account("old", job.source, user) + self._account("new", job.target, new_user)
                    + f"Channel all\nFar :old:\nNear :new:\nPatterns *\nCreate Near\nSync Pull New Flags\n"
                      f"CopyArrivalDate yes\nSyncState {state}/\n")
            config = job.folder / f"mbsyncrc{index}"
            config.write_text(text)
            made.append(Command(["mbsync", "-q", "-c", str(config), "-a"], {"HOME": str(state)}))
        return made


class Doveadm:
    """doveadm backup over imapc: reads the source by IMAP and writes the target's store directly, without a server."""

    def __init__(self, tuned: bool = False, fsync: str = ""):
        """fsync: the target's mail_fsync instead of the server's own."""
        self._tuned = tuned
        self._fsync = fsync
        self.name = "doveadm, tuned" if tuned else "doveadm"

    def commands(self, job: Job) -> list[Command]:
        options = {
            "imapc_host": job.source.host, "imapc_port": job.source.port, "imapc_password": PASSWORD,
            "imapc_list_prefix": job.source.server.prefix.rstrip(job.source.server.delimiter),
        }
        if job.source.tls:
            options |= {"imapc_ssl": "imaps", "ssl_client_ca_file": job.source.server.ca}
        if self._fsync:
            options["mail_fsync"] = self._fsync
        if self._tuned:
            options |= {"imapc_features": "rfc822.size fetch-headers", "mail_prefetch_count": 200}
        given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        return [Command(["doveadm", "-c", str(job.target.server.conf), *given, "-o", f"imapc_user={user}",
                         "backup", "-R", "-u", new_user, "imapc:"])
                for user, new_user in job.pairs]


def find(name: str, variable: str, default: pathlib.Path) -> str | None:
    """The program's path: from the environment, or where the build leaves it."""
    given = os.environ.get(variable)
    if given:
        return given
    return str(default) if default.exists() else shutil.which(name)
