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


def deviation_weights(log_policy: jax.Array | float, log_behavior: jax.Array, temperature: float) -> jax.Array:
  """lambda_i = softmax_i(tau (log pi_i - log mu_i)): CFCQL, arXiv:2309.12696 equation 9, with the logarithm of B.2.

  log_behavior [..., N] is log mu_i at the policy's action, log_policy [..., N] or a number -> [..., N], summing to 1,
  constant under gradient. temperature is the paper's tau >= 0: at 0 all agents count alike, towards infinity
  most_deviating alone. The agent least likely under the data counts most, as the text of equations 8 and 9 has it and
  the released code; equation B.41, exp(-tau KL), has the opposite sign.
  """
  return jax.lax.stop_gradient(jax.nn.softmax(temperature * (log_policy - log_behavior), axis=-1))


def most_deviating(log_policy: jax.Array | float, log_behavior: jax.Array) -> jax.Array:
  """lambda_i = 1 for the agent of largest pi_i / mu_i, 0 for the others: CFCQL, arXiv:2309.12696 equation 8.

  As deviation_weights; of agents that are level the first.
  """
  log_ratio = jax.lax.stop_gradient(log_policy - log_behavior)
  return jax.nn.one_hot(jnp.argmax(log_ratio, axis=-1), log_ratio.shape[-1])
