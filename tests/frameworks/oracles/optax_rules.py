"""optax, for what torch.optim has not, and the pipeline's clipping."""

from .harness import Case, Optax

__all__ = ["CASES"]

F64 = ("float64",)  # in float32 optax rounds 1 - beta^t to float32, an error of 1e-5 at first

CASES = [
    Case("Lion", {}, Optax(lambda o: o.lion(1e-4, b1=0.9, b2=0.99, weight_decay=0.0)), F64),
    Case("Lion", {"lr": 0.01, "weight_decay": 0.1},
         Optax(lambda o: o.lion(0.01, weight_decay=0.1)), F64),
    Case("LAMB", {}, Optax(lambda o: o.lamb(1e-3)), F64),
    Case("LAMB", {"lr": 0.01, "weight_decay": 0.1, "betas": (0.8, 0.9)},
         Optax(lambda o: o.lamb(0.01, b1=0.8, b2=0.9, weight_decay=0.1)), F64),
    Case("AdamW", {}, Optax(lambda o: o.adamw(1e-3, weight_decay=1e-2)), F64),
    Case("Adam", {"clip_value": 0.5}, Optax(lambda o: o.chain(o.clip(0.5), o.adam(1e-3))), F64),
    Case("SGD", {"lr": 0.1, "momentum": 0.9}, Optax(lambda o: o.sgd(0.1, momentum=0.9)), F64),
    Case("RMSprop", {},
         Optax(lambda o: o.rmsprop(1e-2, decay=0.99, eps=1e-8, eps_in_sqrt=False)), F64),
    Case("RMSprop", {"eps": 1e-3, "eps_inside": True, "momentum": 0.9},
         Optax(lambda o: o.rmsprop(1e-2, decay=0.99, eps=1e-3, momentum=0.9)), F64),
    Case("RMSprop", {"eps": 1e-3, "eps_inside": True, "centered": True},
         Optax(lambda o: o.rmsprop(1e-2, decay=0.99, eps=1e-3, centered=True)), F64),
    Case("Adagrad", {"initial_accumulator_value": 0.1, "eps": 0.0},
         Optax(lambda o: o.adagrad(1e-2, initial_accumulator_value=0.1, eps=0.0)), F64),
]  # fmt: skip
