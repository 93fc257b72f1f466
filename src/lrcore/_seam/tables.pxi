# The tables of the C library as Python reads them, and the numbers that both sides must know.

cdef extern from "engine.h":
    enum:
        LRC_BLOCK
        LRC_CHUNK


#: What a step does with a gradient that is not finite, in the order of lrc_nonfinite.
NONFINITE = ("raise", "skip", "ignore")
#: Where the pipeline cuts; tests put sizes around it.
BLOCK = LRC_BLOCK
CHUNK = LRC_CHUNK
#: 8-bit state: elements that share a scale.
Q8_BLOCK = LRC_Q8_BLOCK
#: The columns of lrc_stats.
STATS = ("grad2", "param2", "step2", "dot", "dot_grad2", "trace2", "slope", "nonfinite", "lost",
         "clip", "divisor")
#: What `Plan.record` writes: losses, the rate of the first group, the gain ratio, then lrc_totals.
RECORD = ("loss", "val_loss", "lr", "gain", "grad_norm", "step_norm", "param_norm", "cos", "slope",
          "lost")
if sizeof(lrc_totals) != 8 * (len(RECORD) - 4):
    raise ImportError("RECORD of _seam/tables.pxi must name the fields of lrc_totals")
if sizeof(lrc_stats) != 8 * len(STATS):
    raise ImportError("STATS of _seam/tables.pxi must name the fields of lrc_stats")


def _names(bytes text):
    return tuple(name for name in text.decode().split(", ") if name)


def rules():
    """The rows of rules.def: name -> the fields of `lrcore._hyper.Row`."""
    decays = ("coupled", "decoupled", "either", "inside")
    scopes = ("element", "tensor", "group", "row", "matrix", "factored")
    return {
        lrc_rules[i].name.decode(): (
            i, _names(lrc_rules[i].states), _names(lrc_rules[i].hypers),
            tuple(lrc_rules[i].notes.decode().split()), decays[lrc_rules[i].decay],
            scopes[lrc_rules[i].scope], lrc_rules[i].sums, _names(lrc_rules[i].scalars),
            _names(lrc_rules[i].matrices))
        for i in range(LRC_RULES)
    }


def schedules():
    """The rows of schedules.def: name -> (argument names, lists)."""
    return {lrc_schedules[i].name.decode(): (_names(lrc_schedules[i].args),
                                             _names(lrc_schedules[i].lists))
            for i in range(LRC_SCHEDULES)}
