"""Statistics against hand values; axes by name."""

import numpy as np
import pytest
import scipy.stats

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


def test_interval_repeats_and_holds_the_iqm():
  x = Named(np.random.default_rng(0).normal(50, 5, 10), ("seed",))
  low, high = statistics.iqm_interval(x, "seed")
  assert low < statistics.iqm(x, "seed").values < high
  assert (low, high) == statistics.iqm_interval(x, "seed")
  assert statistics.iqm_interval(x, "seed", confidence=0.5)[0] > low


def test_the_interval_is_of_percentiles_and_so_stays_among_the_numbers():
  """Mirrored at the estimate, as the basic bootstrap's, it would reach below all of them here."""
  low, high = statistics.iqm_interval(Named(np.array([0.0, 0.0, 0.0, 0.0, 90.0]), ("seed",)), over="seed")
  # of 5 draws 2 or more are the 90 with probability 0.26, and then one at least of the middle three
  assert (low, high) == (0.0, 60.0)


def test_interval_of_a_difference_by_hand():
  # variances 2 and 2 of two entries each: standard error sqrt(2/2 + 2/2), 2 degrees of freedom, t = 4.302653
  x, y = (Named(np.array(values), ("seed",)) for values in ([1.0, 3.0], [0.0, 2.0]))
  width = 4.302653 * np.sqrt(2)
  assert statistics.mean_difference_interval(x, y, "seed") == pytest.approx((1 - width, 1 + width), abs=1e-4)
  assert statistics.mean_difference_interval(y, x, "seed") == pytest.approx((-1 - width, -1 + width), abs=1e-4)
  alike = Named(np.array([3.0, 3.0]), ("seed",))
  assert statistics.mean_difference_interval(alike, alike, "seed") is None
  assert statistics.mean_difference_interval(x, Named(np.array([3.0]), ("seed",)), "seed") is None
  with pytest.raises(ValueError, match="over 'seed' alone"):
    statistics.mean_difference_interval(x, GRID, "seed")


def test_sides_of_other_sizes_and_spreads_have_the_interval_of_welch():
  """Degrees of freedom by hand, 4 / (1 / 1 + 1 / 2) = 8 / 3 and not the pooled 3, and the interval as SciPy has it."""
  x, y = [1.0, 3.0], [0.0, 3.0, 3.0]  # variances 2 and 3, of two and three: squared standard errors 1 and 1
  low, high = statistics.mean_difference_interval(Named(x, ("seed",)), Named(y, ("seed",)), "seed")
  assert high - low == pytest.approx(2 * np.sqrt(2) * scipy.stats.t.ppf(0.975, 8 / 3))
  wide = [3.0, 40.0, -20.0, 9.0]
  expected = scipy.stats.ttest_ind(wide, x, equal_var=False).confidence_interval(0.9)
  found = statistics.mean_difference_interval(Named(wide, ("seed",)), Named(x, ("seed",)), "seed", confidence=0.9)
  assert found == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("count", [1, 4])
def test_few_seeds_have_no_interval(count):
  assert statistics.iqm_interval(Named(np.arange(float(count)), ("seed",)), "seed") is None


def test_wrong_axes_are_refused():
  with pytest.raises(ValueError, match="do not name the 2 axes"):
    Named(np.zeros((2, 3)), ("seed",))
  with pytest.raises(ValueError, match="do not name"):
    Named(np.zeros((2, 3)), ("seed", "seed"))
  with pytest.raises(ValueError, match="no axis 'task'"):
    statistics.mean(GRID, over="task")
  with pytest.raises(ValueError, match="over 'seed' alone"):
    statistics.iqm_interval(GRID, "seed")


def scores_of(*rows):
  return Named(np.array(rows, float), ("dataset", "seed"))


def test_probability_of_improvement_by_hand():
  # pairs of {1, 2} with {1, 3, 0}: 1 = 1 (1/2), 1 < 3, 1 > 0 (1), 2 > 1 (1), 2 < 3, 2 > 0 (1) -> 3.5 of 6
  x, y = Named(np.array([1.0, 2.0]), ("seed",)), Named(np.array([1.0, 3.0, 0.0]), ("seed",))
  assert statistics.probability_of_improvement(x, y, "seed").values == pytest.approx(3.5 / 6)
  assert statistics.probability_of_improvement(y, x, "seed").values == pytest.approx(2.5 / 6)
  assert statistics.probability_of_improvement(x, x, "seed").values == 0.5
  # data set by data set: {1, 2} over {0, 1}: 1, 1/2, 1, 1 -> 3.5 of 4; {5, 5} against {5, 9}: 1/2, 0 twice -> 1 of 4
  two = statistics.probability_of_improvement(scores_of([1, 2], [5, 5]), scores_of([0, 1], [5, 9]), "seed")
  assert two.axes == ("dataset",) and two.values.tolist() == [3.5 / 4, 1 / 4]


def test_fraction_above_by_hand():
  # of 1, 2, 3, 10: four above 0, three above 1 (1 itself is not), one above 3, none above 10
  x = scores_of([1, 2], [3, 10]).joined(("dataset", "seed"), "run")
  assert x.axes == ("run",) and x.values.tolist() == [1, 2, 3, 10]
  found = statistics.fraction_above(x, np.array([0, 1, 3, 10]), "run")
  assert found.axes == ("level",) and found.values.tolist() == [1, 0.75, 0.25, 0]


def test_joined_and_ordered_go_by_name():
  turned = Named(scores_of([1, 2], [3, 10]).values.T, ("seed", "dataset"))
  assert turned.joined(("dataset", "seed"), "run").values.tolist() == [1, 2, 3, 10]
  assert turned.ordered(("dataset", "seed")).tolist() == [[1, 2], [3, 10]]
  with pytest.raises(ValueError, match="are not"):
    turned.ordered(("seed",))


def pooled_iqm(x):
  return statistics.iqm(x.joined(("dataset", "seed"), "run"), "run")


def test_seeds_are_drawn_within_their_data_set():
  # each data set's seeds agree, so a draw within it changes nothing; a draw over the pool would move the IQM
  assert statistics.stratified_interval(pooled_iqm, scores_of([0, 0], [10, 10]), over="seed") == (5.0, 5.0)
  low, high = statistics.stratified_interval(pooled_iqm, scores_of([0, 10], [0, 10]), over="seed")
  assert (low, high) == (0.0, 10.0)  # all four alike has chance 1/16 on either side


def test_interval_of_a_probability_by_hand():
  # {0, 10} against {5, 5}: draws of the first give 0, 1/2, 1 with chances 1/4, 1/2, 1/4
  x, y = scores_of([0, 10]), scores_of([5, 5])

  def probability(x, y):
    return statistics.mean(statistics.probability_of_improvement(x, y, "seed"), "dataset")

  assert statistics.stratified_interval(probability, x, y, over="seed") == (0.0, 1.0)
  assert statistics.stratified_interval(probability, x, y, over="seed", confidence=0.4) == (0.5, 0.5)
  assert statistics.stratified_interval(probability, scores_of([1]), scores_of([2]), over="seed") is None


def test_stratified_interval_repeats_and_is_of_the_right_width():
  # the mean of 50 draws per stratum: half width 1.96 * sigma / sqrt(100), with sigma that of the strata
  rng = np.random.default_rng(0)
  x = Named(np.stack([rng.normal(0, 3, 50), rng.normal(100, 3, 50)]), ("dataset", "seed"))
  mean = lambda x: statistics.mean(statistics.mean(x, "seed"), "dataset")  # noqa: E731
  low, high = statistics.stratified_interval(mean, x, over="seed")
  assert (low, high) == statistics.stratified_interval(mean, x, over="seed")
  width = 2 * 1.96 * np.sqrt(x.values.var(axis=1).mean() / 100)
  assert high - low == pytest.approx(width, rel=0.05)


def test_an_interval_for_every_level_of_a_profile():
  x = scores_of([0, 10], [5, 5])

  def profile(x):
    return statistics.mean(statistics.fraction_above(x, np.array([-1.0, 4.0, 20.0]), "seed"), "dataset")

  assert profile(x).values.tolist() == [1, 0.75, 0]
  low, high = statistics.stratified_interval(profile, x, over="seed")
  assert (low.tolist(), high.tolist()) == ([1, 0.5, 0], [1, 1, 0])
