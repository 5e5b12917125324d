"""Compare the time per step of ``Trainer.fit`` with the same loop written by hand.

Both train the same network on the same batches with the same optimizer. They alternate in one
process, so that a slow phase of the machine affects both. The result is the median ratio of
consecutive runs. Takes about a minute on an idle machine.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn

from perceptrain import FFNN, PINN, TrainConfig, Trainer, get_loss, to_dataloader

Run = Callable[[int], float]


def supervised(layers: list[int], batch_size: int, loss_name: str) -> tuple[Run, Run, int]:
    """Supervised training. Return the loop by hand, the trainer, and the batches per epoch."""
    rows = 50 * batch_size
    x = torch.randn(rows, layers[0])
    classes = loss_name == "cross_entropy"
    y = torch.randint(layers[-1], (rows,)) if classes else torch.randn(rows, layers[-1])
    criterion = nn.CrossEntropyLoss() if classes else nn.MSELoss()
    batches = list(zip(x.split(batch_size), y.split(batch_size), strict=True))

    def by_hand(epochs: int) -> float:
        model = FFNN(layers, nn.ReLU())
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        start = perf_counter()
        for _ in range(epochs):
            for inputs, labels in batches:
                optimizer.zero_grad()
                loss = criterion(model(inputs), labels)
                loss.backward()
                optimizer.step()
        return perf_counter() - start

    def by_trainer(epochs: int) -> float:
        model = FFNN(layers, nn.ReLU())
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        config = TrainConfig(max_iter=epochs)
        trainer = Trainer(model, optimizer, config, loss_fn=get_loss(loss_name))
        loader = to_dataloader(x, y, batch_size=batch_size)
        start = perf_counter()
        trainer.fit(loader)
        return perf_counter() - start

    return by_hand, by_trainer, len(batches)


def pinn(points: int) -> tuple[Run, Run, int]:
    """A differential equation with an initial value, with one batch of points per epoch."""
    t, start_point = torch.rand(points, 1), torch.zeros(1, 1)

    def ode(points: Tensor, net: nn.Module) -> Tensor:
        u = net(points)
        (du,) = torch.autograd.grad(u.sum(), points, create_graph=True)
        return du + u

    def initial(points: Tensor, net: nn.Module) -> Tensor:
        return net(points) - 1.0

    def by_hand(epochs: int) -> float:
        net = FFNN([1, 20, 20, 1], nn.Tanh())
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        inner = t.clone().requires_grad_()
        start = perf_counter()
        for _ in range(epochs):
            optimizer.zero_grad()
            loss = ode(inner, net).square().mean() + initial(start_point, net).square().mean()
            loss.backward()
            optimizer.step()
        return perf_counter() - start

    def by_trainer(epochs: int) -> float:
        model = PINN(FFNN([1, 20, 20, 1], nn.Tanh()), {"ode": ode, "initial": initial})
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        trainer = Trainer(model, optimizer, TrainConfig(max_iter=epochs), loss_fn="mse")
        loader = [{"ode": t, "initial": start_point}]
        start = perf_counter()
        trainer.fit(loader)
        return perf_counter() - start

    return by_hand, by_trainer, 1


def compare(
    by_hand: Run, by_trainer: Run, batches: int, steps: int, turns: int
) -> dict[str, float]:
    """Run both in turns. Return the median ratio and the median microseconds per step."""
    epochs = max(1, steps // batches)
    by_hand(epochs), by_trainer(epochs)
    pairs = [(by_hand(epochs), by_trainer(epochs)) for _ in range(turns)]
    done = epochs * batches
    return {
        "ratio": median(trainer / hand for hand, trainer in pairs),
        "hand_us": 1e6 * median(hand for hand, _ in pairs) / done,
        "trainer_us": 1e6 * median(trainer for _, trainer in pairs) / done,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400, help="steps per run")
    parser.add_argument("--turns", type=int, default=31, help="runs of each loop")
    parser.add_argument("--json", action="store_true", help="print JSON only")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)  # a second thread slows down networks this small
    cases = {
        "2-16-16-1, batch 32, mse": supervised([2, 16, 16, 1], 32, "mse"),
        "64-256-256-10, batch 128, cross_entropy": supervised(
            [64, 256, 256, 10], 128, "cross_entropy"
        ),
        "PINN 1-20-20-1, 128 points, mse": pinn(128),
    }
    results = {n: compare(*case, options.steps, options.turns) for n, case in cases.items()}
    if options.json:
        print(json.dumps(results, indent=2))
        return
    print(f"{'case':42} {'by hand':>10} {'Trainer.fit':>12} {'ratio':>7}")
    for name, row in results.items():
        print(f"{name:42} {row['hand_us']:7.0f} us {row['trainer_us']:9.0f} us {row['ratio']:7.3f}")


if __name__ == "__main__":
    main()
