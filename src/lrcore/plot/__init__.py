"""Pictures, drawn with matplotlib; each function returns its Axes, for more to be drawn on them.

Lines differ in lightness, in width and in how they are dashed, and areas are hatched, so that they
can be told apart on paper too. No window is opened and no display is needed. Needs matplotlib:
``pip install "lrcore[demo]"``.
"""

from ._batch_sizes import batch_sizes
from ._comparison import comparison
from ._descent import descent
from ._find import lr_find
from ._gallery import gallery
from ._schedule import schedule
from ._style import LINES, POINTS
from ._sweep import sweep
from ._three_rates import three_rates
from ._training import training

__all__ = [
    "LINES",
    "POINTS",
    "batch_sizes",
    "comparison",
    "descent",
    "gallery",
    "lr_find",
    "schedule",
    "sweep",
    "three_rates",
    "training",
]
