"""Pictures, drawn with matplotlib; each function returns its Axes, for more to be drawn on them.

Lines differ in lightness, in width and in how they are dashed, and areas are hatched, so that they
can be told apart on paper too. No window is opened and no display is needed. Needs matplotlib:
``pip install "lrcore[demo]"``.
"""

from ._find import lr_find
from ._schedule import schedule
from ._style import LINES, POINTS
from ._sweep import sweep
from ._training import training

__all__ = ["LINES", "POINTS", "lr_find", "schedule", "sweep", "training"]
