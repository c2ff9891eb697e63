"""How a value is fitted to what it should be."""

import chex
import jax
import jax.numpy as jnp


def squared(value: jax.Array, target: jax.Array) -> jax.Array:
  """(value - target)^2, without 1/2. [...] twice -> [...]."""
  chex.assert_equal_shape([value, target])
  return jnp.square(value - target)


def expectile(value: jax.Array, target: jax.Array, tau: float) -> jax.Array:
  """|tau - 1(target < value)| (target - value)^2: IQL, arXiv:2110.06169 equation 5. [...] twice -> [...].

  Its minimum over a constant value is the tau-expectile of the targets, tau in (0, 1): the mean at 1/2, towards the
  largest at 1.
  """
  chex.assert_equal_shape([value, target])
  error = target - value
  return jnp.where(error < 0, 1 - tau, tau) * jnp.square(error)
