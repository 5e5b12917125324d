from __future__ import annotations

from perceptrain_core.registry import registry
from perceptrain_core.runs.metric_directions import better, better_in_all, monitored


def test_the_better_values_of_built_in_metrics_are_those_that_they_say():
    entries = [e for e in registry().metrics.values() if e.distribution == "perceptrain-core"]
    assert len(entries) > 10
    for entry in entries:
        higher = getattr(entry.load(), "higher_is_better", None)
        wanted = {True: "higher", False: "lower", None: ""}[higher]
        assert better(f"val_{entry.name}", {}) == wanted, entry.name


def test_a_label_of_the_run_file_is_known_by_its_metric():
    settings = {"metrics": {"each": {"name": "f1"}, "error": {"name": "perceptrain-core/mae"}}}
    assert better("val_each_0", settings) == "higher"
    assert better("test_error", settings) == "lower"
    assert better("test_error[r2]", settings) == "lower"
    assert better("test_r2[first_error]", settings) == "higher"
    assert better("val_noisy_loss", {}) == "lower"
    assert better("val_profit", {}) == ""


def test_several_runs_have_a_direction_if_the_metric_means_the_same():
    one = {"loss": {"name": "mse"}, "data": {"name": "wine"}}
    assert better_in_all("val_loss", [one, one | {"model": {"name": "mlp"}}]) == "lower"
    assert better_in_all("val_loss", [one, one | {"loss": {"name": "l1"}}]) == ""
    assert better_in_all("val_r2", [one, one | {"loss": {"name": "l1"}}]) == "higher"
    assert better_in_all("val_r2", [one, one | {"data": {"name": "digits"}}]) == ""
    upwards = one | {"train": {"checkpoint_monitor": "val_profit", "checkpoint_mode": "max"}}
    assert better_in_all("val_profit", [upwards, upwards]) == "higher"
    assert better_in_all("val_profit", [upwards, one]) == ""


def test_the_mode_of_what_is_monitored_decides():
    callback = {"name": "save_best_checkpoint", "monitor": "val_profit", "mode": "max"}
    assert better("test_profit", {"callbacks": [callback]}) == "higher"
    assert monitored({"callbacks": [callback]}) == ("val_profit", "max")
    assert monitored({"train": {"checkpoint_monitor": "val_f1"}}) == ("val_f1", "min")
    assert monitored({"callbacks": "none", "train": 3}) == ("val_loss", "min")
