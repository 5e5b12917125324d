"""The sizes of a model that follow from the data, and whether a model fits them."""

from __future__ import annotations

import inspect

from torch import nn

from perceptrain_core.data.files.folds import are_class_maps, are_classes
from perceptrain_core.data.files.splits import rows_of_tensors
from perceptrain_core.data.tables.preparation import Preparation
from perceptrain_core.errors import ConfigError
from perceptrain_core.losses.support.outputs import output_size
from perceptrain_core.models.sizes import DataSizes, complete_options
from perceptrain_core.plurals import counted
from perceptrain_core.registry import registry
from perceptrain_core.runs.data import RunData
from perceptrain_core.runs.tables import Named, RunFile

#: Whose outputs have the size of the labels, or they say which.
_LOSSES = "perceptrain_core.losses."
_ADVICE = "Give the hidden layers alone, hidden = {hidden}, and the ends follow from the data."


def data_sizes(data: RunData, loss: Named) -> DataSizes | None:
    """Return the sizes that the data need, or ``None`` if they are not tensors of rows.

    Args:
        data: The data.
        loss: The loss.
    """
    tensors = rows_of_tensors(data.splits.train) or ()
    if len(tensors) < 2 or tensors[0].ndim < 2:
        return None
    inputs, labels = tensors[:2]
    size = labels.shape[1] if labels.ndim > 1 else 1
    if are_classes(labels) or are_class_maps(inputs, labels):
        size = data.classes
    outputs = output_size(registry().entry("loss", loss.name).load(), size, **loss.options)
    columns = inputs.shape[-1]
    return DataSizes(columns, outputs, _cardinalities(data, columns), inputs.shape[1])


def needs_sizes(table: Named) -> bool:
    """Whether the options of a model are not complete without the data."""
    target = registry().entry("model", table.name).load()
    try:
        inspect.signature(target).bind(**table.options)
    except TypeError:
        return True
    except ValueError:  # it has no signature
        return False
    return False


def with_sizes(run_file: RunFile, data: RunData) -> RunFile:
    """Return the run file with all options of the model, and check that they fit the data.

    Raises:
        ConfigError: The options do not fit the data.
    """
    sizes = data_sizes(data, run_file.loss)
    if sizes is None:
        return run_file
    table = run_file.model
    target = registry().entry("model", table.name).load()
    options = complete_options(target, table.options, sizes)
    prepared = data.preparation
    text = isinstance(prepared, Preparation) and prepared.text_columns
    if text and "cardinalities" in options and not any(options["cardinalities"]):
        raise ConfigError(f'{table.name} needs categories = "codes" in [data].')
    return run_file.model_copy(update={"model": Named(name=table.name, **options)})


def check_fit(model: nn.Module, run_file: RunFile, data: RunData) -> None:
    """Check the ends of a model that has the attributes ``input_size`` and ``output_size``.

    Raises:
        ConfigError: They are not those of the data.
    """
    sizes = data_sizes(data, run_file.loss)
    if sizes is None:
        return
    layers = run_file.model.options.get("layers")
    advice = " " + _ADVICE.format(hidden=layers[1:-1]) if isinstance(layers, list) else ""
    inputs, outputs = (getattr(model, name, None) for name in ("input_size", "output_size"))
    if isinstance(inputs, int) and inputs != sizes.in_features:
        raise ConfigError(
            f"The model has {counted(inputs, 'input')}, and the data have {sizes.in_features}."
            f"{advice}"
        )
    loss = registry().entry("loss", run_file.loss.name).load()
    if not isinstance(outputs, int) or not getattr(loss, "__module__", "").startswith(_LOSSES):
        return
    labels = (rows_of_tensors(data.splits.train) or ())[1]
    # Classes that the data happen not to have are no fault of the model.
    fits = outputs >= sizes.out_features if are_classes(labels) else outputs == sizes.out_features
    if not fits:
        raise ConfigError(
            f"The model has {counted(outputs, 'output')}, and these data need "
            f"{sizes.out_features} with the loss {run_file.loss.name}.{advice}"
        )


def _cardinalities(data: RunData, inputs: int) -> tuple[int, ...]:
    if not isinstance(data.preparation, Preparation) or data.preparation.encoding == "one_hot":
        return (0,) * inputs
    return tuple(len(column.categories) for column in data.preparation.inputs)
