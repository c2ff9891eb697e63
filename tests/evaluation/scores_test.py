"""Normalised scores against hand values."""

import numpy as np
import pytest

from marl_offline.evaluation import scores


def test_by_hand():
  # (338.3 - 159.8) / (516.8 - 159.8) = 178.5 / 357 = a half
  np.testing.assert_allclose(scores.normalized("spread", [159.8, 516.8, 338.3]), [0.0, 100.0, 50.0])


@pytest.mark.parametrize("task", scores.REFERENCES)
def test_each_reference_has_a_source_and_is_a_scale(task):
  reference = scores.REFERENCES[task]
  assert reference.expert > reference.random and reference.source
  assert scores.normalized(task, reference.expert) == pytest.approx(100.0)


def test_omar_stands_beside():
  assert {task: tuple(reference)[:2] for task, reference in scores.OMAR.items()} == {
    "spread": (516.8, 159.8),
    "tag": (185.6, -4.1),
    "world": (79.5, -6.8),
  }


def test_more_agents_by_hand():
  # three agents: OMAR's expert, 516.8, on the common scale: (516.8 - 162.1) / (640.0 - 162.1) = 354.7 / 477.9 = 74.2
  assert scores.normalized("spread_3", 516.8) == pytest.approx(74.2, abs=0.05)
  # 25 steps with 10 for each of n landmarks are the most that there can be
  assert all(scores.REFERENCES[f"spread_{n}"].expert < 250 * n for n in range(3, 11))


def test_an_unknown_task_is_refused_not_guessed():
  with pytest.raises(ValueError, match=r"no reference returns for task 'chess'; known: \[.*'spread', 'spread_10', "):
    scores.normalized("chess", 1.0)
