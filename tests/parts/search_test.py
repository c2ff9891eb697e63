"""OMAR's search, where the best action is known."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline import losses
from marl_offline.parts import search

OPTIMUM = jnp.array([[0.3, -0.2], [-0.6, 0.9]])  # [N=2, A=2]
SHAPE = (64, 2, 2)


def config(rounds, samples, elites=5):
  return types.SimpleNamespace(search_rounds=rounds, search_samples=samples, search_elites=elites, search_std=2.0)


def quadratic(action):
  """Highest at OPTIMUM. [B, M, N, A] -> [B, M, N]."""
  return -20.0 * jnp.sum(jnp.square(action - OPTIMUM), axis=-1)


@pytest.mark.parametrize("name", search.SEARCHES)
def test_more_rounds_come_nearer_to_the_optimum_of_a_quadratic(name):
  def distance(rounds):
    found, q = search.SEARCHES[name](jax.random.key(0), quadratic, SHAPE, config(rounds, 20))
    assert np.abs(found).max() <= 1
    np.testing.assert_allclose(q, quadratic(found), rtol=1e-5)
    return float(jnp.mean(jnp.linalg.norm(losses.best_proposal(found, q) - OPTIMUM, axis=-1)))

  one, many = distance(1), distance(6)
  assert many < one / 3


def test_one_round_draws_and_clips_the_first_gaussian():
  # N(0, 2^2) lies beyond 1 in absolute value with probability 2 (1 - Phi(1/2)) = 0.617
  found, _ = search.soft(jax.random.key(1), quadratic, (1000, 2, 2), config(1, 10))
  assert found.shape == (1000, 10, 2, 2)
  np.testing.assert_allclose(jnp.mean(jnp.abs(found) == 1), 0.617, atol=0.01)


def test_the_second_round_of_soft_is_drawn_around_the_refitted_gaussian():
  keys = jax.random.split(jax.random.key(2), 2)
  noise = [jax.random.normal(key, (64, 10, 2, 2)) for key in keys]
  sampled = jnp.clip(2.0 * noise[0], -1, 1)
  mean, std = losses.soft_refit(sampled, quadratic(sampled))
  expected = jnp.clip(mean[:, None] + std[:, None] * noise[1], -1, 1)
  found, _ = search.soft(jax.random.key(2), quadratic, SHAPE, config(2, 10))
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_elites_by_hand():
  # one state, one agent, one number; Q(a) = a. Round 1 draws x, of which the two largest are kept: their mean is the
  # next mean, and their unbiased deviation |x_1 - x_2| / sqrt 2 the next deviation; both stay candidates.
  key = jax.random.key(3)
  keys = jax.random.split(key, 2)
  x = np.clip(2.0 * np.asarray(jax.random.normal(keys[0], (1, 4, 1, 1))), -1, 1).ravel()
  best = np.sort(x)[::-1][:2]
  noise = np.asarray(jax.random.normal(keys[1], (1, 4, 1, 1))).ravel()
  second = np.clip(best.mean() + abs(best[0] - best[1]) / np.sqrt(2) * noise, -1, 1)
  found, q = search.elites(key, lambda action: action[..., 0], (1, 1, 1), config(2, 4, elites=2))
  np.testing.assert_allclose(found.ravel(), [*second, *best], rtol=1e-5)
  np.testing.assert_allclose(q.ravel(), found.ravel())
  assert best[0] != best[1]  # else the deviation of the second round was not tested
