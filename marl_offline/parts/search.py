"""Zeroth-order search for actions of high value: OMAR's, arXiv:2111.11188 algorithm 1 lines 7 to 12.

Each search is (key, q_of, shape, config) -> the last round's candidates: action [B, M, N, A] and their q [B, M, N].
q_of takes [B, M, N, A] to [B, M, N]; shape is (B, N, A). It starts from N(0, search_std^2) for every number of an
action; samples are clipped to [-1, 1], so with the published 2.0 three fifths of the first lie on a corner.
"""

import jax
import jax.numpy as jnp

from marl_offline import losses


def soft(key: jax.Array, q_of, shape: tuple[int, int, int], config) -> tuple[jax.Array, jax.Array]:
  """Every sample counts in the next Gaussian by exp Q: equation 3. M = search_samples."""
  mean, std = _start(shape, config)
  for key_round in jax.random.split(key, config.search_rounds):
    action = _drawn(key_round, mean, std, config.search_samples)
    q = q_of(action)
    mean, std = losses.soft_refit(action, q)
  return action, q


def elites(key: jax.Array, q_of, shape: tuple[int, int, int], config) -> tuple[jax.Array, jax.Array]:
  """The cross-entropy method: the search_elites best count, alike, and stay candidates in the next round.

  M = search_samples, + search_elites with more than one round.
  """
  mean, std = _start(shape, config)
  kept = None
  for key_round in jax.random.split(key, config.search_rounds):
    action = _drawn(key_round, mean, std, config.search_samples)
    q = q_of(action)
    if kept is not None:
      action, q = jnp.concatenate([action, kept[0]], axis=1), jnp.concatenate([q, kept[1]], axis=1)
    kept = losses.highest(action, q, config.search_elites)
    mean, std = jnp.mean(kept[0], axis=1), jnp.std(kept[0], axis=1, ddof=1)
  return action, q


def _start(shape, config):
  return jnp.zeros(shape), jnp.full(shape, config.search_std)


def _drawn(key, mean, std, count):
  """count samples of N(mean, std^2), clipped. [B, N, A] twice -> [B, M, N, A]."""
  noise = jax.random.normal(key, (mean.shape[0], count, *mean.shape[1:]))
  return jnp.clip(mean[:, None] + std[:, None] * noise, -1.0, 1.0)


SEARCHES = {"soft": soft, "elites": elites}
