"""Who counts how much."""

import jax
import jax.numpy as jnp


def disagreement(q: jax.Array) -> jax.Array:
  """u = sqrt(Var_e Q_e), biased variance: SPaCQL, arXiv:2511.07629 equation 7. q [E, ...] -> [...]."""
  return jnp.std(q, axis=0)


def inverse_weights(u: jax.Array, floor: float = 1e-6) -> jax.Array:
  """w_k = (1 / u_k) / sum_j (1 / u_j), with u at least floor: members that agree exactly share alike. [..., K]."""
  trust = 1.0 / jnp.maximum(u, floor)
  return trust / jnp.sum(trust, axis=-1, keepdims=True)


def agreement_weights(q: jax.Array, floor: float = 1e-6) -> jax.Array:
  """w_k ~ 1 / std over members: SPaCQL, arXiv:2511.07629. q [E, ..., K] -> [..., K], summing to 1."""
  return inverse_weights(disagreement(q), floor)
