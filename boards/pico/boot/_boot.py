"""Frozen into the images instead of the port's own _boot.py: mounts the filesystem, and leaves the end of the storage to the journal.

A filesystem that covers all of the storage is from a time before this image: it is mounted as it is, and the journal stays in its
files (hal_rp2.py sees that). Only where neither is found is one made, as the port does.
"""

import machine  # noqa: F401 - as the port's does
import rp2
import vfs

_BLOCK = 4096
_PAGE = 256


def devices():
    """Where the filesystem may lie: all but the journal's region first."""
    whole = rp2.Flash()
    try:
        from board import BOARD

        yield rp2.Flash(start=0, len=(whole.ioctl(4, 0) - BOARD["journal_blocks"]) * _BLOCK)
    except (ImportError, KeyError, ValueError):
        pass  # board_check.py tells what is wrong with the board's data
    yield whole


def mounted():
    for device in devices():
        try:
            return vfs.VfsLfs2(device, progsize=_PAGE)
        except OSError:
            pass
    device = next(devices())
    vfs.VfsLfs2.mkfs(device, progsize=_PAGE)
    return vfs.VfsLfs2(device, progsize=_PAGE)


vfs.mount(mounted(), "/")
