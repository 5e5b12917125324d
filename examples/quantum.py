"""Train a quantum circuit of four qubits to follow an oscillation."""

import matplotlib.pyplot as plt
import torch

from perceptrain import TrainConfig, Trainer, get_model

OPTIMIZERS = {"adam": {"name": "adam", "lr": 0.1}, "gauss_newton": "gauss_newton"}


def main(steps: int = 60, picture: str = "quantum.png") -> None:
    """Train the circuit with two optimizers, for as many steps each."""
    plt.style.use("perceptrain_core.pictures")
    x = torch.linspace(0, 1, 60, dtype=torch.float64)[:, None]
    y = (-x).exp() * (10 * x).cos()
    figure, (left, right) = plt.subplots(1, 2)
    left.plot(x, y, color="C6", linewidth=5, alpha=0.4, label="labels")
    for name, optimizer in OPTIMIZERS.items():
        torch.manual_seed(0)
        # The circuit encodes x as angles of its qubits; the scale of each angle is trained, too.
        model = get_model("qnn", n_qubits=4, feature_range=(-0.05, 1.05), trainable_scaling=True)
        config = TrainConfig(max_iter=steps, batch_size=len(x), verbose=False)
        trainer = Trainer(model, optimizer, config, loss_fn="mse")
        trainer.fit((x, y))

        error = ((model(x) - y).norm() / y.norm()).item()
        print(f"{name}: relative L2 error {error:.0e} after {steps} steps")
        left.plot(x, model(x).detach(), label=name)
        right.semilogy([row["train_loss"] for row in trainer.history], label=name)
    left.set(xlabel="x", ylabel="output of the circuit")
    right.set(xlabel="step", ylabel="mean squared error")
    left.legend()
    right.legend()
    figure.savefig(picture)


if __name__ == "__main__":
    main()
