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


def test_action_penalty_by_hand():
  np.testing.assert_allclose(losses.action_penalty(ACTION), 0.25 + 0.5)  # means 0.25 and 0.5, summed over agents
  np.testing.assert_allclose(jax.grad(losses.action_penalty)(ACTION), ACTION)  # 2 a / A with A = 2


def test_imitation_by_hand():
  data = jnp.array([[0.5, 0.5], [0.0, 0.0]])
  np.testing.assert_allclose(losses.imitation(ACTION, data), 0.5 + 0.5)  # (0 + 1) / 2 and (1 + 0) / 2
  np.testing.assert_allclose(jax.grad(losses.imitation)(ACTION, data), ACTION - data)


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
