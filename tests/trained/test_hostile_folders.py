"""Run folders that were made to do harm: each ends in an error of ours, and soon."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from perceptrain_core.analysis.curves import plot_run
from perceptrain_core.checkpoints.saveload import load_checkpoint
from perceptrain_core.errors import CheckpointError, DataError, PerceptrainError
from perceptrain_core.metrics_file import read_rows, read_table
from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.trained.load_run import load_run
from perceptrain_core.trained.trained_run import TrainedRun

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes, devices and alarms of POSIX")

RUN = """
[model]
name = "ffnn"
layers = [2, 4, 2]
[loss]
name = "cross_entropy"
[data]
file = "rows.csv"
labels = "c"
val_fraction = 0.25
test_fraction = 0.25
standardize = true
[train]
max_iter = 1
batch_size = 4
verbose = false
[[callbacks]]
name = "save_best_checkpoint"
"""
FILES = ("run.toml", "run.json", "preparation.json", "model.pt", "checkpoint_best.pt")


@contextmanager
def within(seconds: int) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError(f"it took more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder, with its data two folders above."""
    here = tmp_path_factory.mktemp("good")
    rows = [f"{i % 3},{i % 5},{'ab'[i % 2]}" for i in range(16)]
    (here / "rows.csv").write_text("\n".join(["a,b,c", *rows]) + "\n")
    path = here / "run.toml"
    path.write_text(RUN)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        return build_run(read_run_file(path), path).train()


@pytest.fixture
def folder(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, to do harm to."""
    above = good.parents[1]
    shutil.copytree(above, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / good.relative_to(above)


def use(folder: Path) -> TrainedRun:
    """Load a run in both ways, and predict and test with it."""
    with within(10):
        load_run(folder, "best")
        run = load_run(folder)
        run.predict({"a": [1.0, 2.0], "b": [0.0, 1.0]}).columns()
        run.test()
    return run


def test_the_folder_is_good_before(folder: Path) -> None:
    use(folder)


def put(kind: str, path: Path) -> None:
    path.unlink()
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "loop":
            path.symlink_to(path)
        case "dangling":
            path.symlink_to(path.with_name("nothing"))
        case "empty":
            path.touch()
        case "huge":  # sparse: it takes no space
            with path.open("wb") as file:
                file.truncate(2**32)
        case "noise":
            path.write_bytes(bytes(range(256)) * 10)
        case "zeros":
            path.write_bytes(b"\0" * 5000)


KINDS = ("pipe", "device", "folder", "loop", "dangling", "empty", "huge", "noise", "zeros")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", KINDS)
def test_something_else_in_place_of_a_file(folder: Path, name: str, kind: str) -> None:
    put(kind, folder / name)
    with pytest.raises(PerceptrainError, match=name.replace(".", r"\.") + "|not the folder of"):
        use(folder)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "loop", "noise"])
def test_something_else_in_place_of_the_metrics(folder: Path, kind: str) -> None:
    put(kind, folder / "metrics.csv")
    with within(2), pytest.raises(DataError, match=r"metrics\.csv"):
        read_rows(folder / "metrics.csv")
    with within(2), pytest.raises(PerceptrainError):
        plot_run(folder)
    if kind in ("pipe", "device"):
        with within(2), pytest.raises(DataError, match="not a regular file"):
            read_table(folder / "metrics.csv")


def test_a_pipe_under_the_name_of_a_checkpoint(folder: Path) -> None:
    model = torch.nn.Linear(2, 1)
    os.mkfifo(folder / "pipe.pt")
    with within(2), pytest.raises(CheckpointError, match="not a regular file"):
        load_checkpoint(folder / "pipe.pt", model)
    os.mkfifo(folder / "checkpoint_epoch_000009.pt")
    with within(2), pytest.warns(UserWarning, match="not a regular file"):
        load_checkpoint(folder, load_run(folder).model)


TEXTS = {
    "brackets": "x = " + "[" * 5000 + "]" * 5000,
    "tables": ".".join(["a"] * 5000) + " = 1",
    "long_tables": ".".join(["a"] * 500_000) + " = 1",
    "digits": "x = " + "9" * 5000,
    "many_digits": "x = 0" + "9" * 1_000_000,
    "leading_zeros": "x = " + "0" * 500_000 + "x",
    "nul": 'x = "a\0b"',
    "megabytes": "# " + "a" * 2**22,
    "provenance": "\n[provenance]\nversions = 3\nmodel = 5\nloss = {distribution = [1]}",
    "versions": '\n[provenance.versions]\nperceptrain-core = []\n"../../x" = {a = 1}',
    "model": '\n[model.more]\nlayers = "a"',
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_run_file(folder: Path, case: str) -> None:
    path = folder / "run.toml"
    text = path.read_text().partition("[provenance")[0]
    if case in ("provenance", "versions"):
        path.write_text(text + TEXTS[case])
        with within(10):
            if case == "versions":
                with pytest.warns(UserWarning, match=r"perceptrain-core \[\]"):
                    load_run(folder)
            else:
                load_run(folder)
        return
    path.write_text(TEXTS[case] + "\n" + text)
    with pytest.raises(PerceptrainError, match=r"run\.toml"):
        use(folder)


DEEP = "[" * 100_000 + "]" * 100_000
RECORDS: dict[str, Any] = {
    "list": [],
    "number": 3,
    "epoch": {"epoch": "x"},
    "labels": {"labels": 3},
    "classes": {"classes": {"a": 1}},
    "data": {"data": {"file": 1, "size": "x", "sha256": []}},
    "unknown": {"code": "import os"},
    "format": {"format": 10**30},
    "weights": {"weights": "../../x"},
    "too_many_classes": {"classes": list("abcd")},
}


@pytest.mark.parametrize("case", [*RECORDS, "deep", "digits", "infinite"])
def test_a_record(folder: Path, case: str) -> None:
    raw = {"deep": DEEP, "digits": '{"epoch": ' + "9" * 5000 + "}", "infinite": '{"epoch": 1e999}'}
    known = json.loads((folder / "run.json").read_text())
    given = RECORDS.get(case)
    text = json.dumps({**known, **given} if isinstance(given, dict) else given)
    (folder / "run.json").write_text(raw.get(case, text))
    with pytest.raises(PerceptrainError):
        use(folder)


@pytest.mark.parametrize("classes", [[], ["a"]])
def test_classes_without_a_name_have_their_number(folder: Path, classes: list[str]) -> None:
    known = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**known, "classes": classes}))
    predictions = use(folder).predict({"a": [1.0], "b": [0.0]})
    assert predictions.classes == (("a", "1") if classes else (0, 1))
    assert predictions.probabilities is not None


def changed(record: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    *keys, last = path.split(".")
    place: Any = record
    for key in keys:
        place = place[int(key) if key.isdigit() else key]
    place[last] = value
    return record


PREPARATIONS = [
    ("version", 10**30),
    ("kind", ["table"]),
    ("kind", "tensors"),
    ("inputs", []),
    ("inputs", 3),
    ("inputs.0.mean", "x"),
    ("inputs.0.mean", 1e400),
    ("inputs.0.scale", 0),
    ("inputs.0.scale", -1e308),
    ("inputs.0.kind", "eval"),
    ("inputs.0.name", 3),
    ("inputs.0.code", "import os"),
    ("encoding", "pickle"),
    ("labels", None),
    ("labels.classes", 3),
]


@pytest.mark.parametrize(("path", "value"), PREPARATIONS)
def test_a_preparation(folder: Path, path: str, value: Any) -> None:
    file = folder / "preparation.json"
    file.write_text(json.dumps(changed(json.loads(file.read_text()), path, value)))
    with pytest.raises(PerceptrainError, match=r"preparation\.json"):
        use(folder)


@pytest.mark.parametrize(
    "values",
    [
        {"shape": [10**9, 10**9], "mean": [0.0], "scale": [1.0]},
        {"shape": [10**9] * 20_000, "mean": [], "scale": []},
        {"shape": [10**4000] * 300, "mean": [], "scale": []},
        {"shape": [-1, -1], "mean": [0.0], "scale": [1.0]},
        {"shape": [0, 10**18], "mean": [], "scale": []},
        {"shape": [1], "mean": [0.0], "scale": [float("nan")]},
    ],
)
def test_a_preparation_of_tensors(folder: Path, values: dict[str, Any]) -> None:
    record = {"version": 1, "kind": "tensors", **values}
    (folder / "preparation.json").write_text(json.dumps(record))
    with pytest.raises(PerceptrainError):
        use(folder)


def test_a_deep_preparation(folder: Path) -> None:
    (folder / "preparation.json").write_text(DEEP)
    with pytest.raises(DataError, match="not valid JSON"):
        use(folder)


class Hostile:
    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


def _bomb(path: Path, state: Any) -> None:
    """Compress a record of zeros, as torch never does."""
    torch.save({"model.0.weight": torch.zeros(10**6)}, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def _cut(path: Path, state: Any) -> None:
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:-300])


def _flipped(path: Path, state: Any) -> None:
    torch.save(state, path)
    content = bytearray(path.read_bytes())
    name = next(iter(state))
    place = content.find(state[name].numpy().tobytes())
    content[place] ^= 1
    path.write_bytes(content)


def _traversing(path: Path, state: Any) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../escaped", "x")
        archive.writestr("/absolute", "x")


def _saved(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path, Any], None]:
    return lambda path, state: torch.save(change(dict(state)), path)


def _first(state: dict[str, Any]) -> str:
    return next(iter(state))


WEIGHTS: dict[str, Callable[[Path, Any], Any]] = {
    "code": _saved(lambda s: {**s, _first(s): Hostile()}),
    "code_alone": lambda path, _: path.write_bytes(pickle.dumps(Hostile(), 2)),
    "whole_model": _saved(lambda s: torch.nn.Linear(1, 1)),
    "bomb": _bomb,
    "cut": _cut,
    "flipped": _flipped,
    "traversing": _traversing,
    "legacy": lambda path, s: torch.save(s, path, _use_new_zipfile_serialization=False),
    "shape": _saved(lambda s: {**s, _first(s): torch.zeros(7, 7)}),
    "huge_shape": _saved(lambda s: {**s, _first(s): torch.zeros(1).expand(10**9, 10**6)}),
    "missing": _saved(lambda s: {k: v for k, v in s.items() if k != _first(s)}),
    "unknown": _saved(lambda s: {**s, "more": torch.zeros(1)}),
    "numbers": _saved(lambda s: dict(enumerate(s.values()))),
    "no_tensors": _saved(lambda s: dict.fromkeys(s, 1.0)),
    "list": _saved(lambda s: list(s.values())),
    "text": _saved(lambda s: "weights"),
    "nothing": _saved(lambda s: {}),
    "complex": _saved(lambda s: {k: v.to(torch.complex64) for k, v in s.items()}),
    "sparse": _saved(lambda s: {k: v.to_sparse() for k, v in s.items()}),
    "meta": _saved(lambda s: {k: v.to("meta") for k, v in s.items()}),
    "epoch": _saved(lambda s: {"format": 1, "epoch": "x", "model": s}),
    "format": _saved(lambda s: {"format": [1], "model": s}),
    "no_model": _saved(lambda s: {"format": 1, "model": 3}),
    "model_of_texts": _saved(lambda s: {"format": 1, "model": dict.fromkeys(s, "x")}),
    "average": _saved(lambda s: {"format": 1, "averaged_model": [1], "model": s}),
}


@pytest.mark.filterwarnings("ignore:.*converted to")
@pytest.mark.parametrize("name", ["model.pt", "checkpoint_best.pt"])
@pytest.mark.parametrize("case", WEIGHTS)
def test_weights(folder: Path, case: str, name: str) -> None:
    state = torch.load(folder / "model.pt", weights_only=True)
    WEIGHTS[case](folder / name, state)
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")) as caught:
        use(folder)
    assert "weights_only" not in str(caught.value)
    assert not Path("executed").exists()
    assert not list(Path(folder).rglob("escaped"))


def test_a_model_that_fits_no_memory(folder: Path) -> None:
    path = folder / "run.toml"
    layers = f"layers = [2, {10**12}, 2]"
    lines = path.read_text().partition("[provenance")[0]
    start, _, rest = lines.partition("layers = [")
    path.write_text(start + layers + rest.partition("]")[2])
    with pytest.raises(PerceptrainError):
        use(folder)


def test_data_that_are_no_file(folder: Path) -> None:
    Path("rows.csv").unlink()
    os.mkfifo("rows.csv")
    run = load_run(folder)
    with within(2), pytest.raises(DataError, match=r"rows\.csv"):
        run.test()


def test_a_folder_without_its_preparation(folder: Path) -> None:
    (folder / "preparation.json").unlink()
    with pytest.raises(DataError, match=r"has no preparation\.json"):
        use(folder)
