"""The worked examples run as they stand, and their two sides reach the same."""

import runpy
import sys
from statistics import median

import pytest
from oracles.harness import framework
from support import ROOT, run

pytestmark = pytest.mark.frameworks

EXAMPLES = ROOT / "docs" / "examples"


def ran(name):
    """What the example's ``main`` returned: for each way, the rows of its turns."""
    framework("torch")
    names = runpy.run_path(str(EXAMPLES / name))
    return names, names["main"]()


def test_the_page(torch):
    page = EXAMPLES.parent / "torch.md"
    assert run(sys.executable, "-W", "error", ROOT / ".ci" / "page.py", page).stdout == ""


def test_digits(capsys):
    names, seen = ran("torch_digits.py")
    before, after = (seen[names[name]] for name in ("BEFORE", "AFTER"))
    assert len({row[:2] for row in after}) == 1  # every turn has the same bits
    assert after[0][0] == pytest.approx(before[0][0], abs=0.01)
    assert after[0][0] > 0.97
    assert after[0][1] == pytest.approx(before[0][1], rel=0.1)
    step = [median(row[3] for row in rows) for rows in (before, after)]
    assert step[1] < step[0]
    assert "times as fast as with torch.optim.AdamW" in capsys.readouterr().out


def test_text(capsys):
    names, seen = ran("torch_text.py")
    before, after, inside = (seen[names[name]] for name in ("BEFORE", "AFTER", "INSIDE"))
    assert {row[0] for row in inside} == {row[0] for row in after}
    assert after[0][0] == pytest.approx(before[0][0], rel=0.01)
    assert after[0][0] < 3.5
    step = [median(row[2] for row in rows) for rows in (before, after)]
    assert step[1] < step[0]
    assert "91,392 parameters" in capsys.readouterr().out
