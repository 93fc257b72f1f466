"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import lrcore

MODULES = [m.name for m in pkgutil.walk_packages(lrcore.__path__, "lrcore.")]


@pytest.mark.parametrize("name", ["lrcore", *(m for m in MODULES if not m.endswith("__main__"))])
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_there_are_examples():
    found = [e for e in doctest.DocTestFinder().find(lrcore.optimizers) if e.examples]
    assert len(found) >= len(lrcore.optimizers.__all__)
