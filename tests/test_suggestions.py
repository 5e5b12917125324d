"""Suggestions for names that are not known."""

from __future__ import annotations

import pytest

from perceptrain_core.suggestions import did_you_mean

KNOWN = ["bce_with_logits", "cross_entropy", "huber", "mse"]


@pytest.mark.parametrize(
    ("wish", "known"),
    [
        ("crossentropy", "cross_entropy"),
        ("CrossEntropyLoss", "cross_entropy"),
        ("cross-entropy", "cross_entropy"),
        ("HuberLoss", "huber"),
        ("mse_loss", "mse"),
        ("BCEWithLogitsLoss", "bce_with_logits"),
    ],
)
def test_the_spellings_of_other_libraries_are_understood(wish, known):
    assert repr(known) in did_you_mean(wish, KNOWN)


def test_the_wish_itself_comes_first_and_dashes_part_words():
    known = ["dice_ce", "dice_focal", "dice_more", "dice"]
    assert did_you_mean("DiceLoss", known) == " Did you mean 'dice'?"
    assert did_you_mean("quantum", ["perceptrain-quantum", "x"]) == (
        " Did you mean 'perceptrain-quantum'?"
    )


def test_a_known_part_of_the_wish_is_suggested():
    assert did_you_mean("f1_score", ["f1", "r2", "auroc"]) == " Did you mean 'f1'?"
    assert did_you_mean("F1Score", ["f1", "r2", "auroc"]) == " Did you mean 'f1'?"


def test_names_that_are_further_off_than_the_nearest_are_left_out():
    known = ["accuracy", "auroc", "f1"]
    assert did_you_mean("acuracy", known) == " Did you mean 'accuracy'?"
    assert did_you_mean("adan", ["adam", "adan1"]) == " Did you mean 'adan1' or 'adam'?"


def test_a_word_of_a_known_name_may_be_misspelt():
    known = ["binary_focal", "class_focal", "huber", "crps_ensemble"]
    assert did_you_mean("focl", known) == " Did you mean 'binary_focal' or 'class_focal'?"
    assert did_you_mean("ensmble", known) == " Did you mean 'crps_ensemble'?"
    assert did_you_mean("local", ["binary_code"]) == ""


def test_nothing_close_suggests_nothing():
    assert did_you_mean("zzzzzz", KNOWN) == ""
