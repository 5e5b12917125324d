"""Predict survival curves of patients, and of rows with a known hazard, in a few seconds.

Networks are trained with the loss "cox" on patients with breast cancer, and with the loss "hazard"
on random times. Unseen rows are put into three groups by their predicted risk. The picture compares
the mean of the predicted curves of each group with Kaplan and Meier's estimate of its rows.
"""

from __future__ import annotations

from pathlib import Path
from time import process_time

import torch
from matplotlib import style
from matplotlib.figure import Figure
from torch import Tensor

from perceptrain import FFNN, TrainConfig, Trainer, get_metric
from perceptrain_survival import (
    BreslowBaseline,
    CoxLoss,
    HazardLoss,
    SurvivalLoss,
    SurvivalModel,
    gbsg2,
    kaplan_meier,
    weibull_times,
)

PICTURE = Path("curves.png")
GRID = [0, 0.25, 0.5, 1, 1.5, 2, 3]
Rows = tuple[Tensor, Tensor]


def patients() -> tuple[Rows, Rows]:
    """Return the training and the unseen patients, with scaled inputs."""
    inputs, labels = gbsg2()
    inputs[:, 1:5] = inputs[:, 1:5].log1p()  # sizes and concentrations
    inputs = (inputs - inputs.mean(0)) / inputs.std(0)
    order = torch.randperm(len(inputs))
    seen, unseen = order[:450], order[450:]
    return (inputs[seen], labels[seen]), (inputs[unseen], labels[unseen])


def fit(loss: SurvivalLoss, width: int, rows: Rows, epochs: int) -> FFNN:
    """Train a small network."""
    model = FFNN([rows[0].shape[1], 16, width], torch.nn.SiLU())
    config = TrainConfig(max_iter=epochs, batch_size=150, print_every=epochs // 2)
    optimizer = {"name": "adamw", "lr": 5e-3, "weight_decay": 1.0}
    Trainer(model, optimizer, config, loss).fit(rows)
    return model.eval()


@torch.no_grad()
def curves_of_groups(
    model: FFNN, loss: SurvivalLoss, train: Rows, unseen: Rows, times: Tensor
) -> tuple[float, list[tuple[Tensor, Tensor]]]:
    """Return the concordance index, and predicted and observed curves of each group."""
    baseline = None
    if isinstance(loss, CoxLoss):
        baseline = BreslowBaseline.fit(model(train[0]), train[1])
    outputs = model(unseen[0])
    curves = SurvivalModel(model, loss, times.tolist(), baseline)(unseen[0])
    score = loss.score(loss.columns(outputs))
    concordance = get_metric("concordance_index")
    concordance.update(score, unseen[1])
    thirds = score.argsort().chunk(3)
    groups = [(curves[rows].mean(0), kaplan_meier(unseen[1][rows])(times)) for rows in thirds]
    return float(concordance.compute()), groups


@style.context("perceptrain_core.pictures")
def draw(panels: dict[str, list[tuple[Tensor, Tensor]]], times: list[Tensor], path: Path) -> None:
    """Plot the curves of the groups of each data set."""
    figure = Figure(figsize=(9, 3.6))
    both = zip(figure.subplots(1, 2, sharey=True), panels.items(), times, strict=True)
    for axes, (title, groups), at in both:
        for (predicted, observed), color, risk in zip(
            groups, ("C0", "C4", "C1"), ("low", "middle", "high"), strict=True
        ):
            axes.step(at, observed, where="post", color=color, linewidth=1, alpha=0.7)
            axes.plot(at, predicted, color=color, linewidth=2.2, label=f"{risk} risk")
        axes.set(title=title, xlabel="years" if axes is figure.axes[0] else "time", ylim=(0, 1.02))
    figure.axes[0].set_ylabel("share without an event")
    figure.axes[0].plot([], [], color="0.4", linewidth=1, label="Kaplan-Meier")
    figure.axes[0].legend(loc="lower left")
    figure.savefig(path)


def main(epochs: int = 40, picture: Path = PICTURE) -> tuple[float, float, float]:
    """Train and plot. Return both concordance indices, and the largest distance of two curves."""
    start = process_time()
    torch.manual_seed(0)
    cox, hazard = CoxLoss(), HazardLoss(grid=GRID)
    train, unseen = patients()
    years = torch.linspace(0, 6, 200)
    of_patients, first = curves_of_groups(fit(cox, 1, train, epochs), cox, train, unseen, years[1:])
    known, new = weibull_times(2000, shape=2.0), weibull_times(1000, shape=2.0)
    times = torch.linspace(0, 2.5, 200)
    of_known, second = curves_of_groups(
        fit(hazard, len(GRID), known, epochs), hazard, known, new, times[1:]
    )
    titles = (
        f"patients with breast cancer, C = {of_patients:.2f}",
        f"known hazard, C = {of_known:.2f}",
    )
    draw(dict(zip(titles, (first, second), strict=True)), [years[1:], times[1:]], picture)
    distance = max((p - observed).abs().max().item() for p, observed in second)
    print(
        f"Concordance index of unseen rows: {of_patients:.3f} for patients, {of_known:.3f} for a "
        f"known hazard, whose curves differ by at most {distance:.3f} from Kaplan-Meier; "
        f"{process_time() - start:.0f} s; see {picture}"
    )
    return of_patients, of_known, distance


if __name__ == "__main__":
    torch.set_num_threads(1)  # a second thread slows down networks this small
    main()
