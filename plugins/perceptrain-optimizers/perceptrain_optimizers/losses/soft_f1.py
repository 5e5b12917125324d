"""A smooth F score as a loss."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from perceptrain_optimizers.losses.rows import binary, check, is_number


def soft_f1_loss(
    batch: Any, model: nn.Module, *, beta: float = 1.0, eps: float = 1e-6
) -> tuple[Tensor, dict[str, Tensor]]:
    """One minus the F score of the probabilities: one ratio for all labels of the batch.

    It is not a mean over rows, so it depends on the size of the batches: use large ones, with some
    positive labels in each.

    Args:
        batch: ``(inputs, labels)``, with labels in [0, 1].
        model: Returns logits of the shape of the labels, such as ``(N, 1)``.
        beta: The weight of recall beside precision.
        eps: Added to the numerator and the denominator: without positives the loss is almost 1.

    Returns:
        The loss, and no metrics.

    Raises:
        ShapeError: Logits and labels differ in shape.
        DataError: A label is not in [0, 1], or the batch has another form.
        ConfigError: An option is not valid.
    """
    check(is_number(beta, 0) and beta > 0, "a number above 0", beta=beta)
    check(is_number(eps, 0) and eps > 0, "a number above 0", eps=eps)
    logits, labels = binary(batch, model)
    probabilities = logits.sigmoid()
    found = (probabilities * labels).sum()
    # (1 + b^2) TP / ((1 + b^2) TP + b^2 FN + FP)
    denominator = beta**2 * labels.sum() + probabilities.sum()
    return 1 - ((1 + beta**2) * found + eps) / (denominator + eps), {}


soft_f1_loss.output_activation = "sigmoid"  # type: ignore[attr-defined]
soft_f1_loss.binary_labels = True  # type: ignore[attr-defined]
