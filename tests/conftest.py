"""What all tests share."""

import os
import signal
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads spin on cores that others need

import numpy as np
import pytest

import lrcore

# A shell that starts the tests in the background has them ignore Ctrl-C, which some are about.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _as_found():
    """Give every test the instruction set and threads that the one before it found."""
    isa, threads = lrcore.get_isa(), lrcore.get_num_threads()
    yield
    lrcore.set_isa(isa)
    lrcore.set_num_threads(threads)


@pytest.fixture
def bf16():
    """The dtype bfloat16, which NumPy has from ml_dtypes."""
    try:
        from ml_dtypes import bfloat16
    except ImportError:
        from support import missing

        missing("ml_dtypes")
    return np.dtype(bfloat16)


@pytest.fixture
def call(capsys):
    """Run a command; give its exit status, stdout and stderr."""
    from lrcore import cli

    def run(*argv):
        status = cli.main([str(word) for word in argv])
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture
def without(monkeypatch):
    """Make a package look as if it were not installed."""

    def hide(module):
        for name in [name for name in sys.modules if name.partition(".")[0] == module]:
            monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, module, None)

    return hide


@pytest.fixture
def log(tmp_path):
    """Write the log of a run of `log_files`; give the path."""
    from log_files import RUNS, as_csv

    def write(name, **columns):
        path = tmp_path / f"{name}.csv"
        path.write_text(as_csv(RUNS[name], **columns))
        return path

    return write
