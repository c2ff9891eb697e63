"""What Q should be. Every target is constant under gradient.

`discount` is gamma, and 0 at a true end: config.gamma * batch.discount, where a Transition's own discount is 1 or 0.
"""

import chex
import jax
import jax.numpy as jnp


def td_target(reward: jax.Array, discount: jax.Array, next_value: jax.Array) -> jax.Array:
  """r + discount * V(s'). All [...]."""
  reward, discount, next_value = jnp.asarray(reward), jnp.asarray(discount), jnp.asarray(next_value)
  chex.assert_equal_shape([reward, discount, next_value])
  return jax.lax.stop_gradient(reward + discount * next_value)


def minimum_target(reward: jax.Array, discount: jax.Array, next_q: jax.Array) -> jax.Array:
  """r + discount * min_e Q_e(s', a'): TD3, arXiv:1802.09477; CFCQL and MACQL with every agent's action from its policy.

  next_q [E, ...], reward and discount [...] -> [...].
  """
  return td_target(reward, discount, jnp.min(next_q, axis=0))


def individual_targets(reward: jax.Array, discount: jax.Array, next_q: jax.Array) -> jax.Array:
  """y_i = r + discount * min_e Q_e(s', a_i', a_-i'): ICQL-QS, arXiv:2511.07629 equation 1, one target per agent.

  next_q [E, ..., N], its entry i with agent i alone acting by policy; reward and discount [...] -> [..., N].
  """
  value = jnp.min(next_q, axis=0)
  reward, discount = jnp.asarray(reward), jnp.asarray(discount)
  chex.assert_equal_shape([reward, discount, value[..., 0]])
  return td_target(*(jnp.broadcast_to(x[..., None], value.shape) for x in (reward, discount)), value)


def averaged_target(reward: jax.Array, discount: jax.Array, next_q: jax.Array) -> jax.Array:
  """r + discount * mean_i min_e Q_e(s', a_i', a_-i'), the mean of the individual targets: T^ai, arXiv:2511.07629
  equation 15. next_q [E, ..., N] -> [...]."""
  return jnp.mean(individual_targets(reward, discount, next_q), axis=-1)


def counterfactual_target(reward: jax.Array, discount: jax.Array, next_q: jax.Array) -> jax.Array:
  """r + discount * min_e mean_i Q_e(s', a_i', a_-i'): CFCQL's CF_T, arXiv:2309.12696 table 6.

  next_q [E, ..., N], reward and discount [...] -> [...]. The minimum stands outside the mean here, inside it in
  averaged_target, so this is at least as large.
  """
  return minimum_target(reward, discount, jnp.mean(next_q, axis=-1))


def partial_replacement_target(
  reward: jax.Array, discount: jax.Array, next_q: jax.Array, weight: jax.Array
) -> jax.Array:
  """r + discount * sum_k w_k min_e Q_e(s', a'(k)): SPaCQL, arXiv:2511.07629 equation 6.

  next_q [E, ..., K], weight [..., K] or [K] summing to 1, reward and discount [...] -> [...].
  """
  return td_target(reward, discount, _mixture(weight, jnp.min(next_q, axis=0)))


def own_partial_replacement_targets(
  reward: jax.Array, discount: jax.Array, next_q: jax.Array, weight: jax.Array
) -> jax.Array:
  """y_e = r + discount * sum_k w_k Q_e(s', a'(k)): each member's own target, as MSG's, arXiv:2205.13703.

  partial_replacement_target without the minimum: members that share no target stay apart. next_q [E, ..., K], weight
  [..., K] or [K] summing to 1, reward and discount [...] -> [E, ...].
  """
  value = _mixture(weight, next_q)
  reward, discount = jnp.asarray(reward), jnp.asarray(discount)
  chex.assert_equal_shape([reward, discount, value[0]])
  return td_target(*(jnp.broadcast_to(x, value.shape) for x in (reward, discount)), value)


def _mixture(weight: jax.Array, value: jax.Array) -> jax.Array:
  """sum_k w_k V_k. weight [..., K] or [K], value [..., K] -> [...]; a weight of another K is refused, not repeated."""
  chex.assert_axis_dimension(weight, -1, value.shape[-1])
  return jnp.sum(weight * value, axis=-1)
