"""What a metric over a whole data set is."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Metric(Protocol):
    """A metric over a whole data set: any object with these three methods.

    The metrics of torchmetrics have them. Each validation or test works on a fresh copy of the
    object, resets it, updates it with every batch, and computes its value once.

    Two parts are optional. ``higher_is_better`` lets callbacks check their ``mode``.
    ``merge_state(other)`` adds what another copy has seen; with several processes, a metric
    without it sees the outputs of all processes in the order of the batches.

    With ``takes_predictions = True``, a metric gets one prediction for each label instead of the
    outputs, where the loss says what they are: rates for ``poisson_nll``, whose outputs are
    logarithms of rates; means for ``gaussian_nll``; medians for ``quantile``.

    If ``update`` has a parameter ``sample_weight`` or ``weights``, it gets the third part of
    batches ``(inputs, labels, weights)``.
    """

    def update(self, preds: Any, target: Any, /) -> Any:
        """Add a batch.

        Args:
            preds: What the model returned, or predictions, detached, on the device of the run.
            target: The labels of the batch, on the same device.
        """
        ...

    def compute(self) -> Any:
        """Return the value over all batches since the last reset.

        Returns:
            A number or 0-dim tensor; a tensor of one dimension or a mapping of names, each value
            of which gets a name of its own; or a larger tensor, which is not in the history.
        """
        ...

    def reset(self) -> Any:
        """Forget all batches."""
        ...
