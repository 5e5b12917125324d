"""The logarithmic score of a parametric distribution."""

from __future__ import annotations

from torch import Tensor

from perceptrain_forecasting.losses.of_distribution import DistributionLoss


class LogScoreLoss(DistributionLoss):
    """Logarithmic score of a distribution: the negative logarithm of its density at the label.

    It is computed by ``torch.distributions``; that of scoringrules in torch takes the logarithm of
    a density, which is 0 a few scales away from the location.

    The model returns the parameters of each label: one tensor of any values, of shape
    ``(N, P D)``, the first parameter of all D columns, then the second, and so on; the loss applies
    a softplus to scales and a softmax to shares. Or a tuple of P tensors of the shape of the
    labels: the parameters themselves.

    Args:
        distribution: "normal", "laplace", "logistic", "student_t", "lognormal", "gamma" or
            "normal_mixture", with the parameters of the loss ``crps``.
        components: The components for which a run file sizes the model, for "normal_mixture".
    """

    def score(self, labels: Tensor, *parameters: Tensor) -> Tensor:
        """Return the negative log density of each label."""
        return -self.family.log_density(labels, *parameters)
