from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from math import inf, nan
from pathlib import Path
from threading import Thread
from typing import Any

import nevergrad as ng
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nevergrad.optimization import metamodel, recaster
from torch import Tensor, nn

from perceptrain import get_optimizer
from perceptrain.errors import (
    CheckpointError,
    ConfigError,
    MissingDependencyError,
    OptionError,
    TrainingError,
)
from perceptrain.optimizers import AskTell, NevergradOptimizer
from perceptrain_core.checkpoints.file import read_file, write_file
from perceptrain_core.optimizers.nevergrad import package as nevergrad_package
from perceptrain_core.optimizers.nevergrad.package import import_nevergrad

from ...forked import ForkServer

TARGET = torch.linspace(-1, 1, 6, dtype=torch.float64)
ALGORITHMS = ["CMA", "DE", "NGOpt", "OnePlusOne", "PSO", "Powell", "TBPSA"]


def parameters(size: int = 6) -> list[nn.Parameter]:
    return [nn.Parameter(torch.zeros(size // 2, 2, dtype=torch.float64))]


def sphere(x: Tensor) -> float:
    return float((x - TARGET).square().sum())


def rosenbrock(x: Tensor) -> float:
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def run(
    search: AskTell, evaluations: int, loss: Callable[[Tensor], float] = sphere
) -> list[Tensor]:
    candidates = []
    for _ in range(evaluations):
        candidates.append(search.ask())
        search.tell(candidates[-1], loss(candidates[-1]))
    return candidates


def all_equal(some: list[Tensor], others: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["NGOpt", "OnePlusOne"])
def test_finds_the_centre_of_a_sphere(algorithm: str) -> None:
    search = NevergradOptimizer(parameters(), algorithm, budget=600, seed=0)
    run(search, 600)
    assert search.best_loss < 1e-3
    assert search.best is not None
    assert torch.allclose(search.best, TARGET, atol=0.05)


@pytest.mark.slow
def test_finds_the_end_of_the_valley_of_rosenbrock() -> None:
    search = NevergradOptimizer(parameters(2), "CMA", budget=1500, seed=0)
    run(search, 1500, rosenbrock)
    assert search.best is not None
    assert torch.allclose(search.best, torch.ones(2, dtype=torch.float64), atol=1e-2)


def test_starts_at_the_values_that_the_parameters_have_then() -> None:
    values = nn.Parameter(torch.zeros(3))
    search = NevergradOptimizer([values], "OnePlusOne", seed=0, sigma=1e-9)
    with torch.no_grad():
        values.copy_(torch.tensor([1.0, 2.0, 3.0]))
    assert torch.allclose(search.ask(), torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))


@settings(max_examples=15)
@given(st.lists(st.floats() | st.sampled_from([0.0, 1.0]), min_size=1, max_size=12))
def test_keeps_the_first_of_the_best(losses: list[float]) -> None:
    search = NevergradOptimizer(parameters(), "OnePlusOne", seed=0)
    told = iter(losses)
    candidates = run(search, len(losses), lambda _: next(told))
    good = [loss for loss in losses if abs(loss) < inf]
    assert search.best_loss == min(good, default=inf)
    if good:
        assert search.best is not None
        assert torch.equal(search.best, candidates[losses.index(min(good))])
    else:
        assert search.best is None


@pytest.mark.parametrize("bad", [nan, inf, -inf, 1e300])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_goes_on_after_a_loss_that_is_no_use(algorithm: str, bad: float) -> None:
    search = NevergradOptimizer(parameters(), algorithm, budget=100, seed=0)
    run(search, 1, lambda _: bad)
    candidates = run(search, 30)
    assert search.best_loss == min(map(sphere, candidates))
    assert all(c.isfinite().all() for c in candidates)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_goes_on_bit_for_bit(tmp_path: Path, algorithm: str) -> None:
    straight = NevergradOptimizer(parameters(), algorithm, budget=100)
    run(straight, 40)
    path = write_file(tmp_path / "search.pt", {"optimizer": straight.state_dict()})
    others = run(straight, 40)
    resumed = NevergradOptimizer(parameters(), algorithm, budget=100)
    resumed.load_state_dict(read_file(path)["optimizer"])
    assert all_equal(run(resumed, 40), others)
    assert resumed.best is not None
    assert torch.equal(resumed.best, straight.best)
    assert resumed.best_loss == straight.best_loss


@pytest.mark.slow
def test_is_imported_when_it_is_needed() -> None:
    code = (
        "import sys; from perceptrain import FFNN, TrainConfig, Trainer\n"
        "from perceptrain.optimizers import NevergradOptimizer\n"
        "Trainer(FFNN([1, 1]), 'adam', TrainConfig())\n"
        "assert not {'nevergrad', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


SCRIPT = """
import sys
import torch
from perceptrain.optimizers import NevergradOptimizer
from pathlib import Path
from perceptrain_core.checkpoints.file import read_file
search = NevergradOptimizer([torch.nn.Parameter(torch.zeros(6))], sys.argv[2], budget=100)
search.load_state_dict(read_file(Path(sys.argv[1]))["optimizer"])
for _ in range(20):
    candidate = search.ask()
    search.tell(candidate, float(candidate.square().sum()))
torch.save(candidate, "last.pt")
"""


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["NGOpt", "Powell"])
def test_goes_on_in_another_process(tmp_path: Path, algorithm: str, forks: ForkServer) -> None:
    search = NevergradOptimizer([nn.Parameter(torch.zeros(6))], algorithm, budget=100)
    run(search, 20, lambda c: float(c.square().sum()))
    path = write_file(tmp_path / "search.pt", {"optimizer": search.state_dict()})
    last = run(search, 20, lambda c: float(c.square().sum()))[-1]
    # It ends, too: threads of nevergrad that wait for a next loss do not hold it up.
    forks.run("-c", SCRIPT, str(path), algorithm, cwd=tmp_path).check_returncode()
    assert torch.equal(torch.load(tmp_path / "last.pt"), last)


def test_a_candidate_that_was_not_told_is_asked_again() -> None:
    straight, resumed = (NevergradOptimizer(parameters(), "CMA", seed=3) for _ in range(2))
    run(straight, 10)
    asked = straight.ask()
    resumed.load_state_dict(straight.state_dict())
    assert torch.equal(straight.ask(), asked)
    assert torch.equal(resumed.ask(), asked)


def test_a_state_from_before_the_first_candidate() -> None:
    first, second = (NevergradOptimizer(parameters(), "CMA", seed=3) for _ in range(2))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.ask(), second.ask())


def test_a_search_goes_back_to_where_it_was() -> None:
    search = NevergradOptimizer(parameters(), "CMA", seed=3)
    run(search, 10)
    state = search.state_dict()
    after = run(search, 10)
    search.load_state_dict(state)
    assert all_equal(run(search, 10), after)


def own(seed: int | None = None, size: int = 6, **options: Any) -> Any:
    search = ng.optimizers.CMA(parametrization=size, budget=100, **options)
    if seed is not None:
        search.parametrization.random_state.seed(seed)
    return search


def test_a_search_made_by_hand_goes_on_bit_for_bit() -> None:
    straight = NevergradOptimizer(parameters(), own(1))
    run(straight, 20)
    state = straight.state_dict()
    others = run(straight, 20)
    resumed = NevergradOptimizer(parameters(), own(2))
    resumed.load_state_dict(state)
    assert all_equal(run(resumed, 20), others)


def test_a_search_made_by_hand_cannot_go_back() -> None:
    search = NevergradOptimizer(parameters(), own())
    run(search, 5)
    state = search.state_dict()
    search.load_state_dict(state)  # where it is
    run(search, 5)
    with pytest.raises(CheckpointError, match="has already been used"):
        search.load_state_dict(state)


def test_a_search_made_otherwise_is_refused() -> None:
    straight = NevergradOptimizer(parameters(), "CMA", seed=0, sigma=0.5)
    run(straight, 30)
    with pytest.raises(CheckpointError, match="does not propose the same candidates"):
        NevergradOptimizer(parameters(), "CMA").load_state_dict(straight.state_dict())
    with pytest.raises(CheckpointError, match=r"it has .*'algorithm': 'CMA'.*expected .*'DE'"):
        NevergradOptimizer(parameters(), "DE").load_state_dict(straight.state_dict())
    with pytest.raises(CheckpointError, match="belongs to another optimizer"):
        NevergradOptimizer(parameters(), "DE").load_state_dict({"param_groups": []})


@pytest.mark.parametrize("made_by_hand", [False, True])
def test_the_seed_comes_from_torch(made_by_hand: bool) -> None:
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        np.random.seed(len(found))  # of no influence
        search = NevergradOptimizer(parameters(), own() if made_by_hand else "CMA")
        found.append(run(search, 5))
    assert all_equal(found[0], found[1])
    assert not all_equal(found[0], found[2])


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, "PortfolioDiscreteOnePlusOne"])
def test_leaves_the_global_generator_of_numpy_alone(algorithm: str) -> None:
    before = np.random.get_state(legacy=False)
    run(NevergradOptimizer(parameters(), algorithm, budget=100, seed=0), 30)
    after = np.random.get_state(legacy=False)
    assert before["state"]["pos"] == after["state"]["pos"]
    assert (before["state"]["key"] == after["state"]["key"]).all()


def test_an_array_of_any_shape_will_do() -> None:
    search = ng.optimizers.CMA(parametrization=ng.p.Array(shape=(3, 2)), budget=100)
    assert NevergradOptimizer(parameters(), search).ask().shape == (6,)


def test_frozen_parameters_do_not_count() -> None:
    frozen = nn.Parameter(torch.zeros(7), requires_grad=False)
    assert NevergradOptimizer([*parameters(), frozen], "CMA").ask().shape == (6,)


def test_bounds_hold() -> None:
    search = NevergradOptimizer(parameters(), "PSO", budget=50, seed=0, bounds=(-0.5, 0.5))
    assert all(c.abs().max() <= 0.5 for c in run(search, 50))


def test_fits_the_protocol() -> None:
    assert isinstance(NevergradOptimizer(parameters(), "CMA"), AskTell)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "CMAA"}, "Did you mean .*'CMA'"),
        ({"algorithm": 3}, "expected the name of a nevergrad algorithm"),
        ({"algorithm": ng.optimizers.CMA}, "expected the name of a nevergrad algorithm"),
        ({"algorithm": "NGOpt"}, "NGOpt needs a budget"),
        ({"budget": 0}, "budget=0: expected a whole number of at least 1"),
        ({"budget": 2.5}, "budget=2.5"),
        ({"num_workers": True}, "num_workers=True"),
        ({"seed": -1}, "seed=-1"),
        ({"sigma": 0}, "sigma=0: expected a number above 0"),
        ({"bounds": (1, -1)}, "expected .lower, upper."),
        ({"algorithm": own(), "budget": 3}, "already built"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NevergradOptimizer(parameters(), **({"algorithm": "CMA"} | options))


def test_parameters_that_cannot_be() -> None:
    with pytest.raises(TrainingError, match=r"searches for 7 numbers, but there are 6 trainable"):
        NevergradOptimizer(parameters(), own(size=7))
    with pytest.raises(TrainingError, match="no parameter groups"):
        NevergradOptimizer([{"params": parameters()}], "CMA")  # type: ignore[list-item]
    with pytest.raises(TrainingError, match="nothing can be trained"):
        NevergradOptimizer([], "CMA")
    outside = NevergradOptimizer(parameters(), "CMA", bounds=(1.0, 2.0))
    with pytest.raises(TrainingError, match="use bounds that contain them"):
        outside.ask()


def test_only_the_candidate_that_was_asked_for_can_be_told() -> None:
    search = NevergradOptimizer(parameters(), "CMA")
    with pytest.raises(TrainingError, match="not the last one that ask"):
        search.tell(TARGET, 1.0)


@pytest.mark.parametrize("name", ["cma", "de", "ngopt", "one_plus_one", "pso", "tbpsa"])
def test_names(name: str) -> None:
    search = get_optimizer(name, parameters(), budget=50, seed=0)
    assert search.algorithm.lower() == name.replace("_", "").lower()
    run(search, 10)
    assert search.best_loss < inf


def test_any_algorithm_by_name() -> None:
    search = get_optimizer({"name": "nevergrad", "algorithm": "TwoPointsDE"}, parameters())
    assert search.algorithm == "TwoPointsDE"
    with pytest.raises(OptionError, match="Did you mean 'algorithm'"):
        get_optimizer("nevergrad", parameters(), algoritm="DE")


@pytest.mark.parametrize("faulty", [True, False])
def test_nevergrad_is_mended_only_where_it_is_faulty(
    monkeypatch: pytest.MonkeyPatch, faulty: bool
) -> None:
    monkeypatch.setattr(metamodel, "float", float, raising=False)
    thread, own = recaster._MessagingThread, property(lambda self: True)
    monkeypatch.setattr(thread, "daemon", Thread.daemon if faulty else own)
    monkeypatch.setattr(nevergrad_package, "_float_rejects_arrays", lambda: faulty)
    import_nevergrad.cache_clear()
    import_nevergrad()
    assert (metamodel.float is not float) == faulty
    assert thread.daemon is (True if faulty else own)


def test_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nevergrad", None)
    import_nevergrad.cache_clear()
    with pytest.raises(MissingDependencyError, match=r"perceptrain-core\[nevergrad\]"):
        NevergradOptimizer(parameters(), "CMA")
