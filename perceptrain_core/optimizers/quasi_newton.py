"""Updates of an inverse Hessian: the self-scaled Broyden family (Al-Baali)."""

from __future__ import annotations

from math import inf, sqrt

import torch
from torch import Tensor

#: The updates by name.
METHODS = ("ssbroyden", "ssbroyden2", "ssbfgs", "bfgs")


def update_inverse_hessian(
    inverse: Tensor, step: Tensor, change: Tensor, curvature: float, method: str = "ssbroyden"
) -> bool:
    """Update an inverse Hessian in place, so that it maps the change of the gradient to the step.

    With the step ``s``, the change ``y`` and the Hessian ``B``, the inverse of ``H``::

        H <- (H - H y y'H / y'H y + phi v v') / tau + s s' / y's
        v = sqrt(y'H y) (s / y's - H y / y'H y)

    ``tau`` and ``phi`` follow from ``b = s'B s / y's`` and ``h = y'H y / y's`` (`coefficients`). No
    second matrix is created, and ``H`` stays symmetric but for rounding.

    Args:
        inverse: ``H``, symmetric and positive definite, of shape ``(P, P)``.
        step: ``s``, of shape ``(P,)``.
        change: ``y``, of shape ``(P,)``, with ``y's > 0``.
        curvature: ``s'B s``, which a line search knows: ``B s = -t g`` after a step ``s = -t H g``.
        method: ``"ssbroyden"``, ``"ssbroyden2"``, ``"ssbfgs"`` or ``"bfgs"``.

    Returns:
        Whether it was updated; it is not if rounding has made it indefinite along ``y``, or the
        numbers are too small.
    """
    product = inverse @ change
    along, across = float(change @ step), float(change @ product)
    b, h = curvature / along, across / along
    if not (0 < b < inf and 0 < h < inf):
        return False
    tau, phi = coefficients(b, h, len(step), method)
    other = (step / along - product / across) * sqrt(across)
    terms = torch.stack([product, other, step], dim=1)
    sizes = [-1 / (tau * across), phi / tau, 1 / along]
    # Roots of the factors on both sides, and signs: ``H`` then stays symmetric.
    terms *= terms.new_tensor([sqrt(abs(size)) for size in sizes])
    signs = terms.new_tensor([-1.0, 1.0 if phi >= 0 else -1.0, 1.0])
    inverse.addmm_(terms * signs, terms.T, beta=1 / tau)
    return True


def coefficients(b: float, h: float, size: int, method: str) -> tuple[float, float]:
    """Return the scaling ``tau`` and the mixture ``phi`` of an update (1 is BFGS, 0 is DFP).

    Args:
        b: ``s'B s / y's``, positive.
        h: ``y'H y / y's``, positive; ``b h >= 1`` but for rounding.
        size: The number of parameters.
        method: The name of the update.
    """
    if method == "bfgs":
        return 1.0, 1.0
    scale = min(1.0, 1 / b)
    if method == "ssbfgs":
        return scale, 1.0
    a = max(b * h - 1, 1e-15)
    # h (1 - sqrt(a / (a + 1))), without its cancellation.
    low = min(1.0, h / ((a + 1) * (1 + sqrt(a / (a + 1)))))
    theta = max((low - 1) / a, min(1 / low, (1 - b) / b))
    sigma = 1 + a * theta
    if method == "ssbroyden2":
        scale = low
    root = sigma ** (-1 / (size - 1)) if size > 1 else 1.0
    tau = min(scale * root, sigma) if theta <= 0 else scale * min(root, 1 / theta)
    return tau, (1 - theta) / sigma
