"""The update rules: one class a rule, with torch's arguments, order and defaults.

Every hyper-parameter that is a number may also be a schedule. The parameters shared by all,
``params`` and the keyword-only options, are described in :class:`lrcore.Optimizer`. In the formulas
``g`` is the gradient after sign, clipping and coupled decay, ``t`` the number of the update from 1.
"""

from .adagrad import Adagrad
from .adam import Adam
from .adamw import AdamW
from .dadaptadam import DAdaptAdam
from .dadaptsgd import DAdaptSGD
from .dog import DoG
from .dowg import DoWG
from .lamb import LAMB
from .ldog import LDoG
from .lion import Lion
from .prodigy import Prodigy
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = [
    "LAMB",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "DAdaptAdam",
    "DAdaptSGD",
    "DoG",
    "DoWG",
    "LDoG",
    "Lion",
    "Prodigy",
    "RMSprop",
]
