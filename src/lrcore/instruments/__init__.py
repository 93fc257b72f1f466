"""Instruments: find a learning rate, watch a run, and say what is wrong with it and how surely.

Every instrument leaves what it measures as it found it, bit for bit, states what it compared with
what, and may answer that it does not know. `docs/instruments.md` has their measured error rates.

- Finding: `finder` (ask and tell), `find` (with the loop), on `_judge` (the method), `_suggest`
  (the rules of a sweep), `family` (what kind of optimizer this is), `restore` (all put back).
- Diagnosis: `curve` (a run in bins), `measures` (of parts of it), `checks` (the tests), `rate` and
  `weights` (the score of the rate), `thresholds`, `diagnosis`, `words`; `monitor` while it runs,
  `logs` from a file.
- Trying: `sweep`, `folds`, `comparison`, `study`, on `_runs` (any executor); `probe` from where a
  run stands.

What people use of them is here by name as well; each is imported when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

#: name -> module
_WHERE = {
    "Curve": "curve",
    "Diagnosis": "diagnosis",
    "DivergedError": "monitor",
    "DivergedWarning": "monitor",
    "Finding": "diagnosis",
    "LRFindResult": "find",
    "LRFinder": "finder",
    "LogError": "logs",
    "Monitor": "monitor",
    "Restored": "restore",
    "SweepResult": "sweep",
    "compare": "comparison",
    "cross_validate_lr": "folds",
    "diagnose": "diagnosis",
    "lr_find": "find",
    "lr_range_test": "find",
    "lr_study": "study",
    "lr_sweep": "sweep",
    "probe_lr": "probe",
    "rates": "sweep",
}

if TYPE_CHECKING:
    from .comparison import compare
    from .curve import Curve
    from .diagnosis import Diagnosis, Finding, diagnose
    from .find import LRFindResult, lr_find, lr_range_test
    from .finder import LRFinder
    from .folds import cross_validate_lr
    from .logs import LogError
    from .monitor import DivergedError, DivergedWarning, Monitor
    from .probe import probe_lr
    from .restore import Restored
    from .study import lr_study
    from .sweep import SweepResult, lr_sweep, rates

__all__ = [
    "Curve",
    "Diagnosis",
    "DivergedError",
    "DivergedWarning",
    "Finding",
    "LRFindResult",
    "LRFinder",
    "LogError",
    "Monitor",
    "Restored",
    "SweepResult",
    "compare",
    "cross_validate_lr",
    "diagnose",
    "lr_find",
    "lr_range_test",
    "lr_study",
    "lr_sweep",
    "probe_lr",
    "rates",
]


def __getattr__(name: str) -> object:
    """Import what is asked for."""
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
