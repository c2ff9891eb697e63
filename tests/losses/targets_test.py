import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline import losses

REWARD, DISCOUNT = jnp.array([0.5]), jnp.array([0.9])


def check(function, next_q, expected):
  """The value by hand, and no gradient into anything."""
  np.testing.assert_allclose(jax.jit(function)(REWARD, DISCOUNT, next_q), expected, rtol=1e-6)
  gradient = jax.grad(lambda *x: jnp.sum(function(*x)), argnums=(0, 1, 2))(REWARD, DISCOUNT, next_q)
  jax.tree.map(lambda g: np.testing.assert_array_equal(g, 0.0), gradient)


def test_td_target_by_hand():
  check(losses.td_target, jnp.array([2.0]), [2.3])  # 0.5 + 0.9 * 2


def test_td_target_at_a_true_end_is_the_reward():
  np.testing.assert_array_equal(losses.td_target(REWARD, jnp.array([0.0]), jnp.array([7.0])), REWARD)


def test_minimum_target_by_hand():
  check(losses.minimum_target, jnp.array([[1.0], [3.0]]), [1.4])  # 0.5 + 0.9 * min(1, 3)


# members x agents; minima over members 1, 4; means over agents 2.5, 5.5
NEXT_Q = jnp.array([[[1.0, 4.0]], [[3.0, 8.0]]])  # [E=2, B=1, N=2]


def test_individual_targets_by_hand():
  check(losses.individual_targets, NEXT_Q, [[1.4, 4.1]])  # 0.5 + 0.9 * (1, 4)


def test_averaged_target_by_hand():
  check(losses.averaged_target, NEXT_Q, [2.75])  # (1.4 + 4.1) / 2


def test_counterfactual_target_takes_the_minimum_after_the_mean():
  check(losses.counterfactual_target, NEXT_Q, [2.75])  # 0.5 + 0.9 * min(2.5, 5.5)
  crossed = jnp.array([[[1.0, 8.0]], [[3.0, 4.0]]])
  check(losses.counterfactual_target, crossed, [3.65])  # 0.5 + 0.9 * min(4.5, 3.5): above the mean of the minima, 2.5
  check(losses.averaged_target, crossed, [2.75])


def test_partial_replacement_target_by_hand():
  # k=1: members 1, 3: std 1, min 1.  k=2: members 4, 8: std 2, min 4.  weights 1 : 1/2 = 2/3, 1/3.
  # value 2/3 * 1 + 1/3 * 4 = 2.  target 0.5 + 0.9 * 2 = 2.3.
  def target(reward, discount, q):
    return losses.partial_replacement_target(reward, discount, q, losses.agreement_weights(q))

  check(target, NEXT_Q, [2.3])


def test_own_targets_by_hand():
  # the same weights 2/3, 1/3: member 1 has 2/3 * 1 + 1/3 * 4 = 2, member 2 has 2/3 * 3 + 1/3 * 8 = 14/3
  def target(reward, discount, q):
    return losses.own_partial_replacement_targets(reward, discount, q, losses.agreement_weights(q))

  check(target, NEXT_Q, [[2.3], [4.7]])


def test_unequal_shapes_are_refused():
  with pytest.raises(AssertionError):
    losses.td_target(REWARD, DISCOUNT, jnp.zeros(2))
  square, line = jnp.zeros((2, 3, 3, 4)), jnp.zeros(3)  # [E, T, B, N]: a line of T would be laid along B
  per_row = jnp.zeros((2, 3, 4))  # [E, B, K]
  for wrong in (
    lambda: losses.individual_targets(line, line, square),
    lambda: losses.averaged_target(jnp.zeros(()), jnp.zeros(()), square),
    lambda: losses.own_partial_replacement_targets(line[:, None], line[:, None], per_row, jnp.ones(4) / 4),
    lambda: losses.own_partial_replacement_targets(line, line, per_row, jnp.ones((3, 1))),
    lambda: losses.partial_replacement_target(line, line, per_row, jnp.ones((3, 1))),
  ):
    with pytest.raises(AssertionError):
      wrong()
