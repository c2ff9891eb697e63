import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline import losses


def test_squared_by_hand():
  np.testing.assert_allclose(losses.squared(jnp.array([1.0, 2.0]), jnp.array([3.0, 1.5])), [4.0, 0.25])
  np.testing.assert_allclose(jax.grad(losses.squared)(jnp.array(1.0), jnp.array(3.0)), -4.0)  # 2 (value - target)


def test_expectile_by_hand():
  # value 1; targets 3 and 0: 0.7 * 2^2 = 2.8 above, 0.3 * 1^2 = 0.3 below
  value = jnp.array([1.0, 1.0])
  np.testing.assert_allclose(losses.expectile(value, jnp.array([3.0, 0.0]), 0.7), [2.8, 0.3], rtol=1e-6)
  gradient = jax.grad(lambda v: jnp.sum(losses.expectile(v, jnp.array([3.0, 0.0]), 0.7)))(value)
  np.testing.assert_allclose(gradient, [-2.8, 0.6], rtol=1e-6)  # -2 * 0.7 * 2 draws V up, 2 * 0.3 * 1 down


@pytest.mark.parametrize("tau, value", [(0.5, 0.5), (0.7, 0.7)])
def test_expectile_is_smallest_at_the_expectile(tau, value):
  # targets 0 and 1 alike often: (1 - tau) v = tau (1 - v) where v = tau
  gradient = jax.grad(lambda v: jnp.mean(losses.expectile(jnp.full(2, v), jnp.array([0.0, 1.0]), tau)))(value)
  np.testing.assert_allclose(gradient, 0.0, atol=1e-6)
