"""Global settings that change results, which new processes get from the one that starts them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class ProcessSettings:
    """Settings of torch, and the filters of warnings.

    A filter may turn warnings into errors, or silence what would otherwise be printed once by each
    process.

    Attributes:
        dtype: The default dtype.
        device: The type of the default device; ``None`` if it is the CPU.
        deterministic: Whether only deterministic algorithms are used, and whether those without
            one only warn.
        cudnn: Whether cuDNN is deterministic, and whether it tries out its algorithms.
        matmul_precision: Of matrix products in float32.
        anomalies: Whether anomalies are detected in backward passes, and NaN is one.
        autocast: The dtype of autocast by the type of the device, where it is on.
        filters: The filters of warnings.
    """

    dtype: torch.dtype
    device: str | None
    deterministic: tuple[bool, bool]
    cudnn: tuple[bool, bool]
    matmul_precision: str
    anomalies: tuple[bool, bool]
    autocast: dict[str, torch.dtype]
    filters: list[Any]

    @classmethod
    def of_this_process(cls) -> ProcessSettings:
        """Read the settings of this process."""
        device = torch.get_default_device().type
        types = [kind for kind in ("cpu", "cuda") if torch.is_autocast_enabled(kind)]
        return cls(
            torch.get_default_dtype(),
            None if device == "cpu" else device,
            (
                torch.are_deterministic_algorithms_enabled(),
                torch.is_deterministic_algorithms_warn_only_enabled(),
            ),
            (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark),
            torch.get_float32_matmul_precision(),
            (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
            {kind: torch.get_autocast_dtype(kind) for kind in types},
            [*warnings.filters],
        )

    def apply(self) -> None:
        """Set this process as the other one is set."""
        torch.set_default_dtype(self.dtype)
        if self.device is not None:  # of several GPUs, each process has one of its own
            torch.set_default_device(self.device)
        enabled, warn_only = self.deterministic
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = self.cudnn
        torch.set_float32_matmul_precision(self.matmul_precision)
        anomalies, check_nan = self.anomalies
        if anomalies:
            torch.autograd.set_detect_anomaly(anomalies, check_nan)
        for kind, dtype in self.autocast.items():
            torch.set_autocast_enabled(kind, True)
            torch.set_autocast_dtype(kind, dtype)
        warnings.resetwarnings()
        warnings.filters.extend(self.filters)  # type: ignore[attr-defined]
