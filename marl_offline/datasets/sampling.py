"""How a batch is drawn."""

import jax

from marl_offline.datasets import transitions
from marl_offline.types import Transition


def rows(num_rows: int, key: jax.Array, batch_size: int) -> jax.Array:
  """batch_size rows of num_rows, uniform with replacement. -> int [B]. batch_size is static."""
  return jax.random.randint(key, (batch_size,), 0, num_rows)


def draw(dataset: transitions.Dataset, key: jax.Array, batch_size: int) -> Transition:
  """The transitions of `rows`. -> Transition [B, ...]. batch_size is static."""
  return transitions.gather(dataset, rows(dataset.num_rows, key, batch_size))
