"""Row-wise Adagrad: TorchRec's own optimizer, which knows matrices."""

from .harness import Case, Torch, framework, part

__all__ = ["CASES"]

MODULE = "torchrec.optim.rowwise_adagrad"


class TorchRec(Torch):
    """TorchRec's, given each parameter as the matrix of its rows."""

    def __init__(self, **options):
        self.options = options

    def start(self, params):
        torch = framework("torch")
        self.shapes = [p.shape for p in params]
        self.params = [torch.tensor(p.reshape(len(p), -1), requires_grad=True) for p in params]
        self.opt = part(MODULE).RowWiseAdagrad(self.params, **self.options)

    def step(self, grads, loss):
        rows = [None if g is None else g.reshape(len(g), -1) for g in grads]
        super().step(rows, loss)

    def arrays(self):
        return [a.reshape(s) for a, s in zip(super().arrays(), self.shapes, strict=True)]


def _case(**options):
    return Case("RowwiseAdagrad", options, TorchRec(**options), gaps=True)


CASES = [
    _case(),
    _case(lr=0.1, lr_decay=0.1, weight_decay=0.1, eps=1e-3),
    _case(lr=0.1, initial_accumulator_value=0.5, maximize=True),
]
