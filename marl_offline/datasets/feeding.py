"""Batches from a data set that is larger than the device: gathered on the host, ahead of the updates.

The rows are those that `sampling.draw` would draw on the device from the same keys, so where a data set lies changes
no number of a run.
"""

import functools
import importlib.util
from collections.abc import Callable, Iterable, Iterator

import jax
import numpy as np

from marl_offline.datasets import sampling, transitions
from marl_offline.datasets.checks import DataError
from marl_offline.types import Transition

AHEAD = 2  # chunks that are gathered while one is trained on


def require_loader() -> None:
  """Refuses to feed from the host without the loader.

  Raises:
    DataError: it is not installed.
  """
  if importlib.util.find_spec("grain") is None:
    raise DataError(
      "a data set that takes more than half of the device's free memory stays on the host and needs a loader: "
      "pip install 'marl_offline[large]'"
    )


def feed(
  dataset: transitions.Dataset, batch_size: int, keys_of: Callable, chunks: Iterable[tuple[int, int]]
) -> Iterator[Transition]:
  """Batches [seeds, steps, B, ...] of each chunk, NumPy arrays, gathered by a thread of their own.

  Args:
    dataset: NumPy arrays, memory-mapped.
    batch_size: B.
    keys_of: (first step, number of steps) -> keys of the batches [seeds, steps].
    chunks: first step and number of steps of each chunk, in order.

  Raises:
    DataError: see require_loader.
  """
  require_loader()
  import grain

  chunks = list(chunks)

  @functools.partial(jax.jit, static_argnames="num_to_draw")
  def places_of(keys, num_to_draw):
    return jax.vmap(jax.vmap(lambda key: sampling.places(num_to_draw, key, batch_size)))(keys)

  def gather(index: int) -> Transition:
    places = np.asarray(places_of(keys_of(*chunks[index]), dataset.num_to_draw))
    return transitions.gather(dataset, dataset.rows_at(places))

  ahead = grain.ReadOptions(num_threads=1, prefetch_buffer_size=AHEAD)
  return iter(grain.MapDataset.range(len(chunks)).map(gather).to_iter_dataset(ahead))
