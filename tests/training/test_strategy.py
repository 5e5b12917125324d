"""Runs of sharded models: checkpoints, callbacks, faults and precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, Callback, SkipBatch, TrainConfig, Trainer, load_checkpoint
from perceptrain.callbacks import LoadCheckpoint
from perceptrain.errors import ConfigError, NonFiniteLossError, TrainingError
from perceptrain_core.engine.launch import run_in_processes
from perceptrain_core.engine.scattering import sharder
from perceptrain_core.engine.shard_choice import choose_units, refuse_sparse
from perceptrain_core.engine.sharded_optimizer import require_steps_on_shards
from perceptrain_core.training import strategy as strategies
from perceptrain_core.training.strategy import choose_strategy

# Processes have the filters of warnings of the one that starts them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:FSDP2-wrapped module"),
    pytest.mark.filterwarnings("ignore:.* batches were skipped"),
]

ROWS = 24
CPU = torch.device("cpu")


def data(rows: int = ROWS) -> tuple[Tensor, Tensor]:
    x = torch.randn(rows, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x, (x[:, :1] - x[:, 1:]).sin()


def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return FFNN([2, 8, 7, 1], nn.Tanh()).double()


def normed() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return nn.Sequential(
            nn.Linear(2, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 1)
        ).double()


class Turned(nn.Module):
    """A network with a complex parameter, which is not sharded."""

    def __init__(self) -> None:
        super().__init__()
        self.network = net()
        self.turn = nn.Parameter(torch.tensor([1 + 0.5j], dtype=torch.complex128))

    def forward(self, x: Tensor) -> Tensor:
        return (self.network(x) * self.turn).real


def train(
    folder: Path, batch_size: int = 6, make: Callable[[], nn.Module] = net, **settings: Any
) -> Trainer:
    loss_fn, resume = settings.pop("loss_fn", "mse"), settings.pop("resume", False)
    plain = {"max_iter": 2, "shuffle": False, "verbose": False, "tracking_tool": "none"}
    plain |= {"root_folder": folder, "batch_size": batch_size, "shard_modules": 10}
    model = make()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    trainer = Trainer(model, optimizer, TrainConfig(**(plain | settings)), loss_fn, data())
    trainer.fit(resume=resume)
    return trainer


def weights(trainer: Trainer) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


class Seen(Callback):
    """Notes the weights that a callback sees, and changes them once."""

    def __init__(self, on: str = "train_epoch_end") -> None:
        super().__init__(on)
        self.seen: list[dict[str, Tensor]] = []

    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        self.seen.append({k: v.clone() for k, v in trainer.model.state_dict().items()})
        if len(self.seen) == 1:
            with torch.no_grad():
                next(trainer.model.parameters()).mul_(0.5)


class Held(Callback):
    """Counts what the processes hold together between two steps."""

    uses_model: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__("train_epoch_end")
        self.found: list[dict[str, int]] = []

    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        parameters = [*trainer.model.parameters()]
        states = [trainer.optimizer.state[p]["exp_avg"] for p in parameters]
        parts = {"parameters": parameters, "exp_avg": states}
        own = {name: sum(t.to_local().numel() for t in held) for name, held in parts.items()}
        everywhere = trainer.engine.gather(own)
        self.found.append({name: sum(each[name] for each in everywhere) for name in own})


def additions(model: nn.Module) -> list[str]:
    """Return the hooks of a model, and what ``fully_shard`` has added to its modules."""
    kinds = ("_forward_pre_hooks", "_forward_hooks", "_state_dict_pre_hooks")
    kinds += ("_load_state_dict_pre_hooks", "_load_state_dict_post_hooks")
    hooks = [each for m in model.modules() for kind in kinds for each in getattr(m, kind).values()]
    added = [name for m in model.modules() for name in vars(m) if "fsdp" in name or "api" in name]
    changed = [m for m in model.modules() if "FSDP" in type(m).__name__]
    return sorted(type(each).__name__ for each in (*hooks, *changed)) + added


def chosen(trainer: Trainer, memory: float) -> str:
    """Return the strategy that fits a memory."""
    found, strategies._available = strategies._available, lambda device: float(memory)
    try:
        config = TrainConfig(strategy="auto", verbose=False)
        return choose_strategy(config, trainer.engine, trainer.model, trainer.optimizer)
    finally:
        strategies._available = found


def skips(batch: Any, model: nn.Module) -> Any:
    """Skip a batch of one process only."""
    x, y = batch
    if bool((x == data()[0][0]).all(1).any()):
        raise SkipBatch
    return (model(x) - y).square().mean(), {}


def turns_nan(batch: Any, model: nn.Module, *, after: int, seen: list[int]) -> Any:
    x, y = batch
    seen.append(len(x))
    loss = (model(x) - y).square().mean()
    return (loss * float("nan") if len(seen) == after else loss), {}


def skips_nonfinite(folder: Path, **settings: Any) -> Trainer:
    own = partial(turns_nan, after=3, seen=[])
    return train(folder, loss_fn=own, on_nonfinite="skip", **settings)


def message(function: Callable[[], Any]) -> str:
    try:
        function()
    except (TrainingError, NonFiniteLossError) as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def on_meta() -> nn.Module:
    """Return a model that has values in the first process only."""
    if torch.distributed.get_rank() == 0:
        return net()
    with torch.device("meta"):
        return net()


def places(trainer: Trainer) -> list[set[str]]:
    """Return where each process has the model and the state of the optimizer."""
    states = [state["exp_avg"] for state in trainer.optimizer.state.values()]
    own = {tensor.device.type for tensor in (*trainer.model.parameters(), *states)}
    return trainer.engine.gather(own)


def ends(folder: Path) -> dict[str, Any]:
    """Return what processes have before and after evaluations and another fit."""
    trainer = train(folder, make=on_meta, strategy="fsdp", ema=0.5)
    found: dict[str, Any] = {"weights": weights(trainer), "after": places(trainer)}
    found["losses"] = trainer.engine.gather(trainer.validate(data())["val_loss"])
    found["evaluated"] = places(trainer)
    trainer.config.strategy = "ddp"
    trainer.fit()
    found["again"] = trainer.engine.gather(weights(trainer))
    return found


def overflows(batch: Any, model: nn.Module) -> Any:
    x, y = batch
    return (model(x) - y).square().mean() * 1e3, {}


def work(folder: Path) -> dict[str, Any]:
    fsdp: dict[str, Any] = {"strategy": "fsdp"}
    found: dict[str, Any] = {"whole": weights(train(folder / "whole", max_iter=4, **fsdp))}
    for format in ("file", "sharded"):
        own = folder / format
        train(own, checkpoint_every=1, checkpoint_format=format, **fsdp)
        for strategy in ("fsdp", "ddp"):
            resumed = {"resume": own, "max_iter": 4, "strategy": strategy}
            found[f"{format} {strategy}"] = weights(train(folder / "resumed", **resumed))
    train(folder / "ddp", checkpoint_every=1)
    found["ddp fsdp"] = weights(train(folder / "r2", resume=folder / "ddp", max_iter=4, **fsdp))
    train(folder / "unfinished", checkpoint_every=1, max_steps=3, **fsdp)
    finished = train(folder / "r3", resume=folder / "unfinished", max_iter=4, **fsdp)
    found["mid-epoch"] = weights(finished)
    for strategy in ("ddp", "fsdp"):
        seen = [Seen(), Seen("train_batch_end")]
        trainer = train(folder / "seen", callbacks=seen, strategy=strategy)
        found[f"seen {strategy}"] = [weights(trainer), *(each.seen for each in seen)]
        clipped = train(folder, make=Turned, grad_clip=0.1, strategy=strategy)
        found[f"complex {strategy}"] = weights(clipped)
        load = LoadCheckpoint(path=folder / "file")
        found[f"loaded {strategy}"] = weights(train(folder, callbacks=[load], strategy=strategy))
        found[f"normed {strategy}"] = weights(train(folder, make=normed, strategy=strategy))
        own = skips_nonfinite(folder, strategy=strategy)
        found[f"nonfinite {strategy}"] = weights(own)
        own = train(folder, loss_fn=skips, strategy=strategy, reshard_after_forward=False)
        found[f"skips {strategy}"] = weights(own)
        for precision in ("bf16", "fp16"):
            own = train(folder, precision=precision, strategy=strategy, dtype="float32")
            found[f"{precision} {strategy}"] = weights(own)
    bad = partial(turns_nan, after=3, seen=[])
    found["nan"] = message(lambda: train(folder, loss_fn=bad, **fsdp))
    for strategy in ("ddp", "fsdp"):
        trainer = train(folder / "again", strategy=strategy)
        trainer.fit()
        found[f"again {strategy}"] = weights(trainer)
    found["left"] = additions(trainer.model)
    for name in ("AdamW", "Muon", "LBFGS"):
        made = getattr(torch.optim, name)([nn.Parameter(torch.ones(3, 2))])
        check = partial(require_steps_on_shards, made, sharder(CPU), CPU)
        found[name] = message(check)
    found["ends"] = ends(folder)
    plain = train(folder, ema=0.5)
    found["plain"] = {"weights": weights(plain), "loss": plain.validate(data())["val_loss"]}
    plain.fit()
    found["plain"]["again"] = weights(plain)
    held = Held()
    train(folder / "held", callbacks=[held], **fsdp)
    found["held"] = held.found
    found["auto"] = [chosen(trainer, memory) for memory in (2**40, 2000)]
    found["compile"] = message(lambda: train(folder, compile=True, **fsdp))
    found["unknown"] = message(lambda: train(folder, strategy="fsdp", shard_modules=["Missing"]))
    return found


@pytest.fixture(scope="module")
def found(forked_workers: None, tmp_path_factory: Any) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("strategy")
    found = run_in_processes(work, 2, folder)
    return found | {"folder": folder}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["file fsdp", "file ddp", "sharded fsdp", "sharded ddp", "ddp fsdp", "mid-epoch"]
)
def test_a_run_resumes_with_either_strategy(name: str, found: dict[str, Any]) -> None:
    torch.testing.assert_close(found[name], found["whole"], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("format", ["file", "sharded"])
@pytest.mark.filterwarnings("ignore:.*batch_size", "ignore:.*processes")
def test_a_sharded_run_resumes_in_one_process(
    format: str, found: dict[str, Any], tmp_path: Path
) -> None:
    trainer = train(tmp_path, 12, resume=found["folder"] / format, max_iter=4)
    torch.testing.assert_close(weights(trainer), found["whole"], rtol=1e-9, atol=1e-11)
    model = net()
    assert load_checkpoint(found["folder"] / format, model)[2] == 2


@pytest.mark.parametrize(
    "name", ["seen", "loaded", "complex", "normed", "nonfinite", "skips", "again", "bf16", "fp16"]
)
def test_both_strategies_agree(name: str, found: dict[str, Any]) -> None:
    bounds = (1e-2, 1e-2) if "16" in name else (1e-9, 1e-11)
    ddp, fsdp = found[f"{name} ddp"], found[f"{name} fsdp"]
    torch.testing.assert_close(fsdp, ddp, rtol=bounds[0], atol=bounds[1])


def test_errors_reach_all_processes(found: dict[str, Any]) -> None:
    assert found["nan"].startswith("NonFiniteLossError")
    assert "compile=True" in found["compile"]
    assert "'Missing'" in found["unknown"]


@pytest.mark.slow
def test_a_process_that_skips_its_batch_is_refused(forked_workers: None, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="reshard_after_forward=False"):
        run_in_processes(lambda: train(tmp_path, loss_fn=skips, strategy="fsdp") and None, 2)


def test_units() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 1)))

    def names(given: Any) -> list[str]:
        units = choose_units(model, given)
        return [name for unit in units for name, each in model.named_modules() if each is unit]

    assert names(0) == ["0", "1.0", "1.1"]
    assert names(30) == ["1.0"]
    assert names(45) == ["1"]
    assert names(["1"]) == ["1"]
    assert names([nn.Linear]) == ["0", "1.0", "1.1"]
    assert names(lambda name, module: name == "1.1") == ["1.1"]
    model[1][1].weight = nn.Parameter(torch.ones(4, 4))
    model[0].weight = model[1][1].weight
    assert names(0) == ["1.0"]  # the others share a weight


def test_sparse_gradients_are_refused() -> None:
    model = nn.Sequential(nn.Embedding(5, 3, sparse=True), nn.Linear(3, 1))
    with pytest.raises(TrainingError, match=r"of 0, Embedding.* are sparse.*strategy=\"ddp\""):
        refuse_sparse(model)


def test_one_process_trains_plainly(tmp_path: Path) -> None:
    one, other = train(tmp_path, strategy="fsdp"), train(tmp_path)
    assert all(torch.equal(weights(one)[name], value) for name, value in weights(other).items())


def test_the_first_process_has_the_result(found: dict[str, Any]) -> None:
    """The others get the model when they need it; they could start without its values, too."""
    ends, plain = found["ends"], found["plain"]
    assert ends["after"] == [{"cpu"}, {"meta"}]
    assert ends["evaluated"] == [{"cpu"}] * 2
    close = {"rtol": 1e-9, "atol": 1e-11}
    torch.testing.assert_close(ends["weights"], plain["weights"], **close)
    torch.testing.assert_close(ends["losses"], [plain["loss"]] * 2, **close)
    torch.testing.assert_close(ends["again"], [plain["again"]] * 2, **close)


def test_auto_shards_what_does_not_fit(found: dict[str, Any]) -> None:
    assert found["auto"] == ["ddp", "fsdp"]


def test_a_model_is_released(found: dict[str, Any]) -> None:
    assert found["left"] == additions(net())


def test_optimizers_are_tried(found: dict[str, Any]) -> None:
    assert found["AdamW"] == "no error"
    assert "Muon cannot train a sharded model" in found["Muon"]
    assert "LBFGS cannot train a sharded model" in found["LBFGS"]


def test_parameters_are_divided(found: dict[str, Any]) -> None:
    """The two processes together hold each number once, but for padding."""
    count = sum(p.numel() for p in net().parameters())
    assert found["held"] == [{"parameters": count, "exp_avg": count}] * 2


@pytest.mark.parametrize("given", [-1, True, [], [3], 0.5])
def test_faults_of_shard_modules(given: Any) -> None:
    with pytest.raises(ConfigError, match="shard_modules"):
        TrainConfig(shard_modules=given)
