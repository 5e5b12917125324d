"""The Dice score of a hard prediction, and the masks that it compares."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain_segmentation.labels import fit_labels

# How much an image and class counts that is in no labels: nothing, unless all are such.
_ABSENT = 2.0**-40


def dice_score(
    logits: Tensor,
    labels: Tensor,
    *,
    multilabel: bool = False,
    threshold: float = 0.0,
    ignore_index: int | None = None,
) -> Tensor:
    """Dice score ``2 |A and B| / (|A| + |B|)`` of the hard prediction, averaged over classes.

    The average is over each image and each class in its labels, except the background (class 0), as
    in ``monai.metrics.compute_dice`` with ``include_background=False``. If no image in the batch
    has any class, each image and class scores 1 if nothing was predicted and 0 otherwise.

    Args:
        logits: Floats of shape ``(N, K, H, W[, D])``. The prediction is the class with the largest
            logit. With ``K = 1`` or ``multilabel``, each channel is predicted where its logit is
            above the threshold, and every channel counts.
        labels: Class indices of shape ``(N, H, W[, D])`` or ``(N, 1, H, W[, D])``, or one-hot
            ``(N, K, H, W[, D])``.
        multilabel: Whether classes may overlap, so that channels are predicted independently.
        threshold: For independent channels: 0 for logits, 0.5 for probabilities.
        ignore_index: A label whose pixels do not count. With one-hot labels, the pixels
            of this class, or, if there is no such channel, the pixels without a class.

    Returns:
        The score in [0, 1], a 0-dim float32 tensor without a graph.

    Raises:
        ShapeError: The shapes do not match.
        DataError: One is not a tensor or has a wrong dtype.
    """
    score, _ = counted_score(logits, labels, multilabel, threshold, ignore_index)
    return score


@torch.no_grad()
def counted_score(
    logits: Tensor, labels: Tensor, multilabel: bool, threshold: float, ignore_index: int | None
) -> tuple[Tensor, Tensor]:
    """Return what `dice_score` does, and the number of images and classes it is a mean over.

    Where the labels have no class, the number is tiny, so that other batches decide the mean.
    """
    return _mean_dice(*class_masks(logits, labels, multilabel, threshold, ignore_index))


def class_masks(
    logits: Tensor,
    labels: Tensor,
    multilabel: bool = False,
    threshold: float = 0.0,
    ignore_index: int | None = None,
    include_background: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return the predicted and the true mask of each class.

    Args:
        logits: As for `dice_score`.
        labels: As for `dice_score`.
        multilabel: As for `dice_score`.
        threshold: As for `dice_score`.
        ignore_index: As for `dice_score`.
        include_background: Whether class 0 counts, if classes do not overlap.

    Returns:
        Two boolean tensors of shape ``(N, C, H, W[, D])``.

    Raises:
        ShapeError: The shapes do not match.
        DataError: One is not a tensor or has a wrong dtype.
    """
    logits, labels = fit_labels(logits, labels)
    channels = logits.shape[1]
    if channels == 1 or multilabel:
        predicted, truth = logits > threshold, _as_channels(labels, channels)
    else:
        first = 0 if include_background else 1
        # Equal to argmax, but ten times as fast on a CPU.
        predicted = _as_channels(logits.max(1, keepdim=True).indices, channels)[:, first:]
        truth = _as_channels(labels, channels)[:, first:]
    if ignore_index is not None:
        counted = counted_pixels(labels, ignore_index)
        predicted, truth = predicted & counted, truth & counted
    return predicted, truth


def _mean_dice(predicted: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    both, size, true_size = map(count, (predicted & truth, predicted, truth))
    present = true_size > 0
    scores = 2 * both.float() / (size + true_size).clamp(min=1)
    number = present.sum().float()
    mean = (scores * present).sum() / number.clamp(min=1)
    if_none = (size == 0).float()
    return (
        torch.where(number > 0, mean, if_none.mean()),
        torch.where(number > 0, number, _ABSENT * if_none.numel()),
    )


def count(mask: Tensor) -> Tensor:
    """Return the number of pixels of each image and class, ``(N, C)``, int32."""
    return mask.flatten(2).sum(2, dtype=torch.int32)  # several times faster than int64


def _as_channels(labels: Tensor, channels: int) -> Tensor:
    if channels == 1 or labels.shape[1] == channels:
        return labels > 0.5
    classes = torch.arange(channels, device=labels.device)
    return labels == classes.view(1, -1, *[1] * (labels.ndim - 2))


def counted_pixels(labels: Tensor, ignore_index: int) -> Tensor:
    """Return where labels that `fit_labels` returned count, of shape ``(N, 1, H, W[, D])``."""
    if labels.shape[1] == 1:
        return labels != ignore_index
    if 0 <= ignore_index < labels.shape[1]:
        return labels[:, ignore_index : ignore_index + 1] <= 0.5
    return labels.sum(1, keepdim=True) > 0
