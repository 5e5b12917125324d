"""Search for a good learning rate and network size with Optuna."""

import matplotlib.pyplot as plt
import optuna
import torch

from perceptrain import FFNN, TrainConfig, Trainer, get_dataset


def main(trials: int = 30, picture: str = "search.png") -> None:
    """Train a classifier of digits for each trial, and draw what the search has tried."""
    plt.style.use("perceptrain_core.pictures")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.manual_seed(0)
    images, labels = get_dataset("digits")
    order = torch.randperm(len(labels))
    train, validation = order[:1000], order[1000:1400]

    def wrong(trial):
        """Train with the values that Optuna suggests; return the share of wrong images."""
        rate = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
        width = trial.suggest_int("width", 4, 256, log=True)
        torch.manual_seed(0)
        config = TrainConfig(max_iter=5, batch_size=50, verbose=False)
        loss_fn = {"name": "cross_entropy", "accuracy": True}
        model = FFNN([64, width, 10], "relu")
        trainer = Trainer(model, {"name": "adam", "lr": rate}, config, loss_fn)
        trainer.fit((images[train], labels[train]))
        return 1 - trainer.validate((images[validation], labels[validation]))["val_accuracy"]

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(wrong, n_trials=trials)
    best = study.best_params
    print(f"best of {trials} trials: lr {best['lr']:.4f}, width {best['width']}")
    print(f"wrong: {study.best_value:.1%} of the validation images")

    rates = [trial.params["lr"] for trial in study.trials]
    widths = [trial.params["width"] for trial in study.trials]
    values = [100 * trial.value for trial in study.trials]
    figure, axes = plt.subplots()
    shown = axes.scatter(rates, widths, s=60, c=values, norm="log", cmap="viridis_r")
    axes.plot(best["lr"], best["width"], "o", markersize=14, fillstyle="none", color="C1")
    axes.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="width of the network")
    axes.set(xlim=(8e-5, 0.12), ylim=(3.5, 300))
    bar = figure.colorbar(shown, label="wrong images in %", ticks=[5, 10, 20, 50], format="%d")
    bar.minorticks_off()
    figure.savefig(picture)


if __name__ == "__main__":
    main()
