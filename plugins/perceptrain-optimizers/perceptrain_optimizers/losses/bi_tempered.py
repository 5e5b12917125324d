"""The bi-tempered logistic loss, for data with wrong labels."""

from __future__ import annotations

from typing import Any

from pytorch_optimizer.loss.bi_tempered import bi_tempered_logistic_loss
from torch import Tensor, nn

from perceptrain import Counted
from perceptrain_optimizers.losses.rows import check, classes, is_number


def bi_tempered_loss(
    batch: Any,
    model: nn.Module,
    *,
    t1: float = 0.8,
    t2: float = 1.2,
    label_smoothing: float = 0.0,
    iterations: int = 30,
) -> tuple[Tensor, Counted]:
    """A bounded loss with heavy tails, for wrong labels (Amid et al., arXiv 1906.03361).

    Rows with wrong labels far from the boundary count at most so much (``t1``), and those near it
    move it less (``t2``). With 1 and 1 it is cross entropy. Predictions of probabilities are the
    softmax of the logits, which ``t2`` would make less certain.

    Args:
        batch: ``(inputs, labels)``, with class indices of shape ``(N,)``.
        model: Returns logits of shape ``(N, C)``.
        t1: The temperature of the logarithm, in [0, 1]; below 1 the loss is bounded.
        t2: The temperature of the exponential, at least 1; above 1 it has heavy tails.
        label_smoothing: Share of the uniform distribution in the labels, in [0, 1).
        iterations: Iterations that normalize the probabilities; pytorch-optimizer makes 5, after
            which their sum can still be off by some percent.

    Returns:
        The mean over the rows, and no metrics.

    Raises:
        ShapeError: The shapes of logits and labels do not match.
        DataError: The labels are not classes of the model, or the batch has another form.
        ConfigError: An option is not valid.
    """
    check(is_number(t1, 0, 1), "a number in [0, 1]", t1=t1)
    check(is_number(t2, 1), "a number of at least 1", t2=t2)
    smooth = is_number(label_smoothing, 0) and label_smoothing < 1
    check(smooth, "a number of at least 0 and below 1", label_smoothing=label_smoothing)
    whole = isinstance(iterations, int) and iterations >= 1
    check(whole, "a whole number of at least 1", iterations=iterations)
    logits, labels = classes(batch, model)
    smoothing = label_smoothing * (logits.shape[1] - 1) / logits.shape[1]
    loss = bi_tempered_logistic_loss(logits, labels, t1, t2, smoothing, iterations)
    return loss, Counted({}, len(labels))


bi_tempered_loss.output_activation = "softmax"  # type: ignore[attr-defined]
