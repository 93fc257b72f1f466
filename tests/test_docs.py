"""The pages of the docs say what the library does today."""

import doctest
import importlib
import importlib.util
import inspect
import json
import re
import shlex
import subprocess
import sys

import pytest
from support import ROOT

import lrcore
from lrcore import _describe, cli, schedules, tasks
from lrcore._hyper import RULES, STATES
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


def test_nothing_is_undocumented(tables):
    assert tables.undocumented() == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("Adam with weight decay that", "", "no summary"),
        ("``p *= 1 - lr weight_decay`` first, then :class:`Adam`. ", "", "no formula"),
        ("2019", "", "no source"),
        ("amsgrad : bool", "other : bool", "amsgrad is not described"),
    ],
)
def test_what_a_docstring_lacks_is_named(tables, monkeypatch, capsys, old, new, fault):
    doc = inspect.getdoc(lrcore.AdamW)
    if fault == "no summary":
        doc = f"\n{doc[doc.index('Parameters') :]}"
    monkeypatch.setattr(lrcore.AdamW, "__doc__", doc.replace(old, new))
    (found,) = tables.undocumented()
    assert found.startswith("AdamW: ")
    assert fault in found
    assert tables.main(["--check"]) == 1
    assert found in capsys.readouterr().out


def test_a_family_is_needed(tables, monkeypatch):
    found = tables.families()
    assert sorted(rule for names in found.values() for rule in names) == sorted(RULES)
    assert "adamw" in found["Adam and its relatives"]
    monkeypatch.setattr(tables, "families", lambda: {"": list(RULES)})
    assert len(tables.undocumented()) == len(RULES)


def test_every_deviation_is_in_the_one_table(tables):
    said = sum(inspect.getdoc(cls).count("Deviation") for cls in tables.CLASSES.values())
    assert tables.deviations().count("\n") - 2 == said > 30


NUMBERS = {"No": 0, "One": 1, "Two": 2, "Three": 3, "Four": 4}


@pytest.mark.parametrize("rule", RULES)
def test_the_notes_count_the_states(tables, rule):
    d = _describe.describe_rule(tables.CLASSES[rule])
    said = re.match(r"(No|One|Two|Three|Four) state", d.kept)
    states = [
        state
        for state in STATES[rule]
        if state.only is not False and (not state.switch or d.arguments[state.switch])
    ]
    assert said is None or NUMBERS[said[1]] == len(states), d.kept
    if said and "sweep" in d.kept and RULES[rule].scope != "matrix":
        assert ("two sweeps" in d.kept) == (tables.sweeps(rule) == "2"), d.kept


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
    from lrcore.plot import _gallery

    assert set(_gallery.EXAMPLES) == set(KINDS)
    for kind, example in _gallery.EXAMPLES.items():
        made = example()
        assert kind in ("plateau", made.kind)
        assert made(range(_gallery.STEPS + 1)).ptp() > 0 if hasattr(made, "ptp") else True
    assert (ROOT / "docs" / "schedules.png").stat().st_size < 150_000


@pytest.fixture(scope="module")
def pictures():
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "docs" / "pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_picture_is_there_and_small(pictures):
    for name in pictures.PICTURES:
        assert 5_000 < (ROOT / "docs" / f"{name}.png").stat().st_size < pictures.MOST


def test_a_picture_is_drawn_anew(pictures, tmp_path, capsys, monkeypatch):
    pictures.main(["descent", "--to", str(tmp_path)])
    assert capsys.readouterr().out == f"{tmp_path / 'descent.png'}\n"
    assert (tmp_path / "descent.png").stat().st_size > 5_000
    with pytest.raises(SystemExit):
        pictures.main(["sunset"])
    assert "sunset: there is no such picture; find, training" in capsys.readouterr().err
    monkeypatch.setattr(pictures, "MOST", 1000)
    with pytest.raises(SystemExit):
        pictures.main(["descent", "--to", str(tmp_path)])
    assert "more than 1,000" in capsys.readouterr().err


CHOOSING = (ROOT / "docs" / "choosing.md").read_text()
COMMANDS = re.findall(r"^(lrcore .+)$", CHOOSING, re.MULTILINE)


def test_the_examples_on_choosing_print_what_they_say():
    result = doctest.testfile(str(ROOT / "docs" / "choosing.md"), module_relative=False)
    assert result.attempted > 5
    assert result.failed == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_on_choosing_run(command, tmp_path, monkeypatch, capsys):
    for module in ("rich", "sklearn", "matplotlib"):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)
    assert cli.main(words[1:]) == 0
    assert capsys.readouterr().out or "-o" in words
    assert "-o" not in words or (tmp_path / words[-1]).stat().st_size > 10_000


def test_there_are_commands_on_choosing():
    assert len(COMMANDS) > 5
    assert CHOOSING.count("```") % 2 == 0


@pytest.fixture
def choosing(monkeypatch):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(ROOT / "bench")
    return importlib.import_module("choosing")


def test_the_runs_of_choosing_write_its_tables(choosing, tmp_path):
    page, kept = tmp_path / "choosing.md", tmp_path / "runs.json"
    names = ["rates", "rules", "made_with"]
    marks = "".join(f"<!-- runs: {name} -->\nold\n<!-- end of runs -->\n" for name in names)
    page.write_text(f"before\n{marks}after\n")
    choosing.main(["--quick", "--page", str(page), "--keep", str(kept), "--jobs", "1"])
    text = page.read_text()
    assert text.startswith("before\n<!-- runs: rates -->\n| rate |")
    assert text.endswith("<!-- end of runs -->\nafter\n")
    assert "old" not in text
    assert "| `SGD, momentum 0.9` | " in text
    assert (tmp_path / "rates.png").stat().st_size > 10_000
    known = len(json.loads(kept.read_text()))
    assert f"{known} runs, 1 seed, 3 rates" in text
    assert text.count("\n| `") == 4  # three rules, and one of them with momentum


def test_every_table_of_choosing_is_on_the_page_and_written(choosing):
    found = [match[2] for match in choosing.MARKED.finditer(CHOOSING)]
    assert sorted(found) == sorted(choosing.TABLES)
    assert not re.search(r"-->\n<!-- end of runs", CHOOSING)
    assert (ROOT / "docs" / "rates.png").stat().st_size < 100_000


@pytest.mark.parametrize(
    ("accuracies", "good"),
    [
        ([10, 90, 91, 89.5, 10], [2, 3, 4]),
        ([90, 10, 90, 90, 92], [3, 4, 5]),  # the first is luck
        ([90, 91, 90, 10, 91], [1, 2, 3]),
        ([10, 10, 10, 10, 10], [1, 2, 3, 4, 5]),
        ([10, 92, 10, 10, 10], [2]),
    ],
)
def test_good_rates_stand_next_to_each_other(choosing, accuracies, good):
    found = dict(zip([1, 2, 3, 4, 5], accuracies, strict=True))
    assert choosing.good_rates(found) == good
    assert choosing.decades(found) == len(good) / 2


# ------------------------------------------------------------------------ applications

APPLICATIONS = (ROOT / "docs" / "applications.md").read_text()


@pytest.fixture
def applications(choosing, monkeypatch):
    return importlib.import_module("applications")


def test_the_runs_of_applications_write_its_tables(applications, tmp_path):
    page, kept = tmp_path / "applications.md", tmp_path / "runs.json"
    marks = (f"<!-- runs: {name} -->\nold\n<!-- end of runs -->\n" for name in applications.TABLES)
    page.write_text("".join(marks))
    command = ["--quick", "--page", str(page), "--keep", str(kept)]
    applications.main(command)
    text, runs = page.read_text(), json.loads(kept.read_text())
    assert "old" not in text
    assert "| `lrcore train wine` |" in text
    assert "(`GradientBoostingRegressor`)" in text
    assert "lrcore " + lrcore.__version__ in text
    runs["sklearn wine 0"]["score"] = 0.123
    kept.write_text(json.dumps(runs))
    applications.main(command)
    text = page.read_text()
    assert "12.3% right (`LogisticRegression`)" in text  # what is kept is not made again


def test_every_task_is_on_the_page_of_applications(applications):
    found = [match[2] for match in applications.MARKED.finditer(APPLICATIONS)]
    assert sorted(found) == sorted(applications.TABLES)
    assert not re.search(r"-->\n<!-- end of runs", APPLICATIONS)
    for name in tasks.names():
        assert f"| `lrcore train {name}` |" in APPLICATIONS
        assert f"**{name}**" in APPLICATIONS


def test_the_examples_of_the_instruments_hold():
    command = [sys.executable, ROOT / ".ci" / "page.py", ROOT / "docs" / "instruments.md"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout
