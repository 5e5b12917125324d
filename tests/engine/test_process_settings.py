"""Settings that new processes get from the one that starts them."""

from __future__ import annotations

import warnings

import pytest
import torch

from perceptrain_core.engine.launch import run_in_processes
from perceptrain_core.engine.process_settings import ProcessSettings
from perceptrain_core.testing.settings import kept_settings


def warn() -> ProcessSettings:
    settings = ProcessSettings.of_this_process()
    warnings.warn("a matter", UserWarning, stacklevel=1)  # an error unless it is ignored
    return settings


@pytest.mark.usefixtures("forked_workers")
def test_new_processes_have_the_settings_of_the_one_that_starts_them() -> None:
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    with (
        kept_settings(),
        warnings.catch_warnings(),
        torch.autograd.set_detect_anomaly(True, check_nan=False),
        torch.autocast("cpu", torch.float16),
    ):
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.set_float32_matmul_precision("high")
        warnings.filterwarnings("ignore", "a matter")
        torch.backends.cudnn.deterministic = torch.backends.cudnn.benchmark = True
        try:
            own, there = ProcessSettings.of_this_process(), run_in_processes(warn, 2)
        finally:
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
            torch.set_default_device(None)
    assert there == own
    assert there.dtype is torch.float64
    assert there.device == "meta"
    assert there.deterministic == (True, True)
    assert there.cudnn == (True, True)
    assert there.matmul_precision == "high"
    assert there.anomalies == (True, False)
    assert there.autocast == {"cpu": torch.float16}


def test_a_process_without_settings_of_its_own_stays_as_it_is() -> None:
    before = ProcessSettings.of_this_process()
    with warnings.catch_warnings():
        before.apply()
        assert ProcessSettings.of_this_process() == before
    assert torch.get_default_device() == torch.device("cpu")
