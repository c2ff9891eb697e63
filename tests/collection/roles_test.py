"""Agents of spread in another order: assignments by hand, renamed observations against the task's own."""

import dataclasses

import jax
import numpy as np
import pytest

from marl_offline.collection import record, roles
from marl_offline.environments import particle_tasks


def played(environment, episodes=6):
  return record.record(environment, [record.Behavior(None, 1.0, episodes)], 0)


def test_distances_and_assignments_by_hand():
  obs = np.zeros((1, 2, 12), np.float32)
  obs[0, 0, 4:8] = [3.0, 4.0, 0.0, 1.0]  # agent 0: 5 from landmark 0, 1 from landmark 1
  obs[0, 1, 4:8] = [9.0, 0.0, 0.0, 2.0]  # agent 1: 9 and 2
  distance = roles.distances(obs)
  np.testing.assert_allclose(distance[0], [[5.0, 1.0], [9.0, 2.0]])
  # both are nearer to landmark 1; 5 + 2 is less than 1 + 9
  np.testing.assert_array_equal(roles.assignments(distance), [[0, 1]])


@pytest.mark.parametrize("num_agents", [1, 2, 3, 4])
def test_a_renamed_episode_is_what_the_task_shows_to_agents_of_these_names(num_agents):
  environment = particle_tasks.spread(num_agents)
  state = environment.reset(jax.random.key(3))
  obs = np.asarray(environment.observe(state))[None]
  for order in [np.roll(np.arange(num_agents), 1), np.arange(num_agents)[::-1]]:
    renamed = state.replace(agent_pos=state.agent_pos[order], agent_vel=state.agent_vel[order])
    np.testing.assert_array_equal(roles._seen(obs, order[None])[0], environment.observe(renamed))


@pytest.mark.parametrize("naming", roles.NAMINGS)
def test_renaming_moves_agents_and_nothing_else(naming):
  before = played(particle_tasks.spread())
  order = roles.order_of(before, naming, seed=0)
  after = roles.rename(before, order)
  np.testing.assert_allclose(after.returns(), before.returns(), rtol=1e-6)
  np.testing.assert_array_equal(after.action[30, 0], before.action[30, order[1, 0]])  # row 30 is of episode 1
  np.testing.assert_array_equal(after.final_action[1, 2], before.final_action[1, order[1, 2]])
  np.testing.assert_array_equal(after.reward[149, 1], before.reward[149, order[5, 1]])
  back = roles.rename(after, np.argsort(order, axis=1))
  for name, values in back.arrays().items():
    np.testing.assert_array_equal(values, before.arrays()[name])


def test_named_by_landmark_all_agents_have_roles_and_by_lot_none():
  before = played(particle_tasks.spread(), 600)
  for naming, share in [("by_landmark", 1.0), ("at_random", 1 / 6)]:
    after = roles.rename(before, roles.order_of(before, naming, seed=0))
    ends = roles.assignments(roles.distances(after.final_obs))
    assert (ends == [0, 1, 2]).all(axis=1).mean() == pytest.approx(share, abs=0.05)


def test_what_is_no_order_is_refused():
  episodes = played(particle_tasks.spread(), 2)
  for order in [np.zeros((2, 3), int), np.arange(3)[None], np.array([[0, 1, 3]] * 2)]:
    with pytest.raises(ValueError, match="order must hold the 3 agents once for each of 2 episodes"):
      roles.rename(episodes, order)


def test_what_has_no_order_is_refused_and_a_state_that_repeats_the_observations_left_out():
  episodes = played(particle_tasks.spread(), 2)
  flat = {name: getattr(episodes, name.replace("state", "obs")).reshape(-1, 54) for name in ("state", "final_state")}
  order = np.array([[1, 2, 0]] * 2)
  assert roles.rename(dataclasses.replace(episodes, **flat), order).state is None
  legal = np.ones((50, 3, 2), bool)
  with pytest.raises(ValueError, match="spread's actions are continuous"):
    roles.rename(dataclasses.replace(episodes, legal=legal, final_legal=legal[:2]), order)
  with pytest.raises(ValueError, match="only episodes whose state"):
    roles.rename(dataclasses.replace(episodes, **flat | {"state": flat["state"] + 1}), order)
