"""The gradient of each term of a loss, without touching ``.grad``.

They form a matrix with one row per term. Its weighted sum of rows is the gradient of the weighted
loss, so a step that computes the gradients of all terms needs no backward pass of their sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import compress
from typing import Any

import torch
from torch import Tensor, distributed
from torch._utils import _flatten_dense_tensors

from perceptrain_core.backward import gradients
from perceptrain_core.errors import TrainingError


@dataclass(eq=False)
class TermGradients:
    """The gradients of K terms with respect to P numbers, the elements of the parameters.

    Args:
        names: The K terms.
        matrix: Of shape ``(K, P)``, detached; zero where a term does not reach a parameter.
        parameters: The parameters, in the order of the columns.
        used: For each parameter, whether any term reaches it.
        batch: The batch that the terms were evaluated on.
        model: The model.
        exact: Whether the rows are what a backward pass would add to ``.grad``. They are not if
            that would be sparse, if the parameters differ in dtype or device, if a parameter has a
            hook, which has changed each row, or if the rows are those of several processes.
    """

    names: tuple[str, ...]
    matrix: Tensor
    parameters: Sequence[Tensor]
    used: Sequence[bool]
    batch: Any = None
    model: Any = None
    exact: bool = True

    def __getitem__(self, name: str) -> Tensor:
        """Return the gradient of a term, of shape ``(P,)``."""
        return self.matrix[self.names.index(name)]

    def norms(self) -> Tensor:
        """Return the 2-norm of each term's gradient, of shape ``(K,)``."""
        norms: Tensor = torch.linalg.vector_norm(self.matrix, dim=1)
        return norms

    def mean_sizes(self) -> Tensor:
        """Return the mean absolute value of each term's gradient, of shape ``(K,)``."""
        return self.matrix.abs().mean(dim=1)

    def of(self, which: str | Sequence[str]) -> TermGradients:
        """Return the gradients with respect to some of the parameters.

        Args:
            which: "all"; "matrices", parameters with two dimensions or more: weights without
                biases; or names of the model's parameters, with wildcards: "network.6.*".

        Raises:
            TrainingError: No trainable parameter matches.
        """
        if which == "all":
            return self
        kept = self._kept(which)
        if not any(kept):
            raise TrainingError(_no_match(which, self.model))
        sizes = [p.numel() for p in self.parameters]
        columns = torch.split(self.matrix, sizes, dim=1)
        return replace(
            self,
            matrix=torch.cat([*compress(columns, kept)], dim=1),
            parameters=[*compress(self.parameters, kept)],
            used=[*compress(self.used, kept)],
        )

    def _kept(self, which: str | Sequence[str]) -> list[bool]:
        if which == "matrices":
            return [p.ndim >= 2 for p in self.parameters]
        patterns = [which] if isinstance(which, str) else which
        named = self.model.named_parameters() if self.model is not None else ()
        chosen = {p for name, p in named if any(fnmatchcase(name, x) for x in patterns)}
        return [p in chosen for p in self.parameters]


def _no_match(which: str | Sequence[str], model: Any) -> str:
    if which == "matrices":
        return (
            "No trainable parameter is a matrix, so there are no gradients to weight. Use "
            'parameters="all", or set requires_grad on the weights.'
        )
    names = [name for name, _ in model.named_parameters()] if model is not None else []
    return (
        f"No trainable parameter is called {which!r}; expected names of parameters of "
        f"{type(model).__name__}: {', '.join(names) or 'it has none'}."
    )


def term_gradients(
    terms: Mapping[str, Tensor],
    parameters: Sequence[Tensor],
    batch: Any = None,
    model: Any = None,
    shares: Tensor | None = None,
) -> TermGradients:
    """Differentiate each term; the graphs are kept.

    Args:
        terms: 0-dim tensors; the gradient of a term without a graph is 0.
        parameters: Tensors that require gradients.
        batch: The batch, for `TermGradients`.
        model: The model, for `TermGradients`.
        shares: For several processes, which then call this together: the share of this process in
            each term, of shape ``(K,)``, see `pooled_terms`. ``None`` for one process.
    """
    with outside_autocast(parameters[0].device):
        rows = [_gradient(term, parameters) for term in terms.values()]
    reached = [[gradient is not None for gradient in row] for row in rows]
    used = [any(column) for column in zip(*reached, strict=True)]
    found = [
        torch.zeros_like(parameter) if gradient is None else gradient
        for row in rows
        for parameter, gradient in zip(parameters, row, strict=True)
    ]
    kinds = {(p.dtype, p.device) for p in parameters}
    exact = any(used) and len(kinds) == 1 and not any(p._backward_hooks for p in parameters)
    if any(gradient.layout != torch.strided for gradient in found):
        exact, found = False, [gradient.to_dense() for gradient in found]
    # One copy for all of them: concatenating each row, then the rows, takes several times as long.
    matrix = _flatten_dense_tensors(found).view(len(rows), -1)  # type: ignore[no-untyped-call]
    if shares is not None:
        factors = shares.to(matrix).unsqueeze(1)
        matrix = torch.where(factors == 0, 0.0, matrix * factors)
        distributed.all_reduce(matrix)
        exact = False
    return TermGradients(tuple(terms), matrix, parameters, used, batch, model, exact)


_UNCHANGED: AbstractContextManager[Any] = nullcontext()


def outside_autocast(device: torch.device) -> AbstractContextManager[Any]:
    """Disable autocast, as it is in a backward pass, which runs outside its region."""
    if torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return _UNCHANGED


def _gradient(term: Tensor, parameters: Sequence[Tensor]) -> Sequence[Tensor | None]:
    if not term.requires_grad:
        return [None] * len(parameters)
    return gradients(term, parameters)
