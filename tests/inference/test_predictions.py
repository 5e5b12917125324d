"""Predictions with names, from the outputs of a pipeline."""

from __future__ import annotations

import numpy as np
import torch

from perceptrain_core.inference.predictions import Predictions, Target

CHANCES = torch.tensor([[0.2, 0.7, 0.1], [0.5, 0.2, 0.3]])


def test_classes():
    found = Predictions.of(CHANCES, Target(("kind",), ("a", "b", "c"), "softmax"))
    assert found.values.tolist() == [1, 0]
    assert found.labels.tolist() == ["b", "a"]
    assert torch.equal(found.probabilities, CHANCES)
    columns = found.columns()
    assert list(columns) == ["kind", "probability[a]", "probability[b]", "probability[c]"]
    assert columns["probability[c]"].tolist() == CHANCES[:, 2].tolist()
    assert repr(found) == "Predictions for 2 rows: b, a"


def test_classes_that_are_numbers():
    found = Predictions.of(CHANCES, Target(("kind",), (1, 2, 30), "softmax"))
    assert found.labels.dtype == np.int64
    assert found.labels.tolist() == [2, 1]
    assert list(found.columns())[1:] == ["probability[1]", "probability[2]", "probability[30]"]
    halves = Predictions.of(CHANCES, Target(("kind",), (0.5, 1.0, 2.0), "softmax"))
    assert (halves.labels.dtype, halves.labels.tolist()) == (np.float64, [1.0, 0.5])
    assert Predictions.of(CHANCES, Target((), ())).classes == (0, 1, 2)
    assert Predictions.of(CHANCES, Target((), ("a",))).classes == ("a", "1", "2")


def test_scores_without_an_activation_have_no_probabilities():
    found = Predictions.of(CHANCES, Target(("kind",), ("a", "b", "c")))
    assert (found.probabilities, list(found.columns())) == (None, ["kind"])


def test_two_classes_from_one_output():
    chances = torch.tensor([[0.25], [0.75]])
    found = Predictions.of(chances, Target(("kind",), ("a", "b"), "sigmoid"))
    assert found.labels.tolist() == ["a", "b"]
    assert found.probabilities.tolist() == [[0.75, 0.25], [0.25, 0.75]]
    scores = Predictions.of(torch.tensor([-0.1, 0.2]), Target(("kind",), ("a", "b")))
    assert scores.values.tolist() == [0, 1]


def test_numbers():
    two = Predictions.of(torch.tensor([[1.0, 2], [3, 4]]), Target(("y", "z")))
    assert {name: column.tolist() for name, column in two.columns().items()} == {
        "y": [1, 3],
        "z": [2, 4],
    }
    assert list(Predictions.of(torch.ones(2, 1), Target()).columns()) == ["prediction"]
    maps = Predictions.of(torch.ones(2, 1, 2), Target(("field",)))
    assert list(maps.columns()) == ["field[0]", "field[1]"]


def test_parts_are_joined():
    target = Target(("kind",), ("a", "b", "c"), "softmax")
    parts = [Predictions.of(CHANCES[:1], target), Predictions.of(CHANCES[1:], target)]
    joined = Predictions.joined(parts)
    assert len(joined) == 2
    assert torch.equal(joined.probabilities, CHANCES)
