"""Two tasks that pull in different directions: where do weightings come to rest?"""

import matplotlib.pyplot as plt
import torch

from perceptrain import TrainConfig, Trainer

WEIGHTINGS = {"plain sum": None, "pcgrad": "pcgrad", "mgda": "mgda"}
STARTS = 12


class Point(torch.nn.Module):
    """A model with two parameters, which returns them."""

    def __init__(self, start):
        super().__init__()
        self.place = torch.nn.Parameter(start.clone())

    def forward(self, batch):
        """Return the parameters, whatever the batch is."""
        return self.place


def two_tasks(batch, model):
    """Each task wants the point at a place of its own. A weighting weights the metrics."""
    place = model(batch)
    tasks = {
        "first": 1 - (-(place - 0.7).square().sum()).exp(),
        "second": 1 - (-(place + 0.7).square().sum()).exp(),
    }
    return tasks["first"] + tasks["second"], tasks


def main(steps: int = 60, picture: str = "conflicting_tasks.png") -> None:
    """Train from some starts with each weighting, and draw the losses of both tasks."""
    plt.style.use("perceptrain_core.pictures")
    torch.manual_seed(0)
    starts = 2.4 * torch.rand(STARTS, 2) - 1.2
    figure, axes = plt.subplots(figsize=(5, 4))
    line = torch.linspace(-0.7, 0.7, 100)  # the best compromises are between the two places
    front = [1 - (-2 * (line - place) ** 2).exp() for place in (0.7, -0.7)]
    axes.plot(*front, color="C6", linewidth=5, alpha=0.3, label="best compromises (Pareto front)")
    for marker, (name, weighting) in zip("osD", WEIGHTINGS.items(), strict=True):
        ends = []
        for start in starts:
            config, sgd = TrainConfig(max_iter=steps, verbose=False), {"name": "sgd", "lr": 0.2}
            trainer = Trainer(Point(start), sgd, config, two_tasks, weighting=weighting)
            trainer.fit([torch.zeros(1)])
            ends.append([trainer.history[-1][f"train_{task}"] for task in ("first", "second")])
        both = sum(max(end) < 0.9 for end in ends)
        print(f"{name}: {both} of {STARTS} ends serve both tasks")
        axes.plot(*zip(*ends, strict=True), marker, markersize=7, alpha=0.8, label=name)
    axes.set(xlabel="loss of the first task", ylabel="loss of the second task")
    axes.legend(loc="lower left")
    figure.savefig(picture)


if __name__ == "__main__":
    main()
