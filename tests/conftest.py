"""What all tests share."""

import os
import signal

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads spin on cores that others need

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
