"""Metrics over the data set, through the trainer."""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torchmetrics
from sklearn import metrics as sklearn
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import Callback, Trainer, get_metric
from perceptrain.callbacks import EarlyStopping, LRSchedulerReduceOnPlateau, SaveBestCheckpoint
from perceptrain.errors import CallbackError, ConfigError, DataError, TrainingError

MakeTrainer = Callable[..., Trainer]
Data = tuple[Tensor, Tensor]


@pytest.fixture
def classes() -> Data:
    """Thirty-one rows in three classes: inputs (31, 2), labels (31,)."""
    x = torch.randn(31, 2, generator=torch.Generator().manual_seed(1))
    return x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long()


@pytest.fixture
def classify(
    make_trainer: MakeTrainer, make_net: Callable[..., nn.Module], classes: Data
) -> MakeTrainer:
    """Make a trainer of a classifier, validated at each epoch on the same rows."""

    def make(metrics: Any, loss_fn: Any = "cross_entropy", **settings: Any) -> Trainer:
        plain = {"data": classes, "val": classes, "test": classes, "val_every": 1}
        options = {"metrics": metrics}
        return make_trainer(loss_fn, model=make_net(2, 8, 3), options=options, **(plain | settings))

    return make


def f1(model: nn.Module, data: Data) -> float:
    with torch.no_grad():
        return float(sklearn.f1_score(data[1], model(data[0]).argmax(1), average="macro"))


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


class Seen:
    """A metric that is any object: the number of rows, and the sum of the first output."""

    def __init__(self) -> None:
        self.rows, self.total = 7, 0.0

    def update(self, preds: Tensor, target: Tensor) -> None:
        assert not preds.requires_grad
        assert not torch.is_grad_enabled()
        self.rows += len(target)
        self.total += float(preds[:, 0].sum())

    def compute(self) -> dict[str, float]:
        return {"rows": self.rows, "total": self.total}

    def reset(self) -> None:
        self.rows = 0


@pytest.mark.parametrize("size", [1, 10, 15, 31])
def test_whatever_the_batches_the_value_is_that_of_the_data_set(
    classify: MakeTrainer, classes: Data, size: int
) -> None:
    trainer = classify(["accuracy", "f1"], batch_size=size)
    row = trainer.validate()
    assert list(row) == ["val_loss", "val_accuracy", "val_f1"]
    assert row["val_f1"] == pytest.approx(f1(trainer.model, classes), rel=1e-6)
    rows = trainer.test()
    assert len(rows) == -(-31 // size)
    assert {name for row in rows for name in row} == {"test_loss"}
    expected = {name.replace("val", "test"): value for name, value in row.items()}
    assert trainer.test_metrics == pytest.approx(expected, rel=1e-6)
    assert trainer.test_metrics == rows.means


def test_in_history_files_and_trackers(classify: MakeTrainer, classes: Data, here: Path) -> None:
    trainer = classify(["f1", "confusion_matrix"], write_every=1, max_iter=3, val_every=2)
    trainer.fit()
    assert [set(row) for row in trainer.history] == [
        {"train_loss"},
        {"train_loss", "val_loss", "val_f1"},
        {"train_loss"},
    ]
    folder = trainer.log_folder
    lines = table(folder)
    assert [bool(line["val_f1"]) for line in lines] == [False, True, False]
    assert float(lines[1]["val_f1"]) == trainer.history[1]["val_f1"]
    assert [path.name for path in folder.glob("*.png")] == ["val_confusion_matrix_000002.png"]
    trainer.test()
    matrix = sklearn.confusion_matrix(
        classes[1], trainer.model(classes[0]).argmax(1), labels=range(3)
    )
    assert trainer.opt_result.extra["test_confusion_matrix"].tolist() == matrix.tolist()
    assert (folder / "test_confusion_matrix_000003.png").exists()
    assert "test_f1" not in table(folder)[0]
    assert json.loads((folder / "test.json").read_text()) == trainer.test_metrics


def test_callbacks_use_them(classify: MakeTrainer) -> None:
    stopping = EarlyStopping(monitor="val_f1", mode="max", patience=2, restore_best=True)
    best = SaveBestCheckpoint(monitor="val_f1", mode="max")
    trainer = classify(
        ["f1"],
        callbacks=[stopping, best],
        max_iter=40,
        checkpoint_best_only=True,
        checkpoint_monitor="val_f1",
        checkpoint_mode="max",
        val_epsilon=0,
    )
    trainer.fit()
    values = [row["val_f1"] for row in trainer.history]
    assert len(values) < 40
    assert stopping.best_value == best.best_loss == max(values)
    assert trainer.validate()["val_f1"] == max(values)
    assert (trainer.log_folder / "checkpoint_best.pt").exists()
    configured = [c for c in trainer.callbacks if isinstance(c, SaveBestCheckpoint)]
    assert [c.best_loss for c in configured] == [max(values)] * 2


def test_the_best_value_of_another_metric_is_not_compared(classify: MakeTrainer) -> None:
    settings = {"log_folder": "run", "checkpoint_every": 1}
    loss = SaveBestCheckpoint()
    classify(["f1"], callbacks=[loss], max_iter=2, **settings).fit()
    best = SaveBestCheckpoint(monitor="val_f1", mode="max")
    trainer = classify(["f1"], callbacks=[best], max_iter=3, **settings)
    trainer.fit(resume=True)
    assert best.best_loss == trainer.history[-1]["val_f1"] < loss.best_loss


@pytest.mark.parametrize(
    ("callback", "better"),
    [
        (EarlyStopping(monitor="val_f1"), "higher"),
        (SaveBestCheckpoint(monitor="val_calibration", mode="max"), "lower"),
        (LRSchedulerReduceOnPlateau(monitor="val_f1"), "higher"),
    ],
)
def test_a_mode_that_contradicts_the_metric(
    classify: MakeTrainer, callback: Callback, better: str
) -> None:
    trainer = classify({"f1": "f1", "calibration": "calibration_error"}, callbacks=[callback])
    with pytest.raises(CallbackError, match=rf"but {better} values of this metric are better"):
        trainer.fit()


def test_the_loss_calls_the_model_and_nothing_else_does(classify: MakeTrainer) -> None:
    trainer = classify(["f1"], batch_size=10)
    calls = []
    trainer.model.register_forward_pre_hook(lambda *_: calls.append(1))
    before = len(trainer.model._forward_hooks)
    trainer.validate()
    assert len(calls) == 4
    assert len(trainer.model._forward_hooks) == before


def test_without_metrics_no_hook_is_registered(
    classify: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = classify(None)
    monkeypatch.setattr(nn.Module, "register_forward_hook", lambda *_: pytest.fail("a hook"))
    trainer.fit()
    assert trainer.test_metrics == {}
    trainer.test()
    assert list(trainer.test_metrics) == ["test_loss"]


def test_any_object_with_the_three_methods(classify: MakeTrainer, classes: Data) -> None:
    seen = Seen()
    trainer = classify({"seen": seen, "f1": torchmetrics.F1Score("multiclass", num_classes=3)})
    trainer.fit()
    with torch.no_grad():
        total = float(trainer.model(classes[0])[:, 0].sum())
    row = trainer.validate()
    assert (row["val_seen_rows"], row["val_seen_total"]) == (31, pytest.approx(total, rel=1e-5))
    assert row["val_f1"] == trainer.history[-1]["val_f1"]
    assert (seen.rows, seen.total) == (7, 0.0)  # each pass works on a copy
    assert trainer.metrics["seen"] is seen


def test_collections_and_values_of_each_class(classify: MakeTrainer) -> None:
    both = torchmetrics.MetricCollection(
        {
            "a": torchmetrics.Accuracy("multiclass", num_classes=3),
            "matrix": torchmetrics.ConfusionMatrix("multiclass", num_classes=3),
        }
    )
    trainer = classify([both, {"name": "recall", "average": "none"}, "accuracy"])
    row = trainer.validate()
    recalls = [f"val_recall_{number}" for number in range(3)]
    assert list(row) == ["val_loss", "val_metric_collection_a", *recalls, "val_accuracy"]
    assert row["val_metric_collection_a"] == pytest.approx(row["val_accuracy"])
    assert trainer.opt_result.extra["val_metric_collection_matrix"].sum() == 31


def test_the_averaged_model_and_low_precision(classify: MakeTrainer, classes: Data) -> None:
    trainer = classify(["f1", "auroc"], ema=0.5, precision="bf16", max_iter=3)
    trainer.fit()
    row = trainer.history[-1]
    assert row == pytest.approx(row | trainer.validate(), rel=1e-6)


def test_a_loss_that_calls_the_model_more_than_once(classify: MakeTrainer, classes: Data) -> None:
    def smooth(batch: Data, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        x, y = batch
        near = model(x + 0.01)
        outputs = model(x)
        return F.cross_entropy(outputs, y) + (near - outputs).square().mean(), {}

    trainer = classify(["f1"], smooth)
    expected = pytest.approx(f1(trainer.model, classes), rel=1e-6)
    assert trainer.validate()["val_f1"] == expected

    def copied(batch: Data, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return F.cross_entropy(model(batch[0].clone()), batch[1]), {}

    assert classify(["f1"], copied).validate()["val_f1"] == expected

    def twice(batch: Data, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return F.cross_entropy(model(batch[0]) + model(batch[0]), batch[1]), {}

    assert classify(["f1"], twice).validate()["val_f1"] == expected

    def moved(batch: Data, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return F.cross_entropy(model(batch[0] + 1) + model(batch[0] - 1), batch[1]), {}

    with pytest.raises(DataError, match=r"the loss called it 2 times with others\. Expected a"):
        classify(["f1"], moved).validate()

    def never(batch: Data, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return batch[0].mean(), {}

    with pytest.raises(DataError, match="the loss did not call it"):
        classify(["f1"], never).validate()


def test_outputs_of_several_tensors_reach_a_custom_metric(classify: MakeTrainer) -> None:
    class Two(nn.Linear):
        def forward(self, x: Tensor) -> Any:
            return {"logits": super().forward(x), "hidden": [x, (x, None)]}

    class Largest(Seen):
        def update(self, preds: Any, target: Tensor) -> None:
            assert not preds["logits"].requires_grad
            assert preds["hidden"][1][1] is None
            self.rows += len(preds["hidden"][1][0])

    def loss_fn(batch: Data, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        with torch.enable_grad():
            return F.cross_entropy(model(batch[0])["logits"], batch[1]), {}

    trainer = classify({"seen": Largest()}, loss_fn)
    trainer.model = Two(2, 3)
    assert trainer.validate()["val_seen_rows"] == 31


def test_batches_with_names(classify: MakeTrainer, classes: Data) -> None:
    def loss_fn(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return F.cross_entropy(model(batch["image"]), batch["label"]), {}

    named = [{"image": x, "label": y} for x, y in zip(*(t.split(10) for t in classes), strict=True)]
    trainer = classify(["f1"], loss_fn, val=named)
    assert trainer.validate()["val_f1"] == pytest.approx(f1(trainer.model, classes), rel=1e-6)


def test_batches_without_labels(make_trainer: MakeTrainer) -> None:
    def size(batch: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return model(batch).square().mean(), {}

    points = torch.randn(6, 2)
    trainer = make_trainer(size, data=points, val=points, options={"metrics": ["mse"]})
    with pytest.raises(DataError, match=r"Metrics compare the model's output with labels.*leave"):
        trainer.validate()
    points = {"u": torch.randn(6, 2)}
    trainer = make_trainer("mse", data=points, val=points, options={"metrics": ["mse"]})
    with pytest.raises(DataError, match="Metrics compare the model's output with labels"):
        trainer.validate()


def test_outputs_that_do_not_fit_name_the_metric(make_trainer: MakeTrainer, rows: Data) -> None:
    trainer = make_trainer(val=rows, options={"metrics": {"hits": "accuracy"}})
    with pytest.raises(DataError, match="A label is") as caught:
        trainer.validate()
    assert caught.value.__notes__ == ["This was the metric 'hits', in update."]


def test_a_metric_of_the_loss_with_the_same_name(classify: MakeTrainer) -> None:
    def loss_fn(batch: Data, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        loss = F.cross_entropy(model(batch[0]), batch[1])
        return loss, {"f1": loss}

    with pytest.raises(ConfigError, match="The loss returns a metric 'f1', and metrics has one"):
        classify(["f1"], loss_fn).validate()
    trainer = classify(["f1"], loss_fn, val_every=0)
    with pytest.raises(ConfigError, match="The loss returns a metric 'f1', and metrics has one"):
        trainer.fit()
    assert trainer.global_step == 0
    row = classify({"f1_of_all": "f1"}, loss_fn).validate()
    assert list(row) == ["val_loss", "val_f1", "val_f1_of_all"]


def test_two_values_of_one_name(classify: MakeTrainer) -> None:
    trainer = classify({"seen": Seen(), "seen_rows": "accuracy"})
    with pytest.raises(ConfigError, match="Two metrics are named 'val_seen_rows'"):
        trainer.validate()


def test_a_value_that_is_no_number(classify: MakeTrainer) -> None:
    class Text(Seen):
        def compute(self) -> Any:
            return "high"

    with pytest.raises(TrainingError, match=r"'val_text' returned .*expected a number"):
        classify([Text()]).validate()


def test_a_validation_inside_a_validation(classify: MakeTrainer) -> None:
    def validate(trainer: Any, config: Any, writer: Any) -> None:
        if not inner:
            inner.append(None)
            inner[0] = trainer.validate()

    inner: list[Any] = []
    callback = Callback("val_batch_end", callback=validate)
    trainer = classify(["f1"], callbacks=[callback], max_iter=1)
    trainer.fit()
    assert inner[0]["val_f1"] == trainer.history[0]["val_f1"]


def test_what_callbacks_log_at_the_end_of_a_validation_is_kept(classify: MakeTrainer) -> None:
    def log(trainer: Any, config: Any, writer: Any) -> None:
        trainer.opt_result.metrics["val_own"] = torch.tensor(float(trainer.current_epoch))
        trainer.opt_result.metrics["train_loss"] = 5.0

    class Hooked(Trainer):
        def on_val_epoch_end(self, metrics: dict[str, Any]) -> None:
            metrics["val_hook"] = 2.0

    callbacks = [Callback("val_epoch_end", callback=log)]
    trainer = classify(
        ["f1"], callbacks=callbacks, kind=Hooked, write_every=1, val_every=2, max_iter=4
    )
    trainer.fit()
    own = [row.get("val_own") for row in trainer.history]
    assert own == [None, 2.0, None, 4.0]
    assert all(type(value) is float for row in trainer.history for value in row.values())
    assert trainer.history[1]["val_hook"] == 2.0
    assert trainer.history[1]["train_loss"] == 5.0 != trainer.history[0]["train_loss"]
    lines = table(trainer.log_folder)
    assert [line["val_own"] for line in lines] == ["", "2.0", "", "4.0"]
    assert trainer.validate()["val_own"] == 4.0


def test_a_resumed_run_computes_the_same(classify: MakeTrainer) -> None:
    whole = classify(["f1", "auroc"], max_iter=4, log_folder="whole")
    whole.fit()
    classify(["f1", "auroc"], max_iter=2, checkpoint_every=1, log_folder="half").fit()
    rest = classify(["f1", "auroc"], max_iter=4, log_folder="half")
    rest.fit(resume=True)
    assert rest.history == whole.history


def test_without_matplotlib_nothing_is_drawn(
    classify: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "perceptrain_core.callbacks.support.metric_pictures.find_spec"
    monkeypatch.setattr(module, lambda name: None)
    trainer = classify(["confusion_matrix"], write_every=1)
    trainer.fit()
    assert not list(trainer.log_folder.glob("*.png"))


def test_pictures_that_torchmetrics_draws(classify: MakeTrainer) -> None:
    matrix = torchmetrics.ConfusionMatrix("multiclass", num_classes=3)
    trainer = classify([matrix], write_every=1, max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of NumPy, in torchmetrics
        trainer.fit()
    name = "val_multiclass_confusion_matrix_000001.png"
    assert (trainer.log_folder / name).exists()


class Order(Seen):
    """A metric that depends on the order, and cannot be merged."""

    def reset(self) -> None:
        self.digest = 0.0

    def update(self, preds: Tensor, target: Tensor) -> None:
        for row, label in zip(preds.double(), target, strict=True):
            self.digest = 0.9 * self.digest + float(row[0] * (1 + label))

    def compute(self) -> Any:
        return self.digest


def fits(classify: MakeTrainer, **settings: Any) -> Iterator[Trainer]:
    class Merged(Seen):  # of a function, as those of a notebook
        def reset(self) -> None:
            self.rows, self.total = 0, 0.0

        def merge_state(self, other: Merged) -> None:
            self.rows += other.rows
            self.total += other.total

    names = ["accuracy", "f1", "auroc", "average_precision", "confusion_matrix"]
    labelled = {name: name for name in names} | {
        "order": Order(),
        "merged": Merged(),
        "torch": torchmetrics.F1Score("multiclass", num_classes=3, average="macro"),
        "sums": torchmetrics.MetricCollection(
            [torchmetrics.ConfusionMatrix("multiclass", num_classes=3)]
        ),
    }
    for processes in (1, 2):
        trainer = classify(labelled, nprocs=processes, log_folder=f"{processes}", **settings)
        trainer.fit()
        yield trainer


@pytest.mark.slow
@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize("size", [10, 31])  # four batches, the last of one row; or a single one
def test_two_processes_compute_what_one_does(classify: MakeTrainer, size: int) -> None:
    # No step changes the model, so that both validate the same. With one batch, a process has none.
    still = Callback("train_start", callback=_stop_learning)
    alone, together = fits(classify, callbacks=[still], max_iter=1, batch_size=size)
    for name, value in alone.history[0].items():
        if name.startswith("val_"):
            assert together.history[0][name] == pytest.approx(value, rel=1e-6), name
    for name in ("val_confusion_matrix", "val_sums_MulticlassConfusionMatrix"):
        found = together.opt_result.extra[name]
        assert found.sum() == 31
        assert torch.equal(found, alone.opt_result.extra[name])


def _stop_learning(trainer: Any, config: Any, writer: Any) -> None:
    trainer.optimizer.param_groups[0]["lr"] = 0.0


def test_metrics_can_be_named_at_all(classify: MakeTrainer) -> None:
    metric = get_metric("f1")
    trainer = classify([metric])
    assert trainer.metrics == {"f1": metric}
    assert trainer.provenance["metric_f1"]["distribution"] == "perceptrain-core"


def test_metrics_of_regression_see_rates_not_their_logarithms(
    make_trainer: MakeTrainer, make_net: Callable[..., nn.Module], classes: Data
) -> None:
    x, counts = classes[0], classes[1].float().unsqueeze(1)
    model = make_net(2, 8, 1)
    options = {"metrics": ["rmse", "r2"]}
    trainer = make_trainer("poisson_nll", model=model, options=options, test=(x, counts))
    trainer.test()
    rates = trainer.predict(x).values
    assert torch.equal(rates, model(x).detach().exp())
    expected = sklearn.root_mean_squared_error(counts, rates), sklearn.r2_score(counts, rates)
    found = trainer.test_metrics["test_rmse"], trainer.test_metrics["test_r2"]
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("loss_fn", "outputs", "column"),
    [
        ("gaussian_nll", 2, 0),
        ({"name": "quantile", "quantiles": [0.1, 0.4, 0.9]}, 3, 1),
        ({"name": "quantile", "quantiles": 0.9}, 1, 0),
    ],
)
def test_metrics_of_regression_see_one_prediction_for_each_label(
    make_trainer: MakeTrainer,
    make_net: Callable[..., nn.Module],
    classes: Data,
    loss_fn: Any,
    outputs: int,
    column: int,
) -> None:
    x, labels = classes[0], classes[1].float().unsqueeze(1)
    model = make_net(2, 8, outputs)
    trainer = make_trainer(
        loss_fn, model=model, options={"metrics": ["rmse"]}, test=(x, labels), batch_size=7
    )
    trainer.test()
    expected = sklearn.root_mean_squared_error(labels, model(x).detach()[:, column])
    assert trainer.test_metrics["test_rmse"] == pytest.approx(expected, rel=1e-5)
