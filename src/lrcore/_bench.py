"""The step beside its memory limit and its rivals, in one process. Behind ``lrcore bench``.

Variants of one case take turns (A B, B A, ...), each after a pause and calls that are not counted.
The first turn is dropped, and what is reported is the median of the ratios within a turn with their
quartiles: machines drift, ratios less so. The
memory limit is `lrc_roofline`: the same arrays, sweeps, chunks and threads with additions only.
Every rival's result is compared with ours before it is timed.
"""

from __future__ import annotations

import gc
import importlib
import math
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from . import _core, optimizers, schedules
from ._hyper import RULES
from ._optimizer import Optimizer

__all__ = ["run"]

Call: TypeAlias = Callable[[], object]
LIMIT = "memory limit"
MILLION = 1_000_000
PAUSE = 0.03  # seconds, in which the threads of the one before stop spinning and go to sleep


@dataclass
class Case:
    """What to time: ours, the rivals by name, the least ratio rival / ours for each."""

    name: str
    n: int
    ours: Call
    rivals: dict[str, Call | float]
    targets: dict[str, float]


@dataclass
class Report:
    """Rows of figures, and the rivals that could not be timed."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def seconds(call: Call, repeats: int) -> float:
    """Of one call, over several in a row."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def measure(case: Case, rounds: int, sample: float = 5e-3) -> list[dict[str, Any]]:
    """Time a case; a row for each rival. A rival that is a number is a budget in seconds."""
    calls: dict[str, Call] = {"": case.ours}
    calls.update({k: v for k, v in case.rivals.items() if callable(v)})
    repeats = {k: max(1, int(sample / seconds(v, 1))) for k, v in calls.items()}
    repeats = {k: max(1, int(sample / seconds(v, repeats[k]))) for k, v in calls.items()}
    times: dict[str, list[float]] = {k: [] for k in calls}
    for turn in range(rounds + 1):
        for name in calls if turn % 2 else reversed(calls):
            time.sleep(PAUSE)
            seconds(calls[name], 3)
            took = seconds(calls[name], repeats[name])
            if turn:
                times[name].append(took)
    ours = np.array(times[""])
    rows = []
    for rival, budget in case.rivals.items():
        theirs = np.array(times[rival]) if callable(budget) else np.full(rounds, budget)
        low, middle, high = np.percentile(theirs / ours, [25, 50, 75])
        rows.append({
            "case": case.name, "n": case.n, "dtype": "float32",
            "ours_ns": float(np.median(ours)) * 1e9, "rival": rival,
            "rival_ns": float(np.median(theirs)) * 1e9, "ratio": float(middle),
            "ratio_low": float(low), "ratio_high": float(high),
            "target": case.targets.get(rival), "threads": _core.get_num_threads(),
            "isa": _core.get_isa(),
        })  # fmt: skip
    return rows


# ------------------------------------------------------------------------------ rivals


def _torch() -> Any:
    """PyTorch with our number of threads, once its AdamW has been found to agree with ours."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(_core.get_num_threads())
    p, g = _random(1000)
    theirs = p.copy()
    step = _torch_step(torch, [theirs], [g], clip=0.5)
    ours = optimizers.AdamW(p, clip_norm=0.5)
    for _ in range(3):
        ours.step(g)
        step()
    if not np.allclose(p, theirs, rtol=1e-5, atol=1e-7):
        raise AssertionError("torch's fused AdamW does not agree with ours")
    return torch


def _torch_step(torch: Any, params: list[Any], grads: list[Any], clip: float = 0.0) -> Call:
    tensors = [torch.from_numpy(p).requires_grad_() for p in params]
    for p, g in zip(tensors, grads, strict=True):
        p.grad = torch.from_numpy(g.copy() if clip else g)
    opt = torch.optim.AdamW(tensors, fused=True)

    def step() -> None:
        if clip:
            torch.nn.utils.clip_grad_norm_(tensors, clip)
        opt.step()

    return step


def _random(n: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.standard_normal(n, np.float32), rng.standard_normal(n, np.float32)


def _torch_sequence(
    torch: Any, p: Any, g: Any, scale: float, clip: float, decay: float
) -> tuple[Call, Any]:
    """Unscale, clip, fused AdamW, EMA and zero, each pass as cheap as torch has it; and the EMA.

    One product takes off the loss scale and clips; ``clip_grad_norm_`` after ``unscale_`` would be
    one pass more.
    """
    tensors = [torch.from_numpy(p).requires_grad_()]
    tensors[0].grad = torch.from_numpy(g.copy())
    averages = [t.detach().clone() for t in tensors]
    opt = torch.optim.AdamW(tensors, fused=True)

    def step() -> None:
        with torch.no_grad():
            grads = [t.grad for t in tensors]
            norm = torch.nn.utils.get_total_norm(grads) / scale
            factor = torch.clamp(clip / (norm + 1e-6), max=1.0) / scale
            torch._foreach_mul_(grads, factor)
            opt.step()
            torch._foreach_lerp_(averages, tensors, 1 - decay)
            torch._foreach_zero_(grads)

    return step, averages[0].numpy()


def _bitsandbytes() -> Any:
    """bitsandbytes, if its 8-bit optimizers run on this machine's CPU."""
    torch = importlib.import_module("torch")
    bnb = importlib.import_module("bitsandbytes")
    p = torch.nn.Parameter(torch.ones(8192))
    p.grad = torch.ones(8192)
    bnb.optim.AdamW8bit([p]).step()
    return bnb


# ------------------------------------------------------------------------------- cases


def _bfloat16() -> Any:
    return np.dtype(importlib.import_module("ml_dtypes").bfloat16)


def _adamw(torch: Any, name: str, shapes: list[int], targets: dict[str, float], clip: float = 0.0,
           **options: Any) -> Case:  # fmt: skip
    arrays = [_random(n) for n in shapes]
    params, grads = [p for p, _ in arrays], [g for _, g in arrays]
    opt = optimizers.AdamW(params if len(shapes) > 1 else params[0],
                           clip_norm=clip or None, **options)  # fmt: skip
    given = grads if len(shapes) > 1 else grads[0]
    rivals: dict[str, Call | float] = {}
    if LIMIT in targets:
        rivals[LIMIT] = lambda: opt._plan.roofline(given)
    if torch:
        theirs = "torch clip_grad_norm_ + fused" if clip else "torch fused"
        rivals[theirs] = _torch_step(torch, [p.copy() for p in params], grads, clip)
    return Case(name, sum(shapes), lambda: opt.step(given), rivals, targets)


def _one_pass(torch: Any, n: int) -> Case:
    """Loss scale, clipping, AdamW, EMA and zeroed gradients."""
    p, g = _random(n)
    g *= 1024
    opt = optimizers.AdamW(p, loss_scale=1024.0, clip_norm=1.0, ema=0.999, zero_grads=True,
                           weight_decay=0.01)  # fmt: skip
    rivals: dict[str, Call | float] = {}
    sequence = "torch unscale and clip + fused + lerp + zero"
    if torch:
        q = p.copy()
        theirs, ema = _torch_sequence(torch, q, g, 1024.0, 1.0, 0.999)
        opt.step(g)
        theirs()
        if g.any() or not (np.allclose(p, q, rtol=1e-4, atol=1e-6)
                           and np.allclose(opt.averages(), ema, rtol=1e-4, atol=1e-6)):  # fmt: skip
            raise AssertionError("torch's sequence does not agree with one pass of ours")
        rivals[sequence] = theirs
    rivals[LIMIT] = lambda: opt._plan.roofline(g)
    return Case("AdamW, loss scale, clip, EMA, zero", n, lambda: opt.step(g), rivals,
                {sequence: 1.45, LIMIT: 0.9})  # fmt: skip


def _against_float32(name: str, n: int, target: float, narrow: bool, **options: Any) -> Case:
    """AdamW with some storage or option beside AdamW in float32 without."""
    p, g = _random(n)
    plain, q = optimizers.AdamW(p), p.copy()
    h = g
    if narrow:
        q, h = q.astype(_bfloat16()), g.astype(_bfloat16())
    opt = optimizers.AdamW(q, **options)
    rival = "own, all float32" if "stats" not in options else "own, without"
    return Case(name, n, lambda: opt.step(h), {rival: lambda: plain.step(g)}, {rival: target})


def _against_bitsandbytes(n: int) -> Case:
    torch, bnb = importlib.import_module("torch"), _bitsandbytes()
    p, g = _random(n)
    opt = optimizers.AdamW(p.copy(), state_dtype="int8", rounding="stochastic")
    theirs = torch.nn.Parameter(torch.from_numpy(p))
    theirs.grad = torch.from_numpy(g)
    rival = bnb.optim.AdamW8bit([theirs])
    return Case("AdamW, 8-bit state", n, lambda: opt.step(g), {"bitsandbytes on CPU": rival.step},
                {"bitsandbytes on CPU": 5})  # fmt: skip


def _limit(rule: str, n: int, **options: Any) -> Case:
    p, g = _random(n)
    if RULES[rule.lower()].scope == "factored":  # by the square: a vector has no factors
        p, g = p.reshape(1000, -1), g.reshape(1000, -1)
    opt = _made(rule, p, nonfinite="ignore", **options)
    extra = ", ".join(f"{k}={v}" for k, v in options.items())
    return Case(f"{rule}({extra})" if extra else rule, n, lambda: opt.step(g, loss=1.0),
                {LIMIT: lambda: opt._plan.roofline(g)}, {LIMIT: 0.88})  # fmt: skip


def _made(rule: str, params: Any, **options: Any) -> Optimizer:
    """An optimizer by name, at a rate that moves little."""
    kind = getattr(optimizers, rule)
    made: Optimizer = kind(params, **{kind.rate_name: 1e-3}, **options)
    return made


def _unfused(torch: Any) -> list[str]:
    """The rules that torch has without a fused kernel for CPUs, element by element."""
    fused = {"SGD", "Adam", "AdamW", "Adagrad"}
    named = [name for name in optimizers.__all__ if hasattr(torch.optim, name)]
    return [x for x in named if x not in fused and RULES[x.lower()].scope != "matrix"]


def _against_torch(torch: Any, rule: str, shape: tuple[int, ...], count: int, least: float) -> Case:
    """A rule against torch's, both ways in which it can do without a fused kernel."""
    pairs = [_random(math.prod(shape)) for _ in range(count)]
    grads = [g.reshape(shape) for _, g in pairs]
    opt = _made(rule, [p.reshape(shape) for p, _ in pairs])
    rivals: dict[str, Call | float] = {}
    for name in ("foreach",) if rule == "Muon" else ("foreach", "for-loop"):
        tensors = [torch.from_numpy(p.reshape(shape).copy()).requires_grad_() for p, _ in pairs]
        for x, g in zip(tensors, grads, strict=True):
            x.grad = torch.from_numpy(g)
        how = {} if rule == "Muon" else {"foreach": name == "foreach"}
        rivals[f"torch {name}"] = getattr(torch.optim, rule)(tensors, lr=1e-3, **how).step
    text = " x ".join(map(str, shape))
    return Case(f"{rule}, {count} of {text}" if count > 1 else f"{rule}, {text}",
                count * math.prod(shape), lambda: opt.step(grads), rivals,
                dict.fromkeys(rivals, least))  # fmt: skip


def _numpy_backend(n: int) -> Case:
    p, g = _random(n)
    q = p.copy()
    ours, theirs = optimizers.AdamW(p), optimizers.AdamW(q, backend="numpy")
    if not (ours.step(g) and theirs.step(g) and (p == q).all()):
        raise AssertionError("the NumPy backend does not agree with C")
    return Case("AdamW", n, lambda: ours.step(g), {"NumPy backend": lambda: theirs.step(g)},
                {"NumPy backend": 15})  # fmt: skip


def _schedule(name: str, s: schedules.Schedule, n: int) -> Case:
    t = np.arange(n)
    budget = "20 ms for 1 M"
    return Case(f"{name}(array)", n, lambda: s(t), {budget: 20e-3 * n / MILLION}, {budget: 1})


def _import_time() -> Case:
    """Of a fresh interpreter that has imported NumPy already."""
    code = ("import numpy, time; t = time.perf_counter(); import lrcore; "
            "print(time.perf_counter() - t)")  # fmt: skip
    took = min(float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(5))
    return Case("import lrcore", 1, lambda: time.sleep(took), {"50 ms": 50e-3}, {"50 ms": 1})


def _cases(torch: Any, quick: bool) -> list[Callable[[], Case]]:
    """Made one after the other, so that the arrays of one are gone before the next."""
    large, rule = (2 * MILLION, MILLION) if quick else (50 * MILLION, 10 * MILLION)
    fused = "torch fused"
    unchecked = "AdamW(nonfinite='ignore')"
    made: list[Callable[[], Case]] = [
        lambda: _adamw(torch, unchecked, [large], {LIMIT: 0.95, fused: 1}, nonfinite="ignore"),
        lambda: _adamw(torch, "AdamW", [large], {LIMIT: 0.95, fused: 1}),
        lambda: _adamw(torch, "AdamW(clip_norm)", [large],
                       {"torch clip_grad_norm_ + fused": 1.3}, clip=1.0),
        lambda: _adamw(torch, unchecked, [MILLION], {fused: 1.6}, nonfinite="ignore"),
        lambda: _adamw(torch, "AdamW", [MILLION], {fused: 1.6}),
        lambda: _adamw(torch, unchecked, [100_000], {fused: 1.8}, nonfinite="ignore"),
        lambda: _adamw(torch, "AdamW", [100_000], {fused: 1.8}),
        lambda: _adamw(torch, "AdamW, 1000 tensors of 256", [256] * 1000, {fused: 40}),
        lambda: _adamw(torch, "AdamW", [10], {fused: 20}),
        lambda: _budget(_adamw(None, "AdamW", [10], {}), "2 us", 2e-6),
        lambda: _one_pass(torch, large),
        lambda: _against_float32("AdamW, bfloat16 state", large, 1, False, state_dtype="bfloat16"),
        lambda: _against_float32("AdamW, 8-bit state", large, 1 / 1.4, False, state_dtype="int8",
                                 rounding="stochastic"),
        lambda: _against_float32("AdamW, all bfloat16", large, 1, True, state_dtype="bfloat16"),
        lambda: _against_float32("AdamW, all bfloat16, stochastic", large, 1, True,
                                 state_dtype="bfloat16", rounding="stochastic"),
        lambda: _against_float32("AdamW, statistics", large, 1 / 1.1, False, stats=True),
        lambda: _budget(_adamw(None, "AdamW, 1000 of 256, EMA, clip, statistics", [256] * 1000, {},
                               clip=1.0, ema=0.999, stats=True), "300 us", 300e-6),
        lambda: _against_bitsandbytes(large // 5),
        lambda: _numpy_backend(MILLION),
    ]  # fmt: skip
    options: dict[str, list[dict[str, Any]]] = {"SGD": [{}, {"momentum": 0.9}]}
    for name in optimizers.__all__:
        if RULES[name.lower()].scope == "matrix":  # its products have no memory limit
            continue
        for extra in options.get(name, [{}]):
            made.append(partial(_limit, name, rule, **extra))
    for name in _unfused(torch)[: 2 if quick else None] if torch else []:
        made.append(partial(_against_torch, torch, name, (1000, rule // 1000), 1, 4.0))
        made.append(partial(_against_torch, torch, name, (256,), 1000, 30.0))
    if not quick and hasattr(torch and torch.optim, "Muon"):
        made.append(partial(_against_torch, torch, "Muon", (1024, 4096), 1, 1.0))
    curves = {
        "Step": schedules.Step(0.1, step_size=1000),
        "Exponential": schedules.Exponential(0.1, gamma=0.999999),
        "Cosine": schedules.Cosine(0.1, steps=MILLION, warmup=1000),
        "Polynomial": schedules.Polynomial(0.1, steps=MILLION, power=0.9),
    }
    for name, s in curves.items():
        made.append(partial(_schedule, name, s, MILLION))
    return made + [_import_time]


def _budget(case: Case, name: str, limit: float) -> Case:
    return Case(case.name, case.n, case.ours, {name: limit}, {name: 1})


def run(quick: bool = False, rounds: int | None = None) -> Report:
    """Time everything.

    Parameters
    ----------
    quick : bool, default False
        Smaller arrays and fewer rounds: a look, not a measurement.
    rounds : int, optional
        Turns of each case; 15, or 5 with `quick`.

    Returns
    -------
    Report
        ``rows`` of dicts: ``case, n, dtype, ours_ns, rival, rival_ns`` (a step, medians), ``ratio``
        (rival / ours, median) with ``ratio_low`` and ``ratio_high`` (quartiles), ``target``,
        ``threads``, ``isa``; and ``left_out``, the rivals that are not installed.
    """
    report = Report()
    try:
        torch = _torch()
    except ImportError:
        torch = None
        report.left_out.append("torch")
    for make in _cases(torch, quick):
        try:
            case = make()
        except ImportError as missing:
            report.left_out.append(str(missing.name))
            continue
        if case.rivals:
            report.rows += measure(case, rounds or (5 if quick else 15))
        del case
        gc.collect()
    report.left_out = list(dict.fromkeys(report.left_out))
    return report
