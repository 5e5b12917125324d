"""The contract: what a loss is, and the data that flows through a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol, TypeAlias, runtime_checkable

from torch import Tensor, device, nn
from torch.optim import Optimizer

#: Training data: one tensor, or several with matching rows.
TData: TypeAlias = Tensor | tuple[Tensor, ...]

#: One batch of a loader: a tensor, ``(inputs, labels)`` or ``(inputs, labels, weights)``, or a dict
#: of tensors for a PINN.
TBatch: TypeAlias = Tensor | tuple[Tensor, ...] | list[Tensor] | Mapping[str, Any]

#: The named scalars that a loss returns with its value: 0-dim tensors or numbers.
Metrics: TypeAlias = dict[str, Any]

#: Any iterable of batches.
Loader: TypeAlias = Iterable[Any]


@runtime_checkable
class LossFunction(Protocol):
    """A loss: a function or object called with a batch and a model.

    It returns the loss, a 0-dim real tensor that reaches the parameters of the model when
    gradients are on, and a dict of named scalars: the terms of the loss, or anything worth
    logging. They are logged as ``train_NAME``, ``val_NAME`` and ``test_NAME``.

    Means over several batches are weighted by their rows, unless the metrics are `Counted`. A loss
    that depends on all rows of a batch together, as contrastive ones do, is not a mean over rows;
    it has a true attribute ``whole_batch``, and the trainer warns where batches are split. If that
    depends on the batches, the loss sets the attribute when it is called; if it depends on the
    options of a function, the attribute is a function of these. A true attribute ``gather`` says
    that the loss uses the rows of all processes, see `gather_rows`.

    An attribute ``residuals`` says that the loss is a sum of squares, see `LeastSquaresLoss`.

    An attribute ``output_activation`` names the function that turns the outputs of the model into
    predictions, such as "softmax" for logits; see `output_activation`.

    A loss that is an ``nn.Module`` with parameters is trained with the model; one that has
    ``state_dict`` and ``load_state_dict`` is saved in checkpoints.
    """

    def __call__(self, batch: TBatch, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        """Evaluate the loss of ``model`` on ``batch``."""
        ...


#: The residuals of a loss by term: values of shape ``(N, ...)``, and a scale to multiply them with.
Residuals: TypeAlias = dict[str, tuple[Tensor, Tensor | float]]


@runtime_checkable
class LeastSquaresLoss(LossFunction, Protocol):
    """A loss that is a sum of squares, and says of what; `GaussNewton` needs one.

    The loss is the sum of ``scale * values**2`` over all elements of all terms. Row ``i`` of the
    values belongs to row ``i`` of the data. The scale is a number of at least 0, or a tensor of
    such numbers without a graph that broadcasts to the values: one over their number for a mean,
    times the weights of rows and terms. `residuals` changes no state, so a loss whose weights
    change uses those of its latest call.

    For a loss that is a function, ``residuals`` is an attribute of the function, and it is called
    with the options that the loss has, as in ``residuals(batch, model, reduction="sum")``.
    """

    def residuals(self, batch: TBatch, model: nn.Module) -> Residuals:
        """Return the values, with their graph, and the scale of each term.

        Raises:
            LossContractError: With these options the loss is not a sum of squares.
        """
        ...


#: What a mean is taken over: a number of rows, labels or elements, or the sum of their weights.
Count: TypeAlias = float | Tensor


class Counted(dict[str, Any]):
    """Metrics that say what the loss and they are means over.

    The mean over an epoch weights each batch by its count, so that it is the mean over the data
    set, however this is split into batches; accumulated gradients are weighted in the same way.
    Without it a batch counts with its number of rows.

    Args:
        metrics: The named scalars.
        count: For the loss and the metrics, what they are means over: the number of labels that
            count, for instance, as a number or a 0-dim tensor. A mapping has counts by name, with
            ``"loss"`` for the loss; the rest counts by rows. ``None`` if they are sums, which
            add up.
        terms: If the loss is the weighted sum of some metrics, with counts of their own, their
            weights by name. Its mean is then the weighted sum of their means. If such a count is a
            tensor, the counts may be in other proportions in each batch, so ``accumulate`` keeps
            the graphs of all batches of a step and differentiates them together. Several processes
            need the same terms in each batch.

    Attributes:
        count: As given.
        terms: As given.
        made: Lists that new objects are added to: one for each first batch that is evaluated now,
            where the trainer looks for counts that a loss has dropped.
    """

    __slots__ = ("count", "terms")  # of an object that each step creates

    made: ClassVar[list[list[Counted]]] = []

    def __init__(
        self,
        metrics: Mapping[str, Any],
        count: Count | Mapping[str, Count | None] | None,
        terms: Mapping[str, Count] | None = None,
    ) -> None:
        super().__init__(metrics)
        for made in Counted.made:
            made.append(self)
        self.count = count
        self.terms = terms

    def __or__(self, others: Any) -> Counted:  # type: ignore[override]
        """Add metrics, with the same counts; ``{**metrics, ...}`` is a dict without them."""
        return Counted({**self, **others}, self.count, self.terms)


class SkipBatch(Exception):
    """Raise this in a loss to skip the batch."""


#: The result of one optimization step: the detached loss and the metrics.
StepResult: TypeAlias = tuple[Tensor, Metrics]

#: ``optimize_step(model, optimizer, loss_fn, xs, device=None, dtype=None)``.
OptimizeStep: TypeAlias = Callable[..., StepResult]


class TrainingStage(StrEnum):
    """When a callback runs. On batch stages ``called_every`` counts batches, else epochs."""

    TRAIN_START = "train_start"
    TRAIN_END = "train_end"
    TRAIN_EPOCH_START = "train_epoch_start"
    TRAIN_EPOCH_END = "train_epoch_end"
    TRAIN_BATCH_START = "train_batch_start"
    TRAIN_BATCH_END = "train_batch_end"
    VAL_EPOCH_START = "val_epoch_start"
    VAL_EPOCH_END = "val_epoch_end"
    VAL_BATCH_START = "val_batch_start"
    VAL_BATCH_END = "val_batch_end"
    TEST_BATCH_START = "test_batch_start"
    TEST_BATCH_END = "test_batch_end"


class ExperimentTrackingTool(StrEnum):
    """The built-in trackers; the name of any registered tracker works too."""

    TENSORBOARD = "tensorboard"
    MLFLOW = "mlflow"
    CSV = "csv"
    NONE = "none"


class ExecutionType(StrEnum):
    """How the processes of a run are launched."""

    AUTO = "auto"
    TORCHRUN = "torchrun"
    DEFAULT = "default"


@dataclass
class OptimizeResult:
    """The state of a run that callbacks and criteria see after each step and epoch.

    Attributes:
        iteration: The epoch, counted from 1; 0 before the first.
        model: The model in training.
        optimizer: Its optimizer, or the gradient-free one.
        loss: The loss of the last batch, or the mean of the epoch at the end of one.
        metrics: The same for the metrics; at the end of an epoch, and of its validation, under
            ``train_NAME`` and ``val_NAME``.
        extra: Values that callbacks share with each other, and metrics over the data set that are
            not numbers, such as ``val_confusion_matrix``.
        rank: The rank of this process.
        device: The device of the model.
    """

    iteration: int
    model: nn.Module
    optimizer: Optimizer | Any
    loss: Tensor | float | None = None
    metrics: Metrics = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    rank: int = 0
    device: device | str | None = "cpu"
