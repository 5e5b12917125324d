"""A model, a loss and data put together: validation, test, and what a fit needs too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from perceptrain_core.analysis.history import History
from perceptrain_core.analysis.information_content import InformationContent
from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.support.writer import get_writer
from perceptrain_core.config import TrainConfig
from perceptrain_core.data import Epochs, as_loader
from perceptrain_core.engine import Engine
from perceptrain_core.errors import DataError, TrainingError
from perceptrain_core.optimizers.step import optimize_step as default_optimize_step
from perceptrain_core.schedules.schedule import Schedule
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.trackers.none import SilentTracker
from perceptrain_core.training import resolve as parts
from perceptrain_core.training.averages import Meter, Row
from perceptrain_core.training.evaluation import Evaluation
from perceptrain_core.training.events import Events
from perceptrain_core.training.gradient_free import GradientFree
from perceptrain_core.training.hooks import TrainerHooks
from perceptrain_core.training.precision import in_precision
from perceptrain_core.training.processes import engine_for
from perceptrain_core.training.provenance import Provenance, provenance
from perceptrain_core.training.resume.data_position import Feed
from perceptrain_core.training.run_folder import new_run_folder
from perceptrain_core.training.trials.lr_finder import LRFinderResult, find_lr
from perceptrain_core.training.trials.overfit import OverfitResult, overfit_batch
from perceptrain_core.types import LossFunction, OptimizeResult, OptimizeStep


class Evaluator(GradientFree, TrainerHooks):
    """The parts of a run, resolved and checked; it validates and tests. `Trainer` trains, too."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer | str | dict[str, Any] | None,
        config: TrainConfig,
        loss_fn: Any = "mse",
        train_dataloader: Any = None,
        val_dataloader: Any = None,
        test_dataloader: Any = None,
        optimize_step: OptimizeStep = default_optimize_step,
        max_batches: int | None = None,
    ) -> None:
        if not isinstance(config, TrainConfig):
            raise TrainingError(
                f"config must be a TrainConfig, got {parts.given(config)}; the order is "
                "Trainer(model, optimizer, config, loss_fn)."
            )
        self.config = config
        self.model = parts.resolve_model(model)
        self.loss_fn: LossFunction = parts.resolve_loss(loss_fn)
        self.optimizer = self._resolve_optimizer(optimizer)
        self.engine: Engine = engine_for(config)
        self.train_dataloader = train_dataloader
        self.val_dataloader = val_dataloader
        self.test_dataloader = test_dataloader
        self.optimize_step = parts.resolve_step(optimize_step)
        self.max_batches = max_batches
        self._named: dict[int, tuple[Any, Callback]] = {}
        self.callbacks: list[Callback] = parts.resolve_callbacks(config, self._named)
        self.provenance = self._provenance()
        self._log_folder: Path | None = None
        self._tracker: Tracker | None = None
        self._fitting = False
        self._reset()

    def _reset(self) -> None:
        self.history = History()
        self.current_epoch = 0
        self.global_step = 0
        self.stop_training = False
        self.interrupted = False
        self.stop_signal: str | None = None
        self.averaged_model: AveragedModel | None = None
        self.grad_scaler: GradScaler | None = None
        self.schedule: Schedule | None = None
        self.optimizer_options: list[dict[str, Any]] = []
        self._feed = Feed(Epochs(None, self.max_batches))
        self._meter = Meter("train")
        self.batches_seen = 0
        self.opt_result = OptimizeResult(
            0, self.model, self.optimizer, rank=self.engine.rank, device=self.engine.device
        )

    @property
    def log_folder(self) -> Path:
        """The folder of the latest run; it exists once something is written to it."""
        if self._log_folder is None:
            folder = new_run_folder(self.config).absolute()
            self._log_folder = self.engine.broadcast(folder)
        return self._log_folder

    def _resolve_optimizer(self, optimizer: Any) -> Any:
        return parts.resolve_optimizer(optimizer, self.model, self.loss_fn)

    def _provenance(self) -> Provenance:
        named = {"model": self.model, "loss": self.loss_fn, "optimizer": self.optimizer}
        named |= {f"callback_{number}": item for number, item in enumerate(self.callbacks)}
        return provenance(named)

    def validate(self, val_dataloader: Any = None) -> Row:
        """Evaluate the loss on the validation data, in evaluation mode and without gradients.

        Args:
            val_dataloader: In place of the one given before.

        Returns:
            ``val_loss`` and ``val_NAME`` for each metric: means over the rows.

        Raises:
            DataError: There are no validation data.
        """
        val = self._evaluation_data(val_dataloader, self.val_dataloader, "val")
        with self._tracking():
            return self._evaluation().validate(val, self.current_epoch)

    def test(self, test_dataloader: Any = None) -> list[Row]:
        """Evaluate the loss on the test data, in evaluation mode and without gradients.

        Args:
            test_dataloader: In place of the one given before.

        Returns:
            ``test_loss`` and ``test_NAME`` for each metric, a row for each batch.

        Raises:
            DataError: There are no test data.
        """
        test = self._evaluation_data(test_dataloader, self.test_dataloader, "test")
        with self._tracking():
            return self._evaluation().test(test)

    def _evaluation(self) -> Evaluation:
        averaged = self.averaged_model if self._fitting else None  # afterwards the model has it
        model = self._model if averaged is None else averaged.module
        loss_fn = in_precision(self.loss_fn, self.config.precision, self.engine.device)
        return Evaluation(self, self._events, model, self.loss_fn, loss_fn)

    def _refuse_nested(self) -> None:
        if self._tracker is not None:
            raise TrainingError(
                "This trainer is at work: fit cannot be called from inside its own fit, "
                "validation or test. Make another trainer for it."
            )

    def get_ic_grad_bounds(
        self,
        eta: float,
        epsilons: Tensor | Sequence[float],
        variation_multiple: int = 20,
        dataloader: Any = None,
    ) -> tuple[float, float, float]:
        """Bound the norm of the loss's gradient around the model by its information content.

        Args:
            eta: For the sensitivity: above 0, at most 1/6.
            epsilons: Thresholds to try: positive numbers.
            variation_multiple: Steps of the random walk for each parameter.
            dataloader: Its first batch is used; by default that of the training data.

        Returns:
            The lower and the upper bound from the maximal information content, and the upper one
            from its sensitivity; `InformationContent` explains and names what it raises.
        """
        data = self.train_dataloader if dataloader is None else dataloader
        self._prepare()
        batch = self.engine.place(self._epochs(data, "train").first())
        found = InformationContent(self.model, self.loss_fn, batch, epsilons, variation_multiple)
        sensitive = found.get_grad_norm_bounds_sensitivity_IC(eta)
        return (*found.get_grad_norm_bounds_max_IC(), sensitive)

    def find_lr(
        self,
        train_dataloader: Any = None,
        *,
        min_lr: float = 1e-7,
        max_lr: float = 10.0,
        steps: int = 100,
        smoothing: float = 0.9,
        divergence: float = 4.0,
    ) -> LRFinderResult:
        """Look for a learning rate by the range test of Smith (arXiv 1506.01186).

        A short training whose rate rises exponentially from ``min_lr`` to ``max_lr``; it stops
        when the loss diverges. Several parameter groups keep the ratios of their rates. Everything
        is put back afterwards: the model, the loss, the optimizer and its rates, the random
        generators, those of the loader too; nothing is written, and no callback is called. Only
        batches of an iterator that cannot start again are gone.

        Args:
            train_dataloader: In place of the one given before; gone through again as needed.
            min_lr: The first rate.
            max_lr: The last one.
            steps: How many batches.
            smoothing: The weight of what came before in the running mean of the losses.
            divergence: A smoothed loss above so many times the lowest one ends the test.

        Returns:
            The ``lrs`` tried, the ``losses`` at them and the ``smoothed`` ones; a ``suggestion``,
            a tenth of the rate with the lowest smoothed loss (``None`` if the loss never fell);
            ``diverged``; and ``plot()``, a figure of matplotlib.

        Raises:
            ConfigError: An argument that cannot be.
            DataError: The data cannot be trained on.
            TrainingError: There is no optimizer, or it has no learning rates.
            NonFiniteLossError: The first loss is NaN or infinite.
        """
        data = self.train_dataloader if train_dataloader is None else train_dataloader
        return find_lr(self, data, min_lr, max_lr, steps, smoothing, divergence)

    def overfit_batch(
        self,
        batch: Any = None,
        *,
        train_dataloader: Any = None,
        steps: int = 200,
        target: float = 0.1,
    ) -> OverfitResult:
        """Train on one batch only, to see before a long run whether the model can learn at all.

        A model, a loss and an optimizer that fit together bring the loss of a small batch close to
        zero. Everything is put back afterwards, as `find_lr` does.

        Args:
            batch: The batch; by default the first of the training data.
            train_dataloader: Where to take it from, in place of the data given before.
            steps: How many steps to train on it.
            target: The loss has to fall to this share of its first value, or below.

        Returns:
            The ``losses``, ``first`` and ``last``; ``ratio``, what is left of the loss; ``passed``;
            and ``verdict``, a sentence that says what to look at if it did not.

        Raises:
            ConfigError: An argument that cannot be.
            DataError: The data cannot be trained on.
            LossContractError: The loss breaks the contract.
            TrainingError: There is no optimizer.
            NonFiniteLossError: The first loss is NaN or infinite.
        """
        data = self.train_dataloader if train_dataloader is None else train_dataloader
        return overfit_batch(self, batch, data, steps, target)

    def _prepare(self) -> None:
        """Let the engine have the parts; what it gives back is what the loop uses."""
        prepared = self.engine.prepare(self.model, self.optimizer, self.loss_fn)
        self._model, self.optimizer, self.loss_fn = prepared

    @contextmanager
    def _tracking(self) -> Iterator[Tracker]:
        """Open the tracker of this run, unless it is, and let callbacks and hooks know of it."""
        result = self.opt_result
        if self._tracker is not None:  # a callback validates or tests during the fit
            before = result.iteration, result.loss, result.metrics
            yield self._tracker
            # The callbacks that come after it look at the epoch.
            result.iteration, result.loss, result.metrics = before
            return
        config = replace(self.config, log_folder=self.log_folder)
        first = self.engine.rank == 0
        tracker = get_writer(config.tracking_tool) if first else SilentTracker()
        self._events = Events(self, self.callbacks, config, tracker)
        tracker.open(config, self.current_epoch)
        self._tracker = tracker
        try:
            yield tracker
        except BaseException as error:
            tracker.fail(error)
            raise
        finally:
            self._tracker = None
            tracker.close()

    def _evaluation_data(self, given: Any, own: Any, role: str) -> Epochs:
        data = own if given is None else given
        if data is None:
            raise DataError(f"There are no data to evaluate on: pass {role}_dataloader.")
        self._prepare()
        return self._epochs(data, role)

    def _epochs(self, data: Any, role: str, shuffle: bool = False, per_step: int = 1) -> Epochs:
        if data is not None:
            data = as_loader(data, self.config.batch_size, shuffle, role)
            if role != "test":  # a row for each batch: every process goes through all of them
                data = self.engine.shard(data, even=role == "train")
        return Epochs(data, self.max_batches, per_step)
