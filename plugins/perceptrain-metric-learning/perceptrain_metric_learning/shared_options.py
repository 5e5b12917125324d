"""The options that losses inherit: their types, and how a class shows them.

A loss lists its own options and accepts those of its base as ``**shared``. `complete` puts the
inherited ones into its signature and docstring, which `perceptrain show` prints.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from inspect import Parameter, Signature
from itertools import takewhile
from typing import Any, Required, TypeAlias, TypedDict

from torch import Tensor, nn

from perceptrain_metric_learning.parts import Part

#: Fills a tensor of weights in place.
WeightInit: TypeAlias = Callable[[Tensor], Any]

_ARGS = re.compile(r"^Args:\n((?:    .*\n?)+)", re.MULTILINE)
_ENTRY = re.compile(r"^    (\w+): .*(?:\n     +.*)*", re.MULTILINE)


class EmbeddingOptions(TypedDict, total=False):
    """The options of every loss; `EmbeddingLoss` sets their defaults."""

    miner: Part
    distance: Part
    reducer: Part
    embedding_regularizer: Part
    embedding_reg_weight: float
    gather: bool


class ProxyOptions(EmbeddingOptions, total=False):
    """The options of every loss with proxies; `ProxyLoss` sets their defaults."""

    num_classes: Required[int]
    embedding_size: Required[int]
    weight_regularizer: Part
    weight_reg_weight: float
    weight_init_func: WeightInit | None


def complete(cls: type) -> None:
    """Put the inherited options into the signature and the docstring of a loss class.

    Required options come first, then those of the class itself, then the others of its bases, the
    root first. Where the docstring of the class leaves an option out, that of a base documents it.
    """
    family = list(takewhile(lambda base: base is not nn.Module, cls.__mro__))
    inits = [vars(base)["__init__"] for base in family if "__init__" in vars(base)]
    if "__init__" in vars(cls):
        inits[0].__signature__ = _signature(*inits)
    entries = {m[1]: m[0] for base in reversed(family) for m in _entries(base)}
    args = "".join(f"{entries[name]}\n" for name in _parameters(inits[0]) if name in entries)
    cls.__doc__ = _ARGS.sub(lambda _: f"Args:\n{args}", inspect.cleandoc(cls.__doc__ or ""))


def _signature(own: Any, *bases: Any) -> Signature:
    shared: dict[str, Parameter] = {}
    for base in reversed(bases):
        shared |= {n: p for n, p in _parameters(base).items() if p.kind is Parameter.KEYWORD_ONLY}
    listed = [p for p in _parameters(own).values() if p.kind is not Parameter.VAR_KEYWORD]
    required = [p for p in shared.values() if p.default is Parameter.empty]
    optional = [p for p in shared.values() if p.default is not Parameter.empty]
    # `self` and other positional parameters sort before the options.
    return Signature(sorted([*required, *listed, *optional], key=lambda p: p.kind))


def _parameters(init: Any) -> dict[str, Parameter]:
    return dict(inspect.signature(init).parameters)


def _entries(cls: type) -> list[re.Match[str]]:
    section = _ARGS.search(inspect.cleandoc(vars(cls).get("__doc__") or ""))
    return list(_ENTRY.finditer(section[1])) if section else []
