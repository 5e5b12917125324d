"""The names of weights, with and without the prefixes of wrappers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn


def names_of_module(module: nn.Module, saved: Mapping[str, Any]) -> Mapping[str, Any]:
    """Rename saved weights that differ from those of a module only by the prefixes of wrappers.

    ``torch.compile`` adds ``_orig_mod.`` to the names; ``DataParallel``,
    ``DistributedDataParallel`` and ``AveragedModel`` add ``module.``.

    Args:
        module: Will load the weights.
        saved: Weights by name.

    Returns:
        The weights by the names of the module; or ``saved``, if they differ in another way.
    """
    own = module.state_dict()
    if own.keys() == saved.keys():
        return saved
    here = {_plain(name): name for name in own}
    there = {_plain(name): value for name, value in saved.items() if name != "n_averaged"}
    if here.keys() != there.keys() or len(here) != len(own):
        return saved
    return {here[name]: value for name, value in there.items()}


def _plain(name: str) -> str:
    name = name.replace("_orig_mod.", "")  # parts of a model may be compiled, too
    while name.startswith("module."):
        name = name.removeprefix("module.")
    return name
