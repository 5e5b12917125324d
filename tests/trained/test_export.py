"""Exported runs, loaded where there is no Perceptrain, against the predictions of the run."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from perceptrain_core.errors import (
    ConfigError,
    DataError,
    ExportError,
    MissingDependencyError,
    TrustError,
)
from perceptrain_core.trained.export.comparison import compare
from perceptrain_core.trained.load_run import load_run
from perceptrain_core.trained.rows import raw_rows

from .conftest import CANCER, DIABETES

pytestmark = pytest.mark.timeout(300)

SUFFIXES = {"torch-export": ".pt2", "onnx": ".onnx", "torchscript": ".ts"}
#: Loads files in a process that refuses to import Perceptrain, and predicts.
ELSEWHERE = """
import json, sys, warnings

class Refuse:
    def find_spec(self, name, *_):
        if name.partition(".")[0].startswith("perceptrain"):
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
import numpy as np
for line in sys.stdin:
    path, rows, found, description = json.loads(line)
    rows = np.load(rows)
    if path.endswith(".onnx"):
        import onnxruntime
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        text = session.get_modelmeta().custom_metadata_map["perceptrain.json"]
        predict = lambda rows: session.run(["predictions"], {"rows": rows})[0]
    else:
        warnings.simplefilter("ignore")
        import torch
        extra = {"perceptrain.json": ""}
        if path.endswith(".pt2"):
            module = torch.export.load(path, extra_files=extra).module()
        else:
            module = torch.jit.load(path, _extra_files=extra)
        text = extra["perceptrain.json"]
        text = text if isinstance(text, str) else text.decode()
        predict = lambda rows: module(torch.from_numpy(rows)).detach().numpy()
    parts = [predict(rows[:1]), predict(rows[1:3]), predict(rows[3:])]
    np.save(found, np.concatenate(parts))
    open(description, "w").write(text)
    assert not any(name.startswith("perceptrain") for name in sys.modules)
    print("predicted", flush=True)
"""


@pytest.fixture(scope="module")
def elsewhere():
    """The process, which imports torch once for all files."""
    command = [sys.executable, "-c", ELSEWHERE]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        process.stdin.close()
    assert process.returncode == 0


@pytest.fixture
def predicted_elsewhere(elsewhere):
    def predict(path, rows, here) -> np.ndarray:
        np.save(here / "rows.npy", rows)
        files = [path, here / "rows.npy", here / "found.npy", here / "inside.json"]
        print(json.dumps([*map(str, files)]), file=elsewhere.stdin, flush=True)
        assert elsewhere.stdout.readline() == "predicted\n"
        inside = json.loads((here / "inside.json").read_text())
        assert inside == json.loads(path.with_name(f"{path.name}.json").read_text())
        return np.load(here / "found.npy")

    return predict


def formats(fast: str, slow: str) -> pytest.MarkDecorator:
    """One format, and another in the slow tests: each occurs with several networks."""
    return pytest.mark.parametrize("format", [fast, pytest.param(slow, marks=pytest.mark.slow)])


# What an exported file predicts


@pytest.mark.slow
@pytest.mark.parametrize("format", SUFFIXES)
def test_text_and_gaps_are_prepared_in_the_file(train, here, predicted_elsewhere, diabetes, format):
    run = load_run(train(DIABETES))
    path = run.export(here / "out", format)
    assert path == here / f"out{SUFFIXES[format]}"
    described = json.loads((here / f"{path.name}.json").read_text())
    columns = described["input"]["columns"]
    sexes = next(c for c in columns if c["name"] == "sex")
    rows = diabetes.copy()
    rows.loc[1, "sex"] = "new"
    codes = rows["sex"].map(sexes["categories"] | {"new": sexes["unseen"]})
    raw = rows.assign(sex=codes)[[c["name"] for c in columns]].to_numpy(dtype=float)
    assert np.isnan(raw).sum() > 50
    found = predicted_elsewhere(path, raw, here)
    with pytest.warns(UserWarning, match="column 'sex': 'new' in 1 row"):
        expected = run.predict(rows).values.numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)
    assert 100 < found.mean() < 200  # in the units of the labels
    filled = {c["name"]: c["fill"] for c in columns}
    assert filled["bmi"] == run.preparation.inputs[2].fill
    assert described["output"]["labels"] == ["progression"]
    assert described["versions"]["torch"] == torch.__version__


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "loss", "outputs"),
    [("torch-export", "cross_entropy", 2), ("torchscript", "bce_with_logits", 1)],
)
def test_classes_are_probabilities(train, here, predicted_elsewhere, cancer, format, loss, outputs):
    run = load_run(train(CANCER, f"loss={loss}", f"model.layers=[30, 8, {outputs}]"))
    path = run.export(format=format)
    assert path == run.folder / f"exported{SUFFIXES[format]}"
    found = predicted_elsewhere(path, cancer.iloc[:, :30].to_numpy(), here)
    expected = run.predict(cancer).probabilities.numpy()
    np.testing.assert_allclose(found, expected[:, -outputs:], atol=1e-6)
    output = json.loads((run.folder / f"{path.name}.json").read_text())["output"]
    assert output["classes"] == ["benign", "malignant"]
    assert output["shape"] == ["N", outputs]
    whose = "of each class" if outputs == 2 else "of the class malignant"
    assert output["values"] == f"probability {whose}"


IMAGES = """
loss = "cross_entropy"
model = "./code.py:Pictures"
[data]
name = "./code.py:pictures"
standardize = true
[train]
max_iter = 2
seed = 0
verbose = false
"""


@pytest.mark.slow
@formats("torchscript", slow="onnx")
def test_images_batch_norm_and_dropout(train, here, predicted_elsewhere, format):
    run = load_run(train(IMAGES), trust=True)
    path = run.export(here / "images", format)
    images = raw_rows(np.random.default_rng(0).uniform(0, 16, (9, 1, 8, 8)), run.preparation, 9)
    images = next(images).float()
    found = predicted_elsewhere(path, images.numpy(), here)
    np.testing.assert_allclose(found, run.predict(images).probabilities.numpy(), atol=1e-5)


WIDE = (
    IMAGES.replace("Pictures", "Wide").replace("pictures", "wide").replace("cross_entropy", "mse")
)


@pytest.mark.slow
@formats("torch-export", slow="onnx")
def test_double_precision_and_several_outputs(train, here, predicted_elsewhere, format):
    run = load_run(train(WIDE, "train.dtype=float64"), trust=True)
    path = run.export(here / "wide", format)
    rows = np.linspace(-1, 1, 7)[:, None]
    found = predicted_elsewhere(path, rows, here)
    assert found.dtype == np.float64
    assert found.shape == (7, 2)
    expected = run.predict(torch.from_numpy(rows)).values.numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.slow
@formats("torch-export", slow="onnx")
def test_codes_of_an_embedding(train, here, predicted_elsewhere, diabetes, format):
    model = '{name="embedding_ffnn", cardinalities=[0,2,0,0,0,0,0,0,0,0], hidden=[8]}'
    run = load_run(train(DIABETES, f"model={model}", "data.categories=codes"))
    path = run.export(here / "codes", format)
    raw = next(raw_rows(diabetes, run.preparation, len(diabetes)))
    found = predicted_elsewhere(path, raw.numpy(), here)
    expected = run.predict(diabetes).values.numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


PINN = """
[model]
name = "pinn"
nn = { name = "ffnn", layers = [1, 8, 1] }
equations = { slope = "./code.py:slope" }
[data]
name = "./code.py:points"
[train]
max_iter = 2
seed = 0
verbose = false
"""


@pytest.mark.slow
@formats("torch-export", slow="torchscript")
def test_the_network_of_a_pinn_with_rows_from_a_file(train, here, predicted_elsewhere, format):
    run = load_run(train(PINN), trust=True)
    with pytest.raises(DataError, match="--data FILE"):
        run.export(here / "pinn", format)
    rows = np.linspace(0, 1, 5, dtype=np.float32)[:, None]
    np.save(here / "times.npy", rows)
    path = run.export(here / "pinn", format, data=here / "times.npy")
    found = predicted_elsewhere(path, rows, here)
    with torch.no_grad():
        np.testing.assert_allclose(found, run.model.nn(torch.from_numpy(rows)), atol=1e-6)


@pytest.mark.slow
def test_rows_that_the_training_dropped_are_not_compared(
    train, here, predicted_elsewhere, diabetes
):
    run = load_run(train(DIABETES, "data.missing=drop"))
    path = run.export(here / "dropped")
    complete = diabetes.dropna()
    raw = next(raw_rows(complete, run.preparation, len(complete)))
    found = predicted_elsewhere(path, raw.numpy(), here)
    expected = run.predict(complete).values.numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


# What cannot be exported


def test_a_format_or_a_path_that_cannot_be(train, here):
    run = load_run(train(CANCER, "train.max_iter=1"))
    with pytest.raises(ConfigError, match="'torch-export', 'onnx' or 'torchscript'"):
        run.export(here / "x", "tflite")
    with pytest.raises(ConfigError, match=r"There is no folder .*nowhere"):
        run.export(here / "nowhere" / "x.pt2")
    with pytest.raises(ConfigError, match=r"torchscript', name the file model\.ts"):
        run.export(run.folder / "model.pt", "torchscript")
    with pytest.raises(ConfigError, match="is a folder"):
        run.export(here)
    with pytest.raises(DataError, match="no data file"):
        run.export(here / "x", data=here / "missing.csv")
    (here / "cancer.csv").unlink()
    with pytest.raises(DataError, match="pass data"):
        run.export(here / "x")
    assert not list(here.glob("*x*"))


@pytest.mark.slow
def test_a_branch_on_values_is_refused(train, here):
    folder = train(WIDE, "model=./code.py:Branch", "train.dtype=float64")
    with pytest.raises(TrustError, match="--trust"):
        load_run(folder)
    run = load_run(folder, trust=True)
    for format in ("torch-export", "torchscript"):
        with pytest.raises(ExportError, match=f"cannot be exported as {format}: ") as caught:
            run.export(here / "branch", format)
        assert "\n" not in str(caught.value)
    assert not [*here.glob("*branch*"), *here.glob(".branch*")]


def test_a_file_that_predicts_something_else_is_not_left(train, here):
    folder = train(WIDE, "model=./code.py:Noise", "train.dtype=float64")
    before = here / "noise.pt2"
    before.write_text("an older file")
    with pytest.raises(ExportError, match="differ from those of the run by up to"):
        load_run(folder, trust=True).export(before)
    assert before.read_text() == "an older file"
    assert not [*here.glob("*noise*.json"), *here.glob(".noise*")]


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_without_the_extra(train, here, monkeypatch, package):
    run = load_run(train(CANCER, "train.max_iter=1"))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=r"perceptrain-core\[onnx\]"):
        run.export(here / "without", "onnx")
    assert not list(here.glob("*without*"))


def test_a_model_that_returns_a_pair_is_refused(train, here):
    settings = 'model="./code.py:Pair"', 'loss="./code.py:of_pair"'
    run = load_run(train(WIDE, *settings, "data.standardize=false"), trust=True)
    with pytest.raises(ExportError, match="returned a tuple"):
        run.export(here / "pair")


@pytest.mark.parametrize("change", [1e-3, torch.nan])
def test_a_difference_is_reported(change):
    rows = torch.rand(5, 2)

    def changed(batch):
        return batch + change if len(batch) > 2 else batch

    compare(lambda batch: batch * (1 + 1e-7), lambda batch: batch, rows)
    compare(lambda batch: batch * 1e-8, lambda batch: batch * 1.1e-8, rows, scale=1.0)
    with pytest.raises(ExportError, match=r"for 5 rows, .* by up to"):
        compare(changed, lambda batch: batch, rows)
    with pytest.raises(ExportError, match=r"shape \(1,\)"):
        compare(lambda batch: batch[:, 0], lambda batch: batch, rows)


@pytest.mark.slow
def test_export_leaves_the_run_as_it_was(train, here, capfd):
    run = load_run(train(CANCER, "train.max_iter=1"))
    before = run.predict(here / "cancer.csv").values
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for format in ("torch-export", "torchscript"):
            run.export(here / "quiet", format)
    assert capfd.readouterr() == ("", "")
    assert torch.equal(run.predict(here / "cancer.csv").values, before)
