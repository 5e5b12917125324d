from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from perceptrain import Callback, OptimizeResult, TrainConfig, Trainer, TrainingStage
from perceptrain.callbacks import EarlyStopping, LoadCheckpoint, PrintMetrics
from perceptrain.errors import CallbackError, ConfigError

MakeTrainer = Callable[..., Trainer]


def nothing(trainer: Any, config: Any, writer: Any) -> None: ...


@pytest.mark.parametrize("stage", list(TrainingStage))
def test_stage_by_its_value(stage: TrainingStage) -> None:
    assert Callback(on=stage.value, callback=nothing).on is stage
    assert Callback(on=stage, callback=nothing).on is stage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"on": "train_epoch_ends"}, "no stage 'train_epoch_ends'; did you mean 'train_epoch_end'"),
        ({"on": "zzz"}, "no stage 'zzz'; stages are train_start, train_end"),
        ({"on": 3}, "no stage 3"),
        ({"called_every": 0}, "called_every=0: .* at least 1"),
        ({"called_every": -1}, "called_every=-1: .* at least 1"),
        ({"called_every": True}, "called_every=True: .* at least 1"),
        ({"called_every": 1.5}, r"called_every=1\.5: .* at least 1"),
        ({"callback": None}, "nothing to run: pass callback=f"),
        ({"callback": 3}, r"called as callback\(trainer, config, writer\), got int"),
        (
            {"callback": lambda trainer: None},
            r"<lambda>\(trainer\) does not fit: .* called as callback\(trainer, config, writer\)",
        ),
        ({"callback_condition": lambda: True}, r"\(\) does not fit.*condition\(opt_result\)"),
        ({"callback_condition": "always"}, r"callback_condition\(opt_result\), got str"),
        ({"modify_optimize_result": lambda a, b: a}, r"modify_optimize_result\(opt_result\)"),
        ({"modify_optimize_result": 3}, r"modify_optimize_result\(opt_result\), got int"),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(CallbackError, match=message):
        Callback(**{"callback": nothing, **arguments})


@pytest.mark.parametrize(
    ("kind", "argument", "message"),
    [
        (LoadCheckpoint, "x.pt", "stages are train_start. .* by name: called_every, path"),
        (EarlyStopping, "val_loss", "first argument of EarlyStopping; .* called_every, monitor,"),
        (PrintMetrics, 5, "no stage 5; .* by name: called_every"),
    ],
)
def test_another_argument_in_the_place_of_the_stage(kind: Any, argument: Any, message: str) -> None:
    with pytest.raises(CallbackError, match=message):
        kind(argument)


def test_functions_of_any_shape_that_fits() -> None:
    Callback(callback=lambda *args: None)
    Callback(callback=lambda trainer, config, writer, more=1: None)
    Callback(callback=print, callback_condition=bool)
    Callback(callback=nothing, modify_optimize_result={"note": 1})


COUNTS = {
    "train_start": 1,
    "train_end": 1,
    "train_epoch_start": 3,
    "train_epoch_end": 3,
    "train_batch_start": 12,
    "train_batch_end": 12,
    "val_epoch_start": 3,
    "val_epoch_end": 3,
    "val_batch_start": 12,
    "val_batch_end": 12,
    "test_batch_start": 4,
    "test_batch_end": 4,
}


@pytest.mark.parametrize(("stage", "expected"), COUNTS.items())
def test_every_stage_runs(make_trainer: MakeTrainer, rows: Any, stage: str, expected: int) -> None:
    calls = []
    callback = Callback(stage, callback=lambda *arguments: calls.append(arguments))
    trainer = make_trainer(val=rows, test=rows, max_iter=3, val_every=1, callbacks=[callback])
    trainer.fit()
    trainer.test()
    assert len(calls) == expected
    got, config, writer = calls[0]
    assert got is trainer
    assert isinstance(config, TrainConfig)
    assert config.log_folder == trainer.log_folder
    assert hasattr(writer, "log_hyperparams")


@pytest.mark.parametrize(
    ("stage", "every", "expected"),
    [
        ("train_epoch_end", 2, [2, 4]),
        ("train_epoch_start", 3, [3]),
        ("train_batch_end", 5, [5, 10, 15, 20]),
        ("train_batch_start", 7, [7, 14]),
        ("train_start", 9, [0]),
        ("train_end", 9, [20]),
    ],
)
def test_every_counts_batches_on_batch_stages_and_epochs_on_others(
    make_trainer: MakeTrainer, stage: str, every: int, expected: list[int]
) -> None:
    on_batch = "batch" in stage or stage in {"train_start", "train_end"}
    seen = []

    def record(trainer: Any, config: Any, writer: Any) -> None:
        started = stage == "train_batch_start"
        seen.append(trainer.global_step + started if on_batch else trainer.current_epoch)

    callback = Callback(stage, every, record)
    make_trainer(max_iter=5, callbacks=[callback]).fit()
    assert seen == expected


def test_condition(make_trainer: MakeTrainer) -> None:
    epochs = []

    def late(result: OptimizeResult) -> bool:
        assert isinstance(result.metrics["train_loss"], float)
        return result.iteration > 2

    callback = Callback(
        callback=lambda trainer, config, writer: epochs.append(trainer.current_epoch),
        callback_condition=late,
        modify_optimize_result={"late": True},
    )
    trainer = make_trainer(max_iter=4, callbacks=[callback])
    trainer.fit()
    assert epochs == [3, 4]
    assert trainer.opt_result.extra == {"late": True}


def test_result_is_modified_before_the_run(make_trainer: MakeTrainer) -> None:
    def double(result: OptimizeResult) -> OptimizeResult:
        result.extra["double"] = 2 * result.metrics["train_loss"]
        return result

    seen = []
    callback = Callback(
        callback=lambda trainer, config, writer: seen.append(trainer.opt_result.extra["double"]),
        modify_optimize_result=double,
    )
    trainer = make_trainer(callbacks=[callback])
    trainer.fit()
    assert seen == [2 * row["train_loss"] for row in trainer.history]


def test_modified_result_has_to_come_back(make_trainer: MakeTrainer) -> None:
    callback = Callback(callback=nothing, modify_optimize_result=lambda result: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(CallbackError, match="modify_optimize_result returned NoneType; it must"):
        make_trainer(callbacks=[callback]).fit()


class Counting(Callback):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.runs = 0

    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        self.runs += 1

    def state_dict(self) -> dict[str, Any]:
        return {"runs": self.runs}

    def load_state_dict(self, state: Any) -> None:
        self.runs = state["runs"]


def test_the_object_given_is_the_one_that_runs(make_trainer: MakeTrainer) -> None:
    """Never a private copy, whose state nobody sees."""
    counting = Counting()
    trainer = make_trainer(max_iter=3, callbacks=[counting])
    trainer.fit()
    assert counting.runs == 3
    assert trainer.callbacks[0] is counting
    trainer.fit()
    assert counting.runs == 6


def test_state_is_saved_with_the_run(make_trainer: MakeTrainer) -> None:
    settings = {"max_iter": 3, "checkpoint_every": 1}
    make_trainer(callbacks=[Counting(), Counting(called_every=2)], **settings).fit()
    first, second = Counting(), Counting(called_every=2)
    settings["max_iter"] = 4
    make_trainer(callbacks=[first, second], **settings).fit(resume=True)
    assert (first.runs, second.runs) == (4, 2)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (PrintMetrics, r"pass PrintMetrics\(\.\.\.\), not the class"),
        (nothing, "a function is wrapped by Callback"),
        (123, "123 is not a callback: pass Callback objects, names, or mappings"),
        (None, "None is not a callback"),
    ],
)
def test_no_callback_is_refused_when_the_settings_or_the_trainer_are_made(
    make_trainer: MakeTrainer, item: Any, message: str
) -> None:
    with pytest.raises((CallbackError, ConfigError), match=message):
        make_trainer(callbacks=[item])


@pytest.mark.parametrize("item", ["print_metrics", {"name": "print_metrics", "called_every": 2}])
def test_callbacks_by_name(
    make_trainer: MakeTrainer, item: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    make_trainer(callbacks=[item], max_iter=2, verbose=True).fit()
    assert len(capsys.readouterr().out.splitlines()) == (2 if item == "print_metrics" else 1)


def test_callbacks_run_in_the_order_given_and_checkpoints_last(make_trainer: MakeTrainer) -> None:
    order: list[str] = []

    def log(name: str) -> Callback:
        return Callback(callback=lambda trainer, config, writer: order.append(name))

    trainer = make_trainer(
        callbacks=[log("a"), log("b")], checkpoint_every=1, write_every=1, max_iter=1
    )
    trainer.fit()
    assert order == ["a", "b"]
    names = [type(callback).__name__ for callback in trainer.callbacks]
    assert names == ["Callback", "Callback", "WriteMetrics", "SaveCheckpoint"]


def test_a_callback_may_validate_and_test_during_the_fit(
    make_trainer: MakeTrainer, rows: Any
) -> None:
    """The run's own tracker stays open for those that come after."""
    seen = []

    def look(trainer: Any, config: Any, writer: Any) -> None:
        seen.append((trainer.validate()["val_loss"], len(trainer.test())))
        assert trainer.model.training

    trainer = make_trainer(val=rows, test=rows, write_every=1, callbacks=[Callback(callback=look)])
    trainer.fit()
    assert len(seen) == 2
    assert len((trainer.log_folder / "metrics.csv").read_text().splitlines()) == 3
