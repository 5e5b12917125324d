"""Weights from the neural tangent kernel of each term."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any

import torch
from torch import Tensor

from perceptrain_core.errors import ConfigError
from perceptrain_core.tensors import describe
from perceptrain_core.weightings.base import Gradients, Terms, Weighting, number_faults

#: Gives the residual of each term at each point, before the mean of their squares is taken.
Residuals = Callable[[Any, Any], Mapping[str, Tensor]]


class NTK(Weighting):
    """Weigh the terms so that all converge at the same mean rate, by the true tangent kernel.

    S. Wang, X. Yu, P. Perdikaris, "When and why PINNs fail to train: A neural tangent kernel
    perspective", arXiv 2007.14527, algorithm 1. With the Jacobian ``J_i`` by the parameters of the
    residuals of term i at its ``N_i`` points, and ``K_ii = J_i J_i^T``::

        w_i = sum_j t_j / t_i    where t_i = trace(K_ii) / N_i

    The trace is the sum of the squared norms of the gradients of single points. It is divided by
    the number of points, for the terms are means over points: a term whose points are all given
    twice is the same term, and keeps its weight. Where all terms have the same number of points,
    as in the paper, this is its formula. It is not the square of the norm of the mean gradient,
    which some code calls by this name and `GradNormBalance` is near to.

    The residuals are evaluated once more, and differentiated point by point, which takes as long
    as hundreds of steps: hence ``every``. Dropout and batch normalisation act in that pass too.

    Args:
        every: The steps from one change to the next; the first step is one.
        residuals: ``residuals(batch, model)`` gives the residual tensors by the names of the
            terms; or a reference to such a function, ``"./file.py:function"``. By default what the
            model returns for the batch, or for the inputs of a batch ``(inputs, labels)``; labels
            are constants and change no gradient.
        chunk: So many points are differentiated at once; 1 suits functions that ``torch.vmap``
            cannot take.
        max_weight: The bound of a weight; a warning says when it holds.
        eps: A term whose ``t_i`` is not above this keeps its weight.

    Raises:
        ConfigError: An argument cannot be, or the residuals are not those of the terms.
    """

    def __init__(
        self,
        every: int = 1000,
        *,
        residuals: Residuals | str | None = None,
        chunk: int = 64,
        max_weight: float = 1e5,
        eps: float = 1e-24,
    ) -> None:
        faults = number_faults({"max_weight": max_weight, "eps": eps})
        faults += number_faults({"chunk": chunk}, 1)
        super().__init__(every, faults=faults)
        self.residuals: Residuals = _loaded(residuals) or _of_model
        self.chunk = int(chunk)
        self.max_weight = max_weight
        self.eps = eps

    def update(self, terms: Terms, grads: Gradients) -> dict[str, Tensor]:
        """Give the weights by the traces."""
        gradients = grads()
        residuals = _named(self.residuals(gradients.batch, gradients.model), terms)
        traces = torch.stack(
            [mean_trace(residuals[name], gradients.parameters, self.chunk) for name in terms]
        )
        numbers = traces.tolist()
        total = sum(numbers)
        new = {
            name: total / trace if trace > self.eps and total < inf else self.number(name)
            for name, trace in zip(terms, numbers, strict=True)
        }
        return self.take(new, traces, self.max_weight, "Its residuals have hardly a gradient.")


def mean_trace(residual: Tensor, parameters: Sequence[Tensor], chunk: int = 64) -> Tensor:
    """Give ``trace(J J^T) / N`` of N residuals: the mean squared norm of their gradients.

    Args:
        residual: A tensor of any shape, with its graph.
        parameters: By which it is differentiated.
        chunk: So many elements are differentiated at once.
    """
    flat = residual.reshape(-1)
    total = torch.zeros((), dtype=flat.dtype, device=flat.device)
    if not flat.requires_grad:
        return total
    for start in range(0, len(flat), chunk):
        size = min(chunk, len(flat) - start)
        rows = torch.zeros(size, len(flat), dtype=flat.dtype, device=flat.device)
        rows[torch.arange(size), start + torch.arange(size)] = 1
        found = torch.autograd.grad(
            flat,
            parameters,
            rows if chunk > 1 else rows[0],
            retain_graph=True,
            allow_unused=True,
            is_grads_batched=chunk > 1,
        )
        total = total + sum(g.detach().square().sum() for g in found if g is not None)
    return total / len(flat)


def _loaded(residuals: Residuals | str | None) -> Any:
    if not isinstance(residuals, str):
        return residuals
    from perceptrain_core.registry.references import load_reference  # only for run files

    return load_reference(residuals)


def _of_model(batch: Any, model: Any) -> Any:
    labelled = isinstance(batch, tuple | list) and len(batch) == 2
    try:
        return model(batch[0] if labelled else batch)
    except Exception as error:
        raise ConfigError(
            f"The ntk weighting could not evaluate {type(model).__name__} on "
            f"{describe(batch)}: {error}. Give residuals=..., a function (batch, model) -> dict of "
            "residuals."
        ) from error


def _named(found: Any, terms: Terms) -> Mapping[str, Tensor]:
    if not isinstance(found, Mapping):
        raise ConfigError(
            f"The ntk weighting needs residuals by the names of the terms, and got a "
            f"{type(found).__name__}. Use a model that returns a dict of them, such as a PINN, or "
            "give residuals=..., a function (batch, model) -> dict of residuals."
        )
    missing = [name for name in terms if name not in found]
    if missing:
        raise ConfigError(
            f"The ntk weighting found no residuals of {', '.join(map(repr, missing))}; there are "
            f"{', '.join(map(repr, found))}. Give residuals=..., a function that returns all."
        )
    return found
