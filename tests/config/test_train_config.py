from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from perceptrain import Callback, TrainConfig
from perceptrain.errors import ConfigError, PerceptrainError
from perceptrain.types import ExperimentTrackingTool

DEFAULTS = {
    "max_iter": 10_000,
    "print_every": 0,
    "write_every": 0,
    "checkpoint_every": 0,
    "plot_every": 0,
    "live_plot_every": 0,
    "val_every": 0,
    "callbacks": [],
    "log_model": False,
    "root_folder": Path("./runs"),
    "create_subfolder_per_run": False,
    "log_folder": Path("./"),
    "checkpoint_best_only": False,
    "validation_criterion": None,
    "val_epsilon": 1e-5,
    "trainstop_criterion": None,
    "batch_size": 1,
    "verbose": True,
    "progress": True,
    "tracking_tool": None,
    "hyperparams": {},
    "plotting_functions": (),
    "lr_scheduler": None,
    "seed": None,
    "on_nonfinite": "raise",
    "nprocs": 1,
    "compute_setup": "cpu",
    "backend": "auto",
    "log_setup": "cpu",
    "dtype": None,
    "all_reduce_metrics": False,
    "async_checkpoints": False,
}
INTERVALS = [
    "max_iter",
    "print_every",
    "write_every",
    "checkpoint_every",
    "plot_every",
    "live_plot_every",
    "val_every",
    "keep_checkpoints",
]


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items())
def test_default(name: str, value: Any) -> None:
    assert getattr(TrainConfig(), name) == value


def test_defaults_are_not_shared() -> None:
    first, second = TrainConfig(), TrainConfig()
    first.hyperparams["a"] = 1
    first.callbacks.append(object())
    assert second.hyperparams == {}
    assert second.callbacks == []


@pytest.mark.parametrize("name", INTERVALS)
@given(value=st.integers(max_value=-1))
def test_negative_intervals_are_refused(name: str, value: int) -> None:
    with pytest.raises(ConfigError, match=rf"{name}: .*greater than or equal to 0, not {value}"):
        TrainConfig(**{name: value})


@given(value=st.integers(0, 10**6), kind=st.sampled_from([int, np.int64, np.int32, np.uint32]))
def test_whole_numbers_of_numpy_are_whole_numbers(value: int, kind: type) -> None:
    config = TrainConfig(max_iter=kind(value), seed=kind(value))
    assert config.max_iter == value
    assert type(config.max_iter) is int
    assert type(config.seed) is int


@pytest.mark.parametrize("name", ["max_iter", "val_every", "batch_size", "seed", "nprocs"])
@pytest.mark.parametrize("value", [True, np.True_, 1.0, 1.5, "3", np.float64(2)])
def test_only_whole_numbers_are_whole_numbers(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"{name}: .*integer"):
        TrainConfig(**{name: value})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size: .*greater than or equal to 1, not 0"),
        ({"seed": 2**32}, "seed: .*less than"),
        ({"val_epsilon": -1e-9}, "val_epsilon: .*greater than or equal to 0"),
        ({"compute_setup": "tpu"}, "compute_setup: .*'cpu', 'gpu' or 'auto', not 'tpu'"),
        ({"on_nonfinite": "stop"}, "on_nonfinite: .*'raise', 'skip' or 'ignore', not 'stop'"),
        ({"log_setup": "gpu"}, "log_setup: .*'cpu' or 'auto'"),
        ({"callbacks": 3}, "callbacks: .*list"),
        ({"trainstop_criterion": 3}, "trainstop_criterion: .*callable, not 3"),
        ({"validation_criterion": "min"}, "validation_criterion: .*callable"),
        ({"plotting_functions": (3,)}, "plotting_functions.0: .*callable"),
        ({"hyperparams": [1]}, "hyperparams: .*dict"),
        ({"checkpoint_best_only": True}, "checkpoint_best_only: .*set val_every"),
        ({"dtype": "int64"}, "dtype: expected a floating point dtype such as 'float64'"),
        ({"dtype": torch.int64}, "dtype: expected a floating point dtype"),
        ({"dtype": torch.complex64}, "dtype: expected a floating point dtype"),
        ({"dtype": "flaot64"}, "dtype: .*not 'flaot64'"),
        ({"dtype": "nn"}, "dtype: expected a floating point"),
        ({"tracking_tool": "cvs"}, "tracking_tool: .*'cvs'(.|\n)*[Dd]id you mean 'csv'"),
        ({"tracking_tool": ["csv", "cvs"]}, "tracking_tool: .*'cvs'(.|\n)*you mean 'csv'"),
        ({"tracking_tool": ["csv", "CSV"]}, "tracking_tool: a tracker is named twice in .'csv', "),
        ({"tracking_tool": []}, r"tracking_tool: expected the name .*or a list of names, not \[\]"),
        ({"tracking_tool": [3]}, r"tracking_tool: expected the name .*, not \[3\]"),
        ({"tracking_tool": 3}, "tracking_tool: expected the name .*, not 3"),
        ({"tracking_tool": ""}, "tracking_tool: .*''"),
        ({"callbacks": ["print_metric"]}, "callbacks: .*print_metric(.|\n)*'print_metrics'"),
        ({"callbacks": [{"name": "nothing"}]}, "callbacks: .*'nothing'"),
        ({"lr_scheduler": "one_cycel"}, "lr_scheduler: .*'one_cycel'.* Did you mean 'one_cycle'"),
        ({"lr_scheduler": {"step": 3}}, "lr_scheduler: .*a mapping with a 'name'"),
        ({"lr_scheduler": 3}, "lr_scheduler: 3 is not a learning-rate scheduler"),
        (
            {"lr_scheduler": {"name": "chained", "schedulers": [{"name": "linaer"}]}},
            "lr_scheduler: .*'linear'",
        ),
        ({"lr_scheduler": {"name": "chained", "schedulers": 3}}, "lr_scheduler: .*must be a list"),
        ({"dtype": "float8_e5m2"}, "dtype: torch stores torch.float8_e5m2, but .*'float32'"),
    ],
)
def test_fault(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        TrainConfig(**settings)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, PerceptrainError)
    assert "pydantic" not in str(caught.value)


def test_unknown_setting_says_what_was_meant() -> None:
    with pytest.raises(ConfigError, match="max_itr: unknown setting; did you mean 'max_i"):
        TrainConfig(max_itr=3)
    with pytest.raises(ConfigError, match="zzz: unknown setting; allowed are max_iter, "):
        TrainConfig(zzz=3)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("epochs", "did you mean 'max_iter'"),
        ("device", "did you mean 'compute_setup'"),
        ("val_interval", "did you mean 'val_every'"),
        ("lr", "it is an option of the optimizer"),
        ("optimizer", "it is an argument of the Trainer"),
        ("patience", "use the callback early_stopping"),
    ],
)
def test_names_of_other_libraries(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: unknown setting; {hint}"):
        TrainConfig(**{name: 3})


def test_resume_is_a_bool_or_a_path() -> None:
    assert TrainConfig(resume=True).resume is True
    assert TrainConfig(resume="yes").resume == Path("yes")


def test_all_faults_at_once() -> None:
    faults = {"max_iter": -1, "batch_size": 0, "dtype": "x", "epochs": 3, "compute_setup": "tpu"}
    with pytest.raises(ConfigError) as caught:
        TrainConfig(**faults)
    lines = str(caught.value).splitlines()
    assert lines[0] == "TrainConfig is invalid:"
    assert {line.strip().partition(":")[0] for line in lines[1:]} == set(faults)


@pytest.mark.parametrize(
    ("option", "value", "nearest"),
    [
        ("precision", "fp61", "fp16"),
        ("checkpoint_mode", "maxx", "max"),
        ("compute_setup", "GPU", "gpu"),
    ],
)
def test_of_fixed_values_the_nearest_is_suggested(option: str, value: str, nearest: str) -> None:
    hint = f"{option}: input should be .*, not '{value}'. Did you mean '{nearest}'"
    with pytest.raises(ConfigError, match=hint):
        TrainConfig(**{option: value})


@given(names=st.sets(st.sampled_from(INTERVALS), min_size=1))
def test_every_fault_has_a_line_of_its_own(names: set[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        TrainConfig(**dict.fromkeys(names, -3))
    lines = str(caught.value).splitlines()[1:]
    assert {line.strip().partition(":")[0] for line in lines} == names


def test_assignment_is_checked() -> None:
    config = TrainConfig()
    config.max_iter = 5
    with pytest.raises(ConfigError, match="max_iter"):
        config.max_iter = -5
    with pytest.raises(ConfigError, match=r"checkpoint_best_only: .*set val_every"):
        config.checkpoint_best_only = True
    config.dtype = "float64"  # type: ignore[assignment]
    assert config.max_iter == 5
    assert config.dtype is torch.float64


@pytest.mark.parametrize("dtype", ["float64", "torch.float64", torch.float64])
def test_dtype_by_name(dtype: Any) -> None:
    assert TrainConfig(dtype=dtype).dtype is torch.float64


def test_best_only_with_validation() -> None:
    assert TrainConfig(checkpoint_best_only=True, val_every=1).checkpoint_best_only


@pytest.mark.parametrize("tool", ["csv", "CSV", ExperimentTrackingTool.CSV])
def test_tracker_by_name(tool: str) -> None:
    assert TrainConfig(tracking_tool=tool).tracking_tool == "csv"


@pytest.mark.parametrize(
    "given",
    [
        "one_cycle",
        "OneCycleLR",
        "./rates.py:mine",
        {"name": "step", "step_size": 3},
        {"name": torch.optim.lr_scheduler.StepLR, "step_size": 3},
        torch.optim.lr_scheduler.LinearLR,
    ],
)
def test_learning_rate_scheduler(given: Any) -> None:
    assert TrainConfig(lr_scheduler=given).lr_scheduler is given


@pytest.mark.parametrize("kind", [list, tuple])
def test_several_trackers(kind: type[list[str]]) -> None:
    tools = kind(["CSV", ExperimentTrackingTool.TENSORBOARD, "./Mine.py:Tracker"])
    config = TrainConfig(tracking_tool=tools)
    assert config.tracking_tool == ["csv", "tensorboard", "./Mine.py:Tracker"]
    assert replace(config, max_iter=1).tracking_tool == config.tracking_tool


def test_references_are_left_for_later() -> None:
    config = TrainConfig(tracking_tool="./Mine.py:Tracker", callbacks=["./cb.py:Mine"])
    assert config.tracking_tool == "./Mine.py:Tracker"


def test_callback_objects_are_not_copied() -> None:
    callback = Callback(callback=lambda trainer, config, writer: None)
    config = TrainConfig(callbacks=[callback])
    assert config.callbacks[0] is callback


@pytest.mark.parametrize(
    ("given", "seconds"), [(90, 90.0), (0.5, 0.5), ("00:01:30", 90.0), ("100:00:01", 360_001.0)]
)
def test_times(given: Any, seconds: float) -> None:
    assert TrainConfig(max_time=given).max_time == seconds


@pytest.mark.parametrize("given", ["1h", "90", "00:99:00", "1:2:3", 0, -1.0, float("inf")])
def test_what_is_no_time(given: Any) -> None:
    with pytest.raises(ConfigError, match="max_time"):
        TrainConfig(max_time=given)
    with pytest.raises(ConfigError, match="expected seconds, or a time 'HH:MM:SS'"):
        TrainConfig(max_time="soon")


@pytest.mark.parametrize("given", [0, -3, 2.5, "many"])
def test_what_is_no_number_of_steps(given: Any) -> None:
    with pytest.raises(ConfigError, match="max_steps"):
        TrainConfig(max_steps=given)


def test_validates_after_epochs_or_after_steps() -> None:
    assert not TrainConfig().validates
    config = TrainConfig(val_every_steps=5, checkpoint_best_only=True)
    assert config.validates
    with pytest.raises(ConfigError, match="after epochs or after steps: set val_every to 0"):
        TrainConfig(val_every=1, val_every_steps=5)
    with pytest.raises(ConfigError, match="set val_every_steps to 0"):
        config.val_every = 1
    with pytest.raises(ConfigError, match="checkpoint_best_only needs validations"):
        config.val_every_steps = 0


def test_compile_is_a_flag_or_strict() -> None:
    assert TrainConfig(compile="strict").compile == "strict"
    with pytest.raises(ConfigError, match="expected true, false or 'strict', not 'strickt'"):
        TrainConfig(compile="strickt")  # type: ignore[arg-type]
