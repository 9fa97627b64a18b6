# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from training.metrics import agreement, ccc, classification, mae, pcc, rmse, sagr


def test_agree_with_the_published_code(parity: Path) -> None:
    known = json.loads((parity / "emoca" / "losses.json").read_text())
    with np.load(parity / "emoca" / "losses.npz") as given:
        predicted, truth = given["va_pred"], given["va_gt"]
    found = agreement(predicted, truth)
    for name, value in (("PCC", found.pcc), ("CCC", found.ccc), ("SAGR", found.sagr), ("RMSE", found.rmse)):
        assert value == pytest.approx(known[f"{name}_torch"], rel=1e-5)
    assert ccc(predicted, truth, "population") == pytest.approx(known["CCC_numpy_pop"], rel=1e-5)
    assert found.mae == pytest.approx(np.abs(predicted - truth).mean(), rel=1e-6)


def test_at_the_ends() -> None:
    truth = np.random.default_rng(0).uniform(-1, 1, 100)
    perfect = agreement(truth, truth)
    assert (perfect.rmse, perfect.mae, perfect.sagr) == (0, 0, 1)
    assert perfect.pcc == pytest.approx(1)
    assert perfect.ccc == pytest.approx(1)
    assert pcc(-truth, truth) == pytest.approx(-1)
    assert sagr(-truth, truth) == 0
    for measure in (pcc, ccc):
        assert measure(np.zeros(100), truth) == 0
        assert measure(np.zeros(1), np.zeros(1)) == 0


def test_correlation_equals_numpys_and_concordance_is_never_above_it() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        a = random.normal(size=30)
        b = random.uniform(-1, 1) * a + random.normal(size=30) + random.normal()
        assert pcc(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
        assert abs(ccc(a, b, "population")) <= abs(pcc(a, b)) + 1e-12
        assert ccc(a, b) == pytest.approx(ccc(b, a))
        assert mae(a, b) <= rmse(a, b)


def test_classification_counts() -> None:
    truth, told = np.array([0, 0, 1, 1, 1, 2, -1]), np.array([0, 1, 1, 1, 2, 2, 0])
    found = classification(told, truth, 4)
    np.testing.assert_array_equal(found.confusion, [[1, 1, 0, 0], [0, 2, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    assert found.accuracy == pytest.approx(4 / 6)
    np.testing.assert_allclose(found.per_class, [1 / 2, 2 / 3, 1, np.nan])
    assert found.mean_accuracy == pytest.approx((1 / 2 + 2 / 3 + 1) / 3)


@pytest.mark.parametrize(("told", "truth"), [([0], [8]), ([-1], [0]), ([0, 1], [0]), ([0], [-1])])
def test_what_cannot_be_counted_is_refused(told: list[int], truth: list[int]) -> None:
    with pytest.raises(ValueError, match="class|labelled"):
        classification(np.array(told), np.array(truth))


def test_values_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="as many"):
        pcc(np.zeros(3), np.zeros(4))
