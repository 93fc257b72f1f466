"""docs/examples/keras_digits.py, with both backends: it says that both reach the same."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest
from support import ROOT, missing

pytestmark = pytest.mark.frameworks


def ran(backend, *command):
    for name in (backend, "keras", "sklearn"):
        if find_spec(name) is None:
            missing(name)
    env = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, *command], env=env, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_the_digits(backend):
    out = ran(backend, str(ROOT / "docs" / "examples" / "keras_digits.py"))
    print(out)
    lines = out.splitlines()
    right = {line.split()[0]: float(line.split()[1][:-1]) for line in lines[2:4]}
    assert min(right.values()) > 93
    assert abs(right["keras.optimizers.AdamW"] - right["lrcore.keras.AdamW"]) < 1.5


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_the_code_of_the_page_runs(backend):
    page = (ROOT / "docs" / "keras.md").read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    assert "Verdict: " in ran(backend, "-c", code + "\nassert finder.result.probes")
