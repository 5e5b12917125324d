"""A loss at several resolutions, for networks that give an output at each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import interpolate

from perceptrain import Counted, check_choice, get_loss, output_activation
from perceptrain.errors import ConfigError, DataError
from perceptrain_segmentation.labels import split_batch

_MODES: dict[str, Callable[[int], float]] = {
    "exp": lambda level: max(0.5**level, 0.0625),
    "same": lambda level: 1.0,
    "two": lambda level: 0.5 if level else 1.0,
}


class DeepSupervisionLoss(nn.Module):
    """The weighted sum of a loss at several resolutions, as ``monai.losses.DeepSupervisionLoss``.

    Lee et al., "Deeply-supervised nets", arXiv 1409.5185. The model returns a list or tuple
    of logits, the finest first, like MONAI's SegResNetDS in training mode. The labels are resized
    to each level by nearest neighbours. A single tensor, which such networks return in evaluation
    mode, is one level with weight 1. The metrics are those of the loss with the same weights;
    ``dice_score`` is that of the finest level. If a term is a mean over pixels or their weights, as
    with ``ignore_index`` in `FocalLoss`, its mean over several batches exists only for each level.
    The metrics are then the terms of each level: ``ce_1``, ``ce_2``, or ``level_1``, ``level_2``.

    Args:
        loss: The loss at each level: a name, a mapping of a name and options, or a loss.
        weight_mode: The weights: "exp", 1, 1/2, 1/4, ... and 1/16 at least; "two", 1 and then 1/2;
            or "same", 1.
        weights: The weights, one for each level; replaces ``weight_mode``. More are ignored.

    Raises:
        ConfigError: An option is invalid.
    """

    def __init__(
        self,
        *,
        loss: str | Mapping[str, Any] | Callable[..., Any] = "dice_ce",
        weight_mode: str = "exp",
        weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        check_choice("weight_mode", weight_mode, list(_MODES))
        if weights is not None and not (weights and all(weight >= 0 for weight in weights)):
            raise ConfigError(f"weights={weights!r}; expected numbers of 0 or more, or None.")
        self.loss = get_loss(loss)
        self.weight_mode, self.weights = weight_mode, weights

    @property
    def whole_batch(self) -> bool:
        """Whether the loss depends on all images of a batch together."""
        return bool(getattr(self.loss, "whole_batch", False))

    @property
    def output_activation(self) -> str | None:
        """The function that turns the logits of each level into probabilities."""
        return output_activation(self.loss)

    def forward(self, batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        """Evaluate the loss.

        Args:
            batch: ``(images, labels)``, or a dict with "image" and "label"; labels of shape
                ``(N, H, W[, D])``, ``(N, 1, H, W[, D])`` or ``(N, K, H, W[, D])``.
            model: Returns logits ``(N, K, H, W[, D])``, or a list or tuple of them.

        Returns:
            The loss and the metrics.

        Raises:
            DataError: The model returned no levels, or the loss raised it.
            ConfigError: There are fewer weights than levels, or the loss raised it.
            ShapeError: The loss raised it.
        """
        images, labels = split_batch(batch)
        outputs = model(images)
        if not isinstance(outputs, (list, tuple)):
            return self.loss((images, labels), _Output(outputs))
        if not outputs:
            raise DataError(
                "The model returned no outputs; expected logits for each level, or one."
            )
        levels = [
            self.loss((images, _resized(labels, output)), _Output(output)) for output in outputs
        ]
        weights = self._weights(len(outputs))
        loss = _weighed(weights, [loss for loss, _ in levels])
        return loss, _metrics(weights, levels)

    def _weights(self, levels: int) -> Sequence[float]:
        if self.weights is None:
            return [_MODES[self.weight_mode](level) for level in range(levels)]
        if len(self.weights) < levels:
            raise ConfigError(
                f"weights={self.weights!r}, and the model returned {levels} levels; expected a "
                "weight for each, the finest first."
            )
        return self.weights[:levels]


class _Output(nn.Module):
    """A model that returns a given output."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output

    def forward(self, images: Any) -> Any:
        return self.output


def _metrics(weights: Sequence[float], levels: Sequence[Any]) -> dict[str, Any]:
    finest = levels[0][1]
    score = {name: finest[name] for name in ("dice_score",) if name in finest}
    names = [name for name in finest if name not in score]
    if not isinstance(finest, Counted):
        return {name: _weighed(weights, [m[name] for _, m in levels]) for name in names} | score
    counts: Any = finest.count
    if not any(isinstance(counts[name], Tensor) for name in ("loss", *names)):
        sums = {name: _weighed(weights, [m[name] for _, m in levels]) for name in names}
        return Counted(sums | score, counts)
    return _by_level(weights, levels, score, {name: counts[name] for name in score})


def _by_level(
    weights: Sequence[float], levels: Sequence[Any], score: Any, counts: dict[str, Any]
) -> Counted:
    """Return the terms of each level as terms of the loss, with their counts."""
    values, factors = dict(score), {}
    for level, (weight, (loss, metrics)) in enumerate(zip(weights, levels, strict=True), start=1):
        terms = metrics.terms or {"loss": 1.0}
        for term, factor in terms.items():
            name = f"{'level' if term == 'loss' else term}_{level}"
            values[name] = loss if term == "loss" else metrics[term]
            counts[name], factors[name] = metrics.count[term], weight * factor
    return Counted(values, counts | {"loss": levels[0][1].count["loss"]}, factors)


def _weighed(weights: Sequence[float], values: Sequence[Tensor]) -> Tensor:
    total = weights[0] * values[0]
    for weight, value in zip(weights[1:], values[1:], strict=True):
        total = total + weight * value
    return total


def _resized(labels: Any, output: Any) -> Any:
    """Resize labels to an output; anything but tensors is left for the loss to reject."""
    if not isinstance(labels, Tensor) or not isinstance(output, Tensor):
        return labels
    if labels.ndim == output.ndim - 1:
        labels = labels.unsqueeze(1)
    if labels.ndim != output.ndim or labels.shape[2:] == output.shape[2:]:
        return labels
    return interpolate(labels.float(), size=output.shape[2:], mode="nearest-exact")
