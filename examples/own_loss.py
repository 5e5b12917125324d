"""A loss of one's own, in three forms: as a function, by its file, and as a plugin.

The plugin is in the folder beside this file: pip install examples/perceptrain-cauchy
"""

import matplotlib.pyplot as plt
import torch

from perceptrain import FFNN, TrainConfig, Trainer


def cauchy(batch, model, *, scale: float = 1.0):
    """Return the Cauchy loss, which hardly minds a few labels that are far off."""
    x, y = batch
    error = model(x) - y
    # The loss comes first, then the metrics. Keyword arguments are options.
    return torch.log1p((error / scale) ** 2).mean(), {"largest": error.abs().max()}


LOSSES = {
    "mse": "mse",  # built in, for comparison
    "function": cauchy,
    "file": {"name": f"{__file__}:cauchy", "scale": 0.3},  # a run file can name it, too
    "plugin": {"name": "cauchy", "scale": 0.3},  # has a name wherever it is installed
}


def main(epochs: int = 200, picture: str = "own_loss.png") -> None:
    """Fit a curve through labels of which every tenth is wrong."""
    plt.style.use("perceptrain_core.pictures")
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 100)[:, None]
    truth = (4 * x).sin()
    y = truth + 0.1 * torch.randn(100, 1)
    y[::10] += 3
    figure, axes = plt.subplots()
    axes.plot(x, y, ".", color="C6", label="labels")
    for name, loss_fn in LOSSES.items():
        torch.manual_seed(0)
        model = FFNN([1, 32, 32, 1], "tanh")
        config = TrainConfig(max_iter=epochs, batch_size=100, verbose=False)
        Trainer(model, {"name": "adam", "lr": 1e-2}, config, loss_fn).fit((x, y))
        with torch.no_grad():
            error = (model(x) - truth).square().mean().sqrt()
            axes.plot(x, model(x), linestyle="--" if name == "plugin" else "-", label=name)
        print(f"{name}: error {error:.2f}")
    axes.set(xlabel="x", ylabel="y")
    axes.legend()
    figure.savefig(picture)


if __name__ == "__main__":
    main()
