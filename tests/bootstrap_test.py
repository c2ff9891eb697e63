"""What every algorithm bootstraps from: its TD target written out, with no parameter equal to its target's copy.

Elsewhere targets are met where the networks are copies of each other or where every transition ends; here online and
target networks differ, some transitions end and most do not, and states, rewards and actions of both moments differ.
"""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline.networks.critics import StateValue
from marl_offline.parts import independent, joint_critic, weighted_imitation
from tests import contract_test, games

SPEC = games.tiny_spec()
BATCH = games.random_batch(SPEC, jax.random.key(1), 8)
N = SPEC.num_agents


def policy(net, state):
  return net.actor(state.target_actors, BATCH.next_obs)  # [B, N, A]


def next_q(net, state, action, critics=None):
  """[E, B] at one joint action each."""
  return joint_critic.joint_q(net, state.target_critics if critics is None else critics, BATCH.next_state, action)


def replaced(net, state, agents):
  """The data's next actions, but of `agents` their target policies'."""
  chosen = np.isin(np.arange(N), agents)[:, None]
  return jnp.where(chosen, policy(net, state), BATCH.next_action)


def bootstrapped(value, config):
  return BATCH.reward + config.gamma * BATCH.discount * value


def all_by_policy(net, state, config):
  return bootstrapped(jnp.min(next_q(net, state, policy(net, state)), 0), config)


def each_by_policy(net, state, config):
  alone = [jnp.min(next_q(net, state, replaced(net, state, [i])), 0) for i in range(N)]
  return jnp.stack([bootstrapped(value, config) for value in alone], -1)  # [B, N]


def one_by_policy(net, state, config):
  return bootstrapped(jnp.min(sum(next_q(net, state, replaced(net, state, [i])) for i in range(N)) / N, 0), config)


def every_k_by_policy(net, state, config):
  """Equations 6 and 7 with all sets of k agents."""
  values, spreads = [], []
  for k in range(1, N + 1):
    joint = [replaced(net, state, agents) for agents in itertools.combinations(range(N), k)]
    values.append(sum(jnp.min(next_q(net, state, a), 0) for a in joint) / len(joint))
    spreads.append(sum(jnp.std(next_q(net, state, a, state.critics), axis=0) for a in joint) / len(joint))
  weight = 1 / jnp.stack(spreads)
  return bootstrapped(jnp.sum(weight / jnp.sum(weight, 0) * jnp.stack(values), 0), config)


def its_own(net, state, config):
  """Each agent alone: its own critics, policy and reward. [B, N]"""
  q = net.critic(state.target_critics, BATCH.next_obs, policy(net, state)[:, None])[:, :, 0]  # [E, B, N]
  return BATCH.agent_reward + config.gamma * BATCH.discount[:, None] * jnp.min(q, 0)


def state_value(net, state, config):
  standardized = (BATCH.next_state - SPEC.normalizer.state_mean) / SPEC.normalizer.state_scale
  return bootstrapped(StateValue(config.hidden_size).apply(state.value, standardized), config)


def by_mean_policy(net, state, config):
  mean, _ = net.actor(state.actors, BATCH.next_obs)
  return bootstrapped(jnp.min(next_q(net, state, mean), 0), config)


def by_weighted_data(net, state, config):
  q = jnp.min(next_q(net, state, BATCH.next_action), 0)
  weight = len(q) * jnp.exp(q / config.beta) / jnp.sum(jnp.exp(q / config.beta))
  return bootstrapped(jnp.minimum(weight / config.alpha, 1.0) * q, config)


CASES = [
  ("spacql", joint_critic, every_k_by_policy, {"exact_subsets": True}),
  ("icql_qs", joint_critic, each_by_policy, {}),
  ("cfcql", joint_critic, all_by_policy, {}),
  ("cfcql", joint_critic, one_by_policy, {"target": "counterfactual"}),
  ("macql", joint_critic, all_by_policy, {}),
  ("matd3_bc", joint_critic, all_by_policy, {}),
  ("matd3", joint_critic, all_by_policy, {"normalization": "data"}),
  ("icql", independent, its_own, {}),
  ("omar", independent, its_own, {}),
  ("iql", weighted_imitation, state_value, {}),
  ("awac", weighted_imitation, by_mean_policy, {}),
  ("maicq", weighted_imitation, by_weighted_data, {"beta": 0.5}),  # at its 100 a batch's weights are all but even
]


def test_every_algorithm_that_bootstraps_is_here():
  assert {name for name, *_ in CASES} == set(contract_test.ALGORITHMS) - {"bc"}


def grown(params):
  """Parameters with Q's that lie well apart."""
  return jax.tree.map(lambda leaf: 3 * leaf, params)


def apart(learner):
  """A state whose targets are not copies, whose ensembles disagree, and whose stochastic policies play their means."""
  state, other = (jax.jit(learner.init)(jax.random.key(seed)) for seed in (0, 1))
  changed = {"critics": grown(state.critics), "target_critics": grown(other.critics)}
  if hasattr(state, "value"):
    changed["value"] = grown(state.value)
  if hasattr(state, "target_actors"):
    changed["target_actors"] = other.actors
  elif "log_std" in state.actors["params"]:
    still = jnp.full_like(state.actors["params"]["log_std"], -20.0)
    changed["actors"] = {"params": state.actors["params"] | {"log_std": still}}
  return state.replace(**changed)


@pytest.mark.parametrize(("name", "part", "expected", "changes"), CASES)
def test_target_and_td_loss(name, part, expected, changes):
  module = contract_test.load(name)
  config = contract_test.small(module.Config())
  quiet = {"target_noise": 0.0} if hasattr(config, "target_noise") else {}
  config = dataclasses.replace(config, **{"normalization": "data", **quiet, **changes})
  learner, net = module.make(SPEC, config), part.build(SPEC, config)
  state = apart(learner)
  target = np.asarray(expected(net, state, config))  # [B] or [B, N]
  if part is independent:
    q = net.critic(state.critics, BATCH.obs, BATCH.action[:, None])[:, :, 0]  # [E, B, N]
  else:
    q = joint_critic.joint_q(net, state.critics, BATCH.state, BATCH.action)  # [E, B]
    q = q[..., None] if target.ndim == 2 else q
  _, metrics = jax.jit(learner.update)(state, BATCH, jax.random.key(2), 1)
  np.testing.assert_allclose(metrics["target_mean"], target.mean(), rtol=1e-4)
  np.testing.assert_allclose(metrics["td_loss"], np.mean((np.asarray(q) - target) ** 2), rtol=1e-4)
  assert np.std(target - np.asarray(BATCH.reward).reshape(-1, *[1] * (target.ndim - 1))) > 0.05
