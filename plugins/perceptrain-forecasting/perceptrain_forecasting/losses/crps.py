"""The continuous ranked probability score of a parametric distribution."""

from __future__ import annotations

from torch import Tensor

from perceptrain_forecasting.losses.of_distribution import DistributionLoss


class CRPSLoss(DistributionLoss):
    """Continuous ranked probability score (CRPS) of a distribution, in the units of the labels.

    It is the integral of ``(F(x) - 1{x >= y})^2`` over x, in closed form (Gneiting and Raftery,
    2007; Jordan, Krueger and Lerch, 2019, appendix A). For a forecast without spread it is the
    absolute error.

    The model returns the parameters of each label: one tensor of any values, of shape
    ``(N, P D)``, the first parameter of all D columns, then the second, and so on; the loss applies
    a softplus to scales and a softmax to shares. Or a tuple of P tensors of the shape of the
    labels: the parameters themselves.

    Args:
        distribution: "normal" (location, scale), "laplace" (location, scale), "logistic" (location,
            scale), "student_t" (location, scale, degrees of freedom above 2), "lognormal" (mean and
            scale of the logarithm), "gamma" (shape, rate), or "normal_mixture" (shares, locations
            and scales of K components, each of shape ``(N, D K)``, or in a tuple ``(N, D, K)``).
        components: The components for which a run file sizes the model, for "normal_mixture".
    """

    def score(self, labels: Tensor, *parameters: Tensor) -> Tensor:
        """Return the CRPS of each label."""
        return self.family.crps(labels, *parameters)
