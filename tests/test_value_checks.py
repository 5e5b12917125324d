"""When losses check the values of tensors."""

from __future__ import annotations

import pytest
import torch

from perceptrain_core.capturing import capturing
from perceptrain_core.errors import DataError
from perceptrain_core.value_checks import check_range, checking_values, values_are_checked

CPU, ELSEWHERE = torch.ones(2), torch.ones(2, device="meta")


def test_values_on_the_cpu_are_always_checked_and_others_on_the_first_batch() -> None:
    assert not values_are_checked()
    assert values_are_checked(CPU)
    assert not values_are_checked(ELSEWHERE)
    with checking_values():
        assert values_are_checked()
        assert values_are_checked(ELSEWHERE)


def test_values_are_not_read_while_a_step_is_recorded() -> None:
    with capturing(), checking_values():
        assert not values_are_checked(CPU)
        assert not values_are_checked(ELSEWHERE)


def test_a_range_includes_its_ends_and_nan() -> None:
    check_range("The labels", torch.tensor([0.0, 1.0, torch.nan]), 0, 1, "0 and 1", "")
    with pytest.raises(
        DataError, match=r"^The labels go from -1 to 1; expected 0 and 1\. Do it\.$"
    ):
        check_range("The labels", torch.tensor([-1, 1]), 0, 1, "0 and 1", "Do it.")


def test_blocks_of_several_threads_end_in_any_order() -> None:
    first, second = checking_values(), checking_values()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert values_are_checked()
    second.__exit__(None, None, None)
    assert not values_are_checked()
