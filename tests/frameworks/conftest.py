"""What tests against frameworks share."""

from importlib import import_module

import pytest
from support import missing


@pytest.fixture(scope="module")
def torch():
    """PyTorch, on one thread, with `lrcore.torch` imported."""
    try:
        torch = import_module("torch")
    except ImportError:
        missing("torch")
    import_module("lrcore.torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(before)
