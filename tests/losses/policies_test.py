import jax
import jax.numpy as jnp
import numpy as np

from marl_offline import losses

ACTION = jnp.array([[0.5, -0.5], [1.0, 0.0]])  # [N=2, A=2]


def test_counterfactual_objective_by_hand():
  q = jnp.array([1.0, 3.0])
  np.testing.assert_allclose(losses.counterfactual_objective(q), -2.0)
  np.testing.assert_allclose(jax.grad(losses.counterfactual_objective)(q), [-0.5, -0.5])  # each agent carries 1 / N


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


def test_weighted_likelihood_by_hand():
  weight, log_prob = jnp.array(3.0), jnp.array([-1.0, -0.5])
  np.testing.assert_allclose(losses.weighted_likelihood(weight, log_prob), 4.5)  # 3 * (1 + 0.5)
  of_weight, of_log_prob = jax.grad(losses.weighted_likelihood, argnums=(0, 1))(weight, log_prob)
  np.testing.assert_allclose(of_log_prob, [-3.0, -3.0])  # every agent carries the joint action's weight
  np.testing.assert_array_equal(of_weight, 0.0)
