"""Train in two processes, and get what one process gets."""

import matplotlib.pyplot as plt
import torch

from perceptrain import FFNN, TrainConfig, Trainer, get_dataset


def train(nprocs, epochs):
    """Train on ten measurements of each patient. A step has 50 rows, of all processes together."""
    torch.manual_seed(0)
    inputs, labels = get_dataset("diabetes")
    model = FFNN([10, 32, 1], "tanh")
    config = TrainConfig(
        max_iter=epochs, nprocs=nprocs, batch_size=50 // nprocs, shuffle=False, verbose=False
    )
    trainer = Trainer(model, {"name": "adam", "lr": 1e-2}, config, loss_fn="mse")
    trainer.fit((20 * inputs[:400], labels[:400] / 100))  # both of about size 1
    weights = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    return [row["train_loss"] for row in trainer.history], weights


def main(epochs: int = 30, nprocs: int = 2, picture: str = "two_processes.png") -> None:
    """Compare the losses of all epochs, and the weights at the end."""
    plt.style.use("perceptrain_core.pictures")
    one, weights = train(1, epochs)
    several, others = train(nprocs, epochs)
    print(f"largest difference of a weight: {(weights - others).abs().max():.0e}")

    figure, axes = plt.subplots()
    axes.plot(one, linewidth=5, alpha=0.4, label="one process, 50 rows in a step")
    axes.plot(several, ".", color="C1", label=f"{nprocs} processes, {50 // nprocs} rows each")
    axes.set(xlabel="epoch", ylabel="mean squared error")
    axes.legend()
    figure.savefig(picture)


if __name__ == "__main__":
    main()
