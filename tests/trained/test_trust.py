"""A run of somebody else runs no code of its own, and says which code it would run."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from torch.utils.data import DataLoader, Dataset

from perceptrain_core.errors import ConfigError, TargetError, TrustError
from perceptrain_core.registry import registry
from perceptrain_core.registry.references import load_reference, references_refused
from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.trained.load_run import load_run
from perceptrain_core.trained.trust import code_in, sources_in

#: Leaves a mark when it is imported, and offers an honest part of each kind.
EVIL = """
from pathlib import Path
import torch
from perceptrain import Metric
Path(MARK).touch()


def loss(batch, model):
    return (model(batch[0]) - batch[1]).square().mean(), {}


def points(rows=8):
    return torch.randn(rows, 2), torch.randn(rows, 1)


def net():
    return torch.nn.Linear(2, 1)


def scheduler(optimizer):
    return torch.optim.lr_scheduler.ConstantLR(optimizer)


def function(*args):
    return 1.0
"""
RUN: dict[str, Any] = {
    "model": {"name": "ffnn", "layers": [2, 4, 1]},
    "loss": {"name": "mse"},
    "data": {"name": "linear", "test_fraction": 0.25},
    "train": {"max_iter": 1, "batch_size": 4, "verbose": False, "seed": 0},
}
PINN = {"name": "pinn", "nn": {"name": "ffnn", "layers": [2, 4, 1]}}
#: Tables with code that a prediction or a test needs, and where.
NEEDED: dict[str, tuple[dict[str, Any], str]] = {
    "model": ({"model": {"name": "./evil.py:net"}}, "model.name"),
    "nested": ({"model": {**PINN, "nn": {"name": "./evil.py:net"}, "equations": {}}}, "model.nn"),
    "equation": (
        {"model": {**PINN, "equations": {"a": "./evil.py:function"}}},
        "model.equations.a",
    ),
    "module": ({"model": {"name": "evil:net"}}, "model.name"),
    "loss": ({"loss": {"name": "./evil.py:loss"}}, "loss.name"),
    "weighting": ({"weighting": {"name": "./evil.py:net"}}, "weighting.name"),
    "residuals": (
        {"weighting": {"name": "ntk", "residuals": "./evil.py:function"}},
        "weighting.residuals",
    ),
    "metric": ({"metrics": {"own": {"name": "./evil.py:net"}}}, "metrics.own.name"),
}
#: Tables with code for the training alone.
UNUSED: dict[str, dict[str, Any]] = {
    "data": {"data": {"name": "./evil.py:points"}},
    "optimizer": {"optimizer": {"name": "./evil.py:function"}},
    "group": {"optimizer": {"groups": [{"match": "*", "optimizer": "./evil.py:function"}]}},
    "callback": {"callbacks": [{"name": "./evil.py:function"}]},
    "option": {"callbacks": [{"name": "print_metrics", "callback": "./evil.py:function"}]},
    "schedule": {"train": {**RUN["train"], "lr_scheduler": "./evil.py:scheduler"}},
    "lambda": {
        "train": {
            **RUN["train"],
            "lr_scheduler": {"name": "lambda", "lr_lambda": "./evil.py:function"},
        }
    },
    "tracker": {"train": {**RUN["train"], "tracking_tool": ["csv", "./evil.py:function"]}},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder, with code that leaves the file ``executed``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "runs" / "honest"))
    torch.manual_seed(0)
    torch.save((torch.randn(8, 2), torch.randn(8, 1)), "rows.pt")
    registry().register("dataset", "linear", lambda: torch.load("rows.pt", weights_only=True))
    path = tmp_path / "honest.toml"
    path.write_text(tomli_w.dumps(RUN))
    made = build_run(read_run_file(path), path).train()
    (made / "evil.py").write_text(EVIL.replace("MARK", repr(str(tmp_path / "executed"))))
    return made


def change(folder: Path, tables: dict[str, Any]) -> Path:
    (folder / "run.toml").write_text(tomli_w.dumps({**RUN, **tables}))
    return folder


def executed(folder: Path) -> bool:
    return (folder.parent.parent / "executed").exists()


def use(folder: Path) -> None:
    """Do everything with a run."""
    run = load_run(folder)
    run.predict(torch.randn(3, 2))
    run.test((torch.randn(3, 2), torch.randn(3, 1)))
    run.test()


def test_an_honest_run_needs_no_trust(folder: Path) -> None:
    use(folder)


@pytest.mark.parametrize("case", NEEDED)
def test_code_that_a_run_needs_is_refused_and_listed(folder: Path, case: str) -> None:
    tables, place = NEEDED[case]
    change(folder, {**tables, "callbacks": [{"name": "other.module:thing"}]})
    with pytest.raises(TrustError) as caught:
        use(folder)
    message = str(caught.value)
    assert str(folder / "run.toml") in message
    assert f"\n  {place}" in message
    assert "\n  callbacks.name = other.module:thing" in message
    assert "trust=True (--trust on the command line)" in message
    assert not executed(folder)


@pytest.mark.parametrize("case", UNUSED)
def test_code_of_the_training_alone_is_not_imported(folder: Path, case: str) -> None:
    run = load_run(change(folder, UNUSED[case]))
    run.predict(torch.randn(3, 2))
    run.test((torch.randn(3, 2), torch.randn(3, 1)))
    assert code_in(run.run_file)
    if case == "data":
        with pytest.raises(TrustError, match=r"data\.name = .*evil\.py:points"):
            run.test()
    assert not executed(folder)


def test_a_trusted_run_imports_its_code(folder: Path) -> None:
    change(folder, {"loss": {"name": "./evil.py:loss"}, "data": {"name": "./evil.py:points"}})
    with pytest.raises(TrustError):
        _ = load_run(folder).loss_fn
    run = load_run(folder, trust=True)
    assert set(run.test(run.rows().splits.train)) == {"test_loss"}
    assert executed(folder)


class Lazy(torch.nn.Linear):
    """Imports code when it is called, and not when it is built."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        load_reference("./evil.py:function")
        return super().forward(x)


def test_a_model_that_imports_late_is_refused_too(folder: Path) -> None:
    registry().register("model", "lazy", lambda: Lazy(2, 1))
    change(folder, {"model": {"name": "lazy"}})
    torch.save(torch.nn.Linear(2, 1).state_dict(), folder / "model.pt")
    run = load_run(folder)
    with pytest.raises(TrustError):
        next(run.predict_in_batches(torch.randn(3, 2)))
    with pytest.raises(TrustError):
        run.test((torch.randn(3, 2), torch.randn(3, 1)))
    assert not executed(folder)


def test_between_the_batches_the_caller_may_import(folder: Path) -> None:
    (folder / "mine.py").write_text("x = 3\n")
    for _ in load_run(folder).predict_in_batches(torch.randn(3, 2), batch_size=1):
        assert load_reference(f"{folder}/mine.py:x") == 3


class Loading(Dataset[int]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        try:
            load_reference("math:sqrt")
        except TrustError:
            return 1
        return 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
def test_forked_workers_of_a_loader_refuse_too() -> None:
    loader = DataLoader(Loading(), num_workers=1, multiprocessing_context="fork")
    with references_refused():
        assert [int(batch) for batch in loader] == [1]
    assert [int(batch) for batch in loader] == [0]


def test_other_threads_are_not_affected() -> None:
    found: list[object] = []
    with references_refused():
        thread = threading.Thread(target=lambda: found.append(load_reference("math:sqrt")))
        thread.start()
        thread.join()
    assert found


def test_code_in_finds_references_alone(tmp_path: Path) -> None:
    tables = {
        "model": {"name": "a.b:Net", "time": "12:30", "path": "C:\\data\\x.csv", "drive": "C:x"},
        "loss": {"name": "mse", "note": "see: this", "inner": [{"name": "./my losses.py:f.g"}]},
        "data": {"file": "rows.csv", "labels": "a:b", "inputs": ["c:d"], "weights": "w:x"},
        "optimizer": {"name": "adam", "groups": [{"optimizer": "./o.py:Own"}]},
        "train": {
            "log_folder": "a:b",
            "max_time": "01:30:00",
            "hyperparams": {"note": "key:value"},
            "tracking_tool": ["csv", "pkg.track:T"],
            "lr_scheduler": "./rates.py:warm_up",
        },
        "callbacks": [{"name": "x:y", "url": "https://example.org:80"}],
        "provenance": {"loss": {"name": "not:used"}},
    }
    path = tmp_path / "run.toml"
    path.write_text(tomli_w.dumps(tables))
    assert code_in(read_run_file(path)) == [
        "model.name = a.b:Net",
        f"loss.inner.name = {tmp_path}/my losses.py:f.g",
        f"optimizer.groups.optimizer = {tmp_path}/o.py:Own",
        "callbacks.name = x:y",
        "train.tracking_tool = pkg.track:T",
        f"train.lr_scheduler = {tmp_path}/rates.py:warm_up",
    ]
    assert sources_in(read_run_file(path), tmp_path) == [
        "a.b (Net)",
        "./my losses.py (f.g)",
        "./o.py (Own)",
        "x (y)",
        "pkg.track (T)",
        "./rates.py (warm_up)",
    ]


TOOLS = [
    ("os:system", {"command": "touch executed"}),
    ("subprocess:run", {"args": ["touch", "executed"]}),
    ("subprocess:Popen", {"args": ["touch", "executed"]}),
    ("builtins:exec", {"source": "open('executed', 'w')"}),
    ("shutil:rmtree", {"path": "keep"}),
    ("pathlib:Path.unlink", {"self": "keep"}),
    ("urllib.request:urlopen", {"url": "file:///etc/hostname"}),
    ("torch.serialization:load", {"f": "keep/x.pt", "weights_only": False}),
    ("torch.hub:load", {"repo_or_dir": "keep", "model": "m", "source": "local"}),
    ("numpy:load", {"file": "keep/x.npy", "allow_pickle": True}),
    ("pandas:read_pickle", {"filepath_or_buffer": "keep/x"}),
]


@pytest.mark.parametrize(("reference", "options"), TOOLS, ids=[name for name, _ in TOOLS])
@pytest.mark.parametrize("kind", ["dataset", "model", "callback", "optimizer", "metric"])
def test_a_tool_of_the_system_is_refused_before_it_is_called(
    folder: Path, kind: str, reference: str, options: dict[str, Any]
) -> None:
    Path("keep").mkdir()
    with pytest.raises(TargetError, match="was not called: expected a class or a function"):
        registry().resolve(kind, reference, (), options)
    assert Path("keep").exists()
    assert not Path("executed").exists()


def test_such_a_tool_in_a_run_file_names_its_table(folder: Path) -> None:
    data = {"name": "os:system", "command": "touch executed"}
    path = Path("shell.toml")
    path.write_text(tomli_w.dumps({**RUN, "data": data}))
    with pytest.raises(ConfigError, match=r"shell\.toml, \[data\]: .*posix\.system|nt\.system"):
        build_run(read_run_file(path), path)
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    "tables",
    [
        {"model": {**PINN, "equations": {"a": "os:system"}}},
        {"weighting": {"name": "ntk", "residuals": "os:system"}},
        {"train": {**RUN["train"], "lr_scheduler": {"name": "lambda", "lr_lambda": "os:system"}}},
        {"train": {**RUN["train"], "lr_scheduler": "subprocess:run"}},
        {"loss": {"name": "os:system"}},
        {"loss": {"name": "subprocess:Popen", "args": "true"}},
    ],
)
def test_such_a_tool_anywhere(folder: Path, tables: dict[str, Any]) -> None:
    path = Path("shell.toml")
    path.write_text(tomli_w.dumps({**RUN, **tables}))
    with pytest.raises(ConfigError, match="was not called"):
        build_run(read_run_file(path), path)


def test_honest_code_is_called(folder: Path) -> None:
    Path("own.py").write_text(
        "import functools\n"
        "import torch\n"
        "from sklearn.datasets import make_moons\n"
        "def points(rows=3):\n    return torch.zeros(rows, 2)\n"
        "five = functools.partial(points, rows=5)\n"
        "cached = functools.cache(points)\n"
        "class Rows(torch.utils.data.Dataset):\n    pass\n"
        "class Box:\n"
        "    @staticmethod\n    def points():\n        return torch.zeros(1)\n"
    )
    for name in ("points", "five", "cached", "Rows", "Box.points", "make_moons"):
        assert registry().resolve("dataset", f"./own.py:{name}") is not None
    with pytest.raises(TargetError, match=r"a class that is not a torch\.nn\.Module"):
        registry().resolve("model", "./own.py:Box")
    assert isinstance(
        registry().resolve("model", "torch.nn:Linear", (), {"in_features": 1, "out_features": 1}),
        torch.nn.Linear,
    )
    assert registry().resolve("loss", "torch.nn:MSELoss") is not None
    assert registry().resolve("loss", "torch.nn.functional:mse_loss") is not None
