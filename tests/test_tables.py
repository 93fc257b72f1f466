"""A rule is five places; a half-added one fails here with a sentence that names what is missing."""

import inspect
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

import lrcore
from lrcore import _core, functional, optimizers
from lrcore._hyper import RULES, domain_of, slots
from lrcore._matrices import module_of
from lrcore._optimizer.saved import BESIDES, PASSING
from lrcore._optimizer.slots import FOLLOWING
from lrcore.reference import rules as reference

CLASSES = {name.lower(): getattr(optimizers, name) for name in optimizers.__all__}


@pytest.mark.parametrize("rule", RULES)
def test_every_row_has_reference_class_export_and_function(rule):
    home = f"reference/rules/{rule}.py"
    assert find_spec(f"lrcore.reference.rules.{rule}"), f"there is no {home}"
    module, row = reference.rule(rule), RULES[rule]
    needed = ["update"] + ["estimate"] * bool(row.scalars) + ["measure"] * (row.sums > 0)
    needed += ["prepare"] * (row.scope == "matrix")
    needed += ["follow", "share"] * (row.scope == "factored")
    for function in needed:
        assert callable(getattr(module, function, None)), f"{home} has no function {function}"
    if row.scope == "matrix":
        assert find_spec(f"lrcore._matrices.{rule}"), f"there is no _matrices/{rule}.py"
        for function in ("enter", "leave"):
            assert callable(getattr(module_of(rule), function, None)), (
                f"_matrices/{rule}.py: {function}"
            )
    for name in row.matrices:
        assert name.partition("_")[0] in ("left", "right"), (
            f"{rule}: is {name} left or right of it?"
        )
    assert rule in CLASSES, f"optimizers.__all__ has no class for the row {rule}"
    assert CLASSES[rule].rule == rule
    name = CLASSES[rule].__name__
    assert name in lrcore.__all__, f"lrcore.__all__ does not export {name}"
    assert getattr(lrcore, name) is CLASSES[rule]
    assert callable(getattr(functional, rule))


@pytest.mark.parametrize("rule", CLASSES)
def test_every_class_has_a_row_whose_columns_it_fills(rule):
    assert rule in RULES, f"rules.def has no row for the class {CLASSES[rule].__name__}"
    columns = RULES[rule].hypers
    parameters = list(inspect.signature(CLASSES[rule]).parameters.values())[1:-1]
    filled = [slot for p in parameters for slot, _, _ in slots(p.name, p.default, columns)]
    assert sorted(filled) == list(range(len(columns))), f"{rule}: columns {columns}"
    for p in parameters:
        domain_of(rule, p.name)  # raises where DOMAINS says nothing of it


@pytest.mark.parametrize("rule", CLASSES)
def test_docstrings_name_every_parameter_and_its_default(rule):
    doc = inspect.getdoc(CLASSES[rule])
    for p in list(inspect.signature(CLASSES[rule]).parameters.values())[1:-1]:
        line = next((x for x in doc.splitlines() if x.startswith(f"{p.name} : ")), None)
        assert line, f"{rule}: the docstring does not describe {p.name}"
        text = line.rpartition("default ")[2]
        assert eval(text) == p.default, f"{rule}: {p.name} is documented as {text}"
    assert "Notes" in doc
    assert ">>>" in doc


def test_notes_name_states_and_hyper_parameters():
    for rule, row in RULES.items():
        for note in set(row.notes) - {"rows"}:
            name, sign, hyper = re.fullmatch(r"(\w+)([:=+!/#~|*-])(\w*)", note).groups()
            assert name in row.states + (row.scalars if sign == "=" else ()), f"{rule}: {note}"
            known = (*row.hypers, "p") if name in row.states and sign == "=" else row.hypers
            assert (hyper in known) if sign in ":=" else not hyper, f"{rule}: {note}"
        by_rows = any(note.endswith("/") for note in row.notes)
        assert by_rows == (row.scope == "row"), f"{rule}: a state is one number a row, or none is"
        signs = sorted(note[-1] for note in row.notes if note[-1] in "-|*")
        kept = ["*", "-", "|"] if row.scope == "factored" else []
        assert signs == kept, (
            f"{rule}: a state is kept as a factor of rows and one of columns, or none"
        )


def test_no_state_takes_the_name_of_another_slot():
    taken = {*BESIDES, *PASSING, *FOLLOWING}
    for rule, row in RULES.items():
        assert not taken & set(row.states), f"{rule}: the pipeline keeps an array of that name"


SOURCES = Path(__file__).parents[1] / "csrc"


def test_the_reference_and_the_kernels_cut_alike():
    from lrcore._optimizer import slots
    from lrcore.reference import reduce, storage

    header = (SOURCES / "engine.h").read_text()
    assert f"LRC_CHUNK = {reduce.CHUNK}," in header
    assert f"LRC_LANES = {reduce.LANES}," in header
    assert f"LRC_STRIP = {reduce.STRIP}," in header
    assert _core.BLOCK % reduce.LANES == 0
    assert f"LRC_Q8_BLOCK = {storage.BLOCK} " in (SOURCES / "lrcore.h").read_text()
    assert storage.BLOCK == slots.BLOCK_8BIT
    assert reduce.CHUNK == slots.CHUNK


def test_a_row_of_statistics_has_the_columns_of_the_struct():
    from lrcore._optimizer import layout
    from lrcore._optimizer import stats as front
    from lrcore.reference import stats

    text = (SOURCES / "lrcore.h").read_text()
    fields = text[: text.index("} lrc_stats;")].rpartition("typedef struct {")[2]
    fields = re.sub(r"/\*.*?\*/", "", fields, flags=re.DOTALL)
    names = [x for line in re.findall(r"double ([^;]+);", fields) for x in line.split(", ")]
    assert layout.ROW == stats.COLUMNS == len(names)
    for i, name in enumerate(names):
        assert getattr(stats, name.upper()) == getattr(front, name.upper()) == i
