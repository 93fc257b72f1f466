"""Instruments: find a learning rate, watch a run, and say what is wrong with it and how surely.

Every instrument leaves what it measures as it found it, bit for bit, states what it compared with
what, and may answer that it does not know. `docs/instruments.md` has their measured error rates.

- `finder`: a rate, a range and reasons, before the training.
- `diagnosis`: a verdict on a run, from its numbers or while it trains.
- `trials`: sweeps, folds, comparisons, studies; a probe from where a run stands.
- `logs`: a run from the file of any framework.

The first three do not know each other; `logs` asks for a diagnosis. `restore` puts a run back as it
was: the finder and the probe run inside of it.

What people use of them is here by name as well; each is imported when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

#: name -> module
_WHERE = {
    "Curve": "diagnosis.curve",
    "Diagnosis": "diagnosis.verdict",
    "DivergedError": "diagnosis.monitor",
    "DivergedWarning": "diagnosis.monitor",
    "Finding": "diagnosis.verdict",
    "LRFindResult": "finder.find",
    "LRFinder": "finder.finder",
    "LogError": "logs",
    "Monitor": "diagnosis.monitor",
    "Restored": "restore",
    "SweepError": "trials.sweep",
    "SweepResult": "trials.sweep",
    "compare": "trials.comparison",
    "cross_validate_lr": "trials.folds",
    "diagnose": "diagnosis.verdict",
    "lr_find": "finder.find",
    "lr_range_test": "finder.find",
    "lr_study": "trials.study",
    "lr_sweep": "trials.sweep",
    "probe_lr": "trials.probe",
    "rates": "trials.sweep",
}

if TYPE_CHECKING:
    from .diagnosis.curve import Curve
    from .diagnosis.monitor import DivergedError, DivergedWarning, Monitor
    from .diagnosis.verdict import Diagnosis, Finding, diagnose
    from .finder.find import LRFindResult, lr_find, lr_range_test
    from .finder.finder import LRFinder
    from .logs import LogError
    from .restore import Restored
    from .trials.comparison import compare
    from .trials.folds import cross_validate_lr
    from .trials.probe import probe_lr
    from .trials.study import lr_study
    from .trials.sweep import SweepError, SweepResult, lr_sweep, rates

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
    "SweepError",
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
