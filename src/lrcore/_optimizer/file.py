"""Slots in a file: slabs in one memory map, so that a model's state may exceed memory."""

from __future__ import annotations

import errno
import mmap
import os
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["StateFile"]

MAGIC = b"lrcore state file\n"
PAGE = 2**16  # a multiple of what every system's maps begin at
ZEROS = bytes(2**20)


class StateFile:
    """A file that holds slabs, each from a page of its own; it only grows.

    Scratch space: nothing reads it after the optimizer. A slab that no array lies in any more is
    used again for one of its size.

    It is taken at the first call: made anew in place of an old one, which is unlinked rather than
    overwritten, so that another optimizer that still has it mapped keeps its bytes.
    """

    def __init__(self, who: str, path: str) -> None:
        self.who = who
        self.path = os.path.realpath(path)
        self._file: Any = None
        self._size = 0
        self._free: list[tuple[int, int]] = []  # start and room of slabs that were given back
        self._check()

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            self._file.close()  # what is mapped stays mapped

    def __call__(self, sizes: Sequence[int]) -> tuple[list[NDArray[np.uint8]], bool]:
        """Room for slabs of these sizes, all of them or none."""
        starts, end, free = [], max(self._size, PAGE), list(self._free)
        for size in sizes:
            room = -(-size // PAGE) * PAGE
            old = next((slab for slab in free if slab[1] == room), None)
            if old is None:
                starts.append(end)
                end += room
            else:
                starts.append(old[0])
                free.remove(old)
        fresh = self._file is None
        if fresh:
            self._open()
        if end > self._size:
            self._grow(end, fresh)
        return [self._mapped(start, size) for start, size in zip(starts, sizes, strict=True)], True

    def _mapped(self, start: int, size: int) -> NDArray[np.uint8]:
        """Zeros in the file."""
        if not size:
            return np.empty(0, np.uint8)
        slab = (start, -(-size // PAGE) * PAGE)
        pages = mmap.mmap(self._file.fileno(), size, offset=start)
        out = np.frombuffer(pages, np.uint8)
        if slab in self._free:
            self._free.remove(slab)
            out[:] = 0
        weakref.finalize(pages, self._free.append, slab).atexit = False
        return out

    def _check(self) -> None:
        folder = os.path.dirname(self.path)
        if not os.path.isdir(folder):
            raise FileNotFoundError(
                f"{self.who}: state_file must be in a folder that exists, got {self.path!r}"
            )
        if os.path.isdir(self.path):
            raise IsADirectoryError(
                f"{self.who}: state_file must be the path of a file, got the folder {self.path!r}"
            )
        if os.path.lexists(self.path):
            self._check_ours()

    def _check_ours(self) -> None:
        try:
            regular = os.path.isfile(self.path)
            if regular:
                with open(self.path, "rb") as old:
                    head = old.read(len(MAGIC))
        except OSError as error:
            raise self._error("be a file that can be read", error) from None
        if not regular or head not in (b"", MAGIC):
            raise FileExistsError(
                f"{self.who}: state_file must be a new file, an empty one or one that an optimizer "
                f"made, got {self.path!r}, which is something else"
            )

    def _open(self) -> None:
        try:
            if os.path.lexists(self.path):
                os.unlink(self.path)
            self._file = open(self.path, "x+b")  # noqa: SIM115 - kept open to grow
        except OSError as error:
            raise self._error("be a file that can be made", error) from None

    def _grow(self, end: int, fresh: bool) -> None:
        """Take room now, where a full disk is an error, not later, where it is a dead process."""
        have, need = self._size, end - self._size
        try:
            _fill(self._file, have, need)
            if fresh:
                self._file.seek(0)
                self._file.write(MAGIC)
                self._file.flush()
        except OSError as error:
            if fresh:
                self._file.close()
                self._file = None
                os.unlink(self.path)
            else:
                os.ftruncate(self._file.fileno(), have)
            raise self._error(f"have room for {need} bytes", error) from None
        self._size = end

    def _error(self, must: str, error: OSError) -> OSError:
        text = f"{self.who}: state_file {self.path!r} must {must}, got: {error.strerror}"
        out = type(error)(text)
        out.errno = error.errno
        return out


def _fill(file: Any, start: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), start, size)
            return
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
    file.seek(start)
    for at in range(0, size, len(ZEROS)):
        file.write(ZEROS[: size - at])
    file.flush()
