"""The gradient of each term of a loss, side by side; ``.grad`` of the parameters is not touched.

As a matrix of one row for each term, whose weighted sum of rows is the gradient of the weighted
loss: so a step that looks at the gradients of all terms needs no backward pass of their sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from perceptrain_core.errors import TrainingError


class TermGradients:
    """The gradients of some terms with respect to P numbers, the elements of the parameters.

    Args:
        names: The K terms.
        matrix: Of shape ``(K, P)``, detached; zero where a term does not reach a parameter.
        parameters: The parameters, whose elements follow each other in a row.
        used: For each parameter, whether any term reaches it.
        batch: The batch that the terms were evaluated on.
        model: The model.
    """

    def __init__(
        self,
        names: Sequence[str],
        matrix: Tensor,
        parameters: Sequence[Tensor],
        used: Sequence[bool],
        batch: Any = None,
        model: Any = None,
    ) -> None:
        self.names = tuple(names)
        self.matrix = matrix
        self.parameters = tuple(parameters)
        self.used = tuple(used)
        self.batch = batch
        self.model = model

    def __getitem__(self, name: str) -> Tensor:
        """The gradient of a term, of shape ``(P,)``."""
        return self.matrix[self.names.index(name)]

    def norms(self) -> dict[str, Tensor]:
        """The 2-norm of each term's gradient, 0-dim tensors."""
        norms = torch.linalg.vector_norm(self.matrix, dim=1)
        return dict(zip(self.names, norms.unbind(), strict=True))

    def mean_sizes(self, names: Sequence[str]) -> Tensor:
        """The mean absolute value of the gradient of some terms, of shape ``(len(names),)``."""
        sums = torch.linalg.vector_norm(self.matrix, ord=1, dim=1)
        return sums[[self.names.index(name) for name in names]] / self.matrix.shape[1]

    def of_matrices(self) -> TermGradients:
        """The part of parameters with two dimensions or more: weights, no biases.

        Raises:
            TrainingError: There is none.
        """
        columns = [p.ndim >= 2 for p in self.parameters]
        if not any(columns):
            raise TrainingError(
                "No trainable parameter is a matrix, so there are no gradients to weigh. Take all "
                "parameters, or set requires_grad on the weights."
            )
        sizes = [p.numel() for p in self.parameters]
        parts = zip(torch.split(self.matrix, sizes, dim=1), columns, strict=True)
        kept = torch.cat([part for part, keep in parts if keep], dim=1)
        return TermGradients(
            self.names,
            kept,
            [p for p, keep in zip(self.parameters, columns, strict=True) if keep],
            [u for u, keep in zip(self.used, columns, strict=True) if keep],
            self.batch,
            self.model,
        )


def term_gradients(
    terms: Mapping[str, Tensor], parameters: Sequence[Tensor], batch: Any = None, model: Any = None
) -> TermGradients:
    """Differentiate each term; the graphs are kept.

    Args:
        terms: 0-dim tensors; one without a graph has the gradient 0.
        parameters: Tensors that require gradients.
        batch: Handed on.
        model: Handed on.
    """
    used = [False] * len(parameters)
    rows = []
    for term in terms.values():
        found: Sequence[Tensor | None] = [None] * len(parameters)
        if term.requires_grad:
            found = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
        if any(g is None for g in found):
            used = [u or g is not None for u, g in zip(used, found, strict=True)]
            pairs = zip(parameters, found, strict=True)
            found = [torch.zeros_like(p) if g is None else g for p, g in pairs]
        else:
            used = [True] * len(parameters)
        rows.append(torch.cat([g.reshape(-1) for g in found if g is not None]))
    return TermGradients(list(terms), torch.stack(rows), parameters, used, batch, model)


def with_gradient(value: Tensor, gradients: TermGradients, weights: Tensor) -> Tensor:
    """Give a loss whose gradient is known: backward hands out the weighted sum of rows.

    Args:
        value: The loss, a 0-dim tensor.
        gradients: The gradients of its terms.
        weights: Their weights, of shape ``(K,)``.
    """
    gradient = weights.to(gradients.matrix) @ gradients.matrix
    known: Tensor = _Known.apply(  # type: ignore[no-untyped-call]
        value.detach(), gradient, gradients.used, *gradients.parameters
    )
    return known


class _Known(torch.autograd.Function):
    """A value, and the gradient that it has."""

    @staticmethod
    def forward(
        ctx: Any, value: Tensor, gradient: Tensor, used: tuple[bool, ...], *parameters: Tensor
    ) -> Tensor:
        ctx.save_for_backward(gradient)
        ctx.shapes = [p.shape for p in parameters]
        ctx.used = used
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        parts = torch.split(gradient * upstream, [shape.numel() for shape in ctx.shapes])
        reached = zip(parts, ctx.shapes, ctx.used, strict=True)
        # What no term reaches has no gradient, as in a backward pass: not one of zeros.
        return None, None, None, *[p.view(shape) if u else None for p, shape, u in reached]


def parameters_beside(terms: Iterable[Tensor], own: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    """Find the parameters that terms reach beside those of the modules.

    Such as the unknown coefficient of an equation, which only a function knows.

    Args:
        terms: Tensors with their graphs, which are walked.
        own: The parameters that are known.
    """
    known = {id(p) for p in own}
    seen: set[Any] = set()
    stack: list[Any] = [term.grad_fn for term in terms]
    found = []
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if isinstance(variable, nn.Parameter) and id(variable) not in known:
            found.append(variable)
        stack.extend(following for following, _ in node.next_functions)
    return found
