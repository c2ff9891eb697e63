"""Statistics against hand values; axes by name."""

import numpy as np
import pytest

from marl_offline.evaluation import statistics
from marl_offline.evaluation.statistics import Named

GRID = Named(np.array([[1.0, 2.0, 6.0], [3.0, 4.0, 8.0]]), ("seed", "episode"))


def test_axes_go_by_name():
  np.testing.assert_array_equal(statistics.mean(GRID, over="episode").values, [3.0, 5.0])
  np.testing.assert_array_equal(statistics.mean(GRID, over="seed").values, [2.0, 3.0, 7.0])
  assert statistics.mean(GRID, over="seed").axes == ("episode",)
  turned = Named(GRID.values.T, ("episode", "seed"))
  np.testing.assert_array_equal(statistics.mean(turned, over="episode").values, [3.0, 5.0])
  assert (GRID.size("seed"), GRID.size("episode")) == (2, 3)
  assert GRID.at("seed", 1).values.tolist() == [3.0, 4.0, 8.0]


def test_std_divides_by_n():
  # 1, 3: mean 2, deviations 1, 1 -> 1 (and not sqrt 2)
  assert statistics.std(Named(np.array([1.0, 3.0]), ("seed",)), over="seed").values == 1.0


@pytest.mark.parametrize(
  ("values", "expected"),
  [
    ([7.0], 7.0),
    ([1.0, 2.0, 6.0], 3.0),  # floor(3 / 4) = 0 dropped
    ([0.0, 1.0, 3.0, 100.0], 2.0),  # one dropped at either end
    ([100.0, 2.0, 4.0, 3.0, -50.0], 3.0),  # order does not matter
    (list(range(8)), 3.5),  # two at either end
  ],
)
def test_iqm_by_hand(values, expected):
  assert statistics.iqm(Named(np.array(values), ("seed",)), over="seed").values == pytest.approx(expected)


def test_interval_of_two_seeds_by_hand():
  # resamples of {0, 10}: 0, 5, 10 with probabilities 1/4, 1/2, 1/4: the 2.5 % and 97.5 % points are the ends
  assert statistics.iqm_interval(Named(np.array([0.0, 10.0]), ("seed",)), "seed") == (0.0, 10.0)


def test_interval_repeats_and_holds_the_iqm():
  x = Named(np.random.default_rng(0).normal(50, 5, 10), ("seed",))
  low, high = statistics.iqm_interval(x, "seed")
  assert low < statistics.iqm(x, "seed").values < high
  assert (low, high) == statistics.iqm_interval(x, "seed")
  assert statistics.iqm_interval(x, "seed", confidence=0.5)[0] > low


def test_interval_of_a_difference_by_hand():
  # {0, 10} minus {3, 3}: resampled IQMs 0, 5, 10 less 3; the ends are -3 and 7
  x, y = Named(np.array([0.0, 10.0]), ("seed",)), Named(np.array([3.0, 3.0]), ("seed",))
  assert statistics.iqm_difference_interval(x, y, "seed") == (-3.0, 7.0)
  assert statistics.iqm_difference_interval(y, x, "seed") == (-7.0, 3.0)
  assert statistics.iqm_difference_interval(x, Named(np.array([3.0]), ("seed",)), "seed") is None
  with pytest.raises(ValueError, match="over 'seed' alone"):
    statistics.iqm_difference_interval(x, GRID, "seed")


def test_one_seed_has_no_interval():
  assert statistics.iqm_interval(Named(np.array([1.0]), ("seed",)), "seed") is None


def test_wrong_axes_are_refused():
  with pytest.raises(ValueError, match="do not name the 2 axes"):
    Named(np.zeros((2, 3)), ("seed",))
  with pytest.raises(ValueError, match="do not name"):
    Named(np.zeros((2, 3)), ("seed", "seed"))
  with pytest.raises(ValueError, match="no axis 'task'"):
    statistics.mean(GRID, over="task")
  with pytest.raises(ValueError, match="over 'seed' alone"):
    statistics.iqm_interval(GRID, "seed")
