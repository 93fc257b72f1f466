"""What an option takes besides a number: each a frozen value, checked when it is made.

`AGC` and `LossScaler` are here, the averages in :mod:`lrcore.averages`; all are exported at the top
level. They hold configuration only, so that one may serve several optimizers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

from ._domain import Interval
from ._hyper import INF, LENGTH, POSITIVE, check_value

__all__ = ["AGC", "Config", "LossScaler"]


class Config:
    """What the values of options share: fields with domains, plain data and back."""

    #: What each field may be; None: True or False.
    domains: ClassVar[Mapping[str, Interval | None]]
    #: Whether a number alone stands for the value with that as its first field.
    from_number: ClassVar[bool] = False
    #: Whether True stands for the value with all defaults.
    from_true: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, domain in self.domains.items():
            value = check_value(type(self).__name__, name, getattr(self, name), domain)
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, who: str, name: str, value: Any) -> Any:
        """What was given for an option, as a value of this class, or None."""
        if value is None or isinstance(value, cls):
            return value
        if cls.from_true and isinstance(value, bool):
            return cls() if value else None
        if cls.from_number and isinstance(value, Real):
            (first, domain), *_ = cls.domains.items()
            return cls(**{first: check_value(who, name, value, domain)})
        if isinstance(value, Mapping) and set(value) <= set(cls.domains):
            try:
                return cls(**value)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{who}: {name}: {error}") from None
        forms = ["None"] + ["True"] * cls.from_true + ["a number"] * cls.from_number
        raise TypeError(
            f"{who}: {name} must be {', '.join(forms)} or {cls.__name__}(...), got {value!r}"
        )

    def to_dict(self) -> dict[str, Any]:
        """The fields by name; the class takes them again."""
        return {name: getattr(self, name) for name in self.domains}


@dataclass(frozen=True)
class AGC(Config):
    """Adaptive gradient clipping: by the ratio of gradient and parameter of each output unit.

    Parameters
    ----------
    clip : float
        In (0, inf); a unit's gradient is scaled down to a norm of ``clip * max(norm of the
        parameter, eps)`` where it is larger.
    eps : float, default 1e-3
        In (0, inf); lets parameters that begin at zero move.
    axis : {-1, 0}, default -1
        Which axis of a parameter counts its units. Parameters of one dimension or none are one
        unit.

    Notes
    -----
    Brock, De, Smith & Simonyan 2021, "High-Performance Large-Scale Image Recognition Without
    Normalization", equation 3; the gradient's norm is taken after loss scale and ``clip_norm``.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> w = np.ones((2, 3))
    >>> opt = lrcore.SGD(w, lr=1.0, agc=lrcore.AGC(0.5, axis=0))
    >>> opt.step(np.array([[10.0, 0.0, 0.0], [0.1, 0.0, 0.0]]))
    True
    >>> w.round(3)
    array([[0.134, 1.   , 1.   ],
           [0.9  , 1.   , 1.   ]])
    """

    clip: float
    eps: float = 1e-3
    axis: int = -1

    domains: ClassVar[Mapping[str, Interval | None]] = {
        "clip": POSITIVE,
        "eps": POSITIVE,
        "axis": Interval(-1, 0, integer=True),
    }
    from_number = True


@dataclass(frozen=True)
class LossScaler(Config):
    """A scale of the loss that adapts: it grows while gradients stay finite and falls when not.

    Gradients of small losses underflow in float16. Multiply the loss with ``opt.loss_scale`` before
    the gradients are taken; the step divides them by it in the same pass. Learns from skipped
    steps, and so implies ``nonfinite="skip"``.

    Parameters
    ----------
    init : float, default 65536
        In [floor, ceiling]; the scale to begin with.
    growth : float, default 2
        In [1, inf); the scale's factor after `every` steps made in a row.
    backoff : float, default 0.5
        In (0, 1); its factor after a step that was skipped for gradients that are not finite.
    every : int, default 2000
        At least 1.
    floor, ceiling : float, default 1 and 2**24
        In (0, inf); what it never falls below and never grows above.

    Notes
    -----
    Micikevicius et al. 2018, "Mixed Precision Training", section 3.2. Powers of two for `init`,
    `growth` and `backoff` scale without rounding. Configuration only: the scale it has come to is
    the optimizer's, so that two optimizers may be given one LossScaler.

    Examples
    --------
    >>> import numpy as np, lrcore
    >>> opt = lrcore.SGD(np.ones(2), loss_scale=lrcore.LossScaler(init=1024.0))
    >>> opt.step(np.array([np.inf, 1.0])), opt.loss_scale
    (False, 512.0)
    """

    init: float = 65536.0
    growth: float = 2.0
    backoff: float = 0.5
    every: int = 2000
    floor: float = 1.0
    ceiling: float = 2.0**24

    domains: ClassVar[Mapping[str, Interval | None]] = {
        "init": POSITIVE,
        "growth": Interval(1, INF, closed_high=False),
        "backoff": Interval(0, 1, closed_low=False, closed_high=False),
        "every": LENGTH,
        "floor": POSITIVE,
        "ceiling": POSITIVE,
    }
    from_number = True

    @classmethod
    def of(cls, who: str, name: str, value: Any) -> Any:
        """What was given for an option: a number is a scale that does not adapt."""
        if isinstance(value, Real):
            return check_value(who, name, value, POSITIVE)
        return super().of(who, name, value)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.floor <= self.init <= self.ceiling:
            raise ValueError(
                f"LossScaler: init must be in [floor, ceiling] = [{self.floor}, {self.ceiling}], "
                f"got {self.init}"
            )

    def after(self, made: bool, scale: float, good: int) -> tuple[float, int]:
        """The scale and the number of good steps in a row after a step that was made or skipped."""
        if not made:
            return max(scale * self.backoff, self.floor), 0
        if good + 1 < self.every:
            return scale, good + 1
        return min(scale * self.growth, self.ceiling), 0
