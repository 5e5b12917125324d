"""Undo PyTorch's ``fully_shard``, which has no opposite."""

from __future__ import annotations

from typing import Any

from torch import nn


def forget_state_hooks(module: Any) -> None:
    """Remove the hooks that drop whole parameters when a state dict is taken or loaded."""
    for group in module._get_fsdp_state()._fsdp_param_groups:
        handles = [parameter._post_load_hook_handle for parameter in group.fsdp_params]
        handles += group._module_to_pre_save_state_dict_hook_handle.values()
        handles += group._module_to_pre_load_state_dict_hook_handle.values()
        for handle in handles:
            handle.remove()


def release(module: nn.Module) -> None:
    """Make a module what it was before ``fully_shard``, except for its parameters."""
    # They take long to import, and few runs need them.
    from torch.distributed._composable.contract import REGISTRY_KEY, STATE_KEY
    from torch.distributed._composable_state import _module_state_mapping

    forget_state_hooks(module)
    state: Any = module._get_fsdp_state()  # type: ignore[operator]
    state._pre_forward_hook_handle.remove()
    state._post_forward_hook_handle.remove()
    del _module_state_mapping[module]
    for key in (STATE_KEY, REGISTRY_KEY):
        module.__dict__.pop(key, None)
    for each in module.modules():
        for name in ("_is_fsdp_managed_module", "_fsdp_use_orig_params"):
            each.__dict__.pop(name, None)
    module.__class__ = type(module).__mro__[2]  # after the class that torch made, and FSDPModule
