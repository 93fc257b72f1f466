"""The package without the frameworks it adapts to: what is said, and that all else is there."""

import subprocess
import sys

import pytest

import lrcore

WITHOUT = """
import sys
for name in ("jax", "keras", "matplotlib", "optax", "tensorflow", "torch"):
    sys.modules[name] = None
"""
SENTENCES = {
    "keras": "keras must be installed, got none; pip install 'lrcore[keras]', and tensorflow or torch",
    "optax": "needs the package jax, which is not installed; pip install 'lrcore[optax]'",
    "torch": "needs the package torch, which is not installed; pip install 'lrcore[torch]'",
}


def run(code):
    done = subprocess.run([sys.executable, "-c", WITHOUT + code], capture_output=True, text=True)
    return done.stdout, done.stderr.splitlines()


@pytest.mark.parametrize("name", SENTENCES)
def test_an_adapter_without_its_framework_says_what_to_install(name):
    for code in (f"import lrcore.{name}", f"from lrcore import {name}"):
        _, errors = run(code)
        assert errors[-1] == f"ModuleNotFoundError: lrcore.{name}: {SENTENCES[name]}"
    _, errors = run(f"import lrcore; lrcore.{name}.AdamW")
    assert errors[-1] == f"AttributeError: lrcore.{name}: {SENTENCES[name]}"


@pytest.mark.parametrize("name", SENTENCES)
def test_an_adapter_without_its_framework_is_not_there(name):
    out, errors = run(f"""
import lrcore
print(hasattr(lrcore, {name!r}), getattr(lrcore, {name!r}, "none"), {name!r} in dir(lrcore))
""")
    assert (out, errors) == ("False none False\n", [])


def test_the_package_can_be_looked_at_without_frameworks():
    out, errors = run("""
import inspect, pkgutil, pydoc, rlcompleter
import lrcore
from lrcore import *
members = dict(inspect.getmembers(lrcore))
assert members["lr_find"] is lr_find and members["AdamW"] is AdamW
assert "lr_find" in pydoc.render_doc(lrcore)
completer = rlcompleter.Completer({"lrcore": lrcore})
print(completer.complete("lrcore.lr_fi", 0), completer.complete("lrcore.ker", 0))
seen = [module.name for module in pkgutil.walk_packages(lrcore.__path__, "lrcore.")]
assert "lrcore.keras" in seen and "lrcore.instruments" in seen
""")
    assert errors == []
    assert out.replace("(", "") == "lrcore.lr_find None\n"


def test_all_that_is_public_is_listed():
    assert {*lrcore.__all__, "__version__"} <= {*dir(lrcore)}
    assert all(hasattr(lrcore, name) for name in dir(lrcore))
    assert not hasattr(lrcore, "nothing")
