"""The bits of every rule, storage format, schedule and function of math.c, as digests kept in the
repository.

The same program is built for AArch64 and with clang by `.ci/cross`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support import compile_c, run

import lrcore

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="NOT TESTED: builds with cc")

HERE = Path(__file__).parent
ADVICE = """

Bits changed. If they should have: say so in CHANGELOG.md, change lrcore.reference in the same way,
and write the new digests with

    python tests/test_digests.py"""


def digests(folder):
    """What tests/c/digest prints, built against the installed package."""
    return run(compile_c(HERE / "c" / "digest", folder / "digest"))


def test_digests_are_those_of_the_repository(tmp_path):
    done = digests(tmp_path)
    expected = (HERE / "digests.txt").read_text().splitlines()
    got = done.stdout.splitlines()
    assert done.stderr.split(": ")[1].split() == lrcore.isas()  # run on every one, and they agree
    changed = "".join(f"\n  - {e}" for e in expected if e not in got)
    changed += "".join(f"\n  + {g}" for g in got if g not in expected)
    assert got == expected, changed + ADVICE


#: Parameters, and what they are continued in.
STORED = [
    *("float32", "float64", "float16", "float16-master"),
    *("bfloat16", "bfloat16-master", "bfloat16-split"),
]


def test_every_row_of_the_tables_has_a_digest():
    lines = [line.split() for line in (HERE / "digests.txt").read_text().splitlines()]
    for kind, formats in ("rule", ["float32", "float64"]), ("storage", STORED):
        assert [tuple(words[1:3]) for words in lines if words[0] == kind] == [
            (rule, name) for rule in lrcore._core.rules() for name in formats
        ]
    rows = [words[1] for words in lines if words[0] == "rows"]
    takers = [rule for rule, row in lrcore._hyper.RULES.items() if "rows" in row.notes]
    assert rows == [rule for rule in takers for _ in ("float32", "float64")]
    assert sum(words[0] == "codec" for words in lines) == 6
    assert [words[1] for words in lines if words[0] == "schedule"] == list(lrcore._core.schedules())
    assert len({words[-1] for words in lines}) == len(lines)


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        (HERE / "digests.txt").write_text(digests(Path(folder)).stdout)
