"""Optimizer, and what it is made of.

`optimizer` is the class; `rule` and `group` are its class's row and its groups, `options` the table
of options and `keywords` their types, `masks` what is resolved for each parameter. `slots` is the
table of the arrays beside a parameter, `memory` and `file` where they lie, `layout` a plan and all
it follows from. `steps` are the steps that are more than one call, `by_reference` those of
``backend="numpy"``, `stats` what they measured, `showing` averages in place of the parameters,
`modes` those of rules that are averages themselves.
`state`, `saved` and `convert` are state_dict, there and back. `tree` flattens structures.
"""

from .optimizer import Optimizer, ParamGroup

__all__ = ["Optimizer", "ParamGroup"]
