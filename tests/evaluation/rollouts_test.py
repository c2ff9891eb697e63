"""Returns against a hand count; seeds and episodes batched; ends respected; the same episodes every time."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline.environments.api import PureEnvironment
from marl_offline.evaluation import rollouts
from tests.training import tiny


def constant(state, memory, obs, key):
  """Every agent's action is the number `state`."""
  return jnp.full((tiny.AGENTS, tiny.ACTIONS), state), memory


def counting(state, memory, obs, key):
  """Acts by how often it was asked."""
  return jnp.full((tiny.AGENTS, tiny.ACTIONS), memory.astype(float)), memory + 1


def test_return_is_the_agents_mean_of_the_sums():
  # rewards 0.5 + 0 and 0.5 + 1 in each of 6 steps: sums 3 and 9, mean 6.
  returns = rollouts.episode_returns(tiny.environment(), constant, jnp.array(0.5), jax.random.key(0), 4)
  np.testing.assert_allclose(returns, [6.0] * 4)


def test_nothing_is_earned_after_an_end():
  environment = tiny.environment(horizon=6, terminates_at=2)  # 2 steps of mean 1
  np.testing.assert_allclose(rollouts.episode_return(environment, constant, jnp.array(0.5), jax.random.key(0)), 2.0)
  worlds, rewards = rollouts.record_episode(environment, constant, jnp.array(0.5), jax.random.key(0))
  assert rewards.shape == (2, tiny.AGENTS)
  np.testing.assert_array_equal(worlds["time"], [0, 1, 2])

  def step(*given):  # an environment may go to pieces where nobody looks any more
    world, reward, *ends = environment.step(*given)
    return world, jnp.where(world["time"] > 2, jnp.nan, reward), *ends

  broken = environment._replace(step=step)
  np.testing.assert_allclose(rollouts.episode_return(broken, constant, jnp.array(0.5), jax.random.key(0)), 2.0)


def test_memory_is_carried():
  # actions 0, 1, ..., 5 and agents' own 0 and 1: (15 + 15 + 6) / 2 = 18.
  memory = jnp.zeros((), jnp.int32)
  value = rollouts.episode_return(tiny.environment(), counting, None, jax.random.key(0), memory)
  np.testing.assert_allclose(value, 18.0)


def test_evaluator_keeps_seeds_apart_and_always_plays_the_same_episodes():
  learner, environment = tiny.learner(tiny.Config()), tiny.environment()
  states = jax.vmap(learner.init)(jax.vmap(jax.random.key)(np.arange(3)))
  evaluate = rollouts.evaluator(environment, learner._replace(act=chex.assert_max_traces(learner.act, n=1)), 5)
  returns = evaluate(states)
  assert returns.shape == (3, 5)
  np.testing.assert_array_equal(returns, evaluate(states))
  alone = rollouts.evaluator(environment, learner, 5)(jax.tree.map(lambda leaf: leaf[1:2], states))
  np.testing.assert_allclose(alone[0], returns[1], rtol=1e-5)
  assert np.std(returns[:, 0]) > 0 and np.std(returns[0]) > 0


def test_a_recorded_episode_is_an_evaluated_one():
  learner, environment = tiny.learner(tiny.Config()), tiny.environment()
  state, key = learner.init(jax.random.key(1)), jax.random.key(2)
  worlds, rewards = rollouts.record_episode(environment, learner.act, state, key)
  assert worlds["time"].tolist() == list(range(7)) and isinstance(rewards, np.ndarray)
  expected = rollouts.episode_return(environment, learner.act, state, key)
  np.testing.assert_allclose(rewards.mean(axis=1).sum(), expected, rtol=1e-5)


def own(step):
  """A game of two agents and three steps; `step` says what each gives beside its state."""
  return PureEnvironment(
    name="own", version="v1", num_agents=2, obs_size=1, action_size=1, state_size=2, horizon=3,
    reset=lambda key: jnp.zeros(()), observe=lambda world: jnp.zeros((2, 1)),
    step=lambda world, action, key: (world + 1, *step(world)),
  )  # fmt: skip


def idle(state, memory, obs, key):
  return obs, memory


@pytest.mark.parametrize("end", [False, 0, 0.0])
def test_a_shared_reward_is_each_agents(end):
  """The agents' mean of it is itself, whatever kind of number says that nothing ended."""
  value = rollouts.episode_return(own(lambda world: (world, end, end)), idle, None, jax.random.key(0))
  assert float(value) == 0 + 1 + 2


def test_an_environment_that_observes_other_sizes_than_it_says_is_one_sentence():
  environment = own(lambda world: (world, False, False))._replace(obs_size=4)
  with pytest.raises(ValueError, match=r"own observes \(2, 1\), where its num_agents and obs_size say \(2, 4\)"):
    rollouts.episode_return(environment, idle, None, jax.random.key(0))


def test_what_a_step_gives_in_another_shape_is_one_sentence():
  environment = own(lambda world: (jnp.zeros(2), jnp.zeros(2, bool), False))
  with pytest.raises(ValueError, match=r"a step of own gave reward \(2,\), terminated \(2,\) and truncated \(\)"):
    rollouts.episode_return(environment, idle, None, jax.random.key(0))
