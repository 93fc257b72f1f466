"""Groups without parameters: they change nothing of what the others do."""

import copy

import numpy as np
import pytest
from support import BACKENDS, f32

import lrcore

OPTIONS = [
    {},
    {"clip_norm": 1.0, "stats": True, "ema": 0.9, "nonfinite": "skip"},
    {"loss_scale": lrcore.LossScaler(), "lookahead": 3, "decay_mask": lambda path, p: p.ndim > 1},
]


@BACKENDS
@pytest.mark.parametrize("options", OPTIONS, ids=len)
@pytest.mark.parametrize("rule", lrcore.optimizers.__all__)
def test_the_others_are_stepped_as_without_them(rule, options, backend):
    kind = getattr(lrcore, rule)
    made = []
    for at in (None, 0, 1):
        w = [np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4), f32(1, 1, 1)]
        groups, where = [{"params": w}], 0
        if at is not None:
            groups.insert(at, {"params": []})
            where = 1 - at
        opt = kind(groups, backend=backend, **options)
        for t in range(3):
            grads = [[] for _ in groups]
            grads[where] = [np.full_like(p, t + 1.5) for p in w]
            assert opt.step(grads, loss=1.0)
            if options.get("stats"):
                assert len(opt.stats.groups) == len(groups)
                assert opt.stats.groups[where] == opt.stats.total
        opt.load_state_dict(opt.state_dict())
        assert copy.deepcopy(opt).t == opt.t == 3
        made.append(b"".join(p.tobytes() for p in w))
    assert made[0] == made[1] == made[2]
    assert made[0] != np.linspace(-1, 1, 12, dtype=np.float32).tobytes() + f32(1, 1, 1).tobytes()


@BACKENDS
@pytest.mark.parametrize("options", OPTIONS, ids=len)
@pytest.mark.parametrize("rule", lrcore.optimizers.__all__)
def test_nothing_but_empty_groups_goes_along(rule, options, backend):
    opt = getattr(lrcore, rule)([{"params": []}], backend=backend, **options)
    assert opt.step([[]], loss=1.0)
    assert opt.t == 1
    assert not opt.state
    opt.load_state_dict(opt.state_dict())
    if options.get("stats"):
        assert np.isnan(opt.stats.total.grad_norm)
    w = np.ones(2)
    opt.add_param_group({"params": w})
    assert all(opt.step([[], f32(1, 2)], loss=1.0) for _ in range(2))
    assert (w != 1).any()
