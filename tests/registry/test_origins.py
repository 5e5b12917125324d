import gc

from perceptrain_core.registry import Entry, kind_of
from perceptrain_core.registry.origins import Origins

ENTRY = Entry(kind_of("loss"), "dice", "math:sqrt", distribution="seg")


class Equal:
    """Equal to everything, and so without a hash."""

    def __eq__(self, other):
        return True


def test_things_are_known_by_identity():
    origins, thing = Origins(), Equal()
    origins.note(thing, ENTRY)
    assert origins.find(thing) is ENTRY
    assert origins.find(Equal()) is None


def test_nothing_is_kept_alive():
    origins, thing = Origins(), Equal()
    origins.note(thing, ENTRY)
    del thing
    gc.collect()
    assert not origins._noted


def test_what_cannot_be_remembered_is_passed_over():
    origins = Origins()
    origins.note((1, 2), ENTRY)
    assert origins.find((1, 2)) is None
