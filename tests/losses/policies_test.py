import jax
import jax.numpy as jnp
import numpy as np

from marl_offline import losses

ACTION = jnp.array([[0.5, -0.5], [1.0, 0.0]])  # [N=2, A=2]


def test_counterfactual_objective_by_hand():
  q = jnp.array([1.0, 3.0])
  np.testing.assert_allclose(losses.counterfactual_objective(q), -2.0)
  np.testing.assert_allclose(jax.grad(losses.counterfactual_objective)(q), [-0.5, -0.5])  # each agent carries 1 / N


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
