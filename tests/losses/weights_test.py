import jax
import jax.numpy as jnp
import numpy as np

from marl_offline import losses


def test_disagreement_and_agreement_weights_by_hand():
  # k=1: 1, 3: mean 2, std 1.  k=2: 4, 8: mean 6, std 2.  1/1 : 1/2 -> 2/3, 1/3.
  q = jnp.array([[[1.0, 4.0]], [[3.0, 8.0]]])  # [E=2, B=1, K=2]
  np.testing.assert_allclose(losses.disagreement(q), [[1.0, 2.0]], rtol=1e-6)
  np.testing.assert_allclose(losses.agreement_weights(q), [[2 / 3, 1 / 3]], rtol=1e-6)
  np.testing.assert_allclose(losses.inverse_weights(jnp.array([1.0, 2.0])), [2 / 3, 1 / 3], rtol=1e-6)


def test_members_that_agree_exactly_share_alike():
  np.testing.assert_allclose(losses.agreement_weights(jnp.ones((4, 3))), [1 / 3] * 3, rtol=1e-6)


def test_full_agreement_on_one_k_takes_nearly_all():
  weight = losses.agreement_weights(jnp.array([[1.0, 0.0], [1.0, 2.0]]))  # std 0 (floor 1e-6) and 1
  np.testing.assert_allclose(weight, [1.0, 1e-6], rtol=1e-5)
  assert np.all(np.isfinite(jax.grad(lambda u: losses.inverse_weights(u)[0])(jnp.array([0.0, 1.0]))))
