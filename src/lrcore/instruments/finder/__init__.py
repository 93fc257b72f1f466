"""The finder: a learning rate from a sweep and short trainings, before the training itself.

`finder` is ask and tell, and knows no optimizer; `find` is that with the loop around it, whose
hands are in `loop`. `judge` is the method, `suggest` reads a sweep, and `family` measures what kind
of optimizer this is.
"""
