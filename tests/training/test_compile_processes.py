"""In several processes, captured steps are the eager ones."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, PINN, TrainConfig, Trainer
from perceptrain_core.engine.launch import run_in_processes

WORLD, EPOCHS = 2, 8


def rows(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 2, dtype=torch.float64, generator=generator)


def labelled(*counts: int, nan_at: int | None = None) -> list[Any]:
    inputs = [rows(count, n) for n, count in enumerate(counts)]
    batches = [(x, x.sum(1, keepdim=True).sin()) for x in inputs]
    if nan_at is not None:
        batches[nan_at][1][0] = torch.nan
    return batches


def points(*counts: tuple[int, int]) -> list[Any]:
    return [{"inner": rows(a, n), "edge": rows(b, n + 50)} for n, (a, b) in enumerate(counts)]


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return FFNN([2, 5, 1], nn.Tanh()).double()


def pinn() -> nn.Module:
    return PINN(network(), {"inner": slope, "edge": lambda x, u: u(x)})


def slope(x: Tensor, u: Any) -> Tensor:
    (gradient,) = torch.autograd.grad(u(x).sum(), x, create_graph=True)
    return gradient[:, :1] - x[:, :1]


#: Model, batches and settings: batches of other sizes in each process, a batch that one process
#: has more, values that are NaN in one process only.
CASES: dict[str, Any] = {
    "even": (network, labelled(6, 6, 6, 6), {"grad_clip": 0.1, "log_grad_norm": True}),
    "uneven": (network, labelled(7, 3, 5, 3), {}),
    "one_more": (network, labelled(6, 6, 6), {}),
    "accumulated": (network, labelled(7, 3, 5, 2), {"accumulate": 2}),
    "points": (pinn, points((6, 3), (6, 3), (4, 4), (4, 4)), {}),
    "weighted": (
        pinn,
        points((6, 3), (6, 3), (6, 3), (6, 3)),
        {"weighting": {"name": "grad_weighted", "fixed_metric": "inner"}},
    ),
    "skip_nan_accumulated": (
        network,
        labelled(6, 6, 6, 6, nan_at=2),
        {"on_nonfinite": "skip", "accumulate": 2},
    ),
}

#: What is not captured, and what is said about it.
EAGER = {
    "points": "its terms are means over different numbers of rows",
    "weighted": "the loss exchanges tensors with other processes",
}


def trained(case: str, compile: bool) -> dict[str, Any]:
    make_model, batches, settings = CASES[case]
    settings = dict(settings)
    optimizer = settings.pop("optimizer", {"name": "adam", "lr": 0.05})
    weighting = settings.pop("weighting", None)
    config = TrainConfig(
        max_iter=EPOCHS, verbose=False, tracking_tool="none", compile=compile, seed=0, **settings
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer = Trainer(make_model(), optimizer, config, "mse", batches, weighting=weighting)
        trainer.fit()
    losses = [row["train_loss"] for row in trainer.history]
    return {
        "weights": torch.cat([p.detach().flatten() for p in trainer.model.parameters()]),
        "losses": torch.tensor(losses),
        "said": [str(warning.message) for warning in caught],
    }


def all_cases() -> dict[str, Any]:
    from perceptrain_core.capture import program
    from perceptrain_core.engine import make_engine

    runs: list[int] = []

    def uncompiled(graph: Any, inputs: Any) -> Any:
        def call(*tensors: Any) -> Any:
            runs.append(0)
            return graph(*tensors)

        return call

    program._compiled = uncompiled
    results = {}
    for case in CASES:
        eager, before = trained(case, compile=False), len(runs)
        captured = trained(case, compile=True)
        results[case] = {"eager": eager, "captured": captured, "runs": len(runs) - before}
    return {"both": make_engine().gather(results)}


@pytest.fixture(scope="module")
def processes(forked_workers: None) -> list[dict[str, Any]]:
    return run_in_processes(all_cases, WORLD)["both"]  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_captured_steps_are_the_eager_ones(processes: list[dict[str, Any]], case: str) -> None:
    first, second = (process[case] for process in processes)
    assert torch.equal(first["captured"]["weights"], second["captured"]["weights"])
    for result in (first, second):
        captured, eager = result["captured"], result["eager"]
        for figure in ("weights", "losses"):
            torch.testing.assert_close(captured[figure], eager[figure], rtol=1e-9, atol=1e-12)
        said = [text for text in captured["said"] if text not in eager["said"]]
        if case in EAGER:
            assert EAGER[case] in said[0]
        else:
            assert not said
            assert result["runs"] >= EPOCHS // 2


def nan_in_one_process() -> dict[str, Any]:
    from perceptrain_core.capture import program

    program._compiled = lambda graph, inputs: graph
    CASES["raise"] = (network, labelled(6, 6, 6, 6, nan_at=3), {"on_nonfinite": "raise"})
    trained("raise", compile=True)
    return {}


def test_a_nan_in_one_process_ends_all(forked_workers: None) -> None:
    with pytest.raises(Exception, match="epoch 1, batch 2"):
        run_in_processes(nan_in_one_process, WORLD)
