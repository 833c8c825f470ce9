"""A disk with a volatile write cache, whose power can be cut.

    power_device.py IMAGE DEVICE DIRECTORY

IMAGE is a file with what the disk holds. It is offered as the file DEVICE, over FUSE, for a loop
device to lie on; a file system of that is mounted at DIRECTORY by whoever runs this. What is
written is in the cache until the next flush (fsync of DEVICE, which a loop device sends for a flush
of its own), and all of it is readable. Commands on the standard input, a line each, answered by the
same line:

    cut SEED  the power is cut: of each sector that was written since the last flush it is drawn
              whether its last content is kept; from now on nothing is answered
    fail      everything is answered with EIO
    on        the power is back: the disk holds what was kept
    slow N    from now on it moves 40 MB/s and flushes in 1 ms, divided and multiplied by N

Its end, and that of its input, removes the mounts at DIRECTORY and DEVICE, and the loop device.
"""

import ctypes
import errno
import os
import random
import select
import stat
import struct
import subprocess
import sys
import time

SECTOR = 512
BLOCK = 4096
MAX_WRITE = 1 << 20
# What a device's cache holds; then it writes by itself.
CACHE_BLOCKS = 16384
# How long a flush takes: that a cut may fall into it.
FLUSH_SECONDS = 0.001
# Once it has a speed.
BYTES_A_SECOND = 40e6

GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC, FLUSH, INIT = 3, 4, 14, 15, 16, 17, 18, 20, 25, 26
# forget, interrupt, batch forget
UNANSWERED = (2, 36, 42)
BIG_WRITES, MAX_PAGES = 1 << 5, 1 << 22
DIRECT_IO = 1


class Disk:
    def __init__(self, image):
        self.image = os.open(image, os.O_RDWR)
        self.size = os.fstat(self.image).st_size
        # Block number: what it held at the last flush.
        self.before = {}

    def read(self, offset, length):
        return os.pread(self.image, length, offset)

    def write(self, offset, content):
        first, last = offset // BLOCK, (offset + len(content) - 1) // BLOCK
        if any(block not in self.before for block in range(first, last + 1)):
            old = os.pread(self.image, (last - first + 1) * BLOCK, first * BLOCK)
            for block in range(first, last + 1):
                at = (block - first) * BLOCK
                self.before.setdefault(block, old[at : at + BLOCK])
        os.pwrite(self.image, content, offset)
        if len(self.before) > CACHE_BLOCKS:
            self.flush()

    def flush(self):
        self.before.clear()

    def cut(self, seed):
        """Keeps a part: mostly of whole blocks, of some only a few sectors; all or nothing at times."""
        chance = random.Random(seed)
        kept = chance.choice((0.0, 0.1, 0.5, 0.9))
        for block, old in self.before.items():
            if chance.random() < 0.1:
                for at in range(0, BLOCK, SECTOR):
                    if chance.random() >= kept:
                        os.pwrite(self.image, old[at : at + SECTOR], block * BLOCK + at)
            elif chance.random() >= kept:
                os.pwrite(self.image, old, block * BLOCK)
        self.before.clear()


class Server:
    def __init__(self, disk, device):
        self.disk = disk
        self.device = device
        self.fuse = os.open("/dev/fuse", os.O_RDWR)
        self.failing = False
        self.cut = False
        # None: as fast as it can.
        self.times = None
        self.unanswered = []
        libc = ctypes.CDLL(None, use_errno=True)
        options = "fd=%d,rootmode=100600,user_id=0,group_id=0" % self.fuse
        name = "forebay-power-%d" % os.getppid()
        if libc.mount(name.encode(), device.encode(), b"fuse", 6, options.encode()) != 0:
            number = ctypes.get_errno()
            raise OSError(number, "mounting " + device + ": " + os.strerror(number))

    def answer(self, unique, error=0, content=b""):
        try:
            os.write(self.fuse, struct.pack("<IiQ", 16 + len(content), -error, unique) + content)
        except OSError as wrong:
            if wrong.errno != errno.ENOENT:  # whoever asked has gone
                raise

    def attributes(self):
        return struct.pack(
            "<6Q10I", 1, self.disk.size, self.disk.size // 512, 0, 0, 0, 0, 0, 0, stat.S_IFREG | 0o600, 1, 0, 0, 0, BLOCK, 0
        )

    def request(self):
        try:
            message = os.read(self.fuse, MAX_WRITE + BLOCK)
        except OSError as wrong:
            if wrong.errno in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                return
            raise
        _, opcode, unique = struct.unpack_from("<IIQ", message)
        if opcode in UNANSWERED:
            return
        if opcode == INIT:
            settings = (7, 31, 0, BIG_WRITES | MAX_PAGES, 16, 12, MAX_WRITE, 1, MAX_WRITE // BLOCK)
            self.answer(unique, 0, struct.pack("<4I2H2IH", *settings).ljust(64, b"\0"))
        elif opcode in (GETATTR, SETATTR):
            self.answer(unique, 0, struct.pack("<QII", 3600, 0, 0) + self.attributes())
        elif opcode == OPEN:
            self.answer(unique, 0, struct.pack("<QIi", 1, DIRECT_IO, 0))
        elif opcode in (RELEASE, FLUSH):
            self.answer(unique)
        elif opcode == STATFS:
            self.answer(unique, 0, struct.pack("<5Q4I6I", 0, 0, 0, 0, 0, BLOCK, 255, BLOCK, 0, *[0] * 6))
        elif opcode in (READ, WRITE, FSYNC):
            self.transfer(opcode, unique, message)
        else:
            self.answer(unique, errno.ENOSYS)

    def transfer(self, opcode, unique, message):
        if self.failing:
            self.answer(unique, errno.EIO)
            return
        if opcode == FSYNC:
            if select.select([sys.stdin], [], [], FLUSH_SECONDS * (self.times or 1))[0]:
                self.command()
            if self.cut or self.failing:
                self.unanswered.append(unique)
            else:
                self.disk.flush()
                self.answer(unique)
            return
        _, offset, length = struct.unpack_from("<QQI", message, 40)
        if self.times:
            time.sleep(length * self.times / BYTES_A_SECOND)
        if opcode == READ:
            self.answer(unique, 0, self.disk.read(offset, length))
        else:
            self.disk.write(offset, message[80 : 80 + length])
            self.answer(unique, 0, struct.pack("<II", length, 0))

    def command(self):
        line = sys.stdin.readline()
        words = line.split()
        if not words:
            sys.exit(0)
        if words[0] == "cut":
            self.disk.cut(int(words[1]))
            self.cut = True
        elif words[0] == "fail":
            self.failing, self.cut = True, False
            for unique in self.unanswered:
                self.answer(unique, errno.EIO)
            self.unanswered.clear()
        elif words[0] == "on":
            self.failing = False
        elif words[0] == "slow":
            self.times = int(words[1])
        print(line.strip(), flush=True)

    def run(self):
        while True:
            wanted = [sys.stdin] if self.cut else [sys.stdin, self.fuse]
            ready = select.select(wanted, [], [])[0]
            if sys.stdin in ready:
                self.command()
            elif self.fuse in ready:
                self.request()


def main():
    image, device, directory = sys.argv[1:4]
    server = Server(Disk(image), device)
    print("ready", flush=True)
    try:
        server.run()
    finally:
        # First, so that nobody waits for an answer.
        os.close(server.fuse)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.call(["umount", "-l", directory], **quiet)
        loops = subprocess.run(["losetup", "-n", "-O", "NAME", "-j", device], capture_output=True, text=True)
        for loop in loops.stdout.split():
            subprocess.call(["losetup", "-d", loop], **quiet)
        subprocess.call(["umount", "-l", device], **quiet)


if __name__ == "__main__":
    main()
