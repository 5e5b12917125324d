"""Checks of one name of a plugin, with the batch, model and options of its author's case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from perceptrain_core.errors import ConformanceError
from perceptrain_core.models import FFNN
from perceptrain_core.registry import Entry
from perceptrain_core.registry.references import load_reference
from perceptrain_core.testing.callback import check_callback
from perceptrain_core.testing.loss import check_loss
from perceptrain_core.testing.metric import check_metric
from perceptrain_core.testing.tracker import check_tracker
from perceptrain_core.testing.weighting import check_weighting

#: The file with the cases of a plugin, and the function in it.
CASES_FILE, CASES_FUNCTION = "perceptrain_cases.py", "case"

#: ``case(kind, name)`` returns the options of a name and the other arguments of its check.
Cases = Callable[[str, str], Mapping[str, Any]]

_CHECKS: dict[str, Callable[..., None]] = {
    "loss": check_loss,
    "weighting": check_weighting,
    "callback": check_callback,
    "metric": check_metric,
    "tracker": check_tracker,
}
_TYPES = {"model": nn.Module, "optimizer": torch.optim.Optimizer}


class MissingCaseError(ConformanceError):
    """A name requires options, and no case sets them."""


def load_cases(folder: Path) -> Cases | None:
    """Load the function ``case`` of ``perceptrain_cases.py``.

    Args:
        folder: The folder of the plugin; its subfolder ``tests`` is searched too.

    Returns:
        The function, or None if neither folder has the file.
    """
    for file in (folder / CASES_FILE, folder / "tests" / CASES_FILE):
        if file.is_file():
            cases: Any = load_reference(f"{file}:{CASES_FUNCTION}")
            return cases  # type: ignore[no-any-return]
    return None


def name_of_check(entry: Entry) -> str:
    """Return the name of the check for the kind of an entry, ``"check_loss"``."""
    check = _CHECKS.get(entry.kind)
    return check.__name__ if check else "check_build"


def check_name(entry: Entry, cases: Cases | None = None) -> None:
    """Build the target of a name and check it: with ``check_loss`` for a loss, and so on.

    Models, optimizers and data sets are only built. A loss whose case has no arguments is checked
    on eight random rows with two inputs and one label, a metric on random logits of three classes.

    Args:
        entry: The entry in the registry.
        cases: Returns for a kind and a name the ``options`` to build it with, and the arguments of
            its check, such as ``batch`` and ``model``. An empty mapping means the defaults.

    Raises:
        ConformanceError: A check failed; the message lists every fault.
        MissingCaseError: The name requires options that its case does not set.
    """
    arguments = dict(cases(entry.kind, entry.name)) if cases else {}
    options = arguments.pop("options", {})
    required = [n for n, p in entry.options().items() if p.default is p.empty and n not in options]
    if required:
        raise MissingCaseError(
            f"The {entry.kind} {entry.name!r} requires {', '.join(map(repr, required))}: return "
            f"{{'options': {{...}}}} from {CASES_FUNCTION}(kind, name) in {CASES_FILE}."
        )
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        network = FFNN([2, 8, 1])
        batch = torch.randn(8, 2), torch.randn(8, 1)
        leading = (network.parameters(),) if entry.kind == "optimizer" else ()
        built = entry.build(leading, options)
    if entry.kind == "loss" and not arguments:
        _check_on_default_case(built, batch, network)
    elif check := _CHECKS.get(entry.kind):
        check(built, **arguments)
    elif not isinstance(built, expected := _TYPES.get(entry.kind, object)) or built is None:
        raise ConformanceError(
            f"The {entry.kind} {entry.name!r} is built as {type(built).__name__}; expected "
            f"{expected.__name__}."
        )


def _check_on_default_case(loss_fn: Any, batch: Any, model: nn.Module) -> None:
    try:
        check_loss(loss_fn, batch, model)
    except ConformanceError as error:
        raise ConformanceError(
            f"{error}\nIt was checked on 8 rows with 2 inputs and 1 label. If it needs other data, "
            f"return {{'batch': ..., 'model': ...}} from {CASES_FUNCTION}(kind, name) in "
            f"{CASES_FILE}."
        ) from error
