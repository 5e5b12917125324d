"""The named terms of a loss, which are its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from perceptrain_core.errors import LossContractError
from perceptrain_core.tensors import describe


def named_terms(result: Any) -> dict[str, Tensor]:
    """Return the terms in the result of a loss.

    Args:
        result: ``(loss, metrics)``.

    Returns:
        The metrics, each a 0-dim tensor; at least one.

    Raises:
        LossContractError: The result has another form.
    """
    terms = result[1] if isinstance(result, tuple) and len(result) == 2 else None
    if not isinstance(terms, dict):
        raise LossContractError(
            f"The unweighted loss returned {describe(result)}; expected (loss, metrics), the "
            "metrics a dict of its terms."
        )
    if not terms:
        raise LossContractError(
            "The unweighted loss returned no metrics; expected its terms by name. A loss of "
            "one term needs no weights: leave out the weighting."
        )
    for name, term in terms.items():
        if not isinstance(term, Tensor) or term.ndim:
            raise LossContractError(
                f"The metric {name!r} of the unweighted loss is {describe(term)}; expected one of "
                "its terms, a 0-dim tensor. Leave other values out."
            )
    return terms


def require_graphs(terms: Mapping[str, Tensor]) -> None:
    """Check that each term can be differentiated.

    Raises:
        LossContractError: A term was detached, or does not depend on a parameter.
    """
    for name, term in terms.items():
        if not term.requires_grad:
            raise LossContractError(
                f"The term {name!r} has no gradient; expected every metric of the unweighted loss "
                "to be one of its terms with the graph. Do not detach terms, and leave out other "
                "values, and terms that depend on frozen parameters only."
            )
