"""Where the lines of the diagnosis are, and where each comes from. Change one here only."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LIMIT", "TABLE", "Threshold"]


class Threshold(NamedTuple):
    """A line, and why it is there."""

    value: float
    source: str


#: `CHOSEN` are conventions; `NULL` follows from a null distribution and a false-alarm rate;
#: `SYNTHETIC` was checked on the curves of bench/instruments/synthetic.py, `RUNS` on the real runs
#: of bench/instruments/problems.py, leaving one problem out at a time.
CHOSEN, NULL, SYNTHETIC, RUNS = "chosen", "null distribution", "synthetic curves", "real runs"

TABLE = {
    # What is looked at
    "least_steps": Threshold(100, CHOSEN),
    "least_epochs": Threshold(10, CHOSEN),
    "ignored_share": Threshold(0.05, CHOSEN),
    "judged_share": Threshold(0.75, CHOSEN),
    "batches": Threshold(20, CHOSEN),
    # Tests
    "alpha": Threshold(5e-4, NULL),
    "falling_z": Threshold(-3.0, NULL),
    "diverged_ratio": Threshold(2.0, CHOSEN),
    "exploded_ratio": Threshold(10.0, CHOSEN),
    "level_ratio": Threshold(1.25, CHOSEN),
    "level_z": Threshold(6.0, SYNTHETIC),
    "regained": Threshold(0.5, CHOSEN),
    "spike_rate": Threshold(1e-3, CHOSEN),
    "spike_height": Threshold(0.1, RUNS),
    "turning_z": Threshold(4.0, NULL),
    "lag1": Threshold(-0.3, CHOSEN),
    "least_val": Threshold(8, CHOSEN),
    "least_rise": Threshold(5, CHOSEN),
    "overfit_z": Threshold(3.5, NULL),
    "overfit_share": Threshold(0.05, CHOSEN),
    "solved_ratio": Threshold(0.02, CHOSEN),
    "burst_ratio": Threshold(0.2, CHOSEN),
    "rest_ratio": Threshold(1e-4, CHOSEN),
    "annealed_ratio": Threshold(0.1, CHOSEN),
    "late_share": Threshold(0.35, RUNS),
    "fell_ratio": Threshold(0.9, CHOSEN),
    "assert_chance": Threshold(0.88, RUNS),
    "cos_low": Threshold(-0.02, RUNS),
    "cos_high": Threshold(-0.05, RUNS),
    "gain_line": Threshold(0.95, RUNS),
    "gain_high": Threshold(0.8, RUNS),
    "cos_clear": Threshold(0.1, RUNS),
    "usual_too_low": Threshold(0.2, RUNS),
    "usual_too_high": Threshold(0.2, RUNS),
    "slow_chance": Threshold(0.95, RUNS),
    "clear_chance": Threshold(0.5, CHOSEN),
}

LIMIT = {name: line.value for name, line in TABLE.items()}
