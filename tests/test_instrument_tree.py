"""The tree of `lrcore.instruments`: what is where, and which part knows which."""

import ast
from pathlib import Path

import pytest
from support import python

from lrcore import instruments

HERE = Path(instruments.__file__).parent
#: What each part may import of the others.
KNOWS = {"diagnosis": set(), "finder": set(), "trials": set(), "logs": {"diagnosis"}}


def test_instruments_are_there_by_name():
    assert sorted(instruments._WHERE) == sorted(instruments.__all__)
    for name in instruments.__all__:
        assert getattr(instruments, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'lr_fnid'"):
        _ = instruments.lr_fnid


def imported(path):
    """The modules that a file imports, absolutely, wherever it does."""
    package = ("lrcore", "instruments", *path.relative_to(HERE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            base = [*above, *([node.module] if node.module else [])]
            yield from (".".join([*base, alias.name]) for alias in node.names)


@pytest.mark.parametrize("part", [None, *KNOWS])
def test_arrows_between_the_instruments_go_one_way(part):
    files = (HERE / part).rglob("*.py") if part else set(HERE.glob("*.py")) - {HERE / "__init__.py"}
    names = {tuple(name.split(".")) for file in files for name in imported(file)}
    seen = {name[2] for name in names if name[:2] == ("lrcore", "instruments")}
    assert seen & set(KNOWS) - {part} <= KNOWS.get(part, set())
    assert {p.parent.name for p in HERE.glob("*/__init__.py")} == set(KNOWS)


def test_no_instrument_is_imported_before_it_is_asked_for():
    code = "import sys, lrcore.instruments; print(sorted(m for m in sys.modules if 'instr' in m))"
    assert python(code).strip() == "['lrcore.instruments']"
