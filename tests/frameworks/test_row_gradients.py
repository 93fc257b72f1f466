"""Gradients of some rows against torch's sparse ones, over 200 steps."""

import numpy as np
import pytest
from oracles.harness import STEPS, TOLERANCE, framework, part
from oracles.row_wise import MODULE

import lrcore

pytestmark = pytest.mark.frameworks

SHAPES = [(200, 16), (150,), (60, 3, 5)]

#: SparseAdam adds eps before the bias correction, where Adam adds it afterwards: compared without.
NO_EPS = {"eps": 1e-30}

#: Ours, torch's and what both are given.
SPARSE = [
    ("Adam", "SparseAdam", {**NO_EPS}),
    ("Adam", "SparseAdam", {"lr": 0.1, "betas": (0.5, 0.9), **NO_EPS}),
    ("Adam", "SparseAdam", {"lr": 0.1, "maximize": True, **NO_EPS}),
    ("SGD", "SGD", {"lr": 0.1}),
    ("SGD", "SGD", {"lr": 0.1, "maximize": True}),
    ("Adagrad", "Adagrad", {}),
    ("Adagrad", "Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.5}),
]


def some_rows(rng, shape, dtype):
    """Indices with repetitions, and what belongs to each."""
    count = int(rng.integers(0, 30))
    indices = rng.integers(0, shape[0], count) ** 2 // shape[0]  # some rows more often
    return indices, rng.standard_normal((count, *shape[1:])).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("ours", "theirs", "options"), SPARSE, ids=str)
def test_the_steps_are_those_of_torchs_sparse_gradients(ours, theirs, options, dtype):
    torch = framework("torch")
    rng = np.random.default_rng(0)
    tables = [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]
    start = [table.copy() for table in tables]
    peers = [torch.tensor(table, requires_grad=True) for table in tables]
    a = getattr(lrcore, ours)(tables, **options)
    b = getattr(torch.optim, theirs)(peers, **options)
    with torch.sparse.check_sparse_tensor_invariants():
        for _ in range(STEPS):
            given = [some_rows(rng, shape, dtype) for shape in SHAPES]
            a.step([lrcore.RowGrad(i, v, s) for (i, v), s in zip(given, SHAPES, strict=True)])
            for peer, (i, v) in zip(peers, given, strict=True):
                peer.grad = torch.sparse_coo_tensor(
                    torch.tensor(i)[None], torch.tensor(v), peer.shape
                )
            b.step()
    for p, q, old in zip(tables, peers, start, strict=True):
        assert np.abs(p - q.detach().numpy()).max() <= TOLERANCE[dtype] * np.abs(p).max()
        assert np.abs(p - old).max() > 0.01


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_row_wise_adagrad_takes_named_rows_as_torchrec_takes_zeros(dtype):
    """Without decay a row of zeros changes nothing in TorchRec's, which takes dense gradients."""
    torch = framework("torch")
    rng = np.random.default_rng(1)
    table = rng.standard_normal((200, 16)).astype(dtype)
    start, peer = table.copy(), torch.tensor(table, requires_grad=True)
    a = lrcore.RowwiseAdagrad(table, lr=0.1, lr_decay=0.01)
    b = part(MODULE).RowWiseAdagrad([peer], lr=0.1, lr_decay=0.01)
    for _ in range(STEPS):
        grad = lrcore.RowGrad(*some_rows(rng, (200, 16), dtype), (200, 16))
        a.step(grad)
        peer.grad = torch.tensor(grad.toarray())
        b.step()
    assert np.abs(table - peer.detach().numpy()).max() <= TOLERANCE[dtype] * np.abs(table).max()
    assert np.abs(table - start).max() > 0.01
