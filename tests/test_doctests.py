"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import lrcore

#: What needs a framework: tests/frameworks runs the examples of these.
ADAPTERS = ("torch", "keras", "optax")
FOUND = [m.name for m in pkgutil.walk_packages(lrcore.__path__, "lrcore.")]
MODULES = [name for name in FOUND if name.split(".")[1] not in ADAPTERS]


@pytest.mark.parametrize("name", ["lrcore", *(m for m in MODULES if not m.endswith("__main__"))])
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_there_are_examples():
    for name in lrcore.optimizers.__all__:
        found = doctest.DocTestFinder().find(getattr(lrcore.optimizers, name))
        assert any(e.examples for e in found), f"the class {name} has no example"
