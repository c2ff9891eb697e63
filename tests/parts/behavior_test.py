"""The model of the behavior on games of two agents with one action each, whose densities are known."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline.parts import behavior
from marl_offline.types import Normalizer
from tests import games

SPEC = games.one_step_spec()
SAMPLES = 500  # of the latent; with the paper's 20 the densities below scatter by a few tenths
GRID = np.linspace(-3.0, 3.0, 241, dtype=np.float32)


def batch_of(key, size=128):
  """Agent 1 plays 0.6 s_1, give or take 0.05; agent 2 anything in [-1, 1], each as likely."""
  batch = games.one_step_batch(games.meeting_reward, key, size)
  first = 1.2 * batch.obs[:, 0] + 0.05 * jax.random.normal(jax.random.fold_in(key, 1), (size, 1))
  return batch.replace(action=batch.action.at[:, 0].set(first))


@functools.cache
def fitted(updates):
  """The model and its state after so many updates."""
  model = behavior.build(SPEC, 32, 3e-3, SAMPLES)

  def one_step(state, step):
    key_batch, key_fit = jax.random.split(jax.random.fold_in(jax.random.key(0), step))
    return model.fit(state, batch_of(key_batch), key_fit)

  run = jax.jit(lambda key: jax.lax.scan(one_step, model.init(key), jnp.arange(updates)))
  return model, *run(jax.random.key(1))


def log_density(model, state, first, second, at=(0.25, -0.25)):
  """log mu of both agents where they play first and second, broadcast; in the state `at`."""
  action = np.stack(np.broadcast_arrays(np.float32(first), np.float32(second)), axis=-1)[..., None]  # [B, 2, 1]
  states = np.broadcast_to(np.float32(at), (len(action), 2))
  return np.asarray(jax.jit(model.log_density)(state.params, states, action, jax.random.key(2)))


@pytest.mark.parametrize("updates", [1, 2_000])
def test_each_agents_density_integrates_to_1(updates):
  model, state, _ = fitted(updates)
  for agent in (0, 1):
    actions = [0.2, 0.2]
    actions[agent] = GRID
    density = np.exp(log_density(model, state, *actions)[:, agent])
    np.testing.assert_allclose(np.trapezoid(density, GRID), 1.0, atol=0.05)


def test_a_narrow_behavior_is_as_wide_as_the_decoder():
  # the likeliest of the mixtures of N(., sd^2) for what hardly varies is N(1.2 * 0.25, sd^2) itself
  model, state, _ = fitted(2_000)
  near = 0.3 + np.linspace(-0.7, 0.7, 15)
  expected = jax.scipy.stats.norm.logpdf(near, 0.3, 0.125**0.5)
  np.testing.assert_allclose(log_density(model, state, near, 0.0)[:, 0], expected, atol=0.3)


def test_a_wide_behavior_is_found_out():
  # U[-1, 1] has density 1/2; a single N(0, sd^2) would range from 1.1 in the middle to 0.27 at 0.6
  model, state, metrics = fitted(2_000)
  log_mu = log_density(model, state, 0.3, np.linspace(-0.6, 0.6, 13))[:, 1]
  np.testing.assert_allclose(log_mu, np.log(0.5), atol=0.3)
  assert metrics["behavior_divergence"][-100:].mean() > 0.1  # the latent is used


def test_who_leaves_the_data_is_less_likely():
  model, state, _ = fitted(2_000)
  near, far = log_density(model, state, [0.3, 1.0], [0.9, 0.9])
  assert near[0] > near[1] + 0.3  # in the midst of a narrow behavior, beside anywhere in a wide one
  assert far[0] < far[1] - 0.3


def test_fit_by_hand():
  # all parameters 0: decoded 0, latent N(0, 1). error mean a^2, divergence 0. only the decoder's last bias has a
  # gradient, -2/2 mean a, and Adam's first step is the learning rate against its sign
  model = behavior.build(SPEC, 4, 0.1, 1)
  state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(model.init, jax.random.key(0)))
  batch = batch_of(jax.random.key(1)).replace(action=jnp.tile(jnp.array([[[0.5], [-1.0]]]), (128, 1, 1)))
  after, metrics = jax.jit(model.fit)(state, batch, jax.random.key(2))
  np.testing.assert_allclose(metrics["behavior_error"], (0.25 + 1.0) / 2)
  np.testing.assert_allclose(metrics["behavior_divergence"], 0.0)
  moved = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(after.params) if leaf.any()}
  assert list(moved) == ["['params']['decoder_2']['bias']"]
  np.testing.assert_allclose(*moved.values(), [0.1, -0.1], rtol=1e-4)


def test_states_are_standardised_by_the_data_set():
  model, state, _ = fitted(1)
  moments = jnp.array([1.0, 2.0]), jnp.array([3.0, 0.5])
  normalizer = Normalizer(jnp.zeros((2, 1)), jnp.ones((2, 1)), *moments)
  moved = behavior.build(dataclasses.replace(SPEC, normalizer=normalizer), 32, 3e-3, SAMPLES)
  at = np.array([0.25, -0.25]) * moments[1] + moments[0]
  expected = log_density(model, state, [0.3], [0.1])
  np.testing.assert_allclose(log_density(moved, state, [0.3], [0.1], at), expected, rtol=1e-4)
