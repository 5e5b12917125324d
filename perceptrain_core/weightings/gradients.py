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
        parts = zip(self.matrix.split(sizes, dim=1), columns, strict=True)
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
    sizes = [p.numel() for p in parameters]
    first = parameters[0]
    matrix = torch.zeros(len(terms), sum(sizes), dtype=first.dtype, device=first.device)
    used = [False] * len(sizes)
    for row, term in zip(matrix, terms.values(), strict=True):
        if not term.requires_grad:
            continue
        found = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
        if all(gradient is not None for gradient in found):
            torch.cat([g.reshape(-1) for g in found], out=row)
            used = [True] * len(sizes)
            continue
        for number, (place, gradient) in enumerate(zip(row.split(sizes), found, strict=True)):
            if gradient is not None:
                place.copy_(gradient.reshape(-1))
                used[number] = True
    return TermGradients(list(terms), matrix, parameters, used, batch, model)


def with_gradient(value: Tensor, gradients: TermGradients, weights: Tensor) -> Tensor:
    """Give a loss whose gradient is known: backward hands out the weighted sum of rows.

    Args:
        value: The loss, a 0-dim tensor.
        gradients: The gradients of its terms.
        weights: Their weights, of shape ``(K,)``.
    """
    gradient = weights.to(gradients.matrix) @ gradients.matrix
    reached = zip(gradients.parameters, gradients.used, strict=True)
    return _Known.apply(value.detach(), gradient, gradients.used, *[p for p, _ in reached])  # type: ignore[no-any-return]


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
        parts = (gradient * upstream).split([shape.numel() for shape in ctx.shapes])
        reached = zip(parts, ctx.shapes, ctx.used, strict=True)
        # What no term reaches has no gradient, as in a backward pass: not one of zeros.
        return None, None, None, *[p.view(shape) if u else None for p, shape, u in reached]


def parameters_of(terms: Iterable[Tensor], modules: Iterable[nn.Module]) -> list[nn.Parameter]:
    """List what terms are differentiated with respect to.

    They are the trainable parameters of the modules, and those that the terms reach besides, such
    as the unknown coefficient of an equation.

    Raises:
        TrainingError: There is none.
    """
    own = [p for module in modules for p in module.parameters() if p.requires_grad]
    found = {id(p): p for p in (*own, *_reached(terms))}
    if found:
        return list(found.values())
    names = ", ".join(type(module).__name__ for module in modules)
    raise TrainingError(
        f"{names} has no trainable parameter, so its terms have no gradients to weigh. Set "
        "requires_grad on its parameters."
    )


def _reached(terms: Iterable[Tensor]) -> list[nn.Parameter]:
    seen: set[Any] = set()
    stack: list[Any] = [term.grad_fn for term in terms]
    found = []
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if isinstance(variable, nn.Parameter):
            found.append(variable)
        stack.extend(following for following, _ in node.next_functions)
    return found
