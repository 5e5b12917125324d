"""The products of columns, by torch and by NumPy, against a plain product."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from perceptrain_core.least_squares.gram import lower_gram


@pytest.fixture(params=["torch", "NumPy"])
def _library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a library multiply: NumPy does if both have one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1" if request.param == "NumPy" else "2")
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("columns", [1, 95, 96, 97, 300])
@pytest.mark.parametrize("rows_last", [True, False])
def test_half_of_the_product(columns: int, rows_last: bool) -> None:
    matrix = torch.randn(50, columns, dtype=torch.float64)
    if rows_last:
        matrix = matrix.T.contiguous().T
    out = torch.full((columns, columns), torch.nan, dtype=torch.float64)
    assert lower_gram(matrix, out) is out
    torch.testing.assert_close(out.tril(), (matrix.T @ matrix).tril())
