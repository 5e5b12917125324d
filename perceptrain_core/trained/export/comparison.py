"""Whether an exported file predicts what the run predicts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from perceptrain_core.data.tables.preparation import Preparation
from perceptrain_core.errors import ExportError
from perceptrain_core.trained.export.description import UNSEEN

#: Of the largest prediction: what other kernels and other orders of sums may change.
_TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-4}
_COARSE = 1e-2


def with_gaps(rows: Tensor, preparation: object) -> Tensor:
    """Append rows with a gap, for each column that can be filled, or with an unseen category."""
    if not isinstance(preparation, Preparation):
        return rows
    columns = list(enumerate(preparation.inputs))
    values = [(i, torch.nan) for i, column in columns if column.fill is not None]
    if preparation.accepts_unseen:
        values += [(i, UNSEEN) for i, column in columns if column.kind == "category"]
    added = rows[torch.arange(len(values)) % len(rows)]
    for row, (i, value) in zip(added, values, strict=True):
        row[i] = value
    return torch.cat([rows, added])


def compare(
    exported: Callable[[Tensor], Tensor],
    pipeline: Callable[[Tensor], Tensor],
    rows: Tensor,
    scale: float = 0.0,
) -> None:
    """Compare predictions of 1, 2 and all rows.

    Args:
        exported: The exported file as a function.
        pipeline: The pipeline of the run.
        rows: Raw rows, shape ``(N, ...)``.
        scale: The size of predictions, if it is known: 1 for probabilities, however small. By
            default that of the largest for these rows.

    Raises:
        ExportError: They differ, in shape, dtype or by more than rounding.
    """
    with torch.no_grad():
        whole = pipeline(rows)
        finite = whole[whole.isfinite()].abs()
        scale = max(scale, finite.max().item() if len(finite) else 0.0)
        for batch in (rows[:1], rows[:2], rows[-1:], rows):
            _compare(exported(batch), pipeline(batch), scale)


def _compare(found: Tensor, expected: Tensor, scale: float) -> None:
    if (found.shape, found.dtype) != (expected.shape, expected.dtype):
        raise ExportError(
            f"the file returns {found.dtype} of shape {tuple(found.shape)}, the run "
            f"{expected.dtype} of shape {tuple(expected.shape)}."
        )
    wide, truth = found.double(), expected.double()
    largest = torch.where(_same(wide, truth), 0.0, (wide - truth).abs()).max().item()
    if not largest <= _TOLERANCES.get(expected.dtype, _COARSE) * scale:
        raise ExportError(
            f"for {len(found)} rows, its predictions differ from those of the run by up to "
            f"{largest:.3g}, and predictions are of size {scale:.3g}."
        )


def _same(found: Tensor, expected: Tensor) -> Tensor:
    """Return where two values are equal; infinities and NaN, too."""
    return (found == expected) | (found.isnan() & expected.isnan())
