import numpy as np
import pytest

from stepnav.labels.metrics import auroc, class_row, confusion_matrix, share


def test_auroc_counts_ties_half() -> None:
    scores = np.array([3.0, 2.0, 2.0, 1.0])
    assert auroc(scores, np.array([True, True, False, False])) == pytest.approx(3.5 / 4)


def test_what_cannot_be_counted_is_none() -> None:
    nothing = np.array([], dtype=int)
    assert share(nothing) is None
    assert class_row(nothing, nothing, -1) == {
        "count": 0,
        "precision": None,
        "recall": None,
        "f1": None,
    }
    assert auroc(np.array([1.0, 2.0]), np.array([True, True])) is None


def test_confusion_has_one_row_per_true_class() -> None:
    truth, rated = np.array([-1, -1, 0, 1, 1]), np.array([-1, 1, 0, 0, 1])
    assert confusion_matrix(truth, rated) == [[1, 0, 1], [0, 1, 0], [0, 1, 1]]
    assert confusion_matrix(truth, rated, (-1, 1)) == [[1, 1], [0, 1]]
