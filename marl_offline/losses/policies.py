"""What a policy climbs or imitates. All are losses, to be made small."""

import chex
import jax
import jax.numpy as jnp


def counterfactual_objective(q: jax.Array) -> jax.Array:
  """-mean_i Q(s, pi_i(o_i), a_-i): CFCQL, arXiv:2309.12696 equation 10. q [..., N] -> [...].

  Entry i lets agent i alone leave the data, so that its gradient asks nothing of the others' policies.
  """
  return -jnp.mean(q, axis=-1)


def joint_objective(q: jax.Array) -> jax.Array:
  """-Q(s, pi_1(o_1), .., pi_N(o_N)): MADDPG, arXiv:1706.02275; CFCQL's -CF_P, arXiv:2309.12696 table 6. [...] -> [...].

  All agents leave the data at once, so that each one's gradient stands beside the others' policies.
  """
  return -q


def action_penalty(action: jax.Array) -> jax.Array:
  """sum_i mean_a pi_i^2, a small pull away from the corners of tanh. action [..., N, A] -> [...]."""
  return jnp.sum(jnp.mean(jnp.square(action), axis=-1), axis=-1)


def imitation(action: jax.Array, data_action: jax.Array) -> jax.Array:
  """sum_i mean_a (pi_i(o_i) - a_i)^2: behavior cloning of deterministic policies. [..., N, A] twice -> [...]."""
  chex.assert_equal_shape([action, data_action])
  return action_penalty(action - data_action)
