"""Rows to transitions: nothing reaches into the next episode, and only a true end stops the bootstrap."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_offline.datasets import sampling, transitions
from tests.datasets import made

gather = jax.jit(transitions.gather)
ROWS = 12  # a fixed number of rows keeps the compiled programs few
cuts = st.sets(st.integers(1, ROWS - 1)).map(lambda at: np.diff([0, *sorted(at), ROWS]).tolist())


def successor(episodes, row, name):
  """What follows a row, said with a loop."""
  if episodes.terminated[row] or episodes.truncated[row]:
    ended_before = sum(bool(x) for x in episodes.last()[:row])
    return getattr(episodes, f"final_{name}")[ended_before]
  return getattr(episodes, name)[row + 1]


@settings(max_examples=40, deadline=None)
@given(lengths=cuts, data=st.data(), with_state=st.booleans())
def test_every_row_is_followed_by_its_own_episode(lengths, data, with_state):
  terminated = data.draw(st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths)))
  episodes = made.episodes(lengths, terminated, with_state=with_state)
  batch = gather(transitions.from_episodes(episodes), jnp.arange(ROWS))
  number = np.repeat(np.arange(len(lengths)), lengths)
  np.testing.assert_array_equal(np.asarray(batch.next_obs[:, 0, 0]) // 100, number)
  np.testing.assert_array_equal(batch.next_obs[:, 0, 0], batch.obs[:, 0, 0] + 1)
  for row in range(ROWS):
    np.testing.assert_array_equal(batch.next_obs[row], successor(episodes, row, "obs"))
    np.testing.assert_array_equal(batch.next_action[row], successor(episodes, row, "action"))
    if with_state:
      np.testing.assert_array_equal(batch.next_state[row], successor(episodes, row, "state"))
    else:
      np.testing.assert_array_equal(batch.next_state[row], successor(episodes, row, "obs").ravel())
      np.testing.assert_array_equal(batch.state[row], episodes.obs[row].ravel())
  np.testing.assert_array_equal(batch.discount, 1.0 - episodes.terminated)
  np.testing.assert_array_equal(batch.agent_reward, episodes.reward)


@pytest.mark.parametrize(
  ("terminated", "truncated", "discount"), [(True, False, 0.0), (False, True, 1.0), (True, True, 0.0)]
)
def test_discount_truth_table(terminated, truncated, discount):
  fields = made.episodes((2,)).arrays()
  fields |= {"terminated": np.array([False, terminated]), "truncated": np.array([False, truncated])}
  batch = gather(transitions.from_episodes(transitions.Episodes(**fields)), jnp.arange(2))
  np.testing.assert_array_equal(batch.discount, [1.0, discount])


def test_team_reward_by_hand():
  # agents get (1, 3) and (2, 0): mean 2 and 1, first agent 1 and 2.
  fields = made.episodes((2,)).arrays() | {"reward": np.array([[1, 3], [2, 0]], np.float32)}
  episodes = transitions.Episodes(**fields)
  np.testing.assert_array_equal(transitions.from_episodes(episodes).reward, [2.0, 1.0])
  np.testing.assert_array_equal(transitions.from_episodes(episodes, "first_agent").reward, [1.0, 2.0])
  for team in transitions.TEAM_REWARDS:  # each agent's own stays, whatever the team's is
    np.testing.assert_array_equal(transitions.from_episodes(episodes, team).agent_reward, [[1.0, 3.0], [2.0, 0.0]])
  with pytest.raises(ValueError, match="'sum' is unknown; known are mean, first_agent"):
    transitions.from_episodes(episodes, "sum")


def test_drawn_rows_are_rows_of_the_data():
  episodes = made.episodes((5, 1, 6))
  dataset = transitions.from_episodes(episodes)
  batch = jax.jit(sampling.draw, static_argnames="batch_size")(dataset, jax.random.key(3), batch_size=200)
  row_of = {float(mark): row for row, mark in enumerate(episodes.obs[:, 0, 0])}
  rows = np.array([row_of[float(mark)] for mark in batch.obs[:, 0, 0]])
  assert set(rows) == set(range(12))
  jax.tree.map(np.testing.assert_array_equal, batch, gather(dataset, rows))


def test_draws_are_uniform_over_rows():
  episodes = made.episodes((1, 9))
  batch = sampling.draw(transitions.from_episodes(episodes), jax.random.key(0), 20_000)
  # a row has probability 1 / 10: the share of episode 0 is 0.1 with deviation sqrt(0.09 / 20,000) = 0.0021
  assert abs(float(jnp.mean(batch.obs[:, 0, 0] < 100)) - 0.1) < 0.01


def test_gather_takes_each_agents_own_reward_on_device_and_host_alike():
  # agents get (1, 3) and (2, 0): asked for the second row, then the first
  fields = made.episodes((2,)).arrays() | {"reward": np.array([[1, 3], [2, 0]], np.float32)}
  episodes = transitions.Episodes(**fields)
  on_device = gather(transitions.from_episodes(episodes), jnp.array([1, 0]))
  on_host = transitions.gather(transitions.from_episodes(episodes, place=np.asarray), np.array([1, 0]))
  np.testing.assert_array_equal(on_device.agent_reward, [[2.0, 0.0], [1.0, 3.0]])
  np.testing.assert_array_equal(on_host.agent_reward, on_device.agent_reward)
  assert isinstance(on_host.agent_reward, np.ndarray)


def test_gather_runs_inside_jit_vmap_and_scan():
  dataset = transitions.from_episodes(made.episodes((5, 1, 6)))
  rows = jnp.arange(12).reshape(2, 3, 2)

  @jax.jit
  def scanned(dataset, rows):
    return jax.lax.scan(lambda _, r: (None, jax.vmap(transitions.gather, (None, 0))(dataset, r)), None, rows)[1]

  flat = gather(dataset, jnp.arange(12))
  jax.tree.map(lambda x, y: np.testing.assert_array_equal(x.reshape(y.shape), y), scanned(dataset, rows), flat)
  jax.tree.map(lambda x, y: np.testing.assert_array_equal(x, y[7]), gather(dataset, jnp.int32(7)), flat)


def test_a_state_that_repeats_the_observations_is_kept_once():
  plain = made.episodes()
  repeated = dataclasses.replace(plain, state=plain.obs.reshape(8, -1), final_state=plain.final_obs.reshape(3, -1))
  kept, other = transitions.from_episodes(repeated), transitions.from_episodes(made.episodes(with_state=True))
  assert kept.state is None and kept.final_state is None and other.state is not None
  both = [gather(dataset, jnp.arange(8)) for dataset in (kept, transitions.from_episodes(plain))]
  chex.assert_trees_all_equal(*both)
  for one in ("state", "final_state"):  # in one number another: a state of its own
    there = getattr(repeated, one).copy()
    there[-1, -1] += 1
    assert transitions.from_episodes(dataclasses.replace(repeated, **{one: there})).state is not None
