"""Groups of parameters, selected by name, by kind of module, or by number of dimensions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn

from perceptrain_core.errors import OptionError
from perceptrain_core.registry.messages import listed

#: The keys of a group that select its parameters; the others are options of the optimizer.
SELECTORS = ("match", "modules", "ndim")


class _Parameters:
    """The parameters of a model, with everything that selects them."""

    def __init__(self, model: nn.Module) -> None:
        self.names: dict[Tensor, list[str]] = defaultdict(list)
        for name, parameter in model.named_parameters(remove_duplicate=False):
            self.names[parameter].append(name)
        self.kinds: dict[Tensor, set[str]] = defaultdict(set)
        for module in model.modules():
            for parameter in module.parameters():
                self.kinds[parameter].update(kind.__name__ for kind in type(module).__mro__)

    def matched(self, pattern: str) -> set[Tensor]:
        return {p for p, names in self.names.items() if any(fnmatchcase(n, pattern) for n in names)}

    def inside(self, kind: str) -> set[Tensor]:
        return {p for p, kinds in self.kinds.items() if kind in kinds}

    def shaped(self, ndim: int) -> set[Tensor]:
        return {p for p in self.names if p.ndim == ndim}


def parameter_groups(model: nn.Module, groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Divide the parameters of a model into groups with options of their own.

    ::

        AdamW(parameter_groups(model, [{"match": "*.bias", "weight_decay": 0}]), lr=1e-3)

    Args:
        model: The model.
        groups: For each group a mapping with one or more of the keys ``match``, patterns of names
            such as ``"head.*"``, in which ``*`` stands for any text, dots included; ``modules``,
            names of classes such as ``"LayerNorm"``, whose instances or subclasses hold the
            parameters, also in their submodules; and ``ndim``, numbers of dimensions, 2 for a
            matrix. Each is one value or a list, of which one must fit; of several keys, all must
            fit. The other keys are options of the optimizer.

    Returns:
        The groups in their order, each with its parameters under ``"params"`` and its options; then
        one with all the rest, if there is any. A parameter is in the first group that it fits.

    Raises:
        OptionError: A group is not a mapping or selects nothing, a pattern, class or number fits
            no parameter, or earlier groups have all parameters of a group.
    """
    if isinstance(groups, Mapping | str) or not isinstance(groups, Sequence):
        raise OptionError(f"groups is {groups!r:.60}; expected a list of mappings, one per group.")
    parameters = _Parameters(model)
    left = dict.fromkeys(parameters.names)
    found = []
    for number, group in enumerate(groups):
        selected = _selected(parameters, group, f"groups[{number}]")
        params = [parameter for parameter in left if parameter in selected]
        if not params:
            raise OptionError(
                f"groups[{number}] {_shown(group)} gets no parameter: earlier groups have them "
                "all. A parameter is in the first group that it fits; put special groups first."
            )
        for parameter in params:
            del left[parameter]
        options = {key: value for key, value in group.items() if key not in SELECTORS}
        found.append({"params": params, **options})
    return [*found, {"params": list(left)}] if left else found


def _selected(parameters: _Parameters, group: Any, where: str) -> set[Tensor]:
    """Return the parameters that a group selects, if each part of the selection finds some."""
    if not isinstance(group, Mapping) or not any(key in group for key in SELECTORS):
        raise OptionError(
            f"{where} is {group!r:.60}; expected a mapping with at least one of the keys "
            f"{', '.join(SELECTORS)}, which select its parameters, and options of the optimizer."
        )
    all_names = [name for names in parameters.names.values() for name in names]
    kinds = sorted(set().union(*parameters.kinds.values()) - {"Module", "object"})
    sizes = sorted({str(parameter.ndim) for parameter in parameters.names})
    sources: dict[str, tuple[Any, type, str, list[str]]] = {
        "match": (parameters.matched, str, "matches no parameter of", all_names),
        "modules": (
            parameters.inside,
            str,
            "is not the class of any module with parameters in",
            kinds,
        ),
        "ndim": (parameters.shaped, int, "is the ndim of no parameter of", sizes),
    }
    chosen = set(parameters.names)
    for key, (find, kind, misses, known) in sources.items():
        if key not in group:
            continue
        found: set[Tensor] = set()
        for item in _items(group[key], kind, f"{where}.{key}"):
            fitting = find(item)
            if not fitting:
                raise OptionError(
                    f"{where}.{key}: {item!r} {misses} the model, which has {_near(item, known)}."
                )
            found |= fitting
        chosen &= found
    if not chosen:
        raise OptionError(f"{where} {_shown(group)} fits no parameter: all of its keys must fit.")
    return chosen


def _items(value: Any, kind: type, where: str) -> list[Any]:
    items = list(value) if isinstance(value, list | tuple) else [value]
    if not items or not all(type(item) is kind for item in items):
        what = "a text" if kind is str else "a whole number"
        raise OptionError(f"{where} is {value!r:.60}; expected {what}, or a list of them.")
    return items


def _near(item: Any, known: list[str]) -> str:
    """List the names that are similar, or else all."""
    return listed(get_close_matches(str(item), known, n=5, cutoff=0.45) or known)


def _shown(group: Mapping[str, Any]) -> str:
    return str({key: group[key] for key in SELECTORS if key in group})
