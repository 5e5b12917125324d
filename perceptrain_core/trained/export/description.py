"""What an exported file expects and returns, as plain values."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from perceptrain_core.data.tables.preparation import InputColumn, Preparation
from perceptrain_core.inference.predictions import Target

#: The name of the description inside a file, as an extra file or metadata.
NAME = "perceptrain.json"
#: The names of the input and the output of the graph.
INPUT, OUTPUT = "rows", "predictions"
#: The code of a category that the training did not have.
UNSEEN = -1


def describe_files(
    rows: Tensor, outputs: Tensor, preparation: object, target: Target
) -> dict[str, Any]:
    """Describe the input and the output of an exported file.

    Args:
        rows: Raw rows, shape ``(N, ...)``.
        outputs: The predictions for them.
        preparation: That of the run.
        target: What the model predicts.
    """
    described = {"input": _tensor(INPUT, rows), "output": _tensor(OUTPUT, outputs)}
    if isinstance(preparation, Preparation):
        unseen = preparation.accepts_unseen
        described["input"]["columns"] = [_column(column, unseen) for column in preparation.inputs]
    described["output"]["labels"] = list(target.names)
    described["output"]["values"] = _meaning(outputs, target)
    if target.classes is not None:
        described["output"]["classes"] = list(target.classes)
    return described


def _tensor(name: str, values: Tensor) -> dict[str, Any]:
    dtype = str(values.dtype).removeprefix("torch.")
    return {"name": name, "dtype": dtype, "shape": ["N", *values.shape[1:]]}


def _column(column: InputColumn, unseen: bool) -> dict[str, Any]:
    described: dict[str, Any] = {"name": column.name, "kind": column.kind}
    if column.kind == "category":
        described["categories"] = {text: code for code, text in enumerate(column.categories)}
        described |= {"unseen": UNSEEN} if unseen else {}
    return described | {"fill": column.fill}


def _meaning(outputs: Tensor, target: Target) -> str:
    if target.classes is None:
        units = "in the units of the labels"
        return f"{target.activation} of the outputs" if target.activation else units
    one = outputs.shape[1:] in ((), (1,))
    what = "probability" if target.activation is not None else "score"
    return f"{what} of the class {target.classes[1]}" if one else f"{what} of each class"
