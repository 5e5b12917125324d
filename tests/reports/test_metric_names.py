from __future__ import annotations

from perceptrain_core.reports.metric_names import (
    Name,
    is_learning_rate,
    split_name,
    terms,
)


def test_names_of_validation_sets_are_told_from_metrics():
    names = ["train_loss", "train_top_loss", "val_loss", "val_top_loss", "val_my_set_loss"]
    names += ["val_f1", "val_my_set_f1"]
    assert split_name("val_top_loss", names) == Name("val", "top_loss")
    assert split_name("val_my_set_loss", names) == Name("val", "loss", "my_set")
    assert split_name("val_my_set_f1", names) == Name("val", "f1", "my_set")
    assert split_name("speed", names) == Name("", "speed")
    assert split_name("train_", names) == Name("", "train_")


def test_terms_are_weighted_or_add_up_to_the_loss():
    rows = [{"train_loss": 3.0, "train_a": 1.0, "train_b": 2.0}]
    assert terms(list(rows[0]), rows) == ["a", "b"]
    assert terms(list(rows[0]), [rows[0] | {"train_b": 2.5}]) == []
    weighted = ["train_loss", "train_a", "train_mae", "train_weight_a"]
    assert terms(weighted, [dict.fromkeys(weighted, 1.0)]) == ["a"]


def test_learning_rates():
    assert all(map(is_learning_rate, ("lr", "train_lr", "learning_rate", "lr_group_2")))
    assert not any(map(is_learning_rate, ("train_loss", "val_lrx", "clr")))
