"""The settings of a training run: flat, documented, and checked as a whole when made."""

from __future__ import annotations

from collections.abc import Callable
from operator import index
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from perceptrain_core.config.faults import tells_every_fault
from perceptrain_core.errors import RegistryError
from perceptrain_core.registry import registry
from perceptrain_core.schedules.names import check_scheduler_names
from perceptrain_core.types import OptimizeResult


def _as_dtype(value: Any) -> Any:
    """Accept ``"float64"`` and ``"torch.float64"`` beside the dtype itself."""
    if isinstance(value, str):
        value = getattr(torch, value.removeprefix("torch."), value)
    if value is not None and not (isinstance(value, torch.dtype) and value.is_floating_point):
        raise ValueError(f"expected a floating point dtype such as 'float64', not {value!r}")
    return value


def _as_int(value: Any) -> Any:
    """Accept NumPy's whole numbers; a bool is no number."""
    return index(value) if hasattr(value, "__index__") and not isinstance(value, bool) else value


def _check_name(kind: str, name: str) -> None:
    """Refuse a name that nothing has; a reference (with a colon) is tried when it is used."""
    if ":" in name:
        return
    try:
        getattr(registry(), kind)[name]
    except RegistryError as error:
        raise ValueError(str(error)) from None


def _tracker_name(value: str) -> str:
    """Check one name, which may be in capitals or a member of ExperimentTrackingTool."""
    name = str(value) if ":" in value else value.lower()
    _check_name("trackers", name)
    return name


Interval = Annotated[int, BeforeValidator(_as_int), Field(ge=0, strict=True)]
Count = Annotated[int, BeforeValidator(_as_int), Field(ge=1, strict=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seed = Annotated[int, BeforeValidator(_as_int), Field(ge=0, lt=2**32, strict=True)]
FloatDtype = Annotated[torch.dtype | None, BeforeValidator(_as_dtype)]

_SETTINGS = ConfigDict(arbitrary_types_allowed=True, extra="forbid", validate_assignment=True)


@tells_every_fault
@dataclass(config=_SETTINGS)
class TrainConfig:
    """How to train: every field has a default, and every fault is reported at once.

    Intervals count epochs; 0 turns the thing off. An epoch is one pass over the training data.

    Attributes:
        max_iter: Epochs to train, exactly that many; after a resume, the total.
        print_every: Print the metrics of the epoch.
        write_every: Write them to the tracker.
        checkpoint_every: Write a checkpoint.
        plot_every: Make the pictures of ``plotting_functions`` and give them to the tracker.
        live_plot_every: Draw the curves so far: in a notebook in place, elsewhere as ``live.png``
            in the folder of the run. It needs matplotlib.
        val_every: Validate, on the validation data given to the trainer.
        callbacks: Callback objects, names of registered callbacks, or mappings
            ``{"name": ..., **options}``.
        log_model: Give the trained model to the tracker at the end.
        root_folder: Under it all runs leave their files.
        create_subfolder_per_run: Give each run a folder of its own, named by the time.
        log_folder: The folder of the run, below ``root_folder``. A second run with the same
            folder goes to ``run-2`` in it, unless it resumes the first.
        checkpoint_best_only: Write one checkpoint, that of the best validation so far.
        validation_criterion: ``f(val_loss, best_loss, val_epsilon) -> bool``, whether a validation
            is the best so far; by default whether it is lower by more than ``val_epsilon``.
        val_epsilon: See ``validation_criterion``.
        trainstop_criterion: ``f(OptimizeResult) -> bool``, asked after each epoch; true stops.
        batch_size: Rows in a batch, when plain tensors or a data set are given as data.
        shuffle: Whether such training data are shuffled at each epoch.
        verbose: False is silent: no messages, no progress bar.
        progress: Show a progress bar when ``verbose`` and a terminal is there.
        tracking_tool: The name of a tracker: ``"tensorboard"``, ``"mlflow"``, ``"csv"``,
            ``"none"`` or any other that is registered; or a list of names, for several at once. By
            default TensorBoard where it is installed, else CSV.
        hyperparams: Settings of yours to be recorded by the tracker.
        plotting_functions: ``f(model, iteration) -> (name, Figure)``.
        lr_scheduler: How the learning rates change: the name of a scheduler of
            ``torch.optim.lr_scheduler``, as ``"cosine_annealing"``; a mapping
            ``{"name": ..., **options}``; a reference; or a function ``f(optimizer)`` that makes
            one. The options are those of torch; ``interval``, ``"epoch"`` or ``"batch"``, says
            when it steps. ``None`` leaves the rates alone.
        seed: Seeds Python, NumPy and torch when ``fit`` starts; ``None`` leaves them alone.
        on_nonfinite: What a NaN or infinite loss does: ``"raise"`` stops the run with an error
            before the optimizer's step, ``"skip"`` leaves the batch out, ``"ignore"`` goes on.
            What the forward pass changed by itself, as the averages of a BatchNorm, is changed.
            On a GPU the loss is read at every step, unless this is ``"raise"``, the optimizer is
            made with ``fused=True``, and ``precision`` is not ``"fp16"``.
        keep_checkpoints: How many of the newest checkpoints stay; 0 keeps all.
        nprocs: Processes to train in. More than 1 are started by ``fit``; where ``torchrun``
            started some already, leave it at 1. ``batch_size`` is that of each process.
        compute_setup: ``"cpu"``, ``"gpu"``, or ``"auto"``: a GPU where there is one. Each process
            needs one of its own.
        backend: The backend of ``torch.distributed``: ``"gloo"``, ``"nccl"``, any other that torch
            has, or ``"auto"``: NCCL on GPUs, Gloo on CPUs. Unused by a single process.
        log_setup: ``"cpu"`` or ``"auto"``: where metrics are read; they are read on the CPU, and
            only when someone writes them.
        accumulate: Batches in a step of the optimizer, which takes the mean of their gradients. An
            epoch's last step may have fewer; one epoch of an infinite loader is one step.
        grad_clip: The 2-norm of all gradients together is at most this; larger ones are scaled.
            Not for L-BFGS, whose line search needs them as they are; ``AdamLBFGS`` clips, so and
            by value, in its steps of Adam only.
        grad_clip_value: Every element of the gradients is at most this in size, after that.
        ema: Keep an exponential moving average of the weights, with this decay, such as 0.999.
            Validations and tests look at the averaged model, and the model ends with its weights.
        precision: ``"full"``, or ``"bf16"`` or ``"fp16"`` to evaluate the loss under
            ``torch.autocast``; with ``"fp16"`` the gradients are scaled (``torch.amp.GradScaler``).
            The parameters keep their dtype.
        deterministic: Let torch use deterministic algorithms only, for the length of the fit.
        resume: What ``fit`` resumes from where it is not told: ``True`` is the newest good
            checkpoint of the log folder, a path is that file or folder.
        dtype: Floating point dtype of the model and the floating point data, e.g.
            ``torch.float64`` or ``"float64"``; ``None`` leaves them as they are.
        all_reduce_metrics: Average the loss and metrics of training over the processes; by default
            they are those of the first. Those of a validation are over all rows either way.

    Raises:
        ConfigError: Something is wrong; the message lists every fault.
    """

    max_iter: Interval = 10_000
    print_every: Interval = 0
    write_every: Interval = 0
    checkpoint_every: Interval = 0
    plot_every: Interval = 0
    live_plot_every: Interval = 0
    val_every: Interval = 0
    callbacks: list[Any] = Field(default_factory=list)
    log_model: bool = False
    root_folder: Path = Path("./runs")
    create_subfolder_per_run: bool = False
    log_folder: Path = Path("./")
    checkpoint_best_only: bool = False
    validation_criterion: Callable[[float, float, float], bool] | None = None
    val_epsilon: float = Field(default=1e-5, ge=0)
    trainstop_criterion: Callable[[OptimizeResult], bool] | None = None
    batch_size: Count = 1
    shuffle: bool = True
    verbose: bool = True
    progress: bool = True
    tracking_tool: str | list[str] | None = None
    hyperparams: dict[str, Any] = Field(default_factory=dict)
    plotting_functions: tuple[Callable[..., Any], ...] = ()
    lr_scheduler: Any = None
    seed: Seed | None = None
    on_nonfinite: Literal["raise", "skip", "ignore"] = "raise"
    keep_checkpoints: Interval = 3
    accumulate: Count = 1
    grad_clip: Positive | None = None
    grad_clip_value: Positive | None = None
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    precision: Literal["full", "bf16", "fp16"] = "full"
    deterministic: bool = False
    resume: bool | Path = False
    nprocs: Count = 1
    compute_setup: Literal["cpu", "gpu", "auto"] = "cpu"
    backend: str = "auto"
    log_setup: Literal["cpu", "auto"] = "cpu"
    dtype: FloatDtype = None
    all_reduce_metrics: bool = False

    @field_validator("checkpoint_best_only")
    @classmethod
    def _best_of_what(cls, value: bool, info: ValidationInfo) -> bool:
        if value and not info.data.get("val_every", True):
            raise ValueError("the best checkpoint is that of the best validation: set val_every")
        return value

    @field_validator("val_every")
    @classmethod
    def _val_for_the_best(cls, value: int, info: ValidationInfo) -> int:
        # Known here only when the field is changed later.
        if not value and info.data.get("checkpoint_best_only"):
            raise ValueError("checkpoint_best_only needs validations: keep val_every above 0")
        return value

    @field_validator("tracking_tool", mode="before")
    @classmethod
    def _known_trackers(cls, value: Any) -> str | list[str] | None:
        if value is None or isinstance(value, str):
            return None if value is None else _tracker_name(value)
        names = value if isinstance(value, list | tuple) else []
        if not names or not all(isinstance(name, str) for name in names):
            raise ValueError(
                f"expected the name of a tracker, or a list of names, not {value!r:.60}"
            )
        found = [_tracker_name(name) for name in names]
        if len(set(found)) < len(found):
            raise ValueError(f"a tracker is named twice in {found}; name each once")
        return found

    @field_validator("lr_scheduler")
    @classmethod
    def _known_scheduler(cls, value: Any) -> Any:
        if value is not None:
            try:
                check_scheduler_names(value)
            except RegistryError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("callbacks")
    @classmethod
    def _known_callbacks(cls, value: list[Any]) -> list[Any]:
        for item in value:
            name = item.get("name") if isinstance(item, dict) else item
            if isinstance(name, str):
                _check_name("callbacks", name)
            elif not hasattr(item, "run_callback"):
                raise ValueError(
                    f"{item!r:.60} is no callback: give Callback objects, names, or mappings with "
                    "a name; a function is wrapped by Callback(on=..., callback=f)"
                )
        return value
