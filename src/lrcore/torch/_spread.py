"""Parameters that lie in several processes, each of which has a part: DTensor, and FSDP's."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from .._hyper import RULES

__all__ = ["check_part", "gradient", "is_spread", "like", "local", "part"]

#: Options that look at whole tensors or at all of them, and what leaves each of them off.
OF_WHOLE: dict[str, Any] = {
    "clip_norm": None,
    "agc": None,
    "cautious": False,
    "nonfinite": "ignore",
    "loss_scale": None,
}


def is_spread(t: Any) -> bool:
    """Whether this is a DTensor; to ask imports nothing."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(t, module.DTensor)


def local(t: Any) -> Any:
    """The part of a DTensor that is here; any other tensor itself."""
    if is_spread(t):
        t = t._local_tensor
    module = sys.modules.get("torch.distributed._functional_collectives")
    if module is not None and isinstance(t, module.AsyncCollectiveTensor):
        return t.wait()
    return t


def like(p: Any, t: Any) -> Any:
    """A tensor of the shape of what is here of `p`, spread as `p` is."""
    if not is_spread(p) or t.shape != p._local_tensor.shape:
        return t
    form = {"shape": p.shape, "stride": p.stride(), "run_check": False}
    return type(p).from_local(t, p.device_mesh, p.placements, **form)


def gradient(who: str, what: str, p: Any, g: Any) -> Any:
    """What is here of the gradient of `p`; where it is spread in another way, after an exchange."""
    if is_spread(g) and not is_spread(p):
        raise TypeError(f"{who}: {what} must be a torch.Tensor as the parameter is, got a DTensor")
    if is_spread(g) and g.placements != p.placements:
        g = g.detach().redistribute(p.device_mesh, p.placements)
    return local(g)


def part(p: Any) -> str | None:
    """What to call a parameter of which only a part is here; None: all of it is."""
    if is_spread(p):
        pairs = zip(p.placements, p.device_mesh.shape, strict=True)
        if any(size > 1 and not placement.is_replicate() for placement, size in pairs):
            return f"a DTensor with the placements {tuple(p.placements)}"
    elif getattr(p, "_fsdp_flattened", False):
        return "a parameter that FullyShardedDataParallel has flattened"
    return None


def check_part(who: str, what: str, p: Any, rule: str, values: Mapping[str, Any]) -> None:
    """Refuse a part of a parameter where the rule or an option looks at more than elements."""
    found = part(p)
    if found is None:
        return
    if RULES[rule].sums or RULES[rule].scope in ("row", "matrix", "factored"):
        raise ValueError(
            f"{who}: {what} must be all here, since the rule looks at more than single elements, "
            f"got {found}; a rule such as AdamW or Lion can be used"
        )
    for name, off in OF_WHOLE.items():
        if values.get(name, off) != off:
            raise ValueError(
                f"{who}: {name} must be {off!r} for {what}, since it looks at more than is here of "
                f"{found}, got {values[name]!r}"
            )
