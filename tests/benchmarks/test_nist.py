"""The certified fits of NIST, from the harder of the two starts."""

from __future__ import annotations

import pytest

from benchmarks.nist import CURVES, FOLDER, correct_digits, fit, main, read, sum_of_squares


def test_the_27_files_have_curves() -> None:
    assert {path.stem for path in FOLDER.glob("*.dat")} == CURVES.keys()
    assert len(CURVES) == 27


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_has_the_certified_squares(name: str) -> None:
    """The data, the certified parameters and the curve belong together."""
    problem = read(name)
    found = sum_of_squares(problem, problem.certified)
    if name == "Lanczos1":  # whose residuals are the rounding of its data, to 14 digits
        assert found == pytest.approx(problem.squares, abs=1e-20)
    else:
        assert found == pytest.approx(problem.squares, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["Misra1b", "DanWood", "Gauss2", "Hahn1", "MGH17", "Lanczos1", "Rat42", "Thurber"]
)
def test_gauss_newton_reaches_the_certified_parameters(name: str) -> None:
    problem = read(name)
    found = fit(problem, problem.starts[0])
    assert found.digits >= 6
    assert found.squares >= (2 if name == "Lanczos1" else 9)


def test_digits_are_those_of_the_worst_parameter() -> None:
    assert correct_digits([1.001, 20.0], [1.0, 20.0]) == pytest.approx(3.0)
    assert correct_digits([1.0], [1.0]) == 11
    assert correct_digits([5.0], [1.0]) == 0
    assert correct_digits([float("nan"), 1.0], [1.0, 1.0]) == 0


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(["DanWood"])
    head, _, first, second, *totals = capsys.readouterr().out.splitlines()
    assert head.startswith("| problem | level | start | gauss_newton |")
    assert first.startswith("| DanWood | lower | 1 | 11.0 | 11.0 |")
    assert second.startswith("|  |  | 2 |")
    assert [line.split(" with ")[0] for line in totals] == [
        f"{name}: 2 of 2" for name in ("gauss_newton", "lm", "trf")
    ]
    with pytest.raises(SystemExit):
        main(["Dan"])
