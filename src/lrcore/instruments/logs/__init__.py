r"""Training logs of any framework: CSV, JSON, JSON lines or printed text, to losses and rates.

Which column is what is told from the names, and can be said instead. A log says which it took.

`formats` tells how a text is written, `tables` makes columns of it, `roles` knows what their names
mean, and `log` puts the run together.

Examples
--------
>>> from lrcore.instruments import logs
>>> log = logs.parse('{"step": 10, "loss": 0.7, "lr": 0.1}\n{"step": 20, "loss": 0.5, "lr": 0.1}')
>>> log.losses, log.steps
(array([0.7, 0.5]), array([10, 20]))
>>> print(log)
JSON lines: 2 losses; loss = 'loss', lr = 'lr', step = 'step'
"""

from lrcore.instruments.logs.log import Log, parse, read
from lrcore.instruments.logs.tables import LogError

__all__ = ["Log", "LogError", "parse", "read"]
