"""What is pushed down: the soft maximum of Q over proposals, less Q at the data.

Each proposal's log-density is subtracted (importance sampling), so that the mean over proposals estimates
log of the integral of exp Q. The original code leaves out the `- log M`: a constant, and no gradient knows of it.
"""

import chex
import jax
import jax.numpy as jnp


def joint_gap(q_ood: jax.Array, log_prob: jax.Array, q_data: jax.Array) -> jax.Array:
  """log mean_m exp(Q(s, a^m) - log p(a^m)) - Q(s, a): CQL, arXiv:2006.04779 equation 4; MACQL on the joint
  action, ICQL on one agent's own.

  q_ood [..., M], log_prob [..., M] of the whole action that Q sees, q_data [...] -> [...].
  """
  soft_max = jax.nn.logsumexp(q_ood - log_prob, axis=-1) - jnp.log(q_ood.shape[-1])
  chex.assert_equal_shape([soft_max, q_data])
  return soft_max - q_data


def counterfactual_gap(
  q_ood: jax.Array, log_prob: jax.Array, q_data: jax.Array, agent_weight: jax.Array | float
) -> jax.Array:
  """sum_i w_i (log mean_m exp(Q(s, a_i^m, a_-i) - log p_i(a_i^m)) - Q(s, a)): CFCQL, arXiv:2309.12696 equation 7.

  q_ood [..., M, N], log_prob [..., M, N] of agent i's proposal, q_data [...], agent_weight [..., N] or a number.
  -> [...].
  """
  soft_max = jax.nn.logsumexp(q_ood - log_prob, axis=-2) - jnp.log(q_ood.shape[-2])  # [..., N]
  chex.assert_equal_shape([soft_max[..., 0], q_data])
  return jnp.sum(agent_weight * (soft_max - q_data[..., None]), axis=-1)
