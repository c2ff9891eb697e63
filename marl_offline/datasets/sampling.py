"""How a batch is drawn."""

import jax

from marl_offline.datasets import transitions
from marl_offline.types import Transition


def draw(dataset: transitions.Dataset, key: jax.Array, batch_size: int) -> Transition:
  """batch_size transitions, uniform over rows with replacement. -> Transition [B, ...]. batch_size is static."""
  return transitions.gather(dataset, jax.random.randint(key, (batch_size,), 0, dataset.num_rows))
