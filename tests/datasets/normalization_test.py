"""The Normalizer of a data set."""

import numpy as np
import pytest

from marl_offline.datasets import normalization, transitions
from tests.datasets import made


def test_mean_and_scale_by_hand():
  # agent 0: values 1, 3: mean 2, std 1.  agent 1: constant 7: mean 7, scale 1.
  fields = made.episodes((2,), obs_size=1).arrays() | {"obs": np.array([[[1], [7]], [[3], [7]]], np.float32)}
  normalizer = normalization.fit(transitions.Episodes(**fields))
  np.testing.assert_array_equal(normalizer.obs_mean, [[2], [7]])
  np.testing.assert_array_equal(normalizer.obs_scale, [[1], [1]])
  np.testing.assert_array_equal(normalizer.state_mean, [2, 7])
  np.testing.assert_array_equal(normalizer.obs(fields["obs"])[:, 0, 0], [-1, 1])


@pytest.mark.parametrize("on_device", [False, True])
def test_many_chunks_give_the_moments_of_the_whole(monkeypatch, on_device):
  monkeypatch.setattr("marl_offline.datasets.checks.CHUNK", 4)
  episodes = made.episodes((7, 3, 9), with_state=True)
  normalizer = normalization.fit(transitions.from_episodes(episodes) if on_device else episodes)
  np.testing.assert_allclose(normalizer.obs_mean, episodes.obs.mean(axis=0, dtype=np.float64), rtol=1e-6)
  np.testing.assert_allclose(normalizer.obs_scale, episodes.obs.std(axis=0, dtype=np.float64), rtol=1e-6)
  np.testing.assert_allclose(normalizer.state_scale, episodes.state.std(axis=0, dtype=np.float64), rtol=1e-6)


def test_a_constant_far_from_zero_is_constant():
  fields = made.episodes((50,), obs_size=1).arrays()
  fields["obs"] = np.full_like(fields["obs"], 123456.7)
  np.testing.assert_array_equal(normalization.fit(transitions.Episodes(**fields)).obs_scale, 1.0)


def test_what_varies_by_rounding_alone_is_constant():
  """A float32 near a million moves in sixteenths."""
  fields = made.episodes((50,), obs_size=1).arrays()
  for step, scale in ((1 / 16, 1.0), (16.0, 8.0)):
    rounded = 1e6 + step * (np.arange(50) % 2)
    fields["obs"] = np.broadcast_to(rounded[:, None, None], fields["obs"].shape).astype(np.float32)
    np.testing.assert_allclose(normalization.fit(transitions.Episodes(**fields)).obs_scale, scale, rtol=1e-6)


def test_spec_has_the_sizes():
  spec = normalization.spec(transitions.from_episodes(made.episodes((3,), num_agents=4, obs_size=5, action_size=1)))
  assert (spec.num_agents, spec.obs_size, spec.action_size, spec.state_size) == (4, 5, 1, 20)
  spec = normalization.spec(made.episodes((3,), with_state=True))
  assert spec.state_size == 5
