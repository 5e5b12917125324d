"""The settings of a training run, validated together on construction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    field_validator,
)
from pydantic.dataclasses import dataclass

from perceptrain_core.config.conversions import (
    as_checkpointing,
    as_compile,
    as_dtype,
    as_int,
    as_modules,
    as_precision,
    as_seconds,
)
from perceptrain_core.config.faults import reports_every_fault
from perceptrain_core.errors import RegistryError
from perceptrain_core.registry import registry
from perceptrain_core.schedules.names import check_scheduler_names
from perceptrain_core.types import OptimizeResult


def _check_name(kind: str, name: str) -> None:
    """Refuse an unknown name; a reference (with a colon) is loaded only when it is used."""
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


Interval = Annotated[int, BeforeValidator(as_int), Field(ge=0, strict=True)]
Count = Annotated[int, BeforeValidator(as_int), Field(ge=1, strict=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seed = Annotated[int, BeforeValidator(as_int), Field(ge=0, lt=2**32, strict=True)]
Seconds = Annotated[float, BeforeValidator(as_seconds), Field(gt=0, allow_inf_nan=False)]
Precision = Annotated[Literal["full", "bf16", "fp16", "bf16-true"], BeforeValidator(as_precision)]
FloatDtype = Annotated[torch.dtype | None, BeforeValidator(as_dtype)]

_SETTINGS = ConfigDict(arbitrary_types_allowed=True, extra="forbid", validate_assignment=True)


@reports_every_fault
@dataclass(config=_SETTINGS)
class TrainConfig:
    """Training settings. Every field has a default, and all faults are reported at once.

    Intervals are in epochs; 0 disables the action. An epoch is one pass over the training data.

    Attributes:
        max_iter: Number of epochs; a resumed run counts those already trained.
        max_steps: Stop after this many optimizer steps, also inside an epoch, whichever of this and
            ``max_iter`` comes first; ``None`` for no limit. A resumed run counts the steps already
            taken. A run that keeps checkpoints is saved there. The history has a row for the last
            epoch only if it is complete.
        max_time: Stop after the step in which this time since the start of ``fit`` has passed, in
            seconds or as ``"HH:MM:SS"``; ``None`` for no limit. The run then ends as after a
            signal: saved, if it keeps checkpoints, and without another validation. A resumed run
            has the whole time again.
        print_every: Interval between printed metrics.
        write_every: Interval between metrics written to the tracker.
        checkpoint_every: Interval between checkpoints.
        plot_every: Interval between figures of ``plotting_functions`` logged to the tracker.
        live_plot_every: Interval between updates of the live curves: in place in a notebook,
            elsewhere as ``live.png`` in the run folder. Requires matplotlib.
        val_every: Interval between validations on the validation data.
        val_every_steps: Interval between validations in optimizer steps, also inside an epoch,
            instead of ``val_every``. Each is a row of ``trainer.validations``, and is written to
            the tracker with its step if ``write_every`` is set. Callbacks on ``"val_epoch_end"``
            see each. The row of an epoch has the metrics of its last validation.
        callbacks: Callback objects, names of registered callbacks, or mappings
            ``{"name": ..., **options}``.
        log_model: Log the trained model to the tracker when training ends.
        root_folder: The parent folder of all runs.
        create_subfolder_per_run: Create a subfolder for each run, named after the time.
        log_folder: The folder of the run, below ``root_folder``. A second run with the same
            folder writes to its subfolder ``run-2``, unless it resumes the first. When a fit
            starts, this becomes the absolute path of its folder, ``trainer.log_folder``; further
            runs with the same settings still start from the folder that you named.
        checkpoint_best_only: Keep a single checkpoint, that of the best validation so far.
        checkpoint_monitor: The metric that tells which validation is the best, by its name in the
            history.
        checkpoint_mode: ``"min"`` if lower values of this metric are better, ``"max"`` if higher
            are.
        validation_criterion: ``f(value, best_value, val_epsilon) -> bool``, True if a validation
            is the best so far. By default, it must be better by more than ``val_epsilon``.
        val_epsilon: Minimum improvement; see ``validation_criterion``.
        trainstop_criterion: ``f(OptimizeResult) -> bool``, called after each epoch; True stops
            training.
        batch_size: Rows in a batch, if the data are tensors or a data set rather than a loader.
        shuffle: Shuffle such training data at each epoch.
        drop_last: Leave out the last batch of such training data if it is not full.
        verbose: Print messages and show the progress bar; False is silent.
        progress: Show a progress bar, if ``verbose`` and the output is a terminal.
        tracking_tool: The name of a tracker: ``"tensorboard"``, ``"mlflow"``, ``"csv"``,
            ``"none"`` or any other registered one; or a list of names, to use several. The
            default is TensorBoard if it is installed, else CSV.
        hyperparams: Your own settings, logged to the tracker.
        plotting_functions: ``f(model, iteration) -> (name, Figure)``.
        lr_scheduler: The learning rate schedule: the name of a scheduler of
            ``torch.optim.lr_scheduler``, such as ``"cosine_annealing"``; a mapping
            ``{"name": ..., **options}``; a reference; or a function ``f(optimizer)`` that returns
            one. The options are torch's, plus ``interval``, ``"epoch"`` or ``"batch"``: how often
            to step. ``None`` keeps the learning rates constant.
        seed: Seed for Python, NumPy and torch when ``fit`` starts; ``None`` does not seed.
        on_nonfinite: What to do on a NaN or infinite loss: ``"raise"`` an error before the
            optimizer steps, ``"skip"`` the batch, or ``"ignore"`` it. Changes that the forward
            pass made, such as to the averages of a BatchNorm, are not undone. On a GPU the loss
            is read at every step, unless this is ``"raise"``, the optimizer was created with
            the option ``fused=True``, and ``precision`` is not ``"fp16"``.
        keep_checkpoints: How many of the newest checkpoints to keep; 0 keeps all.
        async_checkpoints: Write checkpoints in the background: training waits only for a copy of
            the state in CPU memory. ``fit`` returns when all are on the disk. A failed write is
            reported at the next checkpoint, or at the end. For slow disks.
        checkpoint_format: ``"file"``, one file that the first process writes; ``"sharded"``, a
            folder ``*.dcp`` that all processes write, each its share; or ``"auto"``: sharded if the
            model is. Resuming reads both, in any number of processes.
        nprocs: Number of processes that ``fit`` trains in. Under ``torchrun``, leave it at 1.
            ``batch_size`` is per process.
        compute_setup: ``"cpu"``, ``"gpu"``, or ``"auto"``: a GPU if available. Each process
            needs its own GPU.
        backend: The backend of ``torch.distributed``: ``"gloo"``, ``"nccl"``, any other backend of
            torch, or ``"auto"``: NCCL on GPUs, Gloo on CPUs. Unused by a single process.
        strategy: How several processes train one model: ``"ddp"``, each has all of it; ``"fsdp"``,
            each keeps a share of the parameters, the gradients and the optimizer's state, and
            gathers the parameters of a module while it is used; or ``"auto"``: ``"fsdp"`` if
            ``"ddp"`` would not fit in memory. Unused by a single process.
        shard_modules: With ``"fsdp"``, whose parameters are gathered together: a number, for each
            submodule with at least as many parameters of its own; a list of classes or names of
            submodules; or a function ``f(name, module) -> bool``.
        reshard_after_forward: With ``"fsdp"``, whether to drop gathered parameters between the
            forward and the backward pass, and gather them again. False keeps whole parameters and
            gradients during a step, and losses may use other modules in each process. A loss that
            differentiates the model's output by itself, as for a PINN, does this in any case.
        process_timeout: How long a process waits for the others before it raises an error that
            names those that do not answer, in seconds or as ``"HH:MM:SS"``.
        log_setup: ``"cpu"`` or ``"auto"``. Either way, metrics are read on the CPU, and only when
            they are printed or written.
        accumulate: Batches per optimizer step; their gradients are averaged. The last step of an
            epoch may have fewer; one epoch of an infinite loader is one step.
        grad_clip: Maximum 2-norm of all gradients together; larger gradients are scaled down. Not
            for L-BFGS and second-order optimizers, which need the exact gradients; ``AdamLBFGS``
            applies this and ``grad_clip_value`` in its Adam steps only.
        grad_clip_value: Maximum absolute value of each gradient element, applied after
            ``grad_clip``.
        log_grad_norm: Log the total 2-norm of the gradients, before clipping, as
            ``train_grad_norm``: its mean over the steps of an epoch.
        ema: Decay of an exponential moving average of the weights, such as 0.999; at step n at most
            ``(1 + n) / (10 + n)``, so that short trainings forget their initial weights. Validation
            and test use the averaged weights, and the trained model has them at the end.
        precision: ``"full"``, or ``"bf16"`` or ``"fp16"`` to evaluate the loss under
            ``torch.autocast``; with ``"fp16"`` the gradients are scaled (``torch.amp.GradScaler``).
            The parameters keep their dtype. ``"bf16-mixed"``, ``"fp16-mixed"`` and ``"16-mixed"``
            are other names of these two. ``"bf16-true"`` computes and stores everything in
            bfloat16: the model, the floating point data, the gradients and the state of the
            optimizer.
        activation_checkpointing: Save memory: compute the activations of modules again in the
            backward pass instead of keeping them. ``True`` for each block of a ``Sequential`` or
            ``ModuleList`` that has submodules, or the whole model if there is none; a list of
            classes or names of submodules; or a function ``f(name, module) -> bool``.
        compile: Capture the whole training step as one graph, and compile it: the loss with its own
            calls of ``torch.autograd.grad``, the gradients, clipping, and the update of the common
            optimizers. Needs a C++ compiler, and some seconds at the start. Steps that cannot be
            captured are taken as without it, with a warning; ``"strict"`` raises an error instead.
        deterministic: Use only deterministic algorithms of torch during the fit.
        resume: The default of ``fit(resume=...)``: ``True`` resumes from the newest good
            checkpoint in the log folder, a path from that file or folder.
        dtype: Floating point dtype of the model and the floating point data, e.g.
            ``torch.float64`` or ``"float64"``; ``None`` converts nothing.
        all_reduce_metrics: Show callbacks the loss and metrics of each training batch as the mean
            over the rows of all processes; by default, of the first process only. The figures of
            an epoch always cover all.

    Raises:
        ConfigError: A value is invalid; the message lists every fault.
    """

    max_iter: Interval = 10_000
    max_steps: Count | None = None
    max_time: Seconds | None = None
    print_every: Interval = 0
    write_every: Interval = 0
    checkpoint_every: Interval = 0
    plot_every: Interval = 0
    live_plot_every: Interval = 0
    val_every: Interval = 0
    val_every_steps: Interval = 0
    callbacks: list[Any] = Field(default_factory=list)
    log_model: bool = False
    root_folder: Path = Path("./runs")
    create_subfolder_per_run: bool = False
    log_folder: Path = Path("./")
    checkpoint_best_only: bool = False
    checkpoint_monitor: str = "val_loss"
    checkpoint_mode: Literal["min", "max"] = "min"
    validation_criterion: Callable[[float, float, float], bool] | None = None
    val_epsilon: float = Field(default=1e-5, ge=0)
    trainstop_criterion: Callable[[OptimizeResult], bool] | None = None
    batch_size: Count = 1
    shuffle: bool = True
    drop_last: bool = False
    verbose: bool = True
    progress: bool = True
    tracking_tool: str | list[str] | None = None
    hyperparams: dict[str, Any] = Field(default_factory=dict)
    plotting_functions: tuple[Callable[..., Any], ...] = ()
    lr_scheduler: Any = None
    seed: Seed | None = None
    on_nonfinite: Literal["raise", "skip", "ignore"] = "raise"
    keep_checkpoints: Interval = 3
    async_checkpoints: bool = False
    checkpoint_format: Literal["auto", "file", "sharded"] = "auto"
    accumulate: Count = 1
    grad_clip: Positive | None = None
    grad_clip_value: Positive | None = None
    log_grad_norm: bool = False
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    precision: Precision = "full"
    activation_checkpointing: Annotated[Any, BeforeValidator(as_checkpointing)] = False
    compile: Annotated[bool | Literal["strict"], BeforeValidator(as_compile)] = False
    deterministic: bool = False
    resume: StrictBool | Path = False
    nprocs: Count = 1
    compute_setup: Literal["cpu", "gpu", "auto"] = "cpu"
    backend: str = "auto"
    strategy: Literal["ddp", "fsdp", "auto"] = "ddp"
    shard_modules: Annotated[Any, BeforeValidator(as_modules)] = 100_000
    reshard_after_forward: bool = True
    process_timeout: Seconds = 600.0
    log_setup: Literal["cpu", "auto"] = "cpu"
    dtype: FloatDtype = None
    all_reduce_metrics: bool = False

    @field_validator("checkpoint_best_only")
    @classmethod
    def _best_of_what(cls, value: bool, info: ValidationInfo) -> bool:
        intervals = ("val_every", "val_every_steps")
        if value and not any(info.data.get(name, True) for name in intervals):
            raise ValueError("the best checkpoint is that of the best validation: set val_every")
        return value

    @field_validator("val_every", "val_every_steps")
    @classmethod
    def _one_interval(cls, value: int, info: ValidationInfo) -> int:
        other = "val_every_steps" if info.field_name == "val_every" else "val_every"
        if value and info.data.get(other):
            raise ValueError(f"a run validates after epochs or after steps: set {other} to 0")
        # Known here only when the field is changed later.
        if not value and not info.data.get(other) and info.data.get("checkpoint_best_only"):
            raise ValueError("checkpoint_best_only needs validations: keep val_every above 0")
        return value

    @field_validator("precision", "dtype")
    @classmethod
    def _one_dtype(cls, value: Any, info: ValidationInfo) -> Any:
        both = {**info.data, str(info.field_name): value}
        dtype = both.get("dtype")
        if both.get("precision") == "bf16-true" and dtype not in (None, torch.bfloat16):
            raise ValueError(
                f'precision="bf16-true" stores the model in bfloat16, and dtype is {dtype}: leave '
                'dtype out, or use precision="bf16"'
            )
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
                    f"{item!r:.60} is not a callback: pass Callback objects, names, or mappings "
                    "with a name; a function is wrapped by Callback(on=..., callback=f)"
                )
        return value

    @property
    def float_dtype(self) -> torch.dtype | None:
        """The dtype of the model and the floating point data; ``None`` converts nothing."""
        return torch.bfloat16 if self.precision == "bf16-true" else self.dtype

    @property
    def validates(self) -> bool:
        """Whether the run validates, after epochs or after steps."""
        return self.val_every > 0 or self.val_every_steps > 0
