"""A conditional variational autoencoder of actions: what it is trained by, and the density that it gives.

Encoder q(z|s, a) = N(mean, exp(log_std)^2), prior N(0, 1), decoder p(a|s, z) = N(decoded, sd^2) with a fixed sd.
"""

import chex
import jax
import jax.numpy as jnp
from jax.scipy.stats import norm


def reconstruction(decoded: jax.Array, action: jax.Array) -> jax.Array:
  """mean_a (decoded - a)^2. [..., A], [..., A] -> [...]."""
  chex.assert_equal_shape([decoded, action])
  return jnp.mean(jnp.square(decoded - action), axis=-1)


def latent_divergence(mean: jax.Array, log_std: jax.Array) -> jax.Array:
  """mean_z KL(N(mean, exp(log_std)^2) || N(0, 1)): VAE, arXiv:1312.6114 appendix B. Both [..., Z] -> [...], nats."""
  chex.assert_equal_shape([mean, log_std])
  return jnp.mean(0.5 * (jnp.square(mean) + jnp.exp(2.0 * log_std) - 1.0) - log_std, axis=-1)


def action_log_likelihood(decoded: jax.Array, action: jax.Array, sd: float) -> jax.Array:
  """log p(a|s, z) = sum_a log N(a; decoded, sd^2). [..., A], [..., A] -> [...]."""
  chex.assert_equal_shape([decoded, action])
  return jnp.sum(norm.logpdf(action, decoded, sd), axis=-1)


def latent_log_ratio(latent: jax.Array, mean: jax.Array, log_std: jax.Array) -> jax.Array:
  """log N(z; 0, 1) - log q(z|s, a), summed over z: a sample's importance. [..., Z], mean and log_std alike -> [...]."""
  own = norm.logpdf((latent - mean) * jnp.exp(-log_std)) - log_std  # exp(2 log_std) underflows
  return jnp.sum(norm.logpdf(latent) - own, axis=-1)


def importance_log_density(log_likelihood: jax.Array, log_ratio: jax.Array) -> jax.Array:
  """log 1/L sum_l p(a|s, z_l) p(z_l) / q(z_l|s, a), z_l ~ q: CFCQL, arXiv:2309.12696 equation B.43.

  log_likelihood [L, ...], log_ratio [L, ...] of latent_log_ratio -> [...]. The density itself is without bias.
  """
  chex.assert_equal_shape([log_likelihood, log_ratio])
  return jax.nn.logsumexp(log_likelihood + log_ratio, axis=0) - jnp.log(log_likelihood.shape[0])
