"""Tensors as arrays and arrays as tensors, of one memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import RowGrad
from .._optimizer.slots import bfloat16
from ._spread import local

__all__ = ["as_array", "as_gradient", "as_tensor", "view"]

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
LAYOUTS = {
    torch.sparse_coo: "sparse; make the layer with sparse=False",
    torch.sparse_csr: "sparse; call to_dense() on it",
}


def _problem(t: Any) -> tuple[type[Exception], str] | None:
    """Why a tensor is neither a parameter nor a gradient here."""
    if not isinstance(t, torch.Tensor):
        return TypeError, f"a torch.Tensor, got {type(t).__name__}"
    if isinstance(t, torch.nn.parameter.UninitializedTensorMixin):
        return ValueError, "initialized; run the model once before the optimizer is made"
    if t.device.type == "meta":
        return ValueError, "on the CPU, got a meta tensor; give it memory with to_empty() first"
    if t.device.type != "cpu":
        return ValueError, (
            f"on the CPU, got {t.device}; torch.optim has optimizers for that device, or keep "
            "parameters and gradients on the CPU"
        )
    if t.layout != torch.strided:
        how = LAYOUTS.get(t.layout, f"of layout {t.layout}; call to_dense() on it")
        return TypeError, f"dense, got one that is {how}"
    if t.is_complex():
        return TypeError, "real, got a complex one; optimize torch.view_as_real(...) of it"
    if t.dtype not in FLOATS:
        return TypeError, f"float16, bfloat16, float32 or float64, got {t.dtype}"
    if t.is_nested or (t.data_ptr() == 0 and t.numel() > 0):
        return TypeError, f"a tensor with memory of its own, got a {type(t).__name__}"
    return None


def as_array(who: str, what: str, t: Any) -> tuple[NDArray[Any], tuple[int, ...]]:
    """A tensor's memory as an array that is contiguous in C's or Fortran's order.

    The array's axes are those of the tensor in another order where that is needed, as for
    channels-last; they are returned, too.
    """
    t = local(t)
    problem = _problem(t)
    if problem:
        kind, text = problem
        raise kind(f"{who}: {what} must be {text}")
    if t.is_neg():
        raise ValueError(f"{who}: {what} must be a tensor of its own, got a negative view")
    flat = view(who, t.detach())
    axes = tuple(range(t.ndim))
    if not (flat.flags.c_contiguous or flat.flags.f_contiguous):
        steps = [s if n > 1 else 0 for n, s in zip(t.shape, t.stride(), strict=True)]
        axes = tuple(sorted(axes, key=lambda d: -steps[d]))
        flat = flat.transpose(axes)
    if not flat.flags.c_contiguous and not flat.flags.f_contiguous:
        raise ValueError(
            f"{who}: {what} must fill its memory without gaps or overlaps, in any order of its "
            f"axes; got strides {tuple(t.stride())} for shape {tuple(t.shape)}; use clone() of it"
        )
    return flat, axes


def view(who: str, t: Any) -> NDArray[Any]:
    """A view of a dense tensor of the CPU, whatever its strides."""
    if t.dtype == torch.bfloat16:
        dtype = bfloat16(who, "a bfloat16 tensor")
        return np.asarray(t.view(torch.uint16).numpy().view(dtype))
    return np.asarray(t.numpy())


def as_tensor(a: NDArray[Any], axes: tuple[int, ...] | None = None) -> Any:
    """A tensor of an array's memory; `axes` are those of the tensor in the array's order."""
    if axes is not None and axes != tuple(range(len(axes))):
        a = a.transpose(np.argsort(axes))
    if a.dtype.kind == "V":  # bfloat16
        return torch.from_numpy(a.view(np.uint16)).view(torch.bfloat16)
    if a.dtype == np.uint16:  # which torch cannot pickle
        return torch.from_numpy(a.view(np.int16))
    return torch.from_numpy(a)


def as_gradient(who: str, what: str, g: Any, shape: torch.Size, axes: tuple[int, ...]) -> Any:
    """A gradient in the form that a step takes it in, or an error that names it."""
    if g is None:
        return None
    if isinstance(g, torch.Tensor) and g.layout == torch.sparse_coo and g.sparse_dim() == 1:
        g = g.detach()
        return RowGrad(g._indices()[0].numpy(), view(who, g._values()), tuple(g.shape))
    problem = _problem(g)
    if problem:
        kind, text = problem
        raise kind(f"{who}: {what} must be {text}")
    if g.shape != shape:
        raise ValueError(f"{who}: {what} must have the shape {tuple(shape)}, got {tuple(g.shape)}")
    return view(who, g.detach().resolve_neg()).transpose(axes)
