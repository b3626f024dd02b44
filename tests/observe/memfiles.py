"""Counts the files in memory that this process holds."""

import gc
import threading
from pathlib import Path


def held(name: str) -> int:
    """Descriptors of files in memory of that name, after all that is being given back."""
    gc.collect()
    for thread in threading.enumerate():
        if thread.name == "frontproxy-free":
            thread.join()
    files = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(file.name.startswith(f"memfd:{name}") for file in files)
