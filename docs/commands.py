"""Write into docs/command-line.md what its commands print: python docs/commands.py [--check].

Each block that begins with ```console has commands after "$ "; they run one after the other in one
empty directory, and what they print is put below them. With --check nothing is written: the exit
status is 1 if other words come out. Figures may differ, as times do, and with another BLAS.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from pathlib import Path

from lrcore import cli

PAGE = Path(__file__).with_name("command-line.md")
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"[-+]?(?<![A-Za-z])\d[\d,.]*(?:e[-+]?\d+)?%?")
STATUS = "echo $?"


def commands(text: str) -> list[str]:
    """Return the commands of a page, in order."""
    blocks = BLOCK.findall(text)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def filled(text: str) -> str:
    """Return the page with what its commands print today."""
    status = 0

    def answer(block: re.Match[str]) -> str:
        nonlocal status
        out = []
        for line in block[0].splitlines():
            if line == f"$ {STATUS}":
                out.append(f"{line}\n{status}\n")
            elif line.startswith("$ "):
                status, printed = run(line[2:])
                out.append(f"{line}\n{printed}")
        return "".join(out)

    before = Path.cwd()
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        try:
            return BLOCK.sub(answer, text)
        finally:
            os.chdir(before)


def run(command: str) -> tuple[int, str]:
    """Run a command of this library; return its exit status and all it prints."""
    name, *words = shlex.split(command)
    if name != "lrcore":
        raise ValueError(f"a command must be of lrcore, got {command!r}")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        status = cli.main(words)
    return status, printed.getvalue()


def shape(text: str) -> str:
    """Return the words of a page, without its figures and the blanks that align them."""
    return re.sub(r"[ \t]+", " ", NUMBER.sub("#", text))


def main(arguments: list[str]) -> int:
    """Write the page, or check it."""
    text = PAGE.read_text(encoding="utf-8")
    wanted = filled(text)
    if "--check" in arguments:
        return int(shape(wanted) != shape(text))
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
