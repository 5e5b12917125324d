"""Two processes on a CPU, started once: what each test asks of them is computed in one go."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from perceptrain import (
    FFNN,
    PINN,
    Callback,
    Counted,
    GradWeightedLoss,
    SkipBatch,
    TrainConfig,
    Trainer,
    WeightedLoss,
    load_checkpoint,
    to_dataloader,
)
from perceptrain.callbacks import EarlyStopping, R3Sampling
from perceptrain.data import R3Dataset
from perceptrain.errors import CheckpointError, LossContractError, NonFiniteLossError, TrainingError
from perceptrain_core.engine import make_engine
from perceptrain_core.engine.launch import run_in_processes
from perceptrain_core.random_state import same_random_numbers

from ..shared import pickled_by_value

ROWS = 24
MakeLoss = Callable[[nn.Module], Any]


def data() -> tuple[Tensor, Tensor]:
    x = torch.randn(ROWS, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x, (x[:, :1] - x[:, 1:]).sin()


def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return FFNN([2, 8, 1], nn.Tanh()).double()


def several_calls(batch: Any, model: nn.Module) -> Any:
    x, y = batch
    size = model(2 * x).abs().mean()
    return (model(x) - y).square().mean() + 0.1 * size, {"size": size}


def derivative(batch: Any, model: nn.Module) -> Any:
    x = batch[0].clone().requires_grad_()
    with torch.enable_grad():
        (first,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    return (second - model(x)).square().mean(), {}


def part_of_the_model(batch: Any, model: Any) -> Any:
    first = next(iter(model.children()))
    layer = first if isinstance(first, nn.Linear) else first[0]
    return layer(batch[0]).square().mean(), {"whole": model(batch[0]).mean()}


class Scaled(nn.Module):
    """A loss with a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def forward(self, batch: Any, model: nn.Module) -> Any:
        x, y = batch
        error = (model(x) - y).square().mean()
        return error * self.scale.exp() - self.scale, {"error": error.detach()}


def terms(batch: Any, model: nn.Module) -> Any:
    x, y = batch
    fit, size = (model(x) - y).square().mean(), model(x).square().mean()
    return fit + size, {"fit": fit, "size": size}


def masked(batch: Any, model: nn.Module) -> Any:
    """A mean over some rows, of which each process has another number."""
    x, y = batch
    mask = y > -0.6
    number = mask.sum()
    errors = (model(x) - y).where(mask, 0.0)
    return errors.square().sum() / number, Counted({"mae": errors.abs().sum() / number}, number)


def two_terms(batch: Any, model: nn.Module) -> Any:
    """Terms with means of their own: over rows, and over some of them."""
    x, y = batch
    mask = y > -0.6
    errors = (model(x) - y).where(mask, 0.0).square().sum() / mask.sum()
    parts = {"size": model(x).abs().mean(), "errors": errors}
    counts = {"size": len(x), "errors": mask.sum()}
    return parts["size"] + errors, Counted(parts, counts, dict.fromkeys(parts, 1.0))


LOSSES: dict[str, Callable[[], Any]] = {
    "several_calls": lambda: several_calls,
    "derivative": lambda: derivative,
    "part_of_the_model": lambda: part_of_the_model,
    "parameters_of_its_own": Scaled,
    "weighted_by_gradients": lambda: GradWeightedLoss(
        unweighted_loss_function=terms, fixed_metric="fit", every=2
    ),
    "masked": lambda: masked,
    "two_terms": lambda: two_terms,
    "learned_variances": lambda: WeightedLoss(terms, "uncertainty"),
}


#: The last step of an epoch has a batch less.
ACCUMULATED: dict[str, Any] = {"accumulate": 2, "grad_clip": 0.2, "val_every": 3}
ACCUMULATING = ("several_calls", "masked", "two_terms")


def train(loss_fn: Any, batch_size: int, folder: Path, **settings: Any) -> Trainer:
    model = settings.pop("model", None) or net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    resume = settings.pop("resume", False)
    own = settings.pop("data", data())
    x, y = data()
    plain = {"max_iter": 3, "shuffle": False, "verbose": False, "tracking_tool": "none"}
    plain |= {"all_reduce_metrics": True, "root_folder": folder, "batch_size": batch_size}
    config = TrainConfig(**(plain | settings))
    trainer = Trainer(model, optimizer, config, loss_fn, own, (x[:23], y[:23]))
    trainer.fit(resume=resume)
    return trainer


def outcome(trainer: Trainer) -> dict[str, Any]:
    parameters = list(trainer.model.parameters())
    if isinstance(trainer.loss_fn, nn.Module):
        parameters += trainer.loss_fn.parameters()
    flat = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
    return {"weights": flat, "history": trainer.history, "steps": trainer.global_step}


def dropout_net() -> nn.Module:
    return nn.Sequential(net(), nn.Dropout(0.3), nn.Linear(1, 1).double())


# Each of these runs in both processes, and what it returns comes back from both.


def losses(folder: Path) -> Any:
    fits = {n: train(make(), 4, folder / n, val_every=3) for n, make in LOSSES.items()}
    for name in ACCUMULATING:
        loss_fn = LOSSES[name]()
        fits[f"{name}_accumulated"] = train(loss_fn, 4, folder / f"{name}_a", **ACCUMULATED)
    return {name: outcome(trainer) for name, trainer in fits.items()}


def different_parts(folder: Path) -> Any:
    """One process uses all of the model, the other a part of it."""
    rank = make_engine().rank

    def loss_fn(batch: Any, model: nn.Module) -> Any:
        return (part_of_the_model if rank else several_calls)(batch, model)

    return outcome(train(loss_fn, 12, folder, max_iter=1))


def own_step(folder: Path, batch_size: int = 4) -> Any:
    """A step function of the user, which calls the backward pass twice."""

    def step(model: Any, optimizer: Any, loss_fn: Any, xs: Any, **_: Any) -> Any:
        optimizer.zero_grad()
        for _ in range(2):
            loss, metrics = loss_fn(xs, model)
            loss.backward()
        optimizer.step()
        return loss, metrics

    model = net()
    config = TrainConfig(max_iter=2, batch_size=batch_size, shuffle=False, verbose=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    trainer = Trainer(model, optimizer, config, several_calls, data(), optimize_step=step)
    trainer.fit()
    return outcome(trainer)["weights"]


def shown(folder: Path, batch_size: int = 4) -> Any:
    """What callbacks see of batches that differ in rows, or in what their losses are means over."""
    rows = (5, 2, 1, 6, 4, 6)
    uneven = [*zip(*(part.split(rows) for part in data()), strict=True)]
    if batch_size > 4:
        pairs = zip(uneven[::2], uneven[1::2], strict=True)
        uneven = [(torch.cat([x, u]), torch.cat([y, v])) for (x, y), (u, v) in pairs]
    found = {}
    for name, loss_fn in (("rows", several_calls), ("masked", masked), ("two_terms", two_terms)):
        seen: list[Any] = []

        def look(trainer: Any, config: Any, writer: Any, seen: list[Any] = seen) -> None:
            result = trainer.opt_result
            seen.append([float(result.loss), {k: float(v) for k, v in result.metrics.items()}])

        callbacks = [Callback("train_batch_end", callback=look)]
        train(loss_fn, batch_size, folder, data=uneven, max_iter=1, callbacks=callbacks)
        found[name] = seen
    return found


def exchange(folder: Path) -> Any:
    engine = make_engine()
    assert make_engine().world_size == 2
    norm = nn.BatchNorm1d(2)
    norm.running_mean += engine.rank
    engine.align(norm)
    torch.manual_seed(engine.rank)
    np.random.seed(engine.rank)
    with same_random_numbers(numpy=True):
        drawn = [torch.rand(()).item(), np.random.standard_normal()]
    return {
        "drawn": [*drawn, torch.rand(()).item(), np.random.standard_normal()],
        "gather": engine.gather(engine.rank),
        "broadcast": engine.broadcast(engine.rank + 5),
        "any": [engine.any(engine.rank == 1), engine.any(False)],
        "align": norm.running_mean.tolist(),
    }


def resumed(folder: Path) -> Any:
    """A run of four epochs, and one that is stopped after two and resumed."""
    settings: dict[str, Any] = {"shuffle": True, "seed": 3, "checkpoint_every": 2}
    with torch.random.fork_rng():
        torch.manual_seed(4)
        models = [dropout_net() for _ in range(3)]
    for model in models:
        model.load_state_dict(models[0].state_dict())
    whole = train("mse", 4, folder / "a", max_iter=4, model=models[0], **settings)
    train("mse", 4, folder / "b", max_iter=2, model=models[1], **settings)
    rest = train("mse", 4, folder / "b", max_iter=4, model=models[2], resume=True, **settings)
    return outcome(whole), outcome(rest), sorted(p.name for p in (folder / "b").iterdir())


def stopped_by_signals(folder: Path) -> Any:
    """A run of four epochs, and one that a signal to the second process stops in the third."""
    rank = make_engine().rank

    def send(trainer: Any, config: Any, writer: Any) -> None:
        if rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    def trained(name: str, stop: int | None, resume: bool = False, **settings: Any) -> Trainer:
        callbacks = [Callback("train_batch_end", stop, send)] if stop else []
        with torch.random.fork_rng():
            torch.manual_seed(4)
            model = dropout_net()
        settings |= {"seed": 3, "callbacks": callbacks, "checkpoint_every": 9, "accumulate": 2}
        return train("mse", 2, folder / name, model=model, resume=resume, **settings)

    shuffled = {"max_iter": 4, "shuffle": True, "val_every": 2}
    whole = trained("a", None, **shuffled)
    stopped = trained("b", 14, **shuffled)  # an epoch has 6 batches, 3 steps
    rest = trained("b", None, resume=True, **shuffled)
    endless = {"max_iter": 10, "data": to_dataloader(*data(), batch_size=4, infinite=True)}
    flowing = trained("c", None, **endless)
    trained("d", 8, **endless)
    rest_flowing = trained("d", None, resume=True, **endless)
    return {
        "stopped": (stopped.interrupted, stopped.global_step, len(stopped.history)),
        "files": sorted(path.name for path in (folder / "b").iterdir()),
        "outcomes": [outcome(each) for each in (whole, rest, flowing, rest_flowing)],
    }


def ruined(folder: Path) -> Any:
    """The data of the second process hold a NaN."""
    x, y = data()
    x[5, 0] = float("nan")
    with pytest.raises(NonFiniteLossError) as error:
        train("mse", 4, folder, data=(x, y))
    with pytest.warns(UserWarning, match="1 of 3 batches"):
        skipping = train("mse", 4, folder, data=(x, y), on_nonfinite="skip", max_iter=1)
    return str(error.value), skipping.global_step, outcome(skipping)["weights"]


def skipping(batch: Any, model: nn.Module) -> Any:
    """Skip a batch with certain rows, and be NaN for others."""
    if (batch[0] == data()[0][5, 0]).any():
        raise SkipBatch
    loss = several_calls(batch, model)[0]
    return (loss * float("nan") if (batch[0] == data()[0][18, 0]).any() else loss), {}


def accumulated_without(folder: Path, batch_size: int = 3) -> Any:
    """Steps of two batches: the second process skips one of the first, the first of the third."""
    settings: dict[str, Any] = {"accumulate": 2, "max_iter": 2, "on_nonfinite": "skip"}
    with pytest.warns(UserWarning, match="2 of 4 batches"):
        trainer = train(skipping, batch_size, folder, **settings)
    with pytest.raises(NonFiniteLossError) as error:
        train(skipping, batch_size, folder, accumulate=2)
    return outcome(trainer), str(error.value)


def constant(folder: Path) -> Any:
    """The loss of the second process has no graph on its second batch."""
    rank, calls = make_engine().rank, [0]

    def loss_fn(batch: Any, model: nn.Module) -> Any:
        calls[0] += 1
        loss = several_calls(batch, model)[0]
        return (loss.detach() if rank and calls[0] == 2 else loss), {}

    with pytest.raises(LossContractError) as error:
        train(loss_fn, 4, folder, on_nonfinite="ignore")
    return str(error.value)


def skipped(folder: Path) -> Any:
    """The second process skips its second batch."""
    rank, calls = make_engine().rank, [0]

    def loss_fn(batch: Any, model: nn.Module) -> Any:
        calls[0] += 1
        if rank and calls[0] == 2:
            raise SkipBatch
        return several_calls(batch, model)[0], {}

    with pytest.warns(UserWarning, match="1 of 3 batches"):
        trainer = train(loss_fn, 4, folder, max_iter=1)
    return trainer.global_step, outcome(trainer)["weights"]


def stopped(folder: Path) -> Any:
    """The loss of each process is another one, yet they stop together."""
    rank = make_engine().rank
    calls = [0]

    def loss_fn(batch: Any, model: nn.Module) -> Any:
        calls[0] += 1
        change = -calls[0] if rank else 2 * calls[0]  # falls in one, rises more in the other
        return several_calls(batch, model)[0] + change, {}

    stopping = EarlyStopping(patience=2)
    trainer = train(loss_fn, 12, folder, max_iter=9, callbacks=[stopping], all_reduce_metrics=False)
    own = [0]

    def on_one(result: Any) -> bool:
        own[0] += 1
        return rank == 1 and own[0] == 2

    other = train("mse", 12, folder, max_iter=9, trainstop_criterion=on_one)
    return stopping.stopped_epoch, len(trainer.history), trainer.history, len(other.history)


def total(batch: Any, model: nn.Module) -> Any:
    x, y = batch
    return (model(x) - y).square().sum() / 50, Counted({}, None)


def changing(folder: Path, batch_size: int = 4) -> Any:
    """Losses whose batches have terms of their own, are means, or sums, in turns."""
    found = []
    for first in range(3):
        turns = cycle([two_terms, masked, total][first:] + [two_terms, masked, total][:first])
        seen: dict[float, Any] = {}

        def loss_fn(batch: Any, model: nn.Module, turns: Any = turns, seen: Any = seen) -> Any:
            step = batch[0].sum().item()  # evaluated again if it is the first with terms of its own
            if step not in seen:
                seen.clear()
                seen[step] = next(turns)
            return seen[step](batch, model)

        found.append(outcome(train(loss_fn, batch_size, folder, max_iter=1))["weights"])
    return found


def exchanges(folder: Path) -> Any:
    """How often tensors are exchanged in three more steps."""
    calls = [0]
    original = dist.all_reduce

    def counted(*given: Any, **options: Any) -> Any:
        calls[0] += 1
        return original(*given, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dist, "all_reduce", counted)
        found = {}
        for name, loss_fn, settings in (
            ("several_calls", several_calls, {}),
            ("two_terms", two_terms, {}),
            ("accumulated", several_calls, {"accumulate": 2}),
            ("validated", several_calls, {"val_every": 20}),
        ):
            counts, batch_size = [], 1 if "accumulate" in settings else 2
            for rows in (12, 24):  # 3 and 6 steps
                own = tuple(tensor[:rows] for tensor in data())
                before = calls[0]
                train(loss_fn, batch_size, folder / name, max_iter=1, data=own, **settings)
                counts.append(calls[0] - before)
            found[name] = counts[1] - counts[0]
    return found


def moving_points(folder: Path) -> Any:
    points = R3Dataset(lambda n: torch.rand(n, 1, dtype=torch.float64), 10, 0.2)
    r3 = R3Sampling(points, lambda t, model: t)
    pinn = PINN(FFNN([1, 4, 1]).double(), {"ode": lambda t, u: u(t) - t})
    config = TrainConfig(max_iter=2, callbacks=[r3], verbose=False, tracking_tool="none")
    Trainer(pinn, "adam", config).fit({"ode": points})
    return points.features


def unequal_rows(folder: Path) -> Any:
    """Batches of lists, an odd number of them; the loader draws its order."""
    x, y = data()
    batches = [(x[i : i + 5], y[i : i + 5]) for i in range(0, 24, 5)]
    model, config = net(), TrainConfig(max_iter=2, verbose=False, tracking_tool="none")
    trainer = Trainer(model, torch.optim.SGD(model.parameters(), 0.1), config)
    trainer.fit(batches)
    shuffled = to_dataloader(x, y, batch_size=5, shuffle=True)
    return trainer.global_step, outcome(trainer)["weights"], trainer.validate(shuffled)


def refused(folder: Path) -> Any:
    """What cannot work in several processes, or in so many."""
    model = net()
    quasi_newton = Trainer(
        model, torch.optim.LBFGS(model.parameters()), TrainConfig(verbose=False), "mse", data()
    )
    with pytest.raises(TrainingError, match="LBFGS cannot train in several processes"):
        quasi_newton.fit()
    with pytest.raises(TrainingError, match="nprocs=3, but 2 processes were started"):
        train("mse", 4, folder, nprocs=3)
    with pytest.raises(TrainingError, match="this is one of 2"):
        Trainer(model, "adam", TrainConfig(verbose=False), "mse", data()).find_lr()
    return True


CASES = (
    *(own_step, losses, different_parts, shown, exchange, resumed, stopped_by_signals, ruined),
    *(constant, accumulated_without, skipped, stopped, changing, exchanges, moving_points),
    *(unequal_rows, refused),
)


def run_cases(folder: Path) -> list[dict[str, Any]]:
    torch.set_num_threads(1)
    engine = make_engine()
    own = {case.__name__: case(folder / case.__name__) for case in CASES}
    return engine.gather(own)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("distributed")


@pytest.fixture(scope="module")
def both(folder: Path, forked_workers: None) -> list[dict[str, Any]]:
    """What each case gave in each of the two processes."""
    with pickled_by_value(__name__):
        return run_in_processes(run_cases, 2, folder)


def close(one: Any, other: Any) -> None:
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_two_processes_are_one_with_the_doubled_batch(
    both: list[dict[str, Any]], name: str, tmp_path: Path
) -> None:
    alone = outcome(train(LOSSES[name](), 8, tmp_path, val_every=3))
    for each in both:
        found = each["losses"][name]
        close(found["weights"], alone["weights"])
        assert found["steps"] == alone["steps"]
        close(found["history"], alone["history"])


@pytest.mark.parametrize("name", ACCUMULATING)
def test_gradients_accumulate_as_in_one_process(
    both: list[dict[str, Any]], name: str, tmp_path: Path
) -> None:
    alone = outcome(train(LOSSES[name](), 8, tmp_path, **ACCUMULATED))
    assert alone["steps"] == 6
    for each in both:
        found = each["losses"][f"{name}_accumulated"]
        close(found["weights"], alone["weights"])
        close(found["history"], alone["history"])
        assert found["steps"] == alone["steps"]


def test_processes_may_use_different_parts_of_the_model(both: list[dict[str, Any]]) -> None:
    x, y = data()
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    one = several_calls((x[0::2], y[0::2]), model)[0]
    other = part_of_the_model((x[1::2], y[1::2]), model)[0]
    ((one + other) / 2).backward()
    optimizer.step()
    expected = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    for each in both:
        close(each["different_parts"]["weights"], expected)


def test_a_step_function_of_the_user_gets_averaged_gradients(
    both: list[dict[str, Any]], tmp_path: Path
) -> None:
    expected = own_step(tmp_path, 8)
    for each in both:
        close(each["own_step"], expected)


def test_callbacks_see_batches_as_one_process_with_the_rows_of_all(
    both: list[dict[str, Any]], tmp_path: Path
) -> None:
    alone = shown(tmp_path, 8)
    for each in both:
        close(each["shown"], alone)


def own_numbers(seed: int) -> list[float]:
    torch.manual_seed(seed)
    np.random.seed(seed)
    return [draw() for _ in range(2) for draw in (torch_number, np.random.standard_normal)]


def torch_number() -> float:
    return torch.rand(()).item()


def test_processes_exchange_values(both: list[dict[str, Any]]) -> None:
    first = own_numbers(0)
    for rank, each in enumerate(both):
        own = own_numbers(rank)
        assert each["exchange"] == {
            "drawn": first[:2] + (own[:2] if rank else first[2:]),
            "gather": [0, 1],
            "broadcast": 5,
            "any": [True, False],
            "align": [0.0, 0.0],
        }


def test_a_resumed_run_ends_as_one_that_was_never_stopped(both: list[dict[str, Any]]) -> None:
    whole, rest, files = both[0]["resumed"]
    assert torch.equal(whole["weights"], rest["weights"])
    assert whole["history"] == rest["history"]
    assert files == ["checkpoint_epoch_000002.pt", "checkpoint_epoch_000004.pt"]
    assert torch.equal(both[1]["resumed"][1]["weights"], whole["weights"])


def test_a_checkpoint_of_two_processes_resumes_in_one(
    both: list[dict[str, Any]], folder: Path
) -> None:
    weights = both[0]["resumed"][0]["weights"]
    path = folder / "resumed" / "a" / "checkpoint_epoch_000004.pt"
    model, _, epoch = load_checkpoint(path, dropout_net())
    assert epoch == 4
    assert torch.equal(torch.cat([p.detach().reshape(-1) for p in model.parameters()]), weights)
    settings = {"max_iter": 5, "shuffle": True, "seed": 3}
    with pytest.warns(UserWarning, match="different (number of processes; 2 then|settings; batch)"):
        going_on = train("mse", 8, folder / "one", model=dropout_net(), resume=path, **settings)
    assert len(going_on.history) == 5
    assert going_on.history[:4] == both[0]["resumed"][0]["history"]


def test_a_signal_to_one_process_stops_all_and_each_goes_on_from_its_place(
    both: list[dict[str, Any]], folder: Path
) -> None:
    for each in both:
        # The signal came in the seventh step, and all stop after the next one.
        assert each["stopped_by_signals"]["stopped"] == (True, 8, 2)
        whole, rest, flowing, rest_flowing = each["stopped_by_signals"]["outcomes"]
        assert torch.equal(whole["weights"], rest["weights"])
        assert (whole["history"], whole["steps"]) == (rest["history"], rest["steps"])
        assert torch.equal(flowing["weights"], rest_flowing["weights"])
        assert flowing["history"] == rest_flowing["history"]
    saved = "checkpoint_epoch_000002_batch_000000004.pt"
    assert saved in both[0]["stopped_by_signals"]["files"]
    with pytest.raises(CheckpointError, match="data differ: order RandomSampler then"):
        train(
            *("mse", 2, folder / "alone"),
            model=dropout_net(),
            resume=folder / "stopped_by_signals" / "b" / saved,
        )


def test_a_loss_that_is_nan_in_one_process_stops_all(both: list[dict[str, Any]]) -> None:
    for each in both:
        message, steps, _ = each["ruined"]
        assert "in epoch 1, batch 1 of process 1: the loss is nan" in message
        assert steps == 2
    assert torch.equal(both[0]["ruined"][2], both[1]["ruined"][2])


def test_a_loss_without_a_graph_in_one_process_stops_all(both: list[dict[str, Any]]) -> None:
    for each in both:
        assert "in epoch 1, batch 2 of process 1 has no graph" in each["constant"]


def test_a_batch_that_one_process_skips_is_skipped_by_all(both: list[dict[str, Any]]) -> None:
    assert [each["skipped"][0] for each in both] == [2, 2]
    assert torch.equal(both[0]["skipped"][1], both[1]["skipped"][1])


def test_a_batch_among_several_is_skipped_as_in_one_process(
    both: list[dict[str, Any]], tmp_path: Path
) -> None:
    alone, _ = accumulated_without(tmp_path, 6)
    assert alone["steps"] == 4
    for each in both:
        found, error = each["accumulated_without"]
        close(found["weights"], alone["weights"])
        assert found["steps"] == alone["steps"]
        assert "in epoch 1, batches 3 to 4 of process 0: the loss is nan" in error


def test_processes_stop_together(both: list[dict[str, Any]]) -> None:
    assert both[0]["stopped"] == both[1]["stopped"]
    stopped_epoch, epochs, _, other = both[0]["stopped"]
    assert stopped_epoch == epochs == 3
    assert other == 2


def test_what_cannot_work_is_refused(both: list[dict[str, Any]]) -> None:
    assert [each["refused"] for each in both] == [True, True]


def test_a_loss_may_change_what_it_is_a_mean_over(
    both: list[dict[str, Any]], tmp_path: Path
) -> None:
    alone = changing(tmp_path, 8)
    for each in both:
        close(each["changing"], alone)


def test_flags_and_rows_travel_with_the_gradients(both: list[dict[str, Any]]) -> None:
    """A step exchanges once; terms with means of their own need two exchanges before."""
    for each in both:
        assert each["exchanges"] == {
            "several_calls": 3,
            "accumulated": 3,
            "validated": 3,
            "two_terms": 9,
        }


def test_points_that_move_are_the_same_everywhere(both: list[dict[str, Any]]) -> None:
    assert torch.equal(both[0]["moving_points"], both[1]["moving_points"])


def test_any_loader_gives_equal_shares(both: list[dict[str, Any]]) -> None:
    steps, weights, validation = both[0]["unequal_rows"]
    assert steps == 6
    assert torch.equal(weights, both[1]["unequal_rows"][1])
    model = net()
    torch.nn.utils.vector_to_parameters(weights, model.parameters())
    x, y = data()
    close(validation["val_loss"], (model(x) - y).square().mean().item())
    assert both[1]["unequal_rows"][2] == validation
