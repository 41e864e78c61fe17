"""Where tests keep what lives for a moment: servers, their mail, ledgers."""

import os
import shutil

ENOUGH = 2 << 30


def folder() -> str | None:
    """/dev/shm, if there is room in it, for tempfile's `dir`; else None, tempfile's own place. Containers have 64 MB of it."""
    try:
        return "/dev/shm" if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free >= ENOUGH else None
    except OSError:
        return None
