"""The worked example for JAX, as it stands, and the code of its page."""

import re
import sys

import pytest
from jax_runs import installed
from support import ROOT, python, run

pytestmark = pytest.mark.frameworks


@pytest.fixture(autouse=True)
def _installed():
    installed()


def test_one_line_changes_and_the_result_does_not():
    out = run(sys.executable, ROOT / "docs" / "examples" / "jax_table.py").stdout
    rows = {
        name.strip(): (float(loss), right)
        for name, loss, right in re.findall(r"(.{20}) loss ([\d.]+)  right ([\d.]+%) ", out)
    }
    rest, before, after, exact = rows.values()
    assert after[0] == pytest.approx(before[0], rel=1e-3)
    assert after[1] == before[1] == exact[1]
    assert rest[0] > 10 * before[0]
    assert out.count(" ms\n") == 4


def test_the_code_of_the_page_runs():
    page = (ROOT / "docs" / "optax.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    code = "\n".join(blocks) + "\nprint(loss, state.count)\n"
    loss, count = python(code).split()
    assert float(loss) > 0
    assert int(count) == 2
