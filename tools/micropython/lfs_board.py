"""A board that never was: MicroPython's unix port on a real littlefs, which lies in a file and can lose its power at any flash operation.

Use: micropython lfs_board.py serve|boot|format FLASH CUT ; CUT: flash operations it does before the power goes, -1 for never. The
operation at which it goes is done by half.
  serve: reads "<bytes>\\n<code>" and answers "<ok|err> <bytes>\\n<text>", as a prompt would
  boot: runs /main.py as a board does when it starts
"""

import os
import sys

import vfs

BLOCK = 4096


class Flash:
    def __init__(self, path, cut):
        self._file = open(path, "r+b")  # noqa: SIM115 - as long as the process
        self._blocks = self._file.seek(0, 2) // BLOCK
        self._left = cut
        self.dead = False
        self.done = 0

    def _lives(self):
        """True if the operation may be done whole; at the cut False, and never again after it."""
        if self.dead:
            raise OSError(5)
        if self._left == 0:
            self.dead = True
            return False
        self._left -= 1
        self.done += 1
        return True

    def _put(self, at, data):
        whole = self._lives()
        self._file.seek(at)
        self._file.write(data if whole else data[: len(data) // 2])
        self._file.flush()
        if not whole:
            raise SystemExit(9)

    def readblocks(self, block, buffer, offset=0):
        self._file.seek(block * BLOCK + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        self._put(block * BLOCK + offset, bytes(buffer))

    def ioctl(self, operation, argument):
        if operation == 4:
            return self._blocks
        if operation == 5:
            return BLOCK
        if operation == 6:
            self._put(argument * BLOCK, b"\xff" * BLOCK)
        return 0


class Machine:
    @staticmethod
    def reset():
        raise SystemExit(3)


class Time:
    """A person at the console presses Ctrl-C at once."""

    @staticmethod
    def sleep(seconds):
        raise KeyboardInterrupt


def serve(flash):
    lines, out = sys.stdin.buffer, sys.stdout.buffer
    said = []
    scope = {"print": lambda *words: said.append(" ".join([str(word) for word in words]))}
    while True:
        head = lines.readline()
        if not head:
            return
        said[:] = []
        try:
            exec(lines.read(int(head)), scope)
            word = "ok"
        except Exception as error:
            said[:] = ["%s: %s" % (type(error).__name__, error)]
            word = "err"
        if flash.dead:
            return  # whatever Python still made of it: the board is silent
        text = "\n".join(said).encode()
        out.write(b"%s %d %d\n%s" % (word.encode(), len(text), flash.done, text))


def boot():
    sys.modules["time"] = Time
    sys.path[:] = ["", ".frozen", "/lib"]
    try:
        os.stat("/main.py")
    except OSError:
        print("PROMPT")
        return
    with open("/main.py") as file:
        exec(file.read(), {"__name__": "__main__"})


def main(what, path, cut):
    flash = Flash(path, int(cut))
    if what == "format":
        vfs.VfsLfs2.mkfs(flash, progsize=256)
        return
    sys.modules["machine"] = Machine
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/")
    os.chdir("/")
    if what == "boot":
        boot()
    else:
        serve(flash)


main(*sys.argv[1:])
