import jax
import jax.numpy as jnp
import numpy as np

from marl_offline import losses

ACTION = jnp.array([[0.5, -0.5], [1.0, 0.0]])  # [N=2, A=2]


def test_counterfactual_objective_by_hand():
  q = jnp.array([1.0, 3.0])
  np.testing.assert_allclose(losses.counterfactual_objective(q), -2.0)
  np.testing.assert_allclose(jax.grad(losses.counterfactual_objective)(q), [-0.5, -0.5])  # each agent carries 1 / N


def test_individual_objective_by_hand():
  q = jnp.array([[1.0, 3.0], [0.0, 2.0]])
  np.testing.assert_allclose(losses.individual_objective(q), [-4.0, -2.0])
  gradient = jax.grad(lambda q: losses.individual_objective(q)[0])(q)
  np.testing.assert_allclose(gradient, [[-1.0, -1.0], [0.0, 0.0]])  # each agent carries its own loss whole


def test_joint_objective_by_hand():
  np.testing.assert_allclose(losses.joint_objective(jnp.array([2.0, 5.0])), [-2.0, -5.0])  # two rows, each its own
  np.testing.assert_allclose(jax.grad(losses.joint_objective)(2.0), -1.0)


def test_action_penalty_by_hand():
  np.testing.assert_allclose(losses.action_penalty(ACTION), 0.25 + 0.5)  # means 0.25 and 0.5, summed over agents
  np.testing.assert_allclose(jax.grad(losses.action_penalty)(ACTION), ACTION)  # 2 a / A with A = 2


def test_imitation_by_hand():
  data = jnp.array([[0.5, 0.5], [0.0, 0.0]])
  np.testing.assert_allclose(losses.imitation(ACTION, data), 0.5 + 0.5)  # (0 + 1) / 2 and (1 + 0) / 2
  np.testing.assert_allclose(jax.grad(losses.imitation)(ACTION, data), ACTION - data)


def test_td3_bc_objective_by_hand():
  # lambda = 2.5 / mean(1, 3) = 1.25; -1.25 * mean(1, -3) = 1.25; imitation 0.5 + 0.5 in both rows
  q, data = jnp.array([1.0, -3.0]), jnp.array([[0.5, 0.5], [0.0, 0.0]])
  action, data = (jnp.stack([x, x]) for x in (ACTION, data))
  np.testing.assert_allclose(losses.td3_bc_objective(q, action, data, 2.5), 1.25 + 1.0, rtol=1e-6)
  of_q, of_action = jax.grad(losses.td3_bc_objective, argnums=(0, 1))(q, action, data, 2.5)
  np.testing.assert_allclose(of_q, [-0.625, -0.625], rtol=1e-6)  # -lambda / B: nothing flows through lambda
  np.testing.assert_allclose(of_action, (action - data) / 2, rtol=1e-6)  # 2 (pi - a) / (A B)


def test_gaussian_log_prob_by_hand():
  # std 1 at distance 0: -log sqrt(2 pi); std e at distance e: that - 1 - 1/2
  mean, log_std = jnp.array([0.5, 0.0]), jnp.array([0.0, 1.0])
  log_prob = losses.gaussian_log_prob(mean, log_std, jnp.array([0.5, np.e]))
  np.testing.assert_allclose(log_prob, -np.log(2 * np.pi) - 1.5, rtol=1e-6)
  # of a std of e^-45, at the mean: 45 - log sqrt(2 pi), though its square is no float32; d/dlog_std is -1
  narrow = jnp.array([-45.0])
  value, slope = jax.value_and_grad(lambda log_std: losses.gaussian_log_prob(jnp.ones(1), log_std, jnp.ones(1)))(narrow)
  np.testing.assert_allclose(value, 45 - np.log(2 * np.pi) / 2, rtol=1e-6)
  np.testing.assert_allclose(slope, [-1.0])


def test_weighted_likelihood_by_hand():
  weight, log_prob = jnp.array(3.0), jnp.array([-1.0, -0.5])
  np.testing.assert_allclose(losses.weighted_likelihood(weight, log_prob), 4.5)  # 3 * (1 + 0.5)
  of_weight, of_log_prob = jax.grad(losses.weighted_likelihood, argnums=(0, 1))(weight, log_prob)
  np.testing.assert_allclose(of_log_prob, [-3.0, -3.0])  # every agent carries the joint action's weight
  np.testing.assert_array_equal(of_weight, 0.0)


# three proposals of two agents, actions of one number. Agent 0: 0, 1, -1 with Q = log 2, log 1, log 1;
# agent 1: 1, 1, 0 with Q = 5, 4, 6
PROPOSED = jnp.array([[0.0, 1.0], [1.0, 1.0], [-1.0, 0.0]])[..., None]  # [M=3, N=2, A=1]
VALUES = jnp.array([[np.log(2.0), 5.0], [0.0, 4.0], [0.0, 6.0]])  # [M=3, N=2]


def test_soft_refit_by_hand():
  # agent 0: weights 2, 1, 1 of 4: mean (0 + 1 - 1) / 4 = 0; sigma sqrt((0 + 1 + 1) / 3).
  # agent 1: weights e^-1, e^-2, 1 over their sum: mean m = (e^-1 + e^-2) / (e^-1 + e^-2 + 1), where 1 counts twice:
  # sigma sqrt((2 (1 - m)^2 + m^2) / 3)
  mean, std = jax.jit(losses.soft_refit)(PROPOSED, VALUES)
  low = (np.exp(-1) + np.exp(-2)) / (np.exp(-1) + np.exp(-2) + 1)
  np.testing.assert_allclose(mean, [[0.0], [low]], atol=1e-7)
  np.testing.assert_allclose(std, [[np.sqrt(2 / 3)], [np.sqrt((2 * (1 - low) ** 2 + low**2) / 3)]], rtol=1e-6)


def test_highest_and_best_proposal_by_hand():
  # agent 0: the first (log 2), then of two equals the earlier, 1. Agent 1: the last (6), then the first (5)
  action, q = losses.highest(PROPOSED, VALUES, 2)
  np.testing.assert_array_equal(action[..., 0], [[0.0, 0.0], [1.0, 1.0]])
  np.testing.assert_allclose(q, [[np.log(2.0), 6.0], [0.0, 5.0]], rtol=1e-6)
  np.testing.assert_array_equal(losses.best_proposal(PROPOSED, VALUES), [[0.0], [0.0]])
  gradients = jax.grad(lambda *given: jnp.sum(losses.best_proposal(*given)), (0, 1))(PROPOSED, VALUES)
  jax.tree.map(lambda gradient: np.testing.assert_array_equal(gradient, 0.0), gradients)
