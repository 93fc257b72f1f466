"""``optimizer.state``: what is kept beside each parameter, under torch's names, and live."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from .._hyper import RULES
from .._optimizer import Optimizer as Rule
from .._optimizer.moving import renew
from .._optimizer.saved import PASSING, check_convertible
from ._part import Part
from ._spread import like
from ._tensors import as_tensor

if TYPE_CHECKING:
    from .._optimizer.slots import Slot
    from ._optimizer import Optimizer

__all__ = ["Entry", "Places", "State", "entry_of", "named", "step_name"]


def named(kind: type[Rule], kept: tuple[str, ...]) -> Mapping[str, str]:
    """What the scalars and the arrays `kept` of a parameter are called there, by our names."""
    found = _NAMES.get((kind, kept))
    if found is None:
        found = _NAMES[kind, kept] = _named(kind, kept)
    return found


#: What `named` has found out.
_NAMES: dict[tuple[type[Rule], tuple[str, ...]], dict[str, str]] = {}


def _named(kind: type[Rule], kept: tuple[str, ...]) -> dict[str, str]:
    known: Mapping[str, str | None] = kind.torch_names
    row, out = RULES[kind.rule], {}
    if row.of_tensors:
        given = {name: known.get(name, name) for name in row.scalars}
        out.update({name: theirs for name, theirs in given.items() if theirs})
    for name in kept:
        state = name.removesuffix("_scale")
        if name not in PASSING:
            out[name] = (known.get(state) or state) + name[len(state) :]
    return out


def step_name(kind: Rule) -> str:
    """What the number of updates is called."""
    return kind.torch_names.get("t") or "step"


def _goes_by_age(opt: Rule, k: int, names: Mapping[str, str]) -> bool:
    """Whether updates depend on how many there were, beyond what torch keeps of its own rule."""
    group = opt._layout.groups[opt._layout.leaves[k].group]
    return group["rounding"] == "stochastic" or not names.keys() <= opt.torch_names.keys()


def entry_of(part: Part, k: int) -> dict[str, Any]:
    """The state of a part's k-th parameter; nothing where it has none."""
    opt = part.opt
    age, arrays = opt._plan.age(k), opt._layout.arrays[k]
    names = named(type(opt), tuple(arrays))
    if not (age or opt.kept_at_once or (opt.t and not names and "t" not in opt.torch_names)):
        return {}
    out: dict[str, Any] = {}
    if "t" in opt.torch_names or (age != opt.t and _goes_by_age(opt, k, names)):
        out[step_name(opt)] = torch.scalar_tensor(age, device="cpu")
    if len(names) > len(arrays.keys() & names.keys()):
        for name, value in zip(RULES[opt.rule].scalars, opt._plan.kept(k), strict=True):
            if name in names:
                out[names[name]] = torch.tensor(value, dtype=torch.float64, device="cpu")
    for name, array in arrays.items():
        if name in names:
            axes = part.axes[k] if array.shape == part.arrays[k].shape else None
            out[names[name]] = like(part.tensors[k], as_tensor(array, axes))
    return out


class Entry(dict[str, Any]):
    """The state of one parameter: numbers as they were when it was looked up, and live tensors.

    What is assigned is copied to where the state is. A tensor of another shape stays here alone,
    for a parameter of that shape which is to get the entry: ``opt.state[other] = entry``; a step
    before that is an error.
    """

    _home: tuple[Live, Any, dict[str, Any]] | None = None

    def _bound(self) -> Live | None:
        """The state of the optimizer, as long as the tensors here are those it uses."""
        if self._home is None:
            return None
        live, param, arrays = self._home
        return live if live.has(param, arrays) else None

    def __setitem__(self, name: str, value: Any) -> None:
        live = self._bound()
        if live is not None:
            assert self._home is not None
            value = live.assign(self._home[1], self, name, value)
        super().__setitem__(name, value)

    def update(self, *args: Any, **values: Any) -> None:
        """Assign several, one after the other."""
        for name, value in dict(*args, **values).items():
            self[name] = value

    def __ior__(self, values: Any) -> Entry:  # type: ignore[override,misc]
        self.update(values)
        return self

    def __delitem__(self, name: str) -> None:
        if self._bound() is not None:
            raise TypeError(
                f"a state cannot be without {name!r}; del opt.state[p] lets its parameter begin "
                "anew"
            )
        super().__delitem__(name)

    def pop(self, name: str, *default: Any) -> Any:
        """Take out what is here no longer for a parameter."""
        if name not in self and default:
            return default[0]
        value = self[name]
        del self[name]
        return value

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Look up, or assign."""
        if name not in self:
            self[name] = default
        return self[name]

    def clear(self) -> None:
        """Let the parameter begin anew."""
        live = self._bound()
        if live is not None and self._home is not None:
            live.put(self._home[1], None)
        super().clear()

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


class State(MutableMapping[Any, Any]):
    """``optimizer.state``: a dict by name for each parameter that was updated.

    Tensors are the memory that steps use, but for ``step`` and other single numbers, which are as
    they were when they were looked up. To assign a whole entry takes it over, to delete one lets
    its parameter begin anew. Once ``optimizer.state`` is assigned, what was there before stays as
    it was: a dict.
    """

    def __init__(self, owner: Optimizer) -> None:
        self._now: Live | dict[Any, Any] = Live(owner)

    def __getitem__(self, param: Any) -> Any:
        return self._now[param]

    def __setitem__(self, param: Any, entry: Any) -> None:
        self._now[param] = entry

    def __delitem__(self, param: Any) -> None:
        del self._now[param]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._now)

    def __len__(self) -> int:
        return len(self._now)

    def __contains__(self, param: object) -> bool:
        return param in self._now

    def get(self, param: Any, default: Any = None) -> Any:
        """The entry of a parameter that has one."""
        return self._now.get(param, default)

    def items(self) -> Any:
        """Pairs of a parameter and its entry."""
        return self._now.items()

    def pop(self, param: Any, *default: Any) -> Any:
        """The entry of a parameter, which begins anew."""
        if param not in self and default:
            return default[0]
        entry = self[param]
        del self[param]
        return entry

    def clear(self) -> None:
        """Let all parameters begin anew."""
        self._now.clear()

    def replace(self, entries: Mapping[Any, Any]) -> None:
        """Give the optimizer other entries; those that were here stay here."""
        if isinstance(self._now, Live) and entries is not self:
            live, before = self._now, {p: dict(entry) for p, entry in self._now.items()}
            live.replace(entries)
            live.places.shown, self._now = None, before

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> Any:
        return dict, ({p: dict(entry) for p, entry in self.items()},)


class Places:
    """Where an optimizer finds the parameters of its state. It keeps no optimizer alive."""

    def __init__(self) -> None:
        self.found: dict[int, tuple[Part, int]] = {}
        #: What was assigned to entries and does not fit there.
        self.loose: dict[int, tuple[Any, str, Any]] = {}
        self.shown: weakref.ref[State] | None = None

    def state_of(self, owner: Optimizer) -> State:
        """The state of an optimizer, the one that somebody has already if there is one."""
        known = None if self.shown is None else self.shown()
        if known is None:
            known = State(owner)
            self.shown = weakref.ref(known)
        return known

    def of(self, param: Any, parts: Sequence[Part]) -> tuple[Part, int] | None:
        """The part that has a tensor, and as which."""
        found = self.found.get(id(param))
        if found is None or not found[0].has(param, found[1]):
            self.found = {id(p): (part, k) for part in parts for k, p in enumerate(part.tensors)}
            found = self.found.get(id(param))
        return found

    def check(self, who: str) -> None:
        """Refuse to go on with an entry that does not fit its parameter."""
        for param, name, value in self.loose.values():
            part, k = self.found.get(id(param), (None, 0))
            if part is not None and part.has(param, k):
                raise ValueError(
                    f"{who}: the state {name!r} of {part.label(k)} must keep its shape, got one of "
                    f"shape {tuple(value.shape)}; opt.state[other] = entry gives it to another "
                    "parameter"
                )
        self.loose.clear()


class Live(MutableMapping[Any, Any]):
    """The state of an optimizer, looked up where it is."""

    def __init__(self, owner: Optimizer) -> None:
        self._owner, self.places = owner, owner._places

    # ---------------------------------------------------------------- where a parameter is

    def place(self, param: Any) -> tuple[Part, int]:
        """The part that has a tensor, which may just have been put into a group, and as which."""
        found = self.places.of(param, self._owner._parts)
        if found is None:
            self._owner._follow()
            found = self.places.of(param, self._owner._parts)
        if found is None:
            raise KeyError("the optimizer has no such parameter")
        return found

    def has(self, param: Any, arrays: Mapping[str, Any]) -> bool:
        """Whether these are the arrays beside a parameter."""
        found = self.places.of(param, self._owner._parts)
        if found is None:
            return False
        own = found[0].opt._layout.arrays[found[1]]
        return all(own.get(name) is array for name, array in arrays.items())

    # ------------------------------------------------------------------------- a mapping

    def __getitem__(self, param: Any) -> Entry:
        part, k = self.place(param)
        out = Entry(entry_of(part, k))
        out._home = (self, param, dict(part.opt._layout.arrays[k]))
        return out

    def __setitem__(self, param: Any, entry: Any) -> None:
        self.put(param, entry)

    def __delitem__(self, param: Any) -> None:
        if param not in self:
            raise KeyError("the parameter has no state")
        self.put(param, None)

    def put(self, param: Any, entry: Any) -> None:
        """Take over an entry, or let a parameter begin anew."""
        part, k = self.place(param)
        slots = part.opt._layout.slots_at(type(part.opt), k)
        renew(part.opt, k, self._read(part, k, slots, entry))
        self.places.loose.pop(id(param), None)

    def _read(self, part: Part, k: int, slots: list[Slot], entry: Any) -> dict[str, Any] | None:
        """An entry under our names, found to fit a parameter; None: it begins anew."""
        from ._saved import read

        who, opt = f"{type(self._owner).__name__}.state", part.opt
        found = read(who, part, k, slots, entry, opt.t)
        if found is not None:
            leaf = opt._layout.leaves[k]
            check_convertible(who, part.label(k), found, opt.rule, leaf, slots)
        return found

    def replace(self, entries: Mapping[Any, Any]) -> None:
        """Take over the states of all parameters; those without one begin anew."""
        ready = []
        by_id = {id(p): entry for p, entry in entries.items()}
        for part in self._owner._parts:
            slots = part.opt._layout.slots(type(part.opt))
            for k, p in enumerate(part.tensors):
                entry = by_id.get(id(p))
                ready.append((part, k, self._read(part, k, slots[k], entry)))
        for part, k, found in ready:
            if found or part.opt._plan.age(k):
                renew(part.opt, k, found)
        self.places.loose.clear()

    def clear(self) -> None:
        """Let all parameters begin anew."""
        self.replace({})

    def get(self, param: Any, default: Any = None) -> Any:
        """The entry of a parameter that has one."""
        if param not in self:
            return default
        return self[param]

    def __contains__(self, param: object) -> bool:
        found = self.places.of(param, self._owner._parts)
        return found is not None and bool(entry_of(*found))

    def __iter__(self) -> Iterator[Any]:
        for part in self._owner._parts:
            for k, p in enumerate(part.tensors):
                if entry_of(part, k):
                    yield p

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def items(self) -> Any:
        """Pairs of a parameter and its entry."""
        return [(p, self[p]) for p in self]

    # ---------------------------------------------------------------- parts of an entry

    def assign(self, param: Any, entry: Entry, name: str, value: Any) -> Any:
        """Take over a part of an entry; returns what is to be in the entry."""
        part, k = self.place(param)
        if name not in entry:
            known = f"one of {list(entry)}" if entry else "assigned as a whole, state[p] = ..."
            raise KeyError(f"a state must be {known}, got {name!r}")
        here = entry[name]
        given = value if isinstance(value, torch.Tensor) else torch.tensor(value, device="cpu")
        names = named(type(part.opt), tuple(part.opt._layout.arrays[k]))
        if name not in {names[a] for a in part.opt._layout.arrays[k] if a in names}:
            return self._set_number(part, k, name, names, given)
        if given.shape != here.shape:
            self.places.loose[id(param)] = (param, name, given)
            return given
        if given.dtype.is_floating_point != here.dtype.is_floating_point:
            raise TypeError(f"the state {name!r} must be {here.dtype}, got {given.dtype}")
        with torch.no_grad():
            here.copy_(given)
        if id(param) in self.places.loose and self.places.loose[id(param)][1] == name:
            del self.places.loose[id(param)]
        return here

    def _set_number(
        self, part: Part, k: int, name: str, names: Mapping[str, str], given: torch.Tensor
    ) -> torch.Tensor:
        """A single number of an entry."""
        plan, row = part.opt._plan, RULES[part.opt.rule]
        number, age = float(given), plan.age(k)
        if name == step_name(part.opt):
            if not 0 <= number <= 2**53 or number != int(number):
                raise ValueError(f"the state {name!r} must be a whole number, got {number}")
            age = int(number)
        scalars = [
            number if names.get(n) == name else x
            for n, x in zip(row.scalars, plan.kept(k), strict=True)
            if row.of_tensors
        ]
        plan.rebind(k, part.opt._layout.stores[k], age, scalars)
        plan.t = max(plan.t, age)
        return given
