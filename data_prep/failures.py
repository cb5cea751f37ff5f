"""What storage libraries say went wrong, as the system says it."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

LITTLE = 2**20  # bytes; a disk with less than this free is full


def failure(error: Exception, folder: Path) -> OSError:
    """Say that the disk is full where a library, whose write was cut short, names a consequence."""
    if shutil.disk_usage(folder).free < LITTLE:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    return OSError(errno.EIO, str(error), str(folder))
