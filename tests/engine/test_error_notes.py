from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from perceptrain.errors import DataError
from perceptrain_core.engine.error_notes import error_note
from perceptrain_core.tensors import numpy_to_tensor


def note_of(call: Callable[[], Any]) -> list[str]:
    """Return the lines of the note, without the marks under parts of the code."""
    try:
        call()
    except Exception as error:
        lines = error_note(error, 2).splitlines()
        return [line.strip() for line in lines if set(line.strip()) != {"^"}]
    raise AssertionError


def own() -> None:
    raise KeyError("x")


def chained() -> None:
    try:
        own()
    except KeyError as error:
        raise DataError("no such column") from error


def test_an_error_of_the_user() -> None:
    first, *frames = note_of(own)
    assert first == "In process 2:"
    assert frames[1] == "call()"
    assert frames[3:] == ['raise KeyError("x")']


def test_an_error_of_a_library_has_the_place_where_it_was_raised() -> None:
    layer = nn.Linear(2, 1)
    *_, place, line = note_of(lambda: layer(torch.ones(3, 4)))
    assert "linear.py" in place
    assert line.startswith("return F.linear(")


def test_causes_are_named() -> None:
    lines = note_of(chained)
    assert lines[4:6] == ['raise DataError("no such column") from error', "Caused by KeyError: 'x'"]
    assert lines[-1] == 'raise KeyError("x")'


def test_an_error_without_frames_of_the_user_has_all() -> None:
    class Strange:
        def __array__(self) -> Any:
            return self

    with pytest.raises(Exception) as caught:
        numpy_to_tensor(Strange())  # type: ignore[arg-type]
    assert caught.value.__traceback__ is not None
    inner = caught.value.with_traceback(caught.value.__traceback__.tb_next)
    assert "tensors.py" in error_note(inner, 0)
