"""What a class says of itself in its docstring: for the tables of the docs and the command line."""

from __future__ import annotations

import inspect
import re
from typing import Any, NamedTuple

from . import optimizers, schedules
from ._optimizer import Optimizer
from ._schedule import WARMUP, Schedule

LITERAL = re.compile(r"``(.+?)``", re.DOTALL)
#: Where the Notes of a rule go on to a new sentence: not after "et al.", and not inside a literal.
SENTENCE = re.compile(r"(?<=\.)(?<!al\.) (?=[A-Z`])")
#: What a sentence of the Notes of a rule is about, by how it begins or what is in it.
KEPT = re.compile(r"(No|One|Two|Three|Four|Five|Six) (to \w+ )?state|State is|A matrix of")
DATED = re.compile(r"\b(?:19|20)\d\d\b")
DEVIATION = re.compile(r"^Deviation(?:,? (?P<how>[^:]+))?: ")


class Description(NamedTuple):
    """A class in the words of its docstring."""

    name: str
    summary: str
    formula: str
    arguments: dict[str, Any]  # with defaults; what has none is inspect.Parameter.empty
    source: str
    deviations: tuple[str, ...] = ()  # from the source or the peers, kept on purpose
    remarks: str = ""
    kept: str = ""  # what the Notes say of state and sweeps

    @property
    def signature(self) -> str:
        """The call, with defaults."""
        empty = inspect.Parameter.empty
        shown = (name if d is empty else f"{name}={_text(d)}" for name, d in self.arguments.items())
        return f"{self.name}({', '.join(shown)})"


def schedule_kinds() -> dict[str, type[Schedule]]:
    """Every schedule class of :mod:`lrcore.schedules` by its kind, in the order of their names."""
    found = (getattr(schedules, name) for name in sorted(schedules.__all__, key=str.lower))
    classes = (x for x in found if isinstance(x, type) and issubclass(x, Schedule))
    return {cls.kind: cls for cls in classes if cls is not Schedule}


def rule_kinds() -> dict[str, type[Optimizer]]:
    """Every class of :mod:`lrcore.optimizers` by its rule, in the order of their names."""
    found = (getattr(optimizers, name) for name in sorted(optimizers.__all__, key=str.lower))
    return {cls.rule: cls for cls in found if isinstance(cls, type) and issubclass(cls, Optimizer)}


def describe_rule(cls: type[Optimizer]) -> Description:
    """Read the docstring and the signature of a rule.

    Its Notes hold, a sentence or more each, the formula, what is kept, the source (sentences with a
    year), remarks, and deviations, which begin with that word.
    """
    doc = inspect.getdoc(cls) or ""
    formula: list[str] = []
    rest: dict[str, list[str]] = {"kept": [], "source": [], "remark": [], "deviation": []}
    kind = "formula"
    for sentence in _sentences(_line(section(doc, "Notes"))):
        before, kind = kind, _kind(sentence, kind)
        text = formula if kind == "formula" else rest[kind]
        if before == kind == "deviation" and not DEVIATION.match(sentence):
            text[-1] += f" {sentence}"
        else:
            text.append(sentence)
    shown = [(name, p) for name, p in inspect.signature(cls).parameters.items()][1:]
    return Description(
        cls.__name__,
        _summary(doc),
        " ".join(formula),
        {name: p.default for name, p in shown if p.kind is not p.VAR_KEYWORD},
        " ".join(rest["source"]),
        tuple(DEVIATION.sub(_how, text) for text in rest["deviation"]),
        " ".join(rest["remark"]),
        " ".join(rest["kept"]),
    )


def _sentences(text: str) -> list[str]:
    """Cut at the ends of sentences; what is inside a literal has none."""
    literals: list[str] = []

    def put_aside(match: re.Match[str]) -> str:
        literals.append(match[0])
        return f"`{len(literals) - 1}`"

    whole = SENTENCE.split(LITERAL.sub(put_aside, text))
    return [re.sub(r"`(\d+)`", lambda m: literals[int(m[1])], part) for part in whole if part]


def _kind(sentence: str, before: str) -> str:
    """What a sentence is about; `before` is what the one before it was about."""
    if DEVIATION.match(sentence):
        return "deviation"
    if before == "deviation":
        return before
    if DATED.search(sentence):
        return "source"
    if KEPT.match(sentence):
        return "kept"
    return "formula" if before == "formula" else "remark"


def _how(match: re.Match[str]) -> str:
    return f"({match['how']}) " if match["how"] else ""


def parameters(cls: type) -> dict[str, str]:
    """Return what the docstring of a class says of each parameter, in one line."""
    text = section(inspect.getdoc(cls) or "", "Parameters")
    parts = re.split(r"^(\**\w+)(?: :.*)?\n", f"{text}\n", flags=re.MULTILINE)
    return {name: _line(text) for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def describe(cls: type, leave_out: tuple[str, ...] = (*WARMUP,)) -> Description:
    """Read the docstring and the signature of a class; `leave_out` are what all classes take."""
    doc = inspect.getdoc(cls) or ""
    formula = LITERAL.search(section(doc, "Notes"))
    signature = inspect.signature(cls)
    return Description(
        cls.__name__,
        _summary(doc),
        _line(formula.group(1)) if formula else "",
        {n: p.default for n, p in signature.parameters.items() if n not in leave_out},
        _line(section(doc, "References")),
    )


def section(doc: str, title: str) -> str:
    """Return the text of a section of a numpydoc docstring, or nothing."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", doc, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(title, "").strip()


def _summary(doc: str) -> str:
    first = doc.partition("\n\n")[0]
    return "" if "\n---" in first else _line(first)


def _line(text: str) -> str:
    return " ".join(text.split())


def _text(value: Any) -> str:
    return repr(value).replace("'", '"')
