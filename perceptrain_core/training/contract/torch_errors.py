"""Notes on errors that torch raises for a mistake in a model, a loss or data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.errors import PerceptrainError
from perceptrain_core.tensors import describe

#: What to do, by a part of what torch says.
_ADVICE = {
    "modified by an inplace operation": (
        "A tensor was changed in place, as by x += 1, x[0] = 0 or nn.ReLU(inplace=True), after the "
        "loss had used its value. Write x = x + 1, or change a copy, x.clone()."
    ),
    "backward through the graph a second time": (
        "Does the loss or an equation call torch.autograd.grad? Then pass create_graph=True there. "
        "Otherwise something was kept from an earlier step or call with its graph: detach what the "
        "model or the loss stores, self.state = state.detach(). The trainer calls "
        "loss.backward(); a loss must not call it itself."
    ),
    "leaf Variable that requires grad": (
        "The optimizer changes the parameters. To change one yourself, do it inside "
        "torch.no_grad()."
    ),
    "Can't call numpy() on Tensor that requires grad": (
        "NumPy computes no gradients, so a loss must use functions of torch, such as torch.sqrt "
        "instead of np.sqrt. Detach only values for metrics."
    ),
    "One of the differentiated Tensors does not require grad": (
        "To differentiate by the inputs, call inputs.requires_grad_() before model(inputs). A PINN "
        "does so for its points."
    ),
    "does not require grad and does not have a grad_fn": (
        "There is no graph to differentiate. For second derivatives pass create_graph=True to the "
        "first torch.autograd.grad. Validation, test and predict turn gradients off: a loss with "
        "derivatives by the inputs needs torch.enable_grad() around them."
    ),
    "appears to not have been used in the graph": (
        "The result does not depend on what it is differentiated by. Compute it from this very "
        "tensor, not from a copy or from a slice made before. The second derivative of a linear "
        "function has no graph either: use a smooth activation, or materialize_grads=True."
    ),
    "grad can be implicitly created only for scalar outputs": (
        "Differentiate the sum: torch.autograd.grad(u.sum(), x, create_graph=True)[0] has the "
        "derivative of each row, if rows do not depend on each other."
    ),
    "all elements of input should be between 0 and 1": (
        "This loss expects probabilities. For logits use bce_with_logits, or "
        "nn.BCEWithLogitsLoss(); otherwise end the model with nn.Sigmoid()."
    ),
    "required positional argument": (
        "Losses call model(inputs) with one argument, the inputs of the batch. For a model with "
        "several, let forward take a tuple and unpack it, or write a loss of your own: a function "
        "of the batch and the model."
    ),
    "expected target dtype to be Long": "Class labels are int64: convert them with labels.long().",
    "out of memory": (
        "Use a smaller batch_size, with accumulate for the same step; or "
        "activation_checkpointing=True, or precision='bf16'."
    ),
    "device-side assert triggered": (
        "Mostly a label or an index is out of range. compute_setup='cpu' shows which."
    ),
    "Expected all tensors to be on the same device": (
        "The trainer moves the batches, and the parameters and buffers of the model and the loss. "
        "Create other tensors on the device of the inputs, torch.zeros(3, device=x.device), or "
        "register them with register_buffer."
    ),
    "stack expects each tensor to be equal size": (
        "The samples differ in shape, so the DataLoader cannot stack them to a batch. Pass it a "
        "collate_fn that pads them, such as one with torch.nn.utils.rnn.pad_sequence."
    ),
    "batch must contain tensors, numpy arrays, numbers, dicts or lists": (
        "A sample of the data set has something else in it. Return tensors from __getitem__, or "
        "pass the DataLoader a collate_fn."
    ),
}

#: The arguments of torch's criteria that are outputs of a model.
_OUTPUTS = ("input", "input1", "input2")


@contextmanager
def explained_errors(model: nn.Module) -> Iterator[None]:
    """Add notes to an error of torch that passes: in which layer it happened, and what to do.

    Args:
        model: The model whose submodules are named.
    """
    try:
        yield
    except (RuntimeError, ValueError, IndexError, TypeError, NotImplementedError) as error:
        if not isinstance(error, PerceptrainError):
            _explain(error, model)
        raise


def raised_in_model(error: Exception, model: nn.Module) -> bool:
    """Whether an error was raised while a model or one of its submodules was called."""
    modules = set(model.modules())
    return any(_called(frame) in modules for frame in _frames(error))


def _explain(error: Exception, model: nn.Module) -> None:
    known = getattr(error, "__notes__", ())
    notes = [_advice(str(error))]
    # The error matters more than its place, whose description runs code of the user's modules.
    with suppress(Exception):
        notes.insert(0, _place(error, model))
    for note in notes:
        if note and note not in known:
            error.add_note(note)


def _advice(text: str) -> str | None:
    return next((advice for part, advice in _ADVICE.items() if part in text), None)


def _place(error: Exception, model: nn.Module) -> str | None:
    """Describe the call of a layer, or of a criterion of torch, in which an error happened."""
    names = {module: name for name, module in model.named_modules()}
    for frame in reversed(_frames(error)):
        values = frame.f_locals
        if frame.f_code.co_filename == F.__file__ and isinstance(values.get("target"), Tensor):
            outputs = [values[name] for name in _OUTPUTS if name in values]
            return _of_criterion(frame.f_code.co_name, outputs, values["target"])
        module = _called(frame)
        if module is not None and module in names:
            return _of_layer(names[module], module, values["args"])
    return None


def _called(frame: FrameType) -> nn.Module | None:
    """Return the module whose call a frame is."""
    return frame.f_locals["self"] if frame.f_code is nn.Module._call_impl.__code__ else None


def _frames(error: Exception) -> list[FrameType]:
    traceback, frames = error.__traceback__, []
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    return frames


def _of_criterion(name: str, outputs: list[Any], labels: Tensor) -> str:
    given = " and ".join(map(describe, outputs))
    text = f"{name} was called with outputs, {given}, and labels, {describe(labels)}"
    if labels.dtype in (torch.int64, torch.uint8) and _may_read(labels):
        text += f", from {int(labels.min())} to {int(labels.max())}"
        first = outputs[0]
        if isinstance(first, Tensor) and first.ndim > 1 and int(labels.max()) >= first.size(1):
            return f"{text}; expected labels from 0 to {first.size(1) - 1}."
    return f"{text}."


def _may_read(values: Tensor) -> bool:
    """Whether a tensor has values that can be read: after an error, a GPU may have none."""
    return values.device.type == "cpu" and values.numel() > 0


def _of_layer(name: str, module: nn.Module, inputs: tuple[Any, ...]) -> str:
    what = type(module).__name__ if any(module.children()) else repr(module)
    got = " and ".join(map(describe, inputs)) or "no tensor"
    label = f"the layer {name!r}, {what}," if name else f"the model, {what},"
    return f"This happened in {label} called with {got}.{_cure(module, inputs)}"


def _cure(module: nn.Module, inputs: tuple[Any, ...]) -> str:
    x = inputs[0] if len(inputs) == 1 else None
    if not isinstance(x, Tensor):
        return ""
    if isinstance(module, nn.Embedding):
        return _cure_of_embedding(module, x)
    if isinstance(module, nn.Linear) and x.shape[-1:] != (module.in_features,):
        wanted = f"(..., {module.in_features})"
        found = f"in_features={x.shape[-1]}, or change the data" if x.ndim else "data with rows"
        return f" It needs inputs of shape {wanted}: set {found}."
    dimensions = _dimensions(module)
    if dimensions and (x.ndim != dimensions + 2 or x.shape[1] != module.in_channels):
        size = ", ".join("DHW"[-dimensions:])
        return f" It needs inputs of shape (N, {module.in_channels}, {size})."
    parameter = next(module.parameters(), None)
    if parameter is not None and parameter.dtype != x.dtype:
        return (
            f" Its parameters are {parameter.dtype}: convert the inputs, x.to({parameter.dtype}), "
            f"or the model, model.to({x.dtype})."
            if x.is_floating_point()
            else f" Its parameters are {parameter.dtype}: convert the inputs, "
            f"x.to({parameter.dtype})."
        )
    return ""


def _cure_of_embedding(module: nn.Embedding, x: Tensor) -> str:
    if x.is_floating_point() or x.is_complex():
        return " It needs row numbers as inputs, integers: x.long()."
    if not _may_read(x):
        return f" It expects row numbers from 0 to {module.num_embeddings - 1}."
    return (
        f" Its inputs go from {int(x.min())} to {int(x.max())}; expected 0 to "
        f"{module.num_embeddings - 1}: set a larger num_embeddings, or number the categories from "
        "0."
    )


def _dimensions(module: nn.Module) -> int:
    """Return the number of spatial dimensions of a convolution; 0 for other layers."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return next((n for n, kind in enumerate(kinds, start=1) if isinstance(module, kind)), 0)
