"""Find the friction of a pendulum from noisy measurements, with the error of what is found."""

import matplotlib.pyplot as plt
import torch

from perceptrain import PINN, Callback, TrainConfig, Trainer
from perceptrain_physics import MLP, UnknownCoefficients, partials

FRICTION = 0.5


def equation(t, network):
    """u'' + friction u' + 9 u = 0: the network returns u, and the friction in a second column."""
    u, u_t, u_tt = partials(lambda t: network(t)[:, :1], t, "", "t", "tt", names="t")
    return (u_tt + network(t)[:, 1:] * u_t + 9 * u) / 9  # of about the size of u


def measured(rows, network):
    """Return the difference from the measurements; rows have a time and a measured value."""
    return network(rows[:, :1])[:, :1] - rows[:, 1:]


def exact(t):
    """Return a swing without noise."""
    return (-FRICTION / 2 * t).exp() * ((9 - FRICTION**2 / 4) ** 0.5 * t).cos()


def fit(rows, steps):
    """Train a network on measurements. Return it, and its friction after each step."""
    network = UnknownCoefficients(MLP([1, 20, 1], mean=[2], deviation=[1.2]), {"friction": 1.0})
    model = PINN(network, {"equation": equation, "measured": measured})
    path = []
    look = Callback(callback=lambda *_: path.append(network.values()["friction"]))
    config = TrainConfig(max_iter=steps, dtype=torch.float64, callbacks=[look], verbose=False)
    Trainer(model, "gauss_newton", config).fit([{"equation": rows[:, :1], "measured": rows}])
    return network, path


def main(steps: int = 40, picture: str = "inverse.png") -> None:
    """Repeat the measurement with new noise: the values that are found spread by their error."""
    plt.style.use("perceptrain_core.pictures")
    torch.manual_seed(0)
    t = torch.linspace(0, 4, 60, dtype=torch.float64)[:, None]
    draws = [torch.cat([t, exact(t) + 0.1 * torch.randn(60, 1)], dim=1) for _ in range(8)]
    networks, paths = zip(*[fit(rows, steps) for rows in draws], strict=True)
    found = torch.tensor(paths)[:, -1]
    print(f"friction: {found.mean():.2f} ± {found.std():.2f} (true: {FRICTION})")

    figure, (left, right) = plt.subplots(1, 2)
    left.plot(*draws[0].T, ".", t, networks[0](t)[:, 0].detach())
    left.set(xlabel="time in s", ylabel="angle in rad", title="one measurement, and its fit")
    right.plot(torch.tensor(paths).T, color="C0", alpha=0.6)
    right.axhline(FRICTION, color="C1", linestyle="--")
    right.set(xlabel="step", ylabel="friction in 1/s", title="found in eight; dashed: the truth")
    figure.savefig(picture)


if __name__ == "__main__":
    main()
