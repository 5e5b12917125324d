"""The label-distribution-aware margin loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import Counted
from perceptrain_optimizers.losses.rows import check, classes, is_number


def ldam_loss(
    batch: Any,
    model: nn.Module,
    *,
    counts: Sequence[float],
    max_margin: float = 0.5,
    scale: float = 30.0,
) -> tuple[Tensor, Counted]:
    """Cross entropy with larger margins for rarer classes (Cao et al., arXiv 1906.07413).

    The logit of the true class is lowered by a margin proportional to ``count ** (-1 / 4)``, then
    all logits are multiplied by ``scale``.

    Args:
        batch: ``(inputs, labels)``, with class indices of shape ``(N,)``.
        model: Returns logits of shape ``(N, C)``; in the paper they are cosines.
        counts: The number of training rows of each class.
        max_margin: The margin of the rarest class.
        scale: The factor of the logits.

    Returns:
        The mean over the rows, and no metrics.

    Raises:
        ShapeError: The shapes of logits and labels do not match.
        DataError: The labels are not classes of the model, or the batch has another form.
        ConfigError: An option is not valid.
    """
    check(is_number(max_margin, 0), "a number of at least 0", max_margin=max_margin)
    check(is_number(scale, 0) and scale > 0, "a number above 0", scale=scale)
    logits, labels = classes(batch, model)
    number = logits.shape[1]
    fits = len(counts) == number and all(is_number(n, 0) and n > 0 for n in counts)
    check(fits, f"a number above 0 for each of {number} classes", counts=counts)
    margins = logits.new_tensor([(min(counts) / n) ** 0.25 * max_margin for n in counts])
    lowered = logits - F.one_hot(labels, number) * margins
    return F.cross_entropy(scale * lowered, labels), Counted({}, len(labels))


ldam_loss.output_activation = "softmax"  # type: ignore[attr-defined]
