"""Each algorithm finds the optimum of a small game, far above behavior cloning.

The games last one step and their data is uniform play, o_i ~ U[-1/2, 1/2], two agents. Pushing pays sum_i a_i o_i:
imitation earns 0, the optimum E sum_i |o_i| = 1/2. Meeting pays -sum_i |a_i - o_i|^2: imitation plays 0 and earns
-2 E o^2 = -1/6, the optimum 0.

Weighted imitation reaches no optimum. Of uniform play weighted by exp(c sum_i a_i o_i) each agent's mean is
coth(c o) - 1 / (c o), whatever factor of the state stands beside; with c = 3 that earns 0.154 at pushing, which is
2 E o (coth 3 o - 1 / (3 o)). So do IQL with its inverse temperature of 3, AWAC with
temperature 1/3 and MAICQ with beta 1/3.
TD3+BC maximises lambda a o - a^2 with lambda = 2.5 / E |Q|: a = clip(lambda o / 2, -1, 1), which earns E |Q| itself,
0.4235 where lambda = 5.90.
"""

import dataclasses
import importlib

import jax
import jax.numpy as jnp
import pytest

from marl_offline.algorithms import bc
from tests import games

SIZES = {"hidden_size": 16, "ensemble_size": 2, "batch_size": 128, "num_proposals": 4, "alpha": 0.01}


def final_reward(name, reward, updates=400, **changes):
  """Mean reward of the greedy policy after training on fresh batches."""
  module, spec = importlib.import_module(f"marl_offline.algorithms.{name}"), games.one_step_spec()
  config = module.Config(learning_rate=0.01)
  config = dataclasses.replace(config, **{n: v for n, v in (SIZES | changes).items() if hasattr(config, n)})
  learner = module.make(spec, config)

  def one_step(state, step):
    key_batch, key_update = jax.random.split(jax.random.fold_in(jax.random.key(0), step))
    return learner.update(state, games.one_step_batch(reward, key_batch, 128), key_update, step)[0], None

  @jax.jit
  def run(key):
    state, _ = jax.lax.scan(one_step, learner.init(key), jnp.arange(updates))
    fresh = games.one_step_batch(reward, jax.random.key(1), 512)
    action = jax.vmap(lambda obs: learner.act(state, learner.memory, obs, key)[0])(fresh.obs)
    return jnp.mean(reward(fresh.obs, action))

  return float(run(jax.random.key(2)))


def test_behavior_clonings_loss_is_its_distance_to_the_data():
  learner = bc.make(games.tiny_spec(), bc.Config(hidden_size=8, batch_size=16))
  state, batch = jax.jit(learner.init)(jax.random.key(0)), games.random_batch(games.tiny_spec(), jax.random.key(1))
  _, metrics = jax.jit(learner.update)(state, batch, jax.random.key(2), 0)
  played = jax.vmap(lambda obs: learner.act(state, (), obs, jax.random.key(3))[0])(batch.obs)
  expected = jnp.mean(jnp.sum(jnp.mean(jnp.square(played - batch.action), axis=-1), axis=-1))
  assert float(metrics["actor_loss"]) == pytest.approx(float(expected), rel=1e-5)


def test_behavior_cloning_plays_the_datas_mean():
  assert final_reward("bc", games.meeting_reward) == pytest.approx(-1 / 6, abs=0.02)


@pytest.mark.parametrize("name", ["spacql", "icql_qs", "cfcql", "macql", "omar"])
def test_finds_the_corner_with_the_default_batch_statistics(name):
  assert final_reward(name, games.pushing_reward) > 0.45


def test_icql_finds_the_corner_with_statistics_of_the_data():
  # under batch statistics its Q does not see how far all actions go, see parts/independent_test.py: it ends near 0.1
  assert final_reward("icql", games.pushing_reward, normalization="data") > 0.45


@pytest.mark.parametrize("agent_weights", ["softmax", "one_hot"])
def test_finds_the_corner_with_agents_weighted_by_a_model_of_the_behavior(agent_weights):
  model = {"behavior_updates": 100, "behavior_hidden_size": 16, "behavior_learning_rate": 1e-3, "density_samples": 5}
  reward = final_reward("cfcql", games.pushing_reward, 500, agent_weights=agent_weights, **model)
  assert reward > 0.45


def test_cfcql_finds_the_corner_with_the_counterfactual_target():
  assert final_reward("cfcql", games.pushing_reward, target="counterfactual") > 0.45


def test_cfcql_finds_the_corner_with_the_joint_policy_gradient_and_statistics_of_the_data():
  """Not with the batch's: where every action of a pass is a policy's, they hide how large the actions are."""
  reward = final_reward("cfcql", games.pushing_reward, policy_gradient="joint", normalization="data")
  assert reward > 0.45


def test_finds_an_inner_optimum_with_statistics_of_the_data():
  assert final_reward("spacql", games.meeting_reward, normalization="data") > -0.02


@pytest.mark.parametrize(
  "name, changes",
  [("iql", {"tau": 0.05}), ("awac", {"temperature": 1 / 3}), ("maicq", {"beta": 1 / 3, "alpha": 1.0})],
)
def test_weighted_imitation_earns_what_theory_says(name, changes):
  assert final_reward(name, games.pushing_reward, **changes) == pytest.approx(0.154, abs=0.03)


def test_td3_bc_earns_what_its_fixed_point_says():
  assert final_reward("matd3_bc", games.pushing_reward, updates=800, alpha=2.5) == pytest.approx(0.4235, abs=0.02)


def test_matd3_finds_the_corner_and_an_inner_optimum():
  assert final_reward("matd3", games.pushing_reward) > 0.45
  assert final_reward("matd3", games.meeting_reward) > -0.02
