import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline import losses


def test_reconstruction_by_hand():
  # ((0.5 - 0)^2 + (1 - -1)^2) / 2 = 2.125; d/d decoded = 2 * difference / 2
  decoded, action = jnp.array([0.5, 1.0]), jnp.array([0.0, -1.0])
  np.testing.assert_allclose(losses.reconstruction(decoded, action), 2.125)
  np.testing.assert_allclose(jax.grad(losses.reconstruction)(decoded, action), [0.5, 2.0])
  with pytest.raises(AssertionError):
    losses.reconstruction(decoded, action[:1])


def test_latent_divergence_by_hand():
  # N(1, 1): 1/2.  N(0, 2^2): (4 - 1) / 2 - log 2 = 0.806853.  mean 0.653426
  mean, log_std = jnp.array([1.0, 0.0]), jnp.log(jnp.array([1.0, 2.0]))
  np.testing.assert_allclose(losses.latent_divergence(mean, log_std), 0.6534264, rtol=1e-6)
  # gradient: mean / 2; (std^2 - 1) / 2
  of_mean, of_log_std = jax.grad(losses.latent_divergence, argnums=(0, 1))(mean, log_std)
  np.testing.assert_allclose(of_mean, [0.5, 0.0], atol=1e-6)
  np.testing.assert_allclose(of_log_std, [0.0, 1.5], atol=1e-6)
  assert losses.latent_divergence(jnp.zeros(3), jnp.zeros(3)) == 0.0


def test_action_log_likelihood_by_hand():
  # two deviations of one and no sd: -1/2 - 2 * (log(1/2) + 0.918939) = -0.951583
  value = losses.action_log_likelihood(jnp.array([0.0, 0.3]), jnp.array([0.5, 0.3]), 0.5)
  np.testing.assert_allclose(value, -0.9515826, rtol=1e-5)


def test_latent_log_ratio_by_hand():
  # z = 1 from N(1, 2^2) in place of N(0, 1): -1/2 - (-log 2) = 0.193147; a second one at z = 0 = mean: log 2
  value = losses.latent_log_ratio(jnp.array([1.0, 0.0]), jnp.array([1.0, 0.0]), jnp.log(jnp.array([2.0, 2.0])))
  np.testing.assert_allclose(value, 0.1931472 + np.log(2.0), rtol=1e-5)


def test_importance_log_density_by_hand():
  # mean of 0.2 * 1 and 0.1 * 4 = 0.3
  likelihood, ratio = jnp.log(jnp.array([[0.2], [0.1]])), jnp.log(jnp.array([[1.0], [4.0]]))  # [L=2, 1]
  np.testing.assert_allclose(losses.importance_log_density(likelihood, ratio), [np.log(0.3)], rtol=1e-6)
  gradient = jax.grad(lambda x: losses.importance_log_density(x, ratio)[0])(likelihood)
  np.testing.assert_allclose(gradient, [[1 / 3], [2 / 3]], rtol=1e-5)


def test_importance_sampling_has_the_right_density_in_a_linear_model():
  """z ~ N(0, 1), a|z ~ N(z, 0.5^2): a ~ N(0, 1.25), whatever the proposal."""
  mean, log_std, action = jnp.array([0.4]), jnp.array([-0.2]), jnp.array([0.7])
  latent = mean + jnp.exp(log_std) * jax.random.normal(jax.random.key(0), (20_000, 1))
  likelihood = losses.action_log_likelihood(latent, jnp.broadcast_to(action, latent.shape), 0.5)
  value = losses.importance_log_density(likelihood, losses.latent_log_ratio(latent, mean, log_std))
  np.testing.assert_allclose(value, jax.scipy.stats.norm.logpdf(0.7, 0.0, np.sqrt(1.25)), atol=0.02)
