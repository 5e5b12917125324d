from __future__ import annotations

import inspect

from perceptrain_core.registry import KINDS, hookspecs


def test_there_is_one_hook_for_each_kind_and_no_other():
    hooks = {name for name in vars(hookspecs) if name.startswith("perceptrain_")}
    assert hooks - {"perceptrain_core"} == {kind.hook for kind in KINDS}


def test_hooks_take_nothing_and_are_documented():
    for kind in KINDS:
        hook = getattr(hookspecs, kind.hook)
        assert not inspect.signature(hook).parameters
        assert hook.__doc__
        assert tuple(hook()) == ()
