import jax
import jax.numpy as jnp
import numpy as np

from marl_offline import losses


def test_joint_gap_by_hand():
  # log mean(exp(0 - log 1/2), exp(log 3 - log 1/2)) = log((2 + 6) / 2) = log 4; less q_data 1
  q_ood, log_prob = jnp.log(jnp.array([1.0, 3.0])), jnp.log(jnp.array([0.5, 0.5]))
  gap = losses.joint_gap(q_ood, log_prob, jnp.array(1.0))
  np.testing.assert_allclose(gap, np.log(4.0) - 1.0, rtol=1e-6)


def test_joint_gap_pushes_down_the_soft_maximum_and_up_the_data():
  q_ood, log_prob = jnp.log(jnp.array([1.0, 3.0])), jnp.log(jnp.array([0.5, 0.5]))
  down, up = jax.grad(losses.joint_gap, argnums=(0, 2))(q_ood, log_prob, jnp.array(1.0))
  np.testing.assert_allclose(down, [0.25, 0.75], rtol=1e-6)  # softmax of q - log_prob
  np.testing.assert_allclose(up, -1.0, rtol=1e-6)


def test_counterfactual_gap_by_hand():
  # agent 1: log mean(1, 3) = log 2; agent 2: log mean(2 / (1/4), 2 / (1/2)) = log 6; q_data 1, weights 1/2 each
  q_ood = jnp.log(jnp.array([[[1.0, 2.0], [3.0, 2.0]]]))  # [B=1, M=2, N=2]
  log_prob = jnp.log(jnp.array([[[1.0, 0.25], [1.0, 0.5]]]))
  gap = losses.counterfactual_gap(q_ood, log_prob, jnp.array([1.0]), jnp.array([0.5, 0.5]))
  np.testing.assert_allclose(gap, [0.5 * (np.log(2.0) + np.log(6.0)) - 1.0], rtol=1e-6)


def test_counterfactual_gap_gradient_is_each_agents_softmax_times_its_weight():
  q_ood, log_prob = jnp.log(jnp.array([[1.0, 2.0], [3.0, 2.0]])), jnp.log(jnp.array([[1.0, 0.25], [1.0, 0.5]]))
  weight = jnp.array([0.3, 0.7])
  down, up = jax.grad(losses.counterfactual_gap, argnums=(0, 2))(q_ood, log_prob, jnp.array(1.0), weight)
  np.testing.assert_allclose(down, np.array([[1 / 4, 2 / 3], [3 / 4, 1 / 3]]) * weight, rtol=1e-5)
  np.testing.assert_allclose(up, -1.0, rtol=1e-6)  # the weights sum to 1


def test_gaps_vanish_where_q_is_flat_and_proposals_are_dense_with_volume_one():
  q = jnp.full((5, 3), 2.0)
  gap = losses.counterfactual_gap(q, jnp.zeros((5, 3)), jnp.array(2.0), 1 / 3)
  np.testing.assert_allclose(gap, 0.0, atol=1e-6)
