"""What tests against frameworks share."""

import re
from importlib import import_module

import pytest
from support import missing

#: Of a file all of whose tests need a framework, which it may import at its top.
ALL_MARKED = re.compile(r"^pytestmark = (\[\s*)?pytest\.mark\.frameworks\b", re.MULTILINE)


def pytest_ignore_collect(collection_path, config):
    """Do not import such files where they are not asked for: the framework may be missing."""
    chosen = config.getoption("markexpr")
    if not chosen or ("frameworks" in chosen and "not frameworks" not in chosen):
        return None
    if not collection_path.is_file():
        return None
    return True if ALL_MARKED.search(collection_path.read_text()) else None


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
