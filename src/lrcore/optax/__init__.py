"""lrcore inside JAX and optax: schedules and update rules that compiled code calls on the CPU.

For every class of :mod:`lrcore.optimizers` there is a function of the same name that returns an
optax gradient transformation; it takes the arguments of the class without its parameters::

    import lrcore.optax
    from lrcore import schedules

    tx = lrcore.optax.AdamW(schedules.Cosine(1e-3, steps=10_000), weight_decay=0.01)
    state = tx.init(params)

    @partial(jax.jit, donate_argnums=(0, 1))
    def train(params, state, batch):
        loss, grads = jax.value_and_grad(loss_of)(params, batch)
        params, state = tx.step(params, state, grads)  # exact, in place
        return params, state, loss

``updates, state = tx.update(grads, state, params)`` and ``optax.apply_updates`` work too, so that a
transformation may be part of ``optax.chain``, ``optax.masked``, ``optax.multi_transform`` and the
like. `schedule` makes an optax schedule of an lrcore schedule, `to_optax` a transformation of any
class or optimizer. What is exact and what a call costs is in ``docs/optax.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

try:
    import jax as _jax
    import optax as _optax
except ModuleNotFoundError as error:
    if error.name not in ("jax", "jaxlib", "optax"):
        raise
    raise ModuleNotFoundError(
        f"lrcore.optax: needs the package {error.name}, which is not installed; "
        "pip install 'lrcore[optax]'",
        name=error.name,
    ) from None

from .. import optimizers as _optimizers
from .._optimizer import Optimizer
from ._arguments import signature_of
from ._rule import State
from ._schedules import schedule
from ._transform import Transformation, to_optax

__all__ = ["State", "Transformation", "schedule", "to_optax", *_optimizers.__all__]

del _jax, _optax


def _function(kind: type[Optimizer]) -> Callable[..., Transformation]:
    def function(*args: Any, **arguments: Any) -> Transformation:
        return to_optax(kind, *args, **arguments)

    function.__name__ = function.__qualname__ = kind.__name__
    function.__signature__ = signature_of(kind)  # type: ignore[attr-defined]
    function.__doc__ = f"""An optax gradient transformation: see :class:`lrcore.{kind.__name__}`.

    Parameters
    ----------
    *args, **arguments
        As :class:`lrcore.{kind.__name__}` takes them, without `params`; see `to_optax`.

    Returns
    -------
    Transformation
        ``init``, ``update`` and ``step``.
    """
    return function


if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Transformation]: ...


globals().update({name: _function(getattr(_optimizers, name)) for name in _optimizers.__all__})
