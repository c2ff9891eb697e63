"""Returns on the host against a hand count, and the same contract as in a pure environment."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline.environments import mujoco_agents
from marl_offline.environments.api import HostEnvironment
from marl_offline.evaluation import host_rollouts, rollouts
from marl_offline.types import Learner
from tests.training import tiny


class World(NamedTuple):
  where: np.ndarray  # [B, N, O]
  life: np.ndarray  # [B] steps until it terminates
  time: np.ndarray  # [B]


def environment(lives=(100,), horizon=6):
  """tiny's task on the host; episode i terminates after lives[i] steps. Stepping a row that is over is an error."""

  def reset(generator, count):
    where = generator.standard_normal((count, tiny.AGENTS, tiny.OBS))
    return World(where, np.resize(lives, count), np.zeros(count, int))

  def step(world, action):
    assert len(action) == len(world.time) and (world.time < np.minimum(world.life, horizon)).all()
    world = world._replace(time=world.time + 1)
    reward = action[:, :, 0] + np.arange(tiny.AGENTS)
    return world, reward, world.time == world.life, world.time >= horizon

  sizes = tiny.AGENTS, tiny.OBS, tiny.ACTIONS, tiny.AGENTS * tiny.OBS
  return HostEnvironment("tiny", "v1", *sizes, horizon, reset, lambda world: world.where, None, step)


def acting(act, memory=()):
  return Learner(None, None, act, memory)


def constant(state, memory, obs, key):
  """Every agent's action is the number `state`."""
  return jnp.full((tiny.AGENTS, tiny.ACTIONS), state), memory


def counting(state, memory, obs, key):
  """Acts by how often it was asked."""
  return jnp.full((tiny.AGENTS, tiny.ACTIONS), memory.astype(float)) + state, memory + 1


def noisy(state, memory, obs, key):
  """Acts by all that it is given."""
  action = jax.random.normal(key, (tiny.AGENTS, tiny.ACTIONS)) + state + obs[:, : tiny.ACTIONS] + memory
  return action, memory + 1


def test_returns_by_hand_with_ends_of_both_kinds():
  # mean reward of a step a + 0.5. Episode 0 lasts 2 steps, episode 1 the horizon's 6.
  evaluate = rollouts.evaluator(environment(lives=(2, 100)), acting(constant), 2)
  np.testing.assert_allclose(evaluate(jnp.array([0.5, -0.5, 1.0])), [[2, 6], [0, 0], [3, 9]])


def test_memory_is_each_episodes_own():
  # actions 0, 1, ..., 5 and 0.5: 15 + 3; the short episode 0 + 1 + 1.
  evaluate = rollouts.evaluator(environment(lives=(2, 100)), acting(counting, jnp.zeros((), jnp.int32)), 2)
  np.testing.assert_allclose(evaluate(jnp.array([0.0, 1.0])), [[2, 18], [4, 24]])


def test_a_policy_that_is_lost_returns_nan_and_harms_no_other():
  evaluate = rollouts.evaluator(environment(), acting(constant), 2)
  np.testing.assert_allclose(evaluate(jnp.array([0.5, jnp.nan])), [[6, 6], [np.nan, np.nan]])
  assert np.isnan(evaluate(jnp.array([jnp.nan]))).all()


def test_seeds_are_apart_and_the_episodes_always_the_same():
  learner = tiny.learner(tiny.Config())
  states = jax.vmap(learner.init)(jax.vmap(jax.random.key)(np.arange(3)))
  evaluate = rollouts.evaluator(environment(), learner._replace(act=chex.assert_max_traces(learner.act, n=1)), 5)
  returns = evaluate(states)
  assert returns.shape == (3, 5) and returns.dtype == np.float32
  np.testing.assert_array_equal(returns, evaluate(states))
  alone = rollouts.evaluator(environment(), learner, 5)(jax.tree.map(lambda leaf: leaf[1:2], states))
  np.testing.assert_allclose(alone[0], returns[1], rtol=1e-5)
  assert np.std(returns[:, 0]) > 0 and np.std(returns[0]) > 0


def test_a_recorded_episode_is_an_evaluated_one():
  task, learner = environment(lives=(2, 100, 4)), acting(noisy, jnp.zeros((), jnp.int32))
  evaluated = rollouts.evaluator(task, learner, 3)(jnp.array([0.3, 0.7]))
  for episode, life in ((1, 6), (2, 4)):
    worlds, rewards = host_rollouts.record_episode(task, learner, jnp.array(0.7), episode, 3, rollouts.EVALUATION_KEY)
    assert worlds.time.tolist() == list(range(life + 1)) and worlds.where.shape == (life + 1, tiny.AGENTS, tiny.OBS)
    assert rewards.shape == (life, tiny.AGENTS) and isinstance(rewards, np.ndarray)
    np.testing.assert_allclose(rewards.mean(axis=1).sum(), evaluated[1, episode], rtol=1e-6)


def test_a_recorded_episode_is_an_evaluated_one_where_a_world_is_several_draws():
  base = environment()

  def reset(generator, count):
    first = generator.standard_normal((count, tiny.AGENTS, tiny.OBS))  # of more worlds the second draw is another
    return World(first + generator.standard_normal((count, 1, 1)), np.full(count, 100), np.zeros(count, int))

  task, learner = base._replace(reset=reset), acting(noisy, jnp.zeros((), jnp.int32))
  evaluated = rollouts.evaluator(task, learner, 3)(jnp.array([0.7]))
  for episode in range(3):
    _, rewards = host_rollouts.record_episode(task, learner, jnp.array(0.7), episode, 3, rollouts.EVALUATION_KEY)
    np.testing.assert_allclose(rewards.mean(axis=1).sum(), evaluated[0, episode], rtol=1e-6)


@pytest.mark.parametrize("kind", [int, float])
def test_ends_that_are_numbers_and_shared_rewards_count_as_well(kind):
  base = environment(lives=(2, 100))

  def step(world, action):
    world, reward, *ends = base.step(world, action)
    return world, reward.mean(axis=1), *(end.astype(kind) for end in ends)

  evaluate = rollouts.evaluator(base._replace(step=step), acting(constant), 2)
  np.testing.assert_allclose(evaluate(jnp.array([0.5])), [[2, 6]])


def test_a_step_of_other_shapes_is_refused():
  base = environment()
  step = lambda world, action: (*base.step(world, action)[:3], False)  # noqa: E731
  with pytest.raises(ValueError, match=r"a step of tiny gave reward \(2, 2\), terminated \(2,\) and truncated \(\);"):
    rollouts.evaluator(base._replace(step=step), acting(constant), 2)(jnp.array([0.5]))


def test_a_recorded_episode_ends_where_the_policy_is_lost():
  worlds, rewards = host_rollouts.record_episode(environment(), acting(constant), jnp.nan, 0, 1, 1)
  assert worlds.time.tolist() == [0, 0] and np.isnan(rewards).all() and rewards.shape == (1, tiny.AGENTS)


def test_hoppers_fall_and_are_left_alone():
  pytest.importorskip("mujoco", reason="the extra [mujoco]")
  pytest.importorskip("gymnasium", reason="the extra [mujoco]")
  hopper = mujoco_agents.make("hopper_3x1", num_threads=1)

  def still(state, memory, obs, key):
    return jnp.full((3, 1), state), memory

  returns = rollouts.evaluator(hopper, acting(still), 3)(jnp.array([0.0, 1.0]))
  # By hand: one episode alone, stepped until it ends.
  world, total, over = hopper.reset(np.random.default_rng(rollouts.EVALUATION_KEY), 1), 0.0, False
  while not over:
    world, reward, over, _ = hopper.step(world, np.zeros((1, 3, 1)))
    total += reward[0, 0]
  assert 5 < world.time[0] < 300
  np.testing.assert_allclose(returns[0, 0], total, rtol=1e-6)
