"""T^(k) and T^SP on a random game whose behavior does not factorise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline import losses
from marl_offline.theory import dec_mdp, operators

STATES, AGENTS, ACTIONS, GAMMA, MEMBERS = 4, 3, 2, 0.9, 5


@pytest.fixture(scope="module")
def setting():
  keys = jax.random.split(jax.random.key(0), 5)
  game = dec_mdp.random_game(keys[0], STATES, AGENTS, ACTIONS, GAMMA)
  behavior = dec_mdp.random_joint_policy(keys[1], STATES, AGENTS, ACTIONS)
  policy = dec_mdp.random_policies(keys[2], STATES, AGENTS, ACTIONS)
  pairs = 10.0 * jax.random.normal(keys[3], (20, 2, *game.reward.shape))  # twenty pairs of Q tables
  ensemble = jax.random.normal(keys[4], (MEMBERS, *game.reward.shape))
  values = jnp.stack([operators.partial_values(behavior, policy, q) for q in ensemble])  # [E, S, K]
  return game, behavior, policy, pairs, losses.agreement_weights(values)


def check_contraction(backup, pairs, gamma):
  first, second = jax.jit(jax.vmap(backup))(pairs[:, 0]), jax.jit(jax.vmap(backup))(pairs[:, 1])
  after = jnp.max(jnp.abs(first - second), axis=tuple(range(1, first.ndim)))
  before = jnp.max(jnp.abs(pairs[:, 0] - pairs[:, 1]), axis=tuple(range(1, first.ndim)))
  assert np.all(after <= gamma * before * (1 + 1e-5))
  assert np.all(after > 0)
  # a constant shift meets the bound exactly
  shifted = jax.vmap(backup)(pairs[:, 0] + 1.0) - first
  np.testing.assert_allclose(shifted, gamma, atol=1e-4)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_partial_backup_is_a_gamma_contraction(setting, k):
  game, behavior, policy, pairs, _ = setting
  check_contraction(lambda q: operators.partial_backup(game, behavior, policy, q, k), pairs, GAMMA)


def test_soft_partial_backup_is_a_gamma_contraction_for_fixed_weights(setting):
  game, behavior, policy, pairs, weight = setting
  np.testing.assert_allclose(weight.sum(-1), 1.0, rtol=1e-6)
  check_contraction(lambda q: operators.soft_partial_backup(game, behavior, policy, q, weight), pairs, GAMMA)


def test_soft_partial_backup_is_the_mixture_of_the_partial_ones(setting):
  game, behavior, policy, pairs, _ = setting
  weight, q = jnp.array([0.2, 0.3, 0.5]), pairs[0, 0]
  mixture = sum(weight[k - 1] * operators.partial_backup(game, behavior, policy, q, k) for k in (1, 2, 3))
  soft = operators.soft_partial_backup(game, behavior, policy, q, weight)
  np.testing.assert_allclose(soft, mixture, rtol=1e-4, atol=1e-4)


def test_k_equal_1_is_the_average_of_the_individual_backups(setting):
  game, behavior, policy, pairs, _ = setting
  q = pairs[0, 0]
  individual = [operators.individual_backup(game, behavior, policy, q, i) for i in range(AGENTS)]
  np.testing.assert_allclose(
    operators.partial_backup(game, behavior, policy, q, 1), sum(individual) / AGENTS, rtol=1e-4, atol=1e-4
  )


def test_k_equal_n_evaluates_the_policy_and_forgets_the_behavior(setting):
  game, behavior, policy, pairs, _ = setting
  q = pairs[0, 0]
  joint = jnp.einsum("su,sv,sw->suvw", *policy)
  expected = game.reward + GAMMA * game.transition @ jnp.sum(joint * q, axis=(1, 2, 3))
  np.testing.assert_allclose(
    operators.partial_backup(game, behavior, policy, q, AGENTS), expected, rtol=1e-4, atol=1e-4
  )


def test_mixed_policies_are_distributions(setting):
  _, behavior, policy, _, _ = setting
  for chosen in np.ndindex(2, 2, 2):
    mixed = operators.mixed_policy(behavior, policy, np.array(chosen, bool))
    np.testing.assert_allclose(mixed.sum((1, 2, 3)), 1.0, rtol=1e-5)


def test_there_is_no_agent_n_and_no_k_of_0(setting):
  game, behavior, policy, pairs, _ = setting
  for agent in (-1, AGENTS):
    with pytest.raises(ValueError, match=f"agent={agent} is none of the game's agents 0 to 2"):
      operators.individual_backup(game, behavior, policy, pairs[0, 0], agent)
  for k in (0, AGENTS + 1):
    with pytest.raises(ValueError, match=f"k={k} agents are not to be had; k is 1 to 3"):
      operators.partial_backup(game, behavior, policy, pairs[0, 0], k)
