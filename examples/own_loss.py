"""Train with a custom loss, and with a built-in loss by name, on real data.

Predicts the progression of diabetes after one year. The custom loss scales the labels, and reports
the mean absolute error in their original unit. The built-in loss is ``huber``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from perceptrain import FFNN, TrainConfig, Trainer, get_dataset

SCALE = 100.0


def scaled_mse(batch: tuple[Tensor, Tensor], model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the mean squared error in units of ``SCALE``, and the unscaled mean absolute error."""
    inputs, labels = batch
    error = model(inputs) - labels
    return (error / SCALE).square().mean(), {"absolute": error.abs().mean()}


def main(epochs: int = 60) -> dict[str, float]:
    """Train with both losses. Return the mean absolute error of each on held-out rows."""
    inputs, labels = get_dataset("diabetes")
    held_out = inputs[350:], labels[350:]
    errors = {}
    for name, loss_fn in {"scaled_mse": scaled_mse, "huber": "huber"}.items():
        torch.manual_seed(0)
        model = FFNN([10, 32, 1])
        config = TrainConfig(max_iter=epochs, batch_size=32)
        optimizer = {"name": "adam", "lr": 0.03}
        Trainer(model, optimizer, config, loss_fn).fit((inputs[:350], labels[:350]))
        evaluation = Trainer(model, None, TrainConfig(batch_size=len(held_out[0])), scaled_mse)
        errors[name] = evaluation.validate(held_out)["val_absolute"]
    guess = (held_out[1] - labels[:350].mean()).abs().mean().item()
    for name, error in {**errors, "mean of labels": guess}.items():
        print(f"mean absolute error with {name:16} {error:5.1f}")
    return {**errors, "guess": guess}


if __name__ == "__main__":
    main()
