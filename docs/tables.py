"""Write the tables of the docs, each between its marks: ``python docs/tables.py [--check]``.

A page says ``<!-- table: name -->`` where a table begins and ``<!-- end -->`` where it ends; what
is between them is written by the function of that name, from the live library. With ``--check``
nothing is written, and the exit status is 1 if a page is out of date. It is 1 in any case if the
docstring of a rule or a schedule lacks what a table shows of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

import lrcore
from lrcore import _describe, schedules
from lrcore._hyper import DOMAINS, FLAG, RULES, STATES
from lrcore.schedules import compat

DOCS = Path(__file__).parent
ROWS = DOCS.parent / "csrc" / "rules.def"
NAME = re.compile(r"^(\w+(?:\(.*\))?)")
FAMILY = re.compile(r"^/\* (?P<family>.+) \*/$|^RULE\((?P<rule>\w+),", re.MULTILINE)
DOUBLE = re.compile(r"``(.+?)``")
ROLE = re.compile(r":\w+:`~?(.+?)`")
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of Markdown."""
    head = list(header)
    lines = [head, ["---"] * len(head), *map(list, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# -------------------------------------------------------------------------- schedules


def schedule_kinds() -> str:
    """Every schedule: its call with the defaults, its formula, its source."""
    rows = []
    for cls in _describe.schedule_kinds().values():
        d = _describe.describe(cls)
        rows.append((f"`{d.signature}`", d.summary.rstrip("."), f"`{d.formula}`", d.source))
    return table(("schedule, with its defaults", "", "value at update t", "source"), rows)


def _values(schedule: schedules.Schedule, n: int) -> str:
    return " ".join(f"{value:.3g}" for value in schedule(range(n)).tolist())


def _reductions(plateau: schedules.Plateau, n: int = 9) -> str:
    found = [str(i) for i in range(n) if plateau.update(1.0)]
    return f"falls after metric {', '.join(found)}, ..."


def _one_less(t: int) -> float:
    return min((t + 1) / 4, 1.0)


#: What is compared; who, the call, how it is shown. lrcore's own comes first.
CASES: dict[str, list[tuple[str, str, Callable[[], str]]]] = {
    "1. A milestone at 3, factor 0.1": [
        ("lrcore", "MultiStep(1, [3])", lambda: _values(schedules.MultiStep(1, [3]), 6)),
        ("torch", "MultiStepLR", lambda: _values(compat.torch.MultiStepLR(1, [3]), 6)),
        (
            "optax",
            "piecewise_constant_schedule",
            lambda: _values(compat.optax.piecewise_constant_schedule(1, {3: 0.1}), 6),
        ),
        (
            "timm",
            "MultiStepLRScheduler",
            lambda: _values(compat.timm.MultiStepLRScheduler(1, [3], 0.1), 6),
        ),
        (
            "keras",
            "PiecewiseConstantDecay",
            lambda: _values(compat.keras.PiecewiseConstantDecay([3], [1, 0.1]), 6),
        ),
    ],
    "2. A warm-up of 4": [
        ("lrcore", "Constant(1, warmup=4)", lambda: _values(schedules.Constant(1, warmup=4), 6)),
        (
            "transformers",
            "get_constant_schedule_with_warmup",
            lambda: _values(compat.transformers.get_constant_schedule_with_warmup(1, 4), 6),
        ),
        (
            "optax",
            "warmup_constant_schedule",
            lambda: _values(compat.optax.warmup_constant_schedule(0, 1, 4), 6),
        ),
        ("torch", "LinearLR", lambda: _values(compat.torch.LinearLR(1, total_iters=4), 6)),
        (
            "timm",
            "CosineLRScheduler, of 10, as it comes",
            lambda: _values(compat.timm.CosineLRScheduler(1, 10, warmup_t=4), 6),
        ),
        (
            "schedulefree",
            "(in its optimizers)",
            lambda: _values(schedules.Lambda(_one_less), 6),
        ),
    ],
    "3. A warm-up of 2 and a cosine of 10": [
        (
            "lrcore",
            "Cosine(1, 10, warmup=2)",
            lambda: _values(schedules.Cosine(1, 10, warmup=2), 13),
        ),
        (
            "transformers",
            "get_cosine_schedule_with_warmup",
            lambda: _values(compat.transformers.get_cosine_schedule_with_warmup(1, 2, 10), 13),
        ),
        (
            "optax",
            "warmup_cosine_decay_schedule",
            lambda: _values(compat.optax.warmup_cosine_decay_schedule(0, 1, 2, 10), 13),
        ),
        (
            "keras",
            "CosineDecay",
            lambda: _values(compat.keras.CosineDecay(0, 10, warmup_target=1, warmup_steps=2), 13),
        ),
    ],
    "4. A cosine of 10, from update 9 on": [
        ("lrcore", "Cosine(1, 10)", lambda: _values(schedules.Cosine(1, 10).shift(9), 4)),
        (
            "torch",
            "CosineAnnealingLR",
            lambda: _values(compat.torch.CosineAnnealingLR(1, 10).shift(9), 4),
        ),
        (
            "transformers",
            "get_cosine_schedule_with_warmup",
            lambda: _values(
                compat.transformers.get_cosine_schedule_with_warmup(1, 0, 10).shift(9), 4
            ),
        ),
        ("optax", "", lambda: _values(compat.optax.cosine_decay_schedule(1, 10).shift(9), 4)),
        ("keras", "", lambda: _values(compat.keras.CosineDecay(1, 10).shift(9), 4)),
        ("timm", "", lambda: _values(compat.timm.CosineLRScheduler(1, 10).shift(9), 4)),
    ],
    "5. One cycle of 10, peak 1": [
        ("lrcore", "OneCycle(1, 10)", lambda: _values(schedules.OneCycle(1, 10), 11)),
        (
            "torch",
            "OneCycleLR; then an exception",
            lambda: _values(compat.torch.OneCycleLR(1, 10), 10),
        ),
        (
            "optax",
            "cosine_onecycle_schedule",
            lambda: _values(compat.optax.cosine_onecycle_schedule(10, 1), 11),
        ),
        (
            "fastai",
            "fit_one_cycle",
            lambda: _values(compat.fastai.fit_one_cycle(1, 1, steps_per_epoch=10), 10),
        ),
    ],
    "6. A polynomial of 4 with its defaults": [
        ("lrcore", "Polynomial(1, 4)", lambda: _values(schedules.Polynomial(1, 4), 6)),
        ("torch", "PolynomialLR", lambda: _values(compat.torch.PolynomialLR(1, 4), 6)),
        ("keras", "PolynomialDecay", lambda: _values(compat.keras.PolynomialDecay(1, 4), 6)),
        (
            "transformers",
            "get_polynomial_decay_schedule_with_warmup",
            lambda: _values(
                compat.transformers.get_polynomial_decay_schedule_with_warmup(1, 0, 4), 6
            ),
        ),
        ("timm", "PolyLRScheduler", lambda: _values(compat.timm.PolyLRScheduler(1, 4), 6)),
    ],
    "7. Exponential, rate 0.9": [
        ("lrcore", "Exponential(1, 0.9)", lambda: _values(schedules.Exponential(1, 0.9), 3)),
        ("torch", "ExponentialLR", lambda: _values(compat.torch.ExponentialLR(1, 0.9), 3)),
        (
            "keras",
            "ExponentialDecay, 2 steps",
            lambda: _values(compat.keras.ExponentialDecay(1, 2, 0.9), 3),
        ),
        (
            "keras",
            "(the same, staircase)",
            lambda: _values(compat.keras.ExponentialDecay(1, 2, 0.9, staircase=True), 3),
        ),
    ],
    "8. Plateau, patience 2, metrics 1, 1, 1, ... counted from 0": [
        (
            "lrcore",
            "Plateau(1, patience=2)",
            lambda: _reductions(schedules.Plateau(1, patience=2)),
        ),
        (
            "torch",
            "ReduceLROnPlateau; threshold a share",
            lambda: _reductions(compat.torch.ReduceLROnPlateau(1, patience=2)),
        ),
        (
            "keras",
            "ReduceLROnPlateau; threshold a difference",
            lambda: _reductions(compat.keras.ReduceLROnPlateau(1, patience=2)),
        ),
        (
            "optax",
            "reduce_on_plateau",
            lambda: _reductions(compat.optax.reduce_on_plateau(1, patience=2)),
        ),
    ],
    "9. Restarts, first cycle of 2, with the defaults": [
        ("lrcore", "CosineRestarts(1, 2)", lambda: _values(schedules.CosineRestarts(1, 2), 7)),
        (
            "torch",
            "CosineAnnealingWarmRestarts",
            lambda: _values(compat.torch.CosineAnnealingWarmRestarts(1, 2), 7),
        ),
        (
            "keras",
            "CosineDecayRestarts",
            lambda: _values(compat.keras.CosineDecayRestarts(1, 2), 7),
        ),
    ],
}


def conventions() -> str:
    """The same words, another schedule: every peer's values of the updates 0, 1, 2, ..."""
    rows = []
    for case, entries in CASES.items():
        for i, (who, call, show) in enumerate(entries):
            rows.append(("" if i else case, who, NAME.sub(r"`\1`", call), show()))
    return table(("", "library", "its name", "values"), rows)


def compat_names() -> str:
    """Every constructor of schedules.compat."""
    rows = []
    for peer in compat.__all__:
        names = sorted(getattr(compat, peer).__all__, key=str.lower)
        rows.append((f"`compat.{peer}`", ", ".join(f"`{name}`" for name in names)))
    return table(("module", "names"), rows)


# -------------------------------------------------------------------------- rules

CLASSES = _describe.rule_kinds()
#: The side of the matrix by which bytes an element are counted.
SIDE = 256


def families() -> dict[str, list[str]]:
    """The rules as the comments of rules.def group them."""
    found: dict[str, list[str]] = {}
    family = ""
    for match in FAMILY.finditer(ROWS.read_text()):
        family = match["family"] or family
        if match["rule"]:
            found.setdefault(family, []).append(match["rule"])
    return found


def _markdown(text: str) -> str:
    return ROLE.sub(r"`\1`", DOUBLE.sub(r"`\1`", text))


def _cell(text: str) -> str:
    return _markdown(text).replace("|", "\\|")


def _bytes(cls: type[lrcore.Optimizer], shape: tuple[int, ...], **options: object) -> str:
    """Bytes of state an element of a float32 parameter."""
    opt = cls(np.zeros(shape, np.float32), **options)
    return f"{opt.nbytes / np.prod(shape):.2g}"


def _toggled(rule: str, switch: str, default: object) -> dict[str, object]:
    """The arguments that turn a state on that is off by default, or off."""
    own = DOMAINS.get(f"{rule}.{switch}", DOMAINS.get(switch))
    if default:
        return {switch: False if own is FLAG else 0.0}
    chosen: dict[str, object] = {switch: True if own is FLAG else 0.9}
    return {"momentum": 0.9, **chosen} if switch == "nesterov" else chosen


def state_bytes(rule: str) -> str:
    """Bytes of state an element, with the defaults and with every switch, as measured."""
    cls = CLASSES[rule]
    matrix, vector = (_bytes(cls, shape) for shape in ((SIDE, SIDE), (SIDE * SIDE,)))
    said = matrix if matrix == vector else f"{matrix} of a matrix, {vector} of a vector"
    parts = [said]
    for switch in dict.fromkeys(state.switch for state in STATES[rule] if state.switch):
        default = _describe.describe_rule(cls).arguments[switch]
        now = _bytes(cls, (SIDE, SIDE), **_toggled(rule, switch, default))
        parts.append(f"{now} {'without' if default else 'with'} {switch}")
    return "; ".join(parts)


def sweeps(rule: str) -> str:
    """How often a step goes over the arrays."""
    row = RULES[rule]
    of_scope = {"element": "1", "row": "2", "matrix": "3, and matrix products", "factored": "3"}
    return of_scope.get(row.scope) or ("2" if row.sums else "1")


def decay(rule: str) -> str:
    """What becomes of weight_decay."""
    row = RULES[rule]
    if "weight_decay" not in row.hypers:
        return "none"
    if row.decay == "either":
        default = _describe.describe_rule(CLASSES[rule]).arguments["decoupled_weight_decay"]
        return f"as decoupled_weight_decay says ({default})"
    if row.decay != "inside":
        return row.decay
    doc = _describe.parameters(CLASSES[rule])["weight_decay"]
    return doc.partition("; ")[2].rstrip(".") or doc


def rules() -> str:
    """Every rule in a line: what it does, what it costs."""
    rows = []
    for family, names in families().items():
        rows.append((f"**{family}**", "", "", "", ""))
        for rule in names:
            d = _describe.describe_rule(CLASSES[rule])
            link = f"[`{d.name}`](#{d.name.lower()})"
            summary = d.summary.rstrip(".")
            rows.append(
                tuple(map(_cell, (link, summary, state_bytes(rule), sweeps(rule), decay(rule))))
            )
    return table(("rule", "", "bytes of state an element", "sweeps", "weight decay"), rows)


def _keeps(rule: str) -> str:
    row = RULES[rule]
    of = {None: "", True: " (of matrices)", False: " (of others)"}
    parts = [
        f"`{x.name}`{of[x.only]}" + (f" (where {x.switch})" if x.switch else "")
        for x in STATES[rule]
    ]
    lines = [f"arrays {', '.join(parts)}"] if parts else []
    if row.scalars:
        names = ", ".join(f"`{name}`" for name in row.scalars)
        lines.append(f"for each {'array' if row.of_tensors else row.scope} {names}")
    if row.matrices:
        lines.append(f"for each matrix {', '.join(f'`{name}`' for name in row.matrices)}")
    return "; ".join(lines) or "nothing"


def rules_in_full() -> str:
    """Every rule: its call with the defaults, its formula, its source."""
    out = []
    for family, names in families().items():
        out.append(f"### {family}\n\n")
        for rule in names:
            d = _describe.describe_rule(CLASSES[rule])
            items = {
                "Formula": d.formula,
                "Keeps": f"{_keeps(rule)}. Bytes an element: {state_bytes(rule)}.",
                "Sweeps": d.kept if RULES[rule].scope == "matrix" else f"{sweeps(rule)}.",
                "Weight decay": f"{decay(rule)}.",
                "Source": d.source,
                "Mind": d.remarks,
            }
            lines = [f"- *{name}*: {_markdown(text)}\n" for name, text in items.items() if text]
            out.append(f"#### {d.name}\n\n{_markdown(d.summary)}\n\n")
            out.append(f"```\n{d.signature}\n```\n\n{''.join(lines)}\n")
    return "".join(out)


def deviations() -> str:
    """Every deviation from a source or a peer that is kept on purpose."""
    rows = [
        ("" if i else f"`{d.name}`", _cell(text))
        for d in map(_describe.describe_rule, CLASSES.values())
        for i, text in enumerate(d.deviations)
    ]
    return table(("rule", "what is different, and from what"), rows)


def undocumented() -> list[str]:
    """What is missing in docstrings, a sentence each."""
    faults = []
    for rule, cls in CLASSES.items():
        d = _describe.describe_rule(cls)
        said = _describe.parameters(cls)
        faults += [f"{d.name}: {name} is not described" for name in d.arguments if name not in said]
        faults += _missing(d.name, formula=d.formula, summary=d.summary, source=d.source)
        if not any(rule in names for family, names in families().items() if family):
            faults.append(f"{d.name}: its row is not below a comment that names its family")
    for kind in _describe.schedule_kinds().values():
        d = _describe.describe(kind)
        faults += _missing(d.name, formula=d.formula, summary=d.summary)
    return faults


def _missing(name: str, **parts: str) -> list[str]:
    return [f"{name}: the docstring has no {part}" for part, text in parts.items() if not text]


TABLES = {
    f.__name__: f
    for f in (rules, rules_in_full, deviations, schedule_kinds, conventions, compat_names)
}


def filled(text: str) -> str:
    """Return the text of a page with its tables as they should be."""
    return MARKED.sub(lambda m: f"{m[1]}{TABLES[m[2]]()}{m[3]}", text)


def main(arguments: list[str]) -> int:
    """Write the pages, or check them; return the exit status."""
    stale = []
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text()
        wanted = filled(text)
        if wanted != text:
            stale.append(page)
            if "--check" not in arguments:
                page.write_text(wanted)
    for page in stale:
        print(f"{page.name}: {'out of date' if '--check' in arguments else 'written'}")
    for fault in (faults := undocumented()):
        print(fault)
    return int(bool(faults) or (bool(stale) and "--check" in arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
