"""What a class says of itself in its docstring: for the tables of the docs and the command line."""

from __future__ import annotations

import inspect
import re
from typing import Any, NamedTuple

from . import schedules
from ._schedule import WARMUP, Schedule

LITERAL = re.compile(r"``(.+?)``", re.DOTALL)


class Description(NamedTuple):
    """A class in the words of its docstring."""

    name: str
    summary: str
    formula: str
    arguments: dict[str, Any]  # with defaults; what has none is inspect.Parameter.empty
    source: str

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


def describe(cls: type, leave_out: tuple[str, ...] = (*WARMUP,)) -> Description:
    """Read the docstring and the signature of a class; `leave_out` are what all classes take."""
    doc = inspect.getdoc(cls) or ""
    formula = LITERAL.search(section(doc, "Notes"))
    signature = inspect.signature(cls)
    return Description(
        cls.__name__,
        _line(doc.partition("\n\n")[0]),
        _line(formula.group(1)) if formula else "",
        {n: p.default for n, p in signature.parameters.items() if n not in leave_out},
        _line(section(doc, "References")),
    )


def section(doc: str, title: str) -> str:
    """Return the text of a section of a numpydoc docstring, or nothing."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", doc, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(title, "").strip()


def _line(text: str) -> str:
    return " ".join(text.split())


def _text(value: Any) -> str:
    return repr(value).replace("'", '"')
