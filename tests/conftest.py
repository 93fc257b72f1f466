"""What all tests share."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads spin on cores that others need

import pytest

import lrcore


@pytest.fixture(autouse=True)
def _as_found():
    """Give every test the instruction set and threads that the one before it found."""
    isa, threads = lrcore.get_isa(), lrcore.get_num_threads()
    yield
    lrcore.set_isa(isa)
    lrcore.set_num_threads(threads)
