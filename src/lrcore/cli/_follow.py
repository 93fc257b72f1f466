"""A log that is still being written: its text so far, whatever happens to the file."""

from __future__ import annotations

import os
from pathlib import Path

from lrcore.instruments import LogError
from lrcore.instruments.logs.formats import decode

HEAD = 4096  # bytes that tell a file which was written anew from one that grew


class Followed:
    """The whole lines of a file that grows, is cut, or is replaced.

    A file that was cut or replaced is a new run, unless it goes on without a header (as after a
    rotation of logs): then its lines are put behind those that were there.

    Attributes
    ----------
    text : str
        The lines so far.
    events : list of str
        What has happened since it was last asked, a sentence each.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.text = ""
        self.events: list[str] = []
        self._kept = ""  # lines of files that this one continues
        self._raw = b""
        self._file: tuple[int, int] | None = None  # device and number of the file
        self._absent = False

    def look(self) -> bool:
        """Read what is new; return whether there is anything."""
        try:
            with self.path.open("rb") as file:
                facts = os.fstat(file.fileno())
                known = (facts.st_dev, facts.st_ino)
                head = self._raw[:HEAD]
                same = self._file in (None, known) and facts.st_size >= len(self._raw)
                fresh = not same or file.read(len(head)) != head
                file.seek(0 if fresh else len(self._raw))
                more = file.read()
        except FileNotFoundError:
            if not self._absent:
                self.events.append(f"waiting for {self.path}")
            self._absent = True
            return False
        except IsADirectoryError:
            raise LogError(f"{self.path}: is a directory; give the file of a log") from None
        except OSError as error:
            raise LogError(f"{self.path}: cannot be read ({error.strerror})") from None
        self._absent = False
        self._file = known
        if fresh:
            self._begin_anew(more)
        self._raw += more
        return self._update() or fresh

    def _begin_anew(self, more: bytes) -> None:
        """Decide whether what the new file has is a new run."""
        first = more.split(b"\n", 1)[0].decode("utf-8", "replace")
        before = self.text.partition("\n")[0]
        goes_on = bool(first) and _is_row(first) and not _is_row(before)
        self._kept = self.text if goes_on else ""
        self._raw = b""
        self.events.append(
            f"{self.path} was rotated; the run goes on"
            if goes_on
            else f"{self.path} was cut or replaced; starting over"
        )

    def _update(self) -> bool:
        """Take the lines that are complete; return whether there are more than before."""
        whole = self._raw[: self._raw.rfind(b"\n") + 1]
        try:
            text = self._kept + (decode(whole) if whole else "")
        except LogError as error:
            raise LogError(f"{self.path}: {error}") from None
        changed = text != self.text
        self.text = text
        return changed


def _is_row(line: str) -> bool:
    """Whether a line is of numbers alone, as no header is."""
    fields = line.replace(";", ",").replace("\t", ",").split(",")
    try:
        return bool([float(field) for field in fields if field.strip()])
    except ValueError:
        return False
