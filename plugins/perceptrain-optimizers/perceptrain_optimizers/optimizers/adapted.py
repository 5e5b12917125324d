"""What this plugin changes in each optimizer of pytorch-optimizer."""

from __future__ import annotations

import inspect
from inspect import Parameter, Signature
from typing import Any, ClassVar

from torch.optim import Optimizer


class Adapted(Optimizer):
    """A base class to put before the class of pytorch-optimizer.

    The constructor accepts the options of that class by name, but no others: the class itself
    ignores options that it does not know. Copies and pickles, which other processes receive, keep
    all attributes.

    Attributes:
        own_defaults: Options with another default than in pytorch-optimizer, or that it does not
            name in its signature.
        fixed: Options that cannot be chosen here.
    """

    own_defaults: ClassVar[dict[str, Any]] = {}
    fixed: ClassVar[dict[str, Any]] = {}
    __signature__: ClassVar[Signature]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        original = cls.__mro__[cls.__mro__.index(Adapted) + 1]
        named = dict(inspect.signature(original).parameters)
        for name, default in cls.own_defaults.items():
            parameter = named.get(name, Parameter(name, Parameter.KEYWORD_ONLY))
            named[name] = parameter.replace(default=default)
        cls.__signature__ = Signature(
            [
                p if name == "params" else p.replace(kind=Parameter.KEYWORD_ONLY)
                for name, p in named.items()
                if p.kind is not Parameter.VAR_KEYWORD and name not in cls.fixed
            ]
        )

    def __init__(self, *args: Any, **options: Any) -> None:
        bound = self.__signature__.bind(*args, **options)
        bound.apply_defaults()
        original: Any = super().__init__  # not that of torch
        original(*bound.args, **bound.kwargs, **self.fixed)

    def __getstate__(self) -> dict[str, Any]:
        # torch keeps the groups and the state only. Hooks stay behind, and so does `step`, which a
        # schedule replaces.
        own = {k: v for k, v in vars(self).items() if k[:11] != "_optimizer_" and k != "step"}
        return {**super().__getstate__(), **own}
