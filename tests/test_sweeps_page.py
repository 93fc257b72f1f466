"""docs/sweeps.md: its examples print what it says, its scripts run."""

import contextlib
import doctest
import io
import re
import subprocess
import sys

import pytest
from support import ROOT

PAGE = (ROOT / "docs" / "sweeps.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SCRIPTS = dict(re.findall(r"<!-- script: (\w+) -->\n```python\n(.*?)^```", PAGE, re.M | re.S))


def steady(text):
    """Without what the clock says, and white space at the ends of lines."""
    return re.sub(r"in [\d.]+ s", "in ... s", re.sub(r" +$", "", text, flags=re.MULTILINE))


def test_the_examples_print_what_the_page_says():
    names, printed, compared = {}, "", 0
    for kind, block in BLOCKS:
        if kind == "text":
            assert steady(printed) == steady(block)
            compared += 1
        for example in doctest.DocTestParser().get_examples(block) if ">>>" in block else ():
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(example.source, "docs/sweeps.md", "single"), names)
            printed = out.getvalue()
            if example.want:
                assert printed == example.want
                compared += 1
    assert compared == 4


def run(name, tmp_path):
    file = tmp_path / "script.py"
    file.write_text(SCRIPTS[name])
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_script_with_processes(tmp_path):
    said = run("processes", tmp_path)
    assert "4 rates x 3 seeds, 12 runs" in said
    assert "Use lr = 1:" in said


@pytest.mark.frameworks
def test_the_script_with_dask(tmp_path):
    pytest.importorskip("distributed")
    assert "Use lr = 0.1:" in run("dask", tmp_path)


def test_every_script_is_run():
    assert set(SCRIPTS) == {"processes", "dask"}
