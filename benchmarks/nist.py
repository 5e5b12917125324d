"""Fit the curves of NIST's nonlinear regression problems by ``gauss_newton`` and by SciPy.

``python -m benchmarks.nist`` prints a table of the certified digits that each reaches, from both
starts of all 27 problems, see ``nist_strd/README.md``. A number of correct digits is the log
relative error ``-log10(|b - c| / |c|)``, for parameters the smallest of them; NIST certifies 11.
"""

from __future__ import annotations

import argparse
import math
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from time import process_time
from typing import NamedTuple

import torch
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer
from perceptrain.callbacks import EarlyStopping

FOLDER = Path(__file__).parent / "nist_strd"
CERTIFIED = 11


def three_terms(x: Tensor, *b: Tensor) -> Tensor:
    return sum(b[k] * torch.exp(-b[k + 1] * x) for k in (0, 2, 4))  # type: ignore[return-value]


def two_peaks(x: Tensor, *b: Tensor) -> Tensor:
    peaks = (b[k] * torch.exp(-(((x - b[k + 1]) / b[k + 2]) ** 2)) for k in (2, 5))
    return b[0] * torch.exp(-b[1] * x) + sum(peaks)


def cubics(x: Tensor, *b: Tensor) -> Tensor:
    above = b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3
    return above / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def cycles(x: Tensor, *b: Tensor) -> Tensor:
    def cycle(period: Tensor | float, cosine: Tensor, sine: Tensor) -> Tensor:
        angle = 2 * math.pi * x / period
        return cosine * torch.cos(angle) + sine * torch.sin(angle)

    return b[0] + cycle(12, b[1], b[2]) + cycle(b[3], b[4], b[5]) + cycle(b[6], b[7], b[8])


def chwirut(x: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return torch.exp(-a * x) / (b + c * x)


#: The curves, as functions of x and the parameters b1, b2, ...; Nelson's is that of log(y).
CURVES: dict[str, Callable[..., Tensor]] = {
    "Misra1a": lambda x, a, b: a * (1 - torch.exp(-b * x)),
    "Chwirut2": chwirut,
    "Chwirut1": chwirut,
    "Lanczos3": three_terms,
    "Gauss1": two_peaks,
    "Gauss2": two_peaks,
    "DanWood": lambda x, a, b: a * x**b,
    "Misra1b": lambda x, a, b: a * (1 - (1 + b * x / 2) ** -2),
    "Kirby2": lambda x, a, b, c, d, e: (a + b * x + c * x**2) / (1 + d * x + e * x**2),
    "Hahn1": cubics,
    "Nelson": lambda x, a, b, c: a - b * x[:, :1] * torch.exp(-c * x[:, 1:]),
    "MGH17": lambda x, a, b, c, d, e: a + b * torch.exp(-x * d) + c * torch.exp(-x * e),
    "Lanczos1": three_terms,
    "Lanczos2": three_terms,
    "Gauss3": two_peaks,
    "Misra1c": lambda x, a, b: a * (1 - (1 + 2 * b * x) ** -0.5),
    "Misra1d": lambda x, a, b: a * b * x / (1 + b * x),
    "Roszman1": lambda x, a, b, c, d: a - b * x - torch.arctan(c / (x - d)) / math.pi,
    "ENSO": cycles,
    "MGH09": lambda x, a, b, c, d: a * (x**2 + x * b) / (x**2 + x * c + d),
    "Thurber": cubics,
    "BoxBOD": lambda x, a, b: a * (1 - torch.exp(-b * x)),
    "Rat42": lambda x, a, b, c: a / (1 + torch.exp(b - c * x)),
    "MGH10": lambda x, a, b, c: a * torch.exp(b / (x + c)),
    "Eckerle4": lambda x, a, b, c: a / b * torch.exp(-0.5 * ((x - c) / b) ** 2),
    "Rat43": lambda x, a, b, c, d: a / (1 + torch.exp(b - c * x)) ** (1 / d),
    "Bennett5": lambda x, a, b, c: a * (b + x) ** (-1 / c),
}


class Problem(NamedTuple):
    """A file of NIST: ``x`` of shape ``(N, predictors)``, ``y`` of shape ``(N, 1)``."""

    name: str
    level: str
    x: Tensor
    y: Tensor
    starts: tuple[list[float], list[float]]
    certified: list[float]
    squares: float


def read(name: str) -> Problem:
    """Read the file of a problem."""
    text = (FOLDER / f"{name}.dat").read_text(encoding="ascii")
    head, _, table = text.rpartition("Data:")
    level = re.findall(r"(\w+) Level of Difficulty", head)[0].lower()
    values = re.findall(r"^ +b\d+ = +(\S+) +(\S+) +(\S+)", head, re.MULTILINE)
    first, second, certified = (list(map(float, column)) for column in zip(*values, strict=True))
    squares = float(re.findall(r"Residual Sum of Squares: +(\S+)", head)[0])
    rows = [list(map(float, line.split())) for line in table.splitlines()[1:] if line.strip()]
    data = torch.tensor(rows, dtype=torch.float64)
    y = data[:, :1].log() if name == "Nelson" else data[:, :1]
    return Problem(name, level, data[:, 1:], y, (first, second), certified, squares)


class Curve(nn.Module):
    """A curve with its parameters, of shape ``(P,)``."""

    def __init__(self, name: str, start: list[float]) -> None:
        super().__init__()
        self.curve = CURVES[name]
        self.b = nn.Parameter(torch.tensor(start, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Return the curve at points of shape ``(N, predictors)``."""
        return self.curve(x, *self.b)


class Fit(NamedTuple):
    """The digits of the parameters and of the residual sum of squares, steps and seconds."""

    digits: float
    squares: float
    steps: int
    seconds: float


def correct_digits(found: Iterable[float], certified: Iterable[float]) -> float:
    """Return the smallest log relative error, between 0 and the digits that are certified."""
    pairs = list(zip(found, certified, strict=True))
    if not all(math.isfinite(b) for b, _ in pairs):
        return 0.0
    error = max(abs(b - c) / abs(c) for b, c in pairs)
    return min(max(-math.log10(max(error, 1e-300)), 0.0), CERTIFIED)


def sum_of_squares(problem: Problem, b: list[float]) -> float:
    with torch.no_grad():
        return float((Curve(problem.name, b)(problem.x) - problem.y).square().sum())


def judged(problem: Problem, b: list[float], steps: int, seconds: float) -> Fit:
    squares = correct_digits([sum_of_squares(problem, b)], [problem.squares])
    return Fit(correct_digits(b, problem.certified), squares, steps, seconds)


def fit(problem: Problem, start: list[float], max_iter: int = 1500) -> Fit:
    """Fit by ``gauss_newton``, until the loss has not fallen for ten steps."""
    model, begin = Curve(problem.name, start), process_time()
    config = TrainConfig(
        max_iter=max_iter,
        dtype=torch.float64,
        verbose=False,
        tracking_tool="none",
        callbacks=[EarlyStopping(patience=10)],
    )
    trainer = Trainer(model, "gauss_newton", config, loss_fn="mse")
    with warnings.catch_warnings():  # of no lower loss, which is where a fit ends
        warnings.filterwarnings("ignore", "A Gauss-Newton step found no lower loss")
        trainer.fit([(problem.x, problem.y)])
    return judged(problem, model.b.tolist(), trainer.global_step, process_time() - begin)


def fit_by_scipy(problem: Problem, start: list[float], method: str) -> Fit:
    """Fit by ``scipy.optimize.least_squares``, with exact derivatives and its best settings."""
    from scipy.optimize import least_squares

    def residuals(b: Tensor) -> Tensor:
        return (CURVES[problem.name](problem.x, *b) - problem.y).reshape(-1)

    jacobian, begin = torch.func.jacrev(residuals), process_time()
    try:
        found = least_squares(
            lambda b: residuals(torch.from_numpy(b)).numpy(),
            start,
            lambda b: jacobian(torch.from_numpy(b)).numpy(),
            method=method,
            x_scale="jac",
            xtol=1e-15,
            ftol=1e-15,
            gtol=1e-15,
            max_nfev=2000,
        )
        b, steps = found.x.tolist(), found.nfev
    except ValueError:  # residuals that are not finite
        b, steps = [math.nan] * len(start), 0
    return judged(problem, b, steps, process_time() - begin)


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nist", description=__doc__)
    parser.add_argument("problems", nargs="*", metavar="PROBLEM", help="some of them, such as ENSO")
    names = parser.parse_args(arguments).problems or list(CURVES)
    if unknown := set(names) - CURVES.keys():
        parser.error(f"unknown {', '.join(sorted(unknown))}; expected {', '.join(CURVES)}")
    print("| problem | level | start | gauss_newton | squares | steps | SciPy lm | SciPy trf |")
    print("|---|---|---|---|---|---|---|---|")
    fits: dict[str, list[Fit]] = {"gauss_newton": [], "lm": [], "trf": []}
    for problem in map(read, names):
        for number, start in enumerate(problem.starts, 1):
            own, *others = (
                fit(problem, start),
                *(fit_by_scipy(problem, start, method) for method in ("lm", "trf")),
            )
            for found, into in zip([own, *others], fits.values(), strict=True):
                into.append(found)
            label = [problem.name, problem.level] if number == 1 else ["", ""]
            digits = [f"{each.digits:.1f}" for each in (own, *others)]
            cells = [*label, str(number), digits[0], f"{own.squares:.1f}", str(own.steps)]
            print(f"| {' | '.join([*cells, *digits[1:]])} |", flush=True)
    for name, own_fits in fits.items():
        solved = [each for each in own_fits if each.digits >= 6]
        print(
            f"{name}: {len(solved)} of {len(own_fits)} with 6 digits or more, "
            f"median {median(each.digits for each in own_fits):.1f} digits, "
            f"{median(each.steps for each in own_fits):.0f} steps, "
            f"{sum(each.seconds for each in own_fits):.1f} s in all"
        )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
