"""What a run is made of is on record, the inner parts and what they stand on among it."""

from __future__ import annotations

from importlib.metadata import version

import torch

from perceptrain import PINN, TrainConfig, Trainer, WeightedLoss, get_loss, get_model
from perceptrain_core.registry.discovery import requirements
from perceptrain_core.training.provenance import provenance, versions


def names(found: dict) -> dict[str, str]:
    return {part: entry["name"] for part, entry in found.items()}


def test_what_a_part_holds_is_on_record_too() -> None:
    network = get_model("ffnn", layers=[1, 4, 1])
    loss_fn = WeightedLoss({"name": "huber", "delta": 2.0}, "random")
    found = provenance({"model": PINN(network, {"a": lambda x, nn: nn(x)}), "loss": loss_fn})
    assert names(found) == {
        "model.nn": "perceptrain-core/ffnn",
        "loss": "perceptrain-core/huber",
        "weighting": "perceptrain-core/random",
    }


def test_a_loss_inside_a_loss_is_on_record() -> None:
    class Halved:
        def __init__(self) -> None:
            self.inner = get_loss("huber", delta=0.5)

        def __call__(self, batch, model):
            loss, metrics = self.inner(batch, model)
            return loss / 2, metrics

    assert names(provenance({"loss": Halved()})) == {"loss.inner": "perceptrain-core/huber"}


def test_versions_are_those_of_python_torch_the_library_and_the_plugins_with_their_needs() -> None:
    model = torch.nn.Linear(2, 1)
    own = Trainer(model, "sgd", TrainConfig(), "mse")
    assert set(versions(own.provenance)) == {"python", "torch", "perceptrain-core"}
    assert versions(own.provenance)["torch"] == str(torch.__version__)
    plugin = {"loss": {"name": "x/y", "distribution": "pytest", "version": version("pytest")}}
    found = versions(plugin)
    assert found["pytest"] == version("pytest")
    assert found["pluggy"] == version("pluggy")  # pytest requires it
    assert found["perceptrain-core"] == version("perceptrain-core")


def test_requirements_leave_out_extras_and_what_is_not_there() -> None:
    found = requirements("perceptrain-core")
    assert {"torch", "pluggy", "typer"} <= set(found)
    assert "nevergrad" not in found  # of an extra
    assert requirements("no-such-distribution") == {}
