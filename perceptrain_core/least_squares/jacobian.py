"""The derivatives of residuals with respect to parameters, as a matrix or as products with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from perceptrain_core.least_squares.columns import Columns
from perceptrain_core.least_squares.recorded_linear import Pass, Use
from perceptrain_core.least_squares.traced_model import TracedModel

#: Up to so many uses of a layer are added one by one; more are faster as one product for each row.
_FEW = 8


def fill_jacobian(
    matrix: Tensor,
    values: Tensor,
    factor: Tensor,
    traced: TracedModel,
    columns: Columns,
    direct: Iterable[Tensor],
) -> None:
    """Write the Jacobian of ``factor * values`` into a matrix of zeros.

    Args:
        matrix: Shape ``(values.numel(), P)``; fastest if the rows are next to each other in memory.
        values: Shape ``(N, ...)``, with a graph that `TracedModel` recorded; it is kept. Each row
            depends on its own row in the layers of the model only; where the numbers of rows
            differ, it may depend on all of them.
        factor: Of the shape of the values, without a graph.
        traced: The model.
        columns: The parameters.
        direct: Those that the values reach in other ways than through layers that are traced.
    """
    if not values.requires_grad or not values.numel():
        return
    rows = len(values) if values.ndim else 1
    flat, factor = values.reshape(rows, -1), factor.reshape(rows, -1)
    blocks = matrix.view(rows, flat.shape[1], columns.number)
    exact = dict.fromkeys(direct)
    for place in range(flat.shape[1]):
        block = blocks[:, place].T
        found = _Rows(block if block.stride(1) == 1 else block.contiguous(), traced, columns)
        found.fill(flat[:, place], factor[:, place])
        if found.block is not block:
            block.copy_(found.block)
        exact |= dict.fromkeys(found.unmatched)
    if exact:
        _fill_exactly(matrix, flat.reshape(-1), factor.reshape(-1), columns, [*exact])


class _Rows:
    """One column of the residuals, differentiated row by row in one backward pass.

    Rows come last in memory: products of two elements of each row are then long vectors.
    """

    def __init__(self, block: Tensor, traced: TracedModel, columns: Columns) -> None:
        self.block, self.traced, self.columns = block, traced, columns
        self.unmatched: list[Tensor] = []

    def fill(self, column: Tensor, factor: Tensor) -> None:
        tape, copies = self.traced.tape, self.traced.copies
        purpose, tape.purpose, tape.uses = tape.purpose, Pass.ROWS, {}
        targets = [*self.columns.parameters, *(rows for _, rows in copies)]
        try:
            gradients = torch.autograd.grad(
                column, targets, factor, retain_graph=True, allow_unused=True
            )
        finally:
            tape.purpose = purpose
        uses, tape.uses = tape.uses, {}
        with torch.no_grad():  # recorded inputs have graphs
            for (parameter, _), gradient in zip(
                copies, gradients[len(self.columns.parameters) :], strict=True
            ):
                if gradient is not None:
                    self._add(parameter, gradient)
            for layer, its in uses.items():
                self._add_uses(layer.weight, layer.bias, its)

    def _add_uses(self, weight: Tensor, bias: Tensor | None, uses: list[Use]) -> None:
        rows = self.block.shape[1]
        trained = [p for p in (weight, bias) if p is not None and self.columns.of(p) is not None]
        if any(len(use.left) != rows for use in uses):
            self.unmatched += trained
            return
        for parameter in trained:
            target = self.block[self.columns.of(parameter)]
            if parameter is weight:
                left, right = _joined([u.left for u in uses]), _joined([u.right for u in uses])
                _add_products(target.view(*weight.shape, rows), left, right)
            elif biased := [use.left for use in uses if use.biased]:
                target += _joined(biased).sum(0)

    def _add(self, parameter: Tensor, gradient: Tensor) -> None:
        """Add the gradient of each row, shape ``(N, *parameter.shape)``."""
        if len(gradient) != self.block.shape[1]:
            self.unmatched.append(parameter)
            return
        self.block[self.columns.of(parameter)] += gradient.reshape(len(gradient), -1).T


def _add_products(target: Tensor, left: Tensor, right: Tensor) -> None:
    """Add the sum over uses of the products of ``left`` and ``right``, for each row.

    Args:
        target: Shape ``(outputs, inputs, N)``.
        left: Shape ``(uses, outputs, N)``.
        right: Shape ``(uses, inputs, N)``.
    """
    if len(left) > _FEW:
        target += torch.bmm(left.permute(2, 1, 0), right.permute(2, 0, 1)).permute(1, 2, 0)
        return
    for one, other in zip(left, right, strict=True):
        target.addcmul_(one.unsqueeze(1), other.unsqueeze(0))


def _joined(parts: list[Tensor]) -> Tensor:
    """Return tensors of shape ``(N, ..., features)`` as one of shape ``(uses, features, N)``."""
    flat = [part.reshape(len(part), -1, part.shape[-1]) for part in parts]
    return torch.cat(flat, 1).permute(1, 2, 0).contiguous()


def _fill_exactly(
    matrix: Tensor, values: Tensor, factor: Tensor, columns: Columns, parameters: list[Tensor]
) -> None:
    """Write the columns of some parameters, whatever the rows depend on, one by one."""
    some = Columns(parameters)
    found = _by_column(values, factor, some) if some.number < len(values) else None
    if found is None:
        found = _by_line(values, factor, some)
    for parameter in parameters:
        matrix[:, columns.of(parameter)] = found[:, some.of(parameter)]


def _by_column(values: Tensor, factor: Tensor, columns: Columns) -> Tensor | None:
    """Return the Jacobian by a pass for each parameter; None if that needs too many derivatives."""
    try:
        products = Products(values, factor, columns)
        units = torch.eye(columns.number, dtype=values.dtype, device=values.device)
        found = torch.stack([products.times(unit) for unit in units], 1)
    except Exception:  # of a function with first derivatives only, such as an adjoint method
        return None
    return found if products.agree(found) else None


def _by_line(values: Tensor, factor: Tensor, columns: Columns) -> Tensor:
    """Return the Jacobian by a pass for each value."""
    options: Any = {"retain_graph": True, "allow_unused": True}
    lines = [
        columns.flat(torch.autograd.grad(value, columns.parameters, one, **options))
        for value, one in zip(values, factor, strict=True)
    ]
    return torch.stack(lines)


def random_like(tensor: Tensor) -> Tensor:
    """Return random numbers of the shape and dtype of a tensor, always the same."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor)


class Products:
    """Products with the Jacobian of ``factor * values``, without computing it.

    Args:
        values: Shape ``(N,)``, with a graph that is kept.
        factor: Shape ``(N,)``, without a graph.
        columns: The parameters.
    """

    def __init__(self, values: Tensor, factor: Tensor, columns: Columns) -> None:
        self._values, self._factor, self._columns = values, factor, columns
        # J^T v is linear in v, so that its derivative with respect to v yields J u.
        self._dual = torch.zeros_like(values, requires_grad=True)
        found = torch.autograd.grad(
            values, columns.parameters, self._dual * factor, create_graph=True, allow_unused=True
        )
        self._transposed = columns.flat(found)

    def times(self, vector: Tensor) -> Tensor:
        """Return ``J u`` for ``u`` of shape ``(P,)``."""
        if not self._transposed.requires_grad:
            return torch.zeros_like(self._values)
        (product,) = torch.autograd.grad(
            self._transposed, self._dual, vector, retain_graph=True, materialize_grads=True
        )
        return product

    def agree(self, matrix: Tensor) -> bool:
        """Whether ``matrix``, computed from products with it, is ``J``.

        A function with first derivatives only does not always raise an error: some that compute
        their gradient outside of autograd silently count as constants in `times`.
        """
        drawn = random_like(matrix[:, 0])
        difference = self.transposed_times(drawn) - drawn @ matrix
        bound = torch.finfo(matrix.dtype).eps ** 0.5 * matrix.norm() * drawn.norm()
        return not bool(difference.norm() > bound)

    def transposed_times(self, vector: Tensor) -> Tensor:
        """Return ``J^T v`` for ``v`` of shape ``(N,)``."""
        return self._columns.flat(
            torch.autograd.grad(
                self._values,
                self._columns.parameters,
                vector * self._factor,
                retain_graph=True,
                allow_unused=True,
            )
        )
