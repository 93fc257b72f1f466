"""What several tests need: small helpers, tools that may not be there, other processes."""

from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray

import lrcore

ROOT = Path(__file__).parent.parent

#: What a C program is linked with to use the installed package.
LINK = [lrcore.get_library(), "-lpthread", "-lm"]
INCLUDE = ["-I", lrcore.get_include()]
#: Warnings are errors in the examples too.
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]

BACKENDS = pytest.mark.parametrize("backend", ["c", "numpy"])
#: What copies an optimizer.
COPIES = [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]


def f32(*values: float) -> NDArray[np.float32]:
    """A row of float32."""
    return np.array(values, np.float32)


def message_of(error: Any) -> str:
    """The text of an error that was expected; one line."""
    text = str(error.value)
    assert "\n" not in text
    return text


def read_json(text: str) -> Any:
    """Read one JSON object, by the letter: NaN and Infinity are none of it."""

    def refuse(word: str) -> NoReturn:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def missing(what: str) -> NoReturn:
    """Skip a test for want of something; fail it in CI, where nothing may be wanting."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"NOT TESTED: there is no {what} here", allow_module_level=True)


def require(tool: str) -> str:
    """Return the path of a program that a test cannot do without."""
    path = shutil.which(tool)
    if path is None:
        missing(tool)
    return path


def run(*command: object, timeout: float = 120, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program that must succeed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, **options)
    assert done.returncode == 0, (
        f"{' '.join(words)}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
    )
    return done


def compile_c(source: Path, program: Path, *flags: str) -> Path:
    """Build a C program, a file or a folder, against the installed package, with whatever `cc` is."""
    files = sorted(source.glob("*.c")) if source.is_dir() else [source]
    run(require("cc"), "-std=c11", "-O2", *STRICT, *flags, *files, *INCLUDE, *LINK, "-o", program)
    return program


def python(code: str, *, timeout: float = 60, **environment: str) -> str:
    """Run Python code in a process of its own; return what it printed."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LRCORE_", "OMP_"))}
    return run(sys.executable, "-c", code, timeout=timeout, env={**env, **environment}).stdout


def read_terminal(ours: int, theirs: int) -> bytes:
    """Return what a process writes to a terminal, of which it has one end, until it closes that."""
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    return seen
