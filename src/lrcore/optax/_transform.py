"""An lrcore optimizer as a gradient transformation."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

import jax
import jax.numpy as jnp
import optax

from .._optimizer import Optimizer
from ._arguments import arguments_of
from ._rule import JaxRule, State

__all__ = ["Transformation", "to_optax"]


class Transformation(optax.GradientTransformationExtraArgs):
    """An lrcore rule as optax's pair of `init` and `update`, and an exact `step` besides.

    ``updates, state = tx.update(grads, state, params)`` returns the difference of new and old
    parameters, for ``optax.apply_updates``. ``params, state = tx.step(params, state, grads)``
    returns the new parameters themselves: to the bit those of the plain optimizer, and in the
    memory of the old ones where these are donated. A rule that needs the loss takes it as `value`.
    """

    _rule: JaxRule

    def __deepcopy__(self, memo: dict[int, Any]) -> Transformation:
        """Nothing in it changes: a copy of what holds it may hold it, too."""
        return self

    def step(
        self, params: Any, state: State, grads: Any, *, value: Any = None, **extra: Any
    ) -> tuple[Any, State]:
        """Return the new parameters and state.

        Parameters
        ----------
        params, grads : structure of jax.Array
            Of one structure; gradients of any floating dtype.
        state : State
            What `init`, `update` or `step` returned.
        value : scalar, optional
            The loss at `params`, for a rule that needs it.
        **extra
            Ignored.

        Raises
        ------
        TypeError, ValueError
            The arguments do not fit; in compiled code an error of the runtime where a number left
            its domain or, with ``nonfinite="raise"``, a gradient is not finite.
        """
        del extra
        return self._rule.step(params, state, grads, value)

    def eval_params(self, state: State, params: Any) -> Any:
        """Return the parameters that a schedule-free rule wants evaluated; of others, these.

        Outside of compiled code; the bits of :meth:`lrcore.Optimizer.eval`.
        """
        with self._rule.held(state, params) as (opt, tree):
            opt.eval()
            leaves = [jnp.asarray(leaf.array.copy()) for leaf in opt._layout.leaves]
            opt.train()
        return jax.tree_util.tree_unflatten(tree, leaves)

    def estimates(self, state: State, params: Any) -> Any:
        """Return the numbers that a rule keeps, as :attr:`lrcore.Optimizer.estimates`.

        Outside of compiled code.
        """
        with self._rule.held(state, params) as (opt, _):
            return opt.estimates

    def state_dict(self, state: State, params: Any) -> dict[str, Any]:
        """Return what :meth:`lrcore.Optimizer.state_dict` would: a run may go on in NumPy.

        Outside of compiled code. Checkpoints need it not: a `State` is JAX arrays. Numbers that
        are handed over at each step, and `skipped`, are no part of it.
        """
        with self._rule.held(state, params) as (opt, _):
            return opt.state_dict()

    def load_state_dict(self, saved: Mapping[str, Any], params: Any) -> State:
        """Return the state of a run that :meth:`lrcore.Optimizer.state_dict` wrote down.

        Parameters
        ----------
        saved : dict
            From an optimizer of the same rule, whose parameters have the same paths; all of them
            must have had the same number of updates. Hyper-parameters stay those given here.
        params : structure of jax.Array
            The parameters.
        """
        return self._rule.load(saved, params)


def to_optax(
    optimizer: type[Optimizer] | Optimizer, *args: Any, **arguments: Any
) -> Transformation:
    """An lrcore optimizer as an optax gradient transformation.

    Parameters
    ----------
    optimizer : class or instance
        A class of :mod:`lrcore.optimizers`, with its arguments but `params` behind it; or an
        optimizer with one group that has made no step, whose hyper-parameters, options and masks
        are taken over, but neither parameters nor state.
    *args, **arguments
        As the class takes them. Every number may also be an lrcore schedule (evaluated in float64
        with the step), an optax schedule, or a JAX array (as from ``optax.inject_hyperparams``).

    Returns
    -------
    Transformation
        ``init``, ``update`` and the exact ``step``: pure functions of JAX arrays, on the CPU.

    Raises
    ------
    TypeError, ValueError
        An argument is not what the rule takes, or an option has no meaning here; the message names
        it and says why.

    Notes
    -----
    ``lrcore.optax.AdamW(1e-3)`` is short for ``to_optax(lrcore.AdamW, 1e-3)``, and so for every
    rule. Masks are asked for paths, shapes and dtypes, never for values. Parameters are in the
    order in which JAX has them: dicts by sorted keys.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, lrcore, lrcore.optax
    >>> tx = lrcore.optax.to_optax(lrcore.SGD, lr=0.5)
    >>> params = {"w": jnp.array([1.0, 2.0])}
    >>> state = tx.init(params)
    >>> grads = {"w": jnp.array([2.0, 2.0])}
    >>> params, state = jax.jit(tx.step)(params, state, grads)
    >>> print(params["w"], state.count)
    [0. 1.] 1
    """
    if isinstance(optimizer, Optimizer):
        if args or arguments:
            raise TypeError(
                "lrcore.optax.to_optax: arguments must go with a class, got an optimizer that has "
                "its own"
            )
        return _transformation(type(optimizer), arguments_of(optimizer))
    if not (isinstance(optimizer, type) and issubclass(optimizer, Optimizer) and optimizer.rule):
        raise TypeError(
            "lrcore.optax.to_optax: optimizer must be a class of lrcore.optimizers or one of its "
            f"instances, got {optimizer!r}"
        )
    own = [k for k in signature(optimizer).parameters if k not in ("params", "options")]
    if len(args) > len(own):
        raise TypeError(
            f"lrcore.optax.{optimizer.__name__}: must have at most {len(own)} arguments by place, "
            f"got {len(args)}"
        )
    placed = dict(zip(own, args, strict=False))
    twice = next((name for name in placed if name in arguments), None)
    if twice is not None:
        raise TypeError(f"lrcore.optax.{optimizer.__name__}: {twice} must be given once, got two")
    return _transformation(optimizer, {**placed, **arguments})


def _transformation(kind: type[Optimizer], arguments: Mapping[str, Any]) -> Transformation:
    given = {k: v for k, v in arguments.items() if not (k == "seed" and v is None)}
    rule = JaxRule(kind, given)

    def init(params: Any) -> State:
        return rule.init(params)

    def update(
        updates: Any, state: State, params: Any = None, *, value: Any = None, **extra: Any
    ) -> tuple[Any, State]:
        del extra
        new, state = rule.step(params, state, updates, value)
        return jax.tree_util.tree_map(lambda q, p: q - p, new, params), state

    made = Transformation(init, update)
    made._rule = rule
    return made
