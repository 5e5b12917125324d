"""What the data set of a run file decides about labels, loss and metrics."""

from __future__ import annotations

import textwrap

import pytest
import torch

from perceptrain_core.errors import ConfigError
from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.read import read_run_file

CODE = """
import torch

class Labelled:
    def __call__(self, seed: int = 0, ignore_index: int = 9, rows: int | None = None):
        x = torch.randn(rows or 40, 2)
        y = (x[:, 0] > 0).long()
        y[::4] = ignore_index
        return x, y

    def complete_options(self, seed: int = 0, ignore_index: int = 9, rows: int | None = None):
        return {"rows": rows or 40}

labelled = Labelled()
"""
RUN = """
model = {name = "ffnn", hidden = [4]}
loss = "cross_entropy"
[data]
name = "./code.py:labelled"
ignore_index = 9
[metrics]
accuracy = {}
[train]
max_iter = 1
"""


def built(here, *overrides):
    (here / "code.py").write_text(textwrap.dedent(CODE))
    (here / "run.toml").write_text(RUN)
    path = here / "run.toml"
    return build_run(read_run_file(path, list(overrides)), path)


def test_an_ignored_label_is_no_class(here):
    run = built(here)
    assert run.record.classes == (0, 1)
    assert run.run_file.model.options["layers"][-1] == 2
    assert run.run_file.loss.options == {"ignore_index": 9}
    assert run.run_file.metrics["accuracy"].options == {"ignore_index": 9}
    x, y = run.splits.train
    counted = y != 9
    expected = torch.nn.functional.cross_entropy(run.trainer.model(x[counted]), y[counted])
    torch.testing.assert_close(run.trainer.loss_fn((x, y), run.trainer.model)[0], expected)


def test_options_that_the_data_set_found_are_recorded(here):
    assert built(here).run_file.data.options == {"ignore_index": 9, "rows": 40}
    assert built(here, "data.rows=12").run_file.data.options["rows"] == 12


def test_a_loss_that_cannot_ignore_is_refused(here):
    with pytest.raises(ConfigError, match=r"\[loss\]: multi_margin has no option ignore_index"):
        built(here, "loss=multi_margin")
