"""What a Monitor costs: ``python bench/instruments/monitor.py [--quick] [--cpu] [--json FILE]``.

A loop of AdamW steps and nothing else, the worst case: with a monitor as it is by default, with one
that measures all steps, with ``stats=True`` alone, and twice without anything, since the second
says how far to trust the rest. Rounds are interleaved; of each the ratio to the plain loops of
its round, as median and quartiles. With ``--cpu`` one thread, and the time it had a core: for a
machine that others use. Then the same beside a batch that takes a millisecond.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import lrcore

SIZES = (1000, 10_000, 100_000, 1_000_000)
KINDS = ("plain", "plain again", "Monitor", "Monitor, every=1", "stats=True", "update alone")
HEAD = "| parameters | batch | step | Monitor | every=1 | stats=True | plain again | one update() |"


def made(kind: str, opt: lrcore.Optimizer) -> Any:
    """What watches an optimizer, and has made up its mind how often to measure; None: nothing."""
    if kind.startswith("plain"):
        return None
    every = {"Monitor": None, "update alone": 0}.get(kind, 1)
    return lrcore.Monitor(opt, every=every, on_divergence="ignore")


def seconds(kind: str, opt: Any, monitor: Any, g: Any, losses: list[float], batch: float,
            clock: Callable[[], float]) -> float:  # fmt: skip
    """The time of an update: of the loop, or where that is so, of `update` alone."""
    start, step = clock(), opt.step
    if kind == "update alone":
        for loss in losses:
            monitor.update(loss)
    else:
        told = monitor is not None and kind != "stats=True"
        for loss in losses:
            if batch:
                end = clock() + batch
                while clock() < end:
                    pass
            step(g)
            if told:
                monitor.update(loss)
    return (clock() - start) / len(losses)


def measure(n: int, batch: float, rounds: int, clock: Callable[[], float]) -> dict[str, Any]:
    """All kinds on one optimizer, so that nothing lies elsewhere; round by round in turns."""
    updates = 64 if batch else max(512, min(4096, 10**8 // n))
    rng = np.random.default_rng(1)
    w, g = rng.standard_normal((2, n)).astype(np.float32)
    losses = (2 + 0.3 * rng.standard_normal(updates)).tolist()
    opt, every = lrcore.AdamW(w, lr=1e-6), 0
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for i in range(rounds):
        for kind in KINDS if i % 2 else KINDS[::-1]:
            monitor = made(kind, opt)
            seconds("plain" if monitor is None else "Monitor", opt, monitor, g, losses[:24], batch,
                    clock)  # fmt: skip
            times[kind].append(seconds(kind, opt, monitor, g, losses, batch, clock))
            if kind == "Monitor":
                every = opt._layout.watched
            if monitor is not None:
                monitor.close()
    plain = (np.array(times["plain"]) + times["plain again"]) / 2
    ratios = {kind: np.percentile(np.array(v) / plain, (25, 50, 75)) for kind, v in times.items()}
    return {
        "parameters": n,
        "batch": batch,
        "step": float(np.median(plain)),
        "update": float(np.median(times["update alone"])),
        "every": every,
        "ratios": {kind: list(map(float, ratio)) for kind, ratio in ratios.items()},
    }


def row(r: dict[str, Any]) -> str:
    """A line of the table."""

    def more(kind: str) -> str:
        low, middle, high = (100 * x - 100 for x in r["ratios"][kind])
        return f"{middle:+.1f} % ({low:+.1f} .. {high:+.1f})"

    cells = [f"{r['parameters']:,}", f"{1e3 * r['batch']:g} ms", f"{1e6 * r['step']:.2f} us"]
    cells.append(f"{more('Monitor')}, every={r['every']}")
    cells += [more(kind) for kind in ("Monitor, every=1", "stats=True", "plain again")]
    return f"| {' | '.join(cells)} | {1e6 * r['update']:.2f} us |"


def main() -> None:
    """Print the table, and keep the numbers where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two sizes, few rounds")
    parser.add_argument("--cpu", action="store_true", help="one thread, by the time it had a core")
    parser.add_argument("--json", type=Path, help="keep the numbers in this file")
    chosen = parser.parse_args()
    clock = time.thread_time if chosen.cpu else time.perf_counter
    if chosen.cpu:
        lrcore.set_num_threads(1)
    sizes, rounds = ((1000, 100_000), 5) if chosen.quick else (SIZES, 15)
    print(f"{lrcore.get_num_threads()} threads, {lrcore.get_isa()}, AdamW in float32\n")
    print(f"{HEAD}\n|{'---|' * (HEAD.count('|') - 1)}")
    found = []
    for n, batch in [*((n, 0.0) for n in sizes), (100_000, 1e-3)]:
        found.append(measure(n, batch, rounds, clock))
        print(row(found[-1]), flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
