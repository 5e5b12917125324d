"""Predict how a disease progresses from the body mass index, and how sure the prediction is."""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_diabetes

from perceptrain import FFNN, TrainConfig, Trainer

# Each loss trains a network with several outputs. Both bands should hold 80% of the patients.
LOSSES = {
    "quantile": {"name": "quantile", "quantiles": [0.1, 0.5, 0.9]},  # one output for each
    "gaussian_nll": "gaussian_nll",  # the mean, and the logarithm of the variance
}


def band(name, outputs):
    """Return the lower end, the middle and the upper end of the band."""
    if name == "quantile":
        return outputs.T
    mean, deviation = outputs[:, 0], (outputs[:, 1] / 2).exp()
    return mean - 1.28 * deviation, mean, mean + 1.28 * deviation


def main(epochs: int = 100, picture: str = "uncertainty.png") -> None:
    """Train with both losses, and count the unseen patients inside of each band."""
    plt.style.use("perceptrain_core.pictures")
    measured, progression = load_diabetes(return_X_y=True, scaled=False)
    bmi = torch.tensor(measured[:, 2:3], dtype=torch.float32)
    x, y = (bmi - 26) / 4.4, torch.tensor(progression, dtype=torch.float32)[:, None] / 100
    torch.manual_seed(0)
    order = torch.randperm(len(x))
    train, test = order[:300], order[300:]
    line = torch.linspace(18, 42, 100)[:, None]

    figure, panels = plt.subplots(1, 2, sharey=True)
    for axes, (name, loss_fn) in zip(panels, LOSSES.items(), strict=True):
        model = FFNN([1, 16, 16, 3 if name == "quantile" else 2], "tanh")
        config = TrainConfig(max_iter=epochs, batch_size=50, verbose=False)
        trainer = Trainer(model, {"name": "adam", "lr": 5e-3}, config, loss_fn)
        trainer.fit((x[train], y[train]))

        with torch.no_grad():
            low, _, high = band(name, model(x[test]))
            curve_low, curve, curve_high = band(name, model((line - 26) / 4.4))
        inside = ((low < y[test, 0]) & (y[test, 0] < high)).float().mean()
        print(f"{name}: {inside:.0%} of the unseen patients are inside the band of 80%")
        axes.plot(bmi[test], 100 * y[test], ".", color="C6", alpha=0.7, label="unseen patients")
        axes.fill_between(line[:, 0], 100 * curve_low, 100 * curve_high, alpha=0.2, label="80%")
        axes.plot(line, 100 * curve)
        axes.set(title=f"{name}: {inside:.0%} inside", xlabel="body mass index in kg/m²")
    panels[0].set_ylabel("progression after a year (score)")
    panels[0].legend(loc="upper left")
    figure.savefig(picture)


if __name__ == "__main__":
    main()
