"""Weights from the neural tangent kernel of each term."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import nan
from typing import Any

import torch
from torch import Tensor

from perceptrain_core.errors import ConfigError
from perceptrain_core.option_checks import number_faults
from perceptrain_core.tensors import describe
from perceptrain_core.weightings.base import Gradients, Terms, Weighting
from perceptrain_core.weightings.support.all_processes import add_everywhere

#: Returns the residuals of each term at each point, before they are squared and averaged.
Residuals = Callable[[Any, Any], Mapping[str, Tensor]]


class NTK(Weighting):
    """Weight the terms so that all converge at the same mean rate, by the exact tangent kernel.

    S. Wang, X. Yu, P. Perdikaris, "When and why PINNs fail to train: A neural tangent kernel
    perspective", arXiv 2007.14527, algorithm 1. With the Jacobian ``J_i`` of the ``N_i`` residuals
    of term i with respect to the parameters, and ``K_ii = J_i J_i^T``::

        w_i = sum_j t_j / t_i    where t_i = trace(K_ii) / N_i

    The trace is the sum over points of the squared gradient norm. It is divided by the number of
    points because the terms are means over points, so duplicating all points of a term does not
    change its weight. Where all terms have the same number of points, as in the paper, this is the
    paper's formula. It is not the squared norm of the mean gradient, which some code calls NTK
    weighting and `GradNormBalance` resembles.

    An update evaluates the residuals once more and differentiates them point by point, which takes
    as long as hundreds of steps: hence the large ``every``. Dropout and batch normalization are
    active in that pass too.

    Args:
        every: Optimizer steps between updates. The first step updates.
        residuals: A function ``residuals(batch, model)`` that returns the residual tensors by term
            name, or a reference to one, ``"./file.py:function"``. By default the model's output
            for the batch, or for the inputs of a batch ``(inputs, labels)``: labels are constants
            and do not change a gradient.
        chunk: Points differentiated at once. Use 1 for functions that ``torch.vmap`` does not
            support.
        max_weight: Upper bound of a weight. Warns the first time a weight reaches it.
        eps: The weight of a term whose ``t_i`` is not above this is left unchanged.

    Raises:
        ConfigError: An option is invalid, or the residuals do not match the terms.
    """

    advice = "Its residuals have almost no gradient."

    def __init__(
        self,
        every: int = 1000,
        *,
        residuals: Residuals | str | None = None,
        chunk: int = 64,
        max_weight: float = 1e5,
        eps: float = 1e-24,
    ) -> None:
        faults = number_faults({"chunk": chunk}, whole=True, at_least=1)
        super().__init__(every, max_weight=max_weight, eps=eps, faults=faults)
        self.residuals: Residuals = _loaded(residuals) or _from_model
        self.chunk = chunk

    def target(self, terms: Terms, grads: Gradients) -> list[float]:
        """Return the sum of the mean traces over each of them."""
        gradients = grads()
        residuals = _checked(self.residuals(gradients.batch, gradients.model), terms)
        sizes = [residuals[name].numel() for name in terms]
        means = [mean_trace(residuals[name], gradients.parameters, self.chunk) for name in terms]
        sums = [mean.item() * size for mean, size in zip(means, sizes, strict=True)]
        everywhere = add_everywhere([*sums, *sizes], means[0].device)
        pairs = zip(everywhere, everywhere[len(sums) :], strict=False)
        traces = [total / size if size else nan for total, size in pairs]
        return self.ratio(sum(traces), traces)


def mean_trace(residual: Tensor, parameters: Sequence[Tensor], chunk: int = 64) -> Tensor:
    """Return ``trace(J J^T) / N`` of N residuals: the mean squared norm of their gradients.

    Args:
        residual: A tensor of any shape, with its graph.
        parameters: Parameters to differentiate with respect to.
        chunk: Elements differentiated at once.
    """
    flat = residual.reshape(-1)
    total = torch.zeros((), dtype=flat.dtype, device=flat.device)
    if not flat.requires_grad:
        return total
    for start in range(0, len(flat), chunk):
        size = min(chunk, len(flat) - start)
        rows = torch.zeros(size, len(flat), dtype=flat.dtype, device=flat.device)
        rows[torch.arange(size), start + torch.arange(size)] = 1
        gradients = torch.autograd.grad(
            flat,
            parameters,
            rows if chunk > 1 else rows[0],
            retain_graph=True,
            allow_unused=True,
            is_grads_batched=chunk > 1,
        )
        total = total + sum(g.detach().square().sum() for g in gradients if g is not None)
    return total / len(flat)


def _loaded(residuals: Residuals | str | None) -> Any:
    if not isinstance(residuals, str):
        return residuals
    # Only for run files.
    from perceptrain_core.registry.called_code import check_code
    from perceptrain_core.registry.references import load_reference

    loaded = load_reference(residuals)
    check_code("The function of the residuals", loaded)
    return loaded


def _from_model(batch: Any, model: Any) -> Any:
    labelled = isinstance(batch, tuple | list) and len(batch) == 2
    try:
        return model(batch[0] if labelled else batch)
    except Exception as error:
        raise ConfigError(
            f"The ntk weighting could not evaluate {type(model).__name__} on "
            f"{describe(batch)}: {error}. Pass residuals=..., a function (batch, model) -> dict of "
            "residuals."
        ) from error


def _checked(residuals: Any, terms: Terms) -> Mapping[str, Tensor]:
    if not isinstance(residuals, Mapping):
        raise ConfigError(
            f"The ntk weighting needs a dict of residuals by term name, and got a "
            f"{type(residuals).__name__}. Use a model that returns one, such as a PINN, or pass "
            "residuals=..., a function (batch, model) -> dict of residuals."
        )
    missing = [name for name in terms if name not in residuals]
    if missing:
        raise ConfigError(
            f"The ntk weighting found no residuals of {', '.join(map(repr, missing))}; there are "
            f"{', '.join(map(repr, residuals))}. Pass residuals=..., a function that returns all "
            "of them."
        )
    return residuals
