"""Small data sets whose every number says where it stands."""

import numpy as np
import pytest

from marl_offline.datasets.checks import DataError
from marl_offline.datasets.episodes import Episodes, from_arrays


def episodes(lengths=(3, 1, 4), terminated=None, num_agents=2, obs_size=3, action_size=2, with_state=False) -> Episodes:
  """Episodes of the given lengths. obs of step t in episode p is 100 p + t, the final one has t = T.

  Within a row values rise by up to 0.5; action is that / 1e4, reward that / 10.

  terminated: one bool an episode, default alternating; the others are truncated.
  """
  terminated = [p % 2 == 0 for p in range(len(lengths))] if terminated is None else terminated
  mark = np.concatenate([100.0 * p + np.arange(steps) for p, steps in enumerate(lengths)])
  final = np.array([100.0 * p + steps for p, steps in enumerate(lengths)])
  last = np.concatenate([np.arange(steps) == steps - 1 for steps in lengths])
  ended = np.repeat(terminated, lengths)

  def filled(mark, *shape):
    offset = np.linspace(0.0, 0.5, int(np.prod(shape))).reshape(shape)
    return mark.reshape(-1, *(1 for _ in shape)) + offset

  return from_arrays(
    filled(mark, num_agents, obs_size),
    filled(mark, num_agents, action_size) / 1e4,
    filled(mark, num_agents) / 10,
    last & ended,
    last & ~ended,
    filled(final, num_agents, obs_size),
    filled(final, num_agents, action_size) / 1e4,
    filled(mark, 5) if with_state else None,
    filled(final, 5) if with_state else None,
  )


FACTS = {"task": "made", "quality": "medium-replay", "version": "v1"}


def refused(make, *words):
  """make() raises a DataError of one sentence that holds all words. Returns it."""
  with pytest.raises(DataError) as caught:
    make()
  message = str(caught.value)
  assert "\n" not in message and len(message) < 600
  for word in words:
    assert str(word) in message, message
  return message
