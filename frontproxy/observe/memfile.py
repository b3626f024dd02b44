"""Giving back a file in memory (`memfd_create`) that was mapped, without being felt.

The kernel needs 0.2 ms to free each megabyte, and `munmap` and `close` would do it while every client waits.
"""

import os
from _thread import start_new_thread  # threading.Thread waits until its thread has a processor, which may take a while
from collections.abc import Callable


def give_back(descriptor: int, unmap: Callable[[], None]) -> None:
    """Free the memory behind `descriptor` in a thread, then unmap and close it. Nobody may read it any more."""
    try:
        start_new_thread(_free, (descriptor, unmap))
    except RuntimeError:  # no thread to be had: late is better than never
        _free(descriptor, unmap)


def _free(descriptor: int, unmap: Callable[[], None]) -> None:
    os.ftruncate(descriptor, 0)  # does the work, and lets other threads run meanwhile, which mmap's own methods do not
    unmap()
    os.close(descriptor)
