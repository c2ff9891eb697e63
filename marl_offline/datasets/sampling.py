"""How a batch is drawn."""

import jax

from marl_offline.datasets import transitions
from marl_offline.types import Transition


def places(num_to_draw: int, key: jax.Array, batch_size: int) -> jax.Array:
  """batch_size of 0..num_to_draw-1, uniform with replacement. -> int [B]. batch_size is static."""
  return jax.random.randint(key, (batch_size,), 0, num_to_draw)


def draw(dataset: transitions.Dataset, key: jax.Array, batch_size: int) -> Transition:
  """batch_size transitions, uniform with replacement over the rows that may be drawn. -> Transition [B, ...].

  A row whose next action nobody knows is left out: its episode is then one step shorter, cut at the observation before,
  where the action is known. batch_size is static.
  """
  return transitions.gather(dataset, dataset.rows_at(places(dataset.num_to_draw, key, batch_size)))
