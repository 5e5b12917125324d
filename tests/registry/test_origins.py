"""Which entry an object came from."""

import gc

from perceptrain_core.registry import Registry


class Equal:
    """Equal to everything, and so without a hash."""

    def __eq__(self, other):
        return True


def make(target):
    registry = Registry(path=[], environ={})
    registry.register("callback", "thing", target)
    return registry, registry.get("callback", "thing")


def test_objects_are_known_by_identity():
    registry, thing = make(Equal)
    assert registry.origin(thing) is registry.entry("callback", "thing")
    assert registry.origin(Equal()) is None


def test_nothing_is_kept_alive():
    registry, thing = make(Equal)
    assert registry._origins
    del thing
    gc.collect()
    assert not registry._origins


def test_objects_without_weak_references_are_skipped():
    registry, thing = make(lambda: (1, 2))
    assert thing == (1, 2)
    assert registry.origin(thing) is None
