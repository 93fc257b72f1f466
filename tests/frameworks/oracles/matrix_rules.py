"""Rules with matrices: torch's Muon, and papers transcribed where packages are no oracle.

Muon of torch rounds to bfloat16 first; here that is left out, so that it works in the precision it
is given. No package has Shampoo with an average of the gradients themselves (torch_optimizer has other
exponents and other sums, too), and SOAP's authors have no package: both are written here from the
papers' algorithms, in torch, and share nothing with lrcore. What is no matrix is compared with torch's AdamW.
"""

from contextlib import contextmanager
from math import sqrt

from .harness import Case, framework

__all__ = ["CASES"]

F64 = ("float64",)
SQUARE = [(12, 12), (130,), (4, 4, 1)]  # where the first gradient settles a basis


@contextmanager
def _unrounded(torch):
    """bfloat16() copies, and rounds nothing."""
    kept = torch.Tensor.bfloat16
    torch.Tensor.bfloat16 = torch.Tensor.clone
    try:
        yield
    finally:
        torch.Tensor.bfloat16 = kept


class Beside:
    """A rule for matrices, and torch's AdamW for the others; `own` are the options of each."""

    def __init__(self, own, adamw=None):
        self.own, self.adamw = own, adamw or {}

    def start(self, params):
        torch = framework("torch")
        tensors = [torch.tensor(p, requires_grad=True) for p in params]
        self.shapes = [p.shape for p in params]
        self.rows = [p.ndim > 1 for p in params]
        self.params = [
            torch.nn.Parameter(p.detach().reshape(len(p), -1)) if rows else p
            for p, rows in zip(tensors, self.rows, strict=True)
        ]
        self.matrices = [p for p, rows in zip(self.params, self.rows, strict=True) if rows]
        others = [p for p, rows in zip(self.params, self.rows, strict=True) if not rows]
        self.rest = torch.optim.AdamW(others, **self.adamw)
        self.begin(torch)

    def step(self, grads, loss):
        torch = framework("torch")
        for p, g in zip(self.params, grads, strict=True):
            p.grad = None if g is None else torch.tensor(g).reshape(p.shape)
        self.rest.step()
        with torch.no_grad():
            self.move(torch)

    def arrays(self):
        pairs = zip(self.params, self.shapes, strict=True)
        return [p.detach().numpy().reshape(shape) for p, shape in pairs]


class Muon(Beside):
    def begin(self, torch):
        self.opt = torch.optim.Muon(self.matrices, **self.own)

    def move(self, torch):
        with _unrounded(torch):
            self.opt.step()


class Shampoo(Beside):
    """Algorithm 1 of Gupta, Koren & Singer 2018, with an average of gradients."""

    def begin(self, torch):
        eps = self.own.get("eps", 1e-4)
        eye = [[eps * torch.eye(n, dtype=torch.float64) for n in p.shape] for p in self.matrices]
        self.sums = eye
        self.roots = [[None, None] for _ in self.matrices]
        self.average = [torch.zeros_like(p) for p in self.matrices]
        self.count = [0] * len(self.matrices)

    def move(self, torch):
        lr, beta = self.own.get("lr", 0.1), self.own.get("momentum", 0.0)
        decay, every = self.own.get("weight_decay", 0.0), self.own.get("update_freq", 1)
        for i, p in enumerate(self.matrices):
            if p.grad is None:
                continue
            g = p.grad.double()
            self.sums[i][0] += g @ g.T
            self.sums[i][1] += g.T @ g
            if self.count[i] % every == 0:
                self.roots[i] = [self.root(torch, a) for a in self.sums[i]]
            self.count[i] += 1
            self.average[i] = beta * self.average[i] + (1 - beta) * g
            left, right = self.roots[i]
            p.copy_(p - lr * decay * p - lr * (left @ self.average[i] @ right))

    @staticmethod
    def root(torch, a):
        """The inverse fourth root, by singular values."""
        u, s, v = torch.linalg.svd(a)
        return u @ torch.diag(s**-0.25) @ v


class Soap(Beside):
    """Algorithm 3 of Vyas et al. 2024; the first gradient only gives the bases."""

    def begin(self, torch):
        self.state = [None] * len(self.matrices)

    def move(self, torch):
        for i, p in enumerate(self.matrices):
            if p.grad is not None:
                self.state[i] = self.moved(torch, p, p.grad, self.state[i])

    def moved(self, torch, p, g, s):
        own = {"lr": 3e-3, "betas": (0.95, 0.95), "shampoo_beta": -1, "eps": 1e-8,
               "weight_decay": 0.01, "precondition_frequency": 10, "normalize_grads": False,
               "correct_bias": True, **self.own}  # fmt: skip
        (b1, b2), lr = own["betas"], own["lr"]
        share = own["shampoo_beta"] if own["shampoo_beta"] >= 0 else b2
        p.mul_(1 - lr * own["weight_decay"])
        if s is None:
            both = [(1 - share) * g @ g.T, (1 - share) * g.T @ g]
            bases = [torch.flip(torch.linalg.eigh(a)[1], (1,)) for a in both]
            zero = torch.zeros_like(p)
            return {"k": 0, "sums": both, "bases": bases, "m": zero, "v": zero.clone()}
        s["k"] += 1
        left, right = s["bases"]
        # m is kept in the space of the parameter, and turned at every step
        s["m"] = b1 * s["m"] + (1 - b1) * g
        s["v"] = b2 * s["v"] + (1 - b2) * (left.T @ g @ right) ** 2
        d = left @ ((left.T @ s["m"] @ right) / (s["v"].sqrt() + own["eps"])) @ right.T
        if own["normalize_grads"]:
            d = d / (1e-30 + (d**2).mean().sqrt())
        if own["correct_bias"]:
            d = d * sqrt(1 - b2 ** s["k"]) / (1 - b1 ** s["k"])
        p.sub_(lr * d)
        s["sums"] = [share * a + (1 - share) * b
                     for a, b in zip(s["sums"], (g @ g.T, g.T @ g), strict=True)]  # fmt: skip
        if s["k"] % own["precondition_frequency"] == 0:
            self.turn(torch, s)
        return s

    @staticmethod
    def turn(torch, s):
        for axis, (a, basis) in enumerate(zip(s["sums"], s["bases"], strict=True)):
            order = torch.argsort(torch.diag(basis.T @ a @ basis), descending=True)
            s["v"] = s["v"].index_select(axis, order)
            s["bases"][axis] = torch.linalg.qr(a @ basis[:, order])[0]


ROUND = {"float32": 2e-3}
ROUND_WHY = "the iteration makes much of rounding where singular values are small"
OTHER = {"adamw_lr": 0.01, "adamw_betas": (0.8, 0.9), "adamw_eps": 1e-6, "adamw_weight_decay": 0.2}
AS_TORCH = {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-6, "weight_decay": 0.2}


def _muon(options, beside=None):
    beside = beside or {"lr": options.get("lr", 1e-3), "betas": (0.9, 0.95), "eps": 1e-10,
                        "weight_decay": 0.0}  # fmt: skip
    own = {name: value for name, value in options.items() if not name.startswith("adamw_")}
    return Case("Muon", options, Muon(own, beside), tolerance=ROUND, why=ROUND_WHY, gaps=True)


def _shampoo(options, beside=None):
    own = {name: value for name, value in options.items() if not name.startswith("adamw_")}
    beside = beside or {"lr": options.get("lr", 0.1), "weight_decay": 0.0}
    return Case("Shampoo", options, Shampoo(own, beside), gaps=True, tolerance={"float32": 1e-4},
                why="lrcore keeps the sums in the precision of the parameter")  # fmt: skip


def _soap(options):
    names = ("lr", "betas", "eps", "weight_decay")
    beside = {"lr": 3e-3, "betas": (0.95, 0.95), **{k: v for k, v in options.items() if k in names}}
    return Case("SOAP", options, Soap(options, beside), F64, gaps=True, shapes=SQUARE)


CASES = [
    _muon({}),
    _muon({"nesterov": False, "momentum": 0.5, "weight_decay": 0.0, "lr": 0.02}),
    _muon({"ns_steps": 3, "ns_coefficients": (2.0, -1.5, 0.5), "adjust_lr_fn": "original"}),
    _muon({"adjust_lr_fn": "match_rms_adamw", "eps": 1.0, **OTHER}, AS_TORCH),
    _shampoo({}),
    _shampoo({"momentum": 0.9, "weight_decay": 0.1, "update_freq": 7, "eps": 0.01}),
    _shampoo({"lr": 0.5, **OTHER}, AS_TORCH),
    _soap({}),
    _soap({"betas": (0.8, 0.9), "eps": 1e-3, "precondition_frequency": 3, "weight_decay": 0.0}),
    _soap({"normalize_grads": True, "shampoo_beta": 0.8}),
    _soap({"correct_bias": False, "lr": 0.01}),
]
