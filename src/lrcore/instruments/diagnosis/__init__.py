"""The diagnosis: what is wrong with a run, and how surely.

A run is a `curve`, of arrays (`inputs`) or while it trains (`monitor`). `measures` are of parts of
it, `checks` compare them with what chance would do (the lines are in `thresholds`), and `rate` is
the score of the learning rate, with its `weights`. `verdict` judges, and `words` say it.
"""
