"""Who counts how much."""

import jax
import jax.numpy as jnp


def disagreement(q: jax.Array) -> jax.Array:
  """u = sqrt(Var_e Q_e), biased variance: SPaCQL, arXiv:2511.07629 equation 7. q [E, ...] -> [...].

  Its gradient is 0 where all members agree, where a root of the variance has none.
  """
  variance = jnp.var(q, axis=0)
  apart = variance != 0  # true of a NaN, which stays one
  return jnp.where(apart, jnp.sqrt(jnp.where(apart, variance, 1.0)), 0.0)


def relative_disagreement(q: jax.Array) -> jax.Array:
  """sqrt(Var_e (Q_e(s, a_j) - Q_e(s, a_0))): how much members differ about what a_j changes. [E, ..., J] -> [..., J].

  Ours, beside equation 7 of arXiv:2511.07629. Entry 0 of the last axis is the action measured from, so its result is 0.
  SPaCQL's u_k, the disagreement about Q_e itself, holds what members disagree on about the state as well, which is the
  same for every action there.
  """
  return disagreement(q - q[..., :1])


def inverse_weights(u: jax.Array, sharpness: float = 1.0, floor: float = 1e-6) -> jax.Array:
  """w_k = u_k^-p / sum_j u_j^-p, with u at least floor: members that agree exactly share alike. [..., K] -> [..., K].

  sharpness p = 1 is SPaCQL's, arXiv:2511.07629 below algorithm 1; 0 weighs all k alike, 2 goes by the variance, and the
  larger it is the more of the weight goes to the k that is agreed on most.
  """
  return jax.nn.softmax(-sharpness * jnp.log(jnp.maximum(u, floor)), axis=-1)


def agreement_weights(q: jax.Array, sharpness: float = 1.0, floor: float = 1e-6) -> jax.Array:
  """w_k = u_k^-p / sum_j u_j^-p, u_k = sqrt(Var_e Q_e(s, a(k))): SPaCQL, arXiv:2511.07629 equation 7 and below it.

  disagreement and inverse_weights in one, constant under gradient. q [E, ..., K] -> [..., K], summing to 1.
  """
  return jax.lax.stop_gradient(inverse_weights(disagreement(q), sharpness, floor))


def advantage_weights(advantage: jax.Array, temperature: float, most: float) -> jax.Array:
  """min(exp(A / temperature), most): AWAC, arXiv:2006.09359; IQL, arXiv:2110.06169. [...] -> [...] in [0, most]."""
  return jnp.exp(jnp.minimum(advantage / temperature, jnp.log(most)))


def softmax_weights(value: jax.Array, temperature: float) -> jax.Array:
  """B softmax_b(value_b / temperature): exp(value / temperature) / Z with the batch's mean for Z, as ICQ's released
  code has it, arXiv:2106.03400. [B] -> [B] with mean 1."""
  return value.shape[0] * jax.nn.softmax(value / temperature, axis=0)


def effective_share(weight: jax.Array) -> jax.Array:
  """(sum w)^2 / (B sum w^2), how much of a batch its weights leave: 1 when all are alike, 1/B for one.

  Weights at least 0, of any size; where all are 0 it is 0. [B] -> [].
  """
  weight = weight / jnp.maximum(jnp.max(weight), jnp.finfo(weight.dtype).tiny)
  return jnp.square(jnp.mean(weight)) / jnp.maximum(jnp.mean(jnp.square(weight)), 1e-12)


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

  log_behavior [..., N], log_policy [..., N] or a number -> [..., N], constant under gradient; of agents that are level
  the first.
  """
  log_ratio = jax.lax.stop_gradient(log_policy - log_behavior)
  return jax.nn.one_hot(jnp.argmax(log_ratio, axis=-1), log_ratio.shape[-1], dtype=log_ratio.dtype)
