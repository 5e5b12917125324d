"""The products of all pairs of columns of a matrix."""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import Tensor

#: Columns in a block are a multiple of this: multiplication is faster there than at powers of two.
_COLUMNS = 96


def lower_gram(matrix: Tensor, out: Tensor) -> Tensor:
    """Write the lower triangle of ``A^T A``; above its diagonal are any numbers.

    Args:
        matrix: ``A``, of shape ``(N, P)``.
        out: Where to write, of shape ``(P, P)``.

    Returns:
        ``out``.
    """
    if _suits_numpy(matrix):
        array = matrix.numpy()
        with np.errstate(all="ignore"):  # the factorization finds what is not finite
            np.matmul(array.T, array, out=out.numpy())
        return out
    size = matrix.shape[1]
    block = _COLUMNS * max(1, size // (10 * _COLUMNS))  # smaller ones multiply more slowly
    for start in range(0, size, block):
        end = min(start + block, size)
        torch.matmul(matrix[:, start:end].T, matrix[:, :end], out=out[start:end, :end])
    return out


def _suits_numpy(matrix: Tensor) -> bool:
    """Whether NumPy multiplies on one thread, as torch does.

    It knows that the product is symmetric, and computes half of it. Torch has no such function.
    """
    alone = torch.get_num_threads() == 1 and os.environ.get("OMP_NUM_THREADS") == "1"
    return alone and matrix.is_cpu and matrix.dtype in (torch.float32, torch.float64)
