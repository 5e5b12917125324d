"""Minimize the number of errors itself, which has no gradient, and compare with cross entropy."""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_wine

from perceptrain import FFNN, TrainConfig, Trainer

COLOURS = ["C0", "C1", "C2"]


def errors(batch, model):
    """Return the share of wrong classes. It is flat almost everywhere: its gradient is zero."""
    inputs, labels = batch
    return (model(inputs).argmax(dim=1) != labels).float().mean(), {}


def main(steps: int = 1500, picture: str = "gradient_free.png") -> None:
    """Tell three vineyards apart by the colour and the proline of their wines."""
    plt.style.use("perceptrain_core.pictures")
    torch.manual_seed(0)
    wines, growers = load_wine(return_X_y=True)
    inputs = torch.tensor(wines[:, [9, 12]], dtype=torch.float32)
    mean, deviation = inputs.mean(dim=0), inputs.std(dim=0)
    rows = (inputs - mean) / deviation, torch.tensor(growers)

    # "cma" searches with the values of the loss alone; each step evaluates one candidate.
    model = FFNN([2, 4, 3], "tanh")
    config = TrainConfig(max_iter=steps, batch_size=len(inputs), seed=0, verbose=False)
    trainer = Trainer(model, {"name": "cma", "budget": steps, "seed": 0}, config, errors)
    trainer.fit(rows)
    wrong = errors(rows, model)[0] * len(inputs)
    print(f"{wrong:.0f} of {len(inputs)} wines are wrong")

    figure, (left, right) = plt.subplots(1, 2)
    best = torch.tensor([row["train_loss"] for row in trainer.history]).cummin(dim=0).values
    left.plot(100 * best)
    left.set(xlabel="evaluations of the loss", ylabel="wrong wines in %", title="best so far")
    x, y = torch.linspace(1, 13.5, 200), torch.linspace(250, 1750, 200)
    grid = torch.cartesian_prod(x, y)
    with torch.no_grad():
        areas = model((grid - mean) / deviation).argmax(dim=1).reshape(200, 200)
    right.contourf(x, y, areas.T, levels=[-0.5, 0.5, 1.5, 2.5], colors=COLOURS, alpha=0.2)
    for grower, colour in enumerate(COLOURS):
        right.plot(*inputs[growers == grower].T, "o", color=colour)
    right.set(xlabel="colour intensity", ylabel="proline in mg/l", title="three vineyards")
    figure.savefig(picture)


if __name__ == "__main__":
    main()
