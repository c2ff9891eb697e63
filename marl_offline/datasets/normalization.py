"""The statistics of a data set that its learners and their policies share."""

import jax.numpy as jnp
import numpy as np

from marl_offline.datasets import checks
from marl_offline.datasets.episodes import Episodes
from marl_offline.datasets.transitions import Dataset
from marl_offline.types import Normalizer, Spec


def fit(dataset: Dataset | Episodes) -> Normalizer:
  """Mean and standard deviation over rows of every agent's observation and of the state.

  A feature that never changes gets scale 1, so that it stays 0 and finite. One pass in float64 over chunks: works on
  memory maps and on device arrays.
  """
  obs_mean, obs_scale = _moments(dataset.obs)
  if dataset.state is None:
    state_mean, state_scale = obs_mean.ravel(), obs_scale.ravel()
  else:
    state_mean, state_scale = _moments(dataset.state)
  return Normalizer(*(jnp.asarray(x, jnp.float32) for x in (obs_mean, obs_scale, state_mean, state_scale)))


def spec(dataset: Dataset | Episodes) -> Spec:
  """What an algorithm must know of the task, with the data set's Normalizer."""
  normalizer = fit(dataset)
  _, num_agents, obs_size = dataset.obs.shape
  return Spec(num_agents, obs_size, dataset.action.shape[-1], normalizer.state_mean.shape[0], normalizer)


def _moments(array) -> tuple[np.ndarray, np.ndarray]:
  """Mean and scale over the first axis: std, or 1 where it is rounding only. [R, ...] -> [...], [...]."""
  origin = np.asarray(array[0], np.float64)  # sums of squares about a value of the data lose nothing to a far mean
  total, squares = np.zeros_like(origin), np.zeros_like(origin)
  for _, rows in checks.chunks(array):
    moved = rows - origin
    total += moved.sum(axis=0)
    squares += np.einsum("r...,r...->...", moved, moved)
  shift = total / len(array)
  std = np.sqrt(np.maximum(squares / len(array) - np.square(shift), 0.0))
  mean = origin + shift
  constant = std <= np.maximum(1e-6 * np.abs(mean), 1e-8)  # float32 cannot tell such values apart
  return mean, np.where(constant, 1.0, std)
