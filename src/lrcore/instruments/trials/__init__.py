"""Trials: what other rates would have come to, by training with them.

`sweep` trains with every rate of a grid, `folds` on every part of the data, `comparison` with
several optimizers, `study` where Optuna says: all with `runs`, on any executor. `probe` tries from
where a run stands. `student` is how far chance goes, and the modules of text say what came out.
"""
