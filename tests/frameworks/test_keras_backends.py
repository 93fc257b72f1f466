"""lrcore.keras with TensorFlow behind Keras, with JAX, and without Keras: processes of their own,
since Keras has one backend from its import on."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from support import ROOT, missing

pytestmark = pytest.mark.frameworks
HERE = Path(__file__).parent
FILES = ("test_keras_rules.py", "test_keras_optimizers.py", "test_keras_fit.py")


def run(command, backend, timeout=900):
    env = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(
        [sys.executable, *command], env=env, cwd=ROOT, capture_output=True, text=True,
        timeout=timeout,
    )  # fmt: skip


@pytest.mark.parametrize("file", FILES)
def test_the_same_under_tensorflow(file):
    if find_spec("tensorflow") is None:
        missing("tensorflow")
    done = run(["-m", "pytest", "-q", "-m", "frameworks", str(HERE / file)], "tensorflow")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert " passed" in done.stdout


def test_jax_has_an_adapter_of_its_own():
    if find_spec("jax") is None:
        missing("jax")
    program = "import lrcore.keras as k, lrcore; print(float(k.Schedule(lrcore.schedules.Linear(1.0, 4))(1))); k.AdamW()"
    done = run(["-c", program], "jax")
    assert done.stdout == "0.75\n"
    assert done.stderr.splitlines()[-1] == (
        'RuntimeError: lrcore.keras.AdamW: the backend of Keras must be "tensorflow" or "torch", '
        "got 'jax'; with JAX use lrcore.optax"
    )


def test_without_keras_there_is_a_sentence():
    program = "import sys; sys.modules['keras'] = None; import lrcore; import lrcore.keras"
    done = run(["-c", program], "torch")
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: lrcore.keras: keras must be installed, got none; "
        "pip install 'lrcore[keras]', and tensorflow or torch"
    )
    program = """
import sys
class Without:
    def find_spec(name, *rest):
        if name == "tensorflow":
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, Without)
import lrcore.keras
"""
    done = run(["-c", program], "tensorflow")
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: lrcore.keras: tensorflow, which Keras is to use, must be installed, "
        'got none; pip install tensorflow, or torch with KERAS_BACKEND="torch" in the environment'
    )
    done = run(["-c", "import sys, lrcore; print('keras' in sys.modules)"], "torch")
    assert done.stdout == "False\n"
