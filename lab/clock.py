"""A clock that a test sets, for the processes that are started with its environment (libfaketime).

    clock = Clock()
    service = Service(folder, program=..., environment=clock.environment)     # or Postgres(environment=...)
    clock.set(3600)     # an hour from now on it is an hour later for them
    clock.close()

What they measure with the steady clock (deadlines, leases of others) goes on as it is.
"""

import pathlib
import shutil
import tempfile
import time


class Unavailable(RuntimeError):
    """There is no libfaketime here."""


class Clock:
    def __init__(self):
        library = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
        if library is None:
            raise Unavailable("libfaketime is not here: scripts/install test")
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="postferry-clock-"))
        self._folder.chmod(0o755)  # PostgreSQL runs as somebody else
        self._says = self._folder / "time"
        self.environment = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(self._says), "FAKETIME_NO_CACHE": "1",
                            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self.set(0)

    def set(self, ahead: float) -> None:
        """Seconds before (-) or behind the true time."""
        self.ahead = ahead
        new = self._folder / "new"
        new.write_text(f"{ahead:+}")
        new.rename(self._says)  # whoever reads meanwhile reads the one or the other

    def now(self) -> float:
        """What time it is for them: seconds since 1970."""
        return time.time() + self.ahead

    def close(self) -> None:
        """Once all of them have ended."""
        shutil.rmtree(self._folder, ignore_errors=True)
        # The library keeps a page for each process, by its number, which stays behind one that was killed.
        for page in pathlib.Path("/dev/shm").glob("faketime_shm_*"):
            number = page.name.rpartition("_")[2]
            if not pathlib.Path(f"/proc/{number}").exists():
                page.unlink(missing_ok=True)
                page.with_name(f"sem.faketime_sem_{number}").unlink(missing_ok=True)
