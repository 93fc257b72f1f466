"""The pages of the docs say what the library does today."""

import importlib.util
import inspect

import pytest
from support import ROOT

from lrcore import _describe, schedules
from lrcore._schedule import Schedule
from lrcore.schedules import compat

PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("tables", ROOT / "docs" / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_are_up_to_date(tables, page):
    text = page.read_text()
    assert tables.filled(text) == text, f"{page.name} is out of date: run python docs/tables.py"


def test_every_table_is_on_a_page(tables):
    text = "".join(page.read_text() for page in PAGES)
    found = [match[2] for match in tables.MARKED.finditer(text)]
    assert sorted(found) == sorted(tables.TABLES)
    assert text.count("<!-- table:") == text.count("<!-- end -->") == len(found)


def test_a_page_that_is_out_of_date_is_written_or_named(tables, tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- table: compat_names -->\nold\n<!-- end -->\nb\n")
    monkeypatch.setattr(tables, "DOCS", tmp_path)
    assert tables.main(["--check"]) == 1
    assert "old" in page.read_text()
    assert tables.main([]) == 0
    assert capsys.readouterr().out == "page.md: out of date\npage.md: written\n"
    assert (
        page.read_text()
        == f"a\n<!-- table: compat_names -->\n{tables.compat_names()}<!-- end -->\nb\n"
    )
    assert tables.main(["--check"]) == 0


KINDS = _describe.schedule_kinds()


def test_every_schedule_is_described():
    assert set(KINDS) == set(Schedule._kinds)
    for cls in KINDS.values():
        d = _describe.describe(cls)
        assert d.summary.endswith("."), f"{cls.__name__} has no summary"
        assert d.formula, f"the Notes of {cls.__name__} have no ``formula``"
        assert d.signature.startswith(f"{cls.__name__}(")
        doc = inspect.getdoc(cls)
        for name in d.arguments:
            assert f"{name}" in _describe.section(doc, "Parameters"), f"{cls.__name__}: {name}"


MADE_OF_OTHERS = {"clip", "every", "join", "lambda", "maximum", "minimum", "product", "repeat"}
MADE_OF_OTHERS |= {"scale", "shift", "sum"}
BY_DEFINITION = {"constant", "step", "multistep", "exponential", "natural_exponential", "linear"}
BY_DEFINITION |= {"piecewise_constant", "piecewise_linear", "piecewise_cosine", "wave"}


def test_what_is_no_definition_has_a_source():
    without = {kind for kind, cls in KINDS.items() if not _describe.describe(cls).source}
    assert without <= MADE_OF_OTHERS | BY_DEFINITION | {"exponential_anneal"}


@pytest.mark.parametrize("peer", compat.__all__)
def test_every_constructor_of_a_peer_is_documented(peer):
    module = getattr(compat, peer)
    for name in module.__all__:
        function = getattr(module, name)
        doc = inspect.getdoc(function)
        parameters = _describe.section(doc, "Parameters")
        for argument in inspect.signature(function).parameters:
            assert argument in parameters, f"{peer}.{name}: {argument} is not documented"
        assert _describe.section(doc, "Returns"), f"{peer}.{name}"
        assert ">>>" in _describe.section(doc, "Examples"), f"{peer}.{name}"


def test_a_description_in_words():
    d = _describe.describe(schedules.Step)
    assert d.signature == "Step(lr, step_size, gamma=0.1)"
    assert d.formula == "lr gamma^floor(n / step_size)"
    assert "SGDR" in _describe.describe(schedules.Cosine).source


def test_the_gallery_shows_every_schedule_and_is_small():
    pytest.importorskip("matplotlib")
    from lrcore.cli import _gallery

    assert set(_gallery.EXAMPLES) == set(KINDS)
    for kind, example in _gallery.EXAMPLES.items():
        made = example()
        assert kind in ("plateau", made.kind)
        assert made(range(_gallery.STEPS + 1)).ptp() > 0 if hasattr(made, "ptp") else True
    assert (ROOT / "docs" / "schedules.png").stat().st_size < 150_000
