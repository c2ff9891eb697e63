"""Run by devices_test.py in a process of its own, with eight virtual devices: their numbers are those of one."""

import sys

import chex
import jax
import numpy as np

from marl_offline.algorithms import spacql
from marl_offline.training import chunk, devices
from tests import games


def draw(dataset, key):
  rows = jax.random.randint(key, (16,), 0, dataset.reward.shape[0])
  return jax.tree.map(lambda array: array[rows], dataset)


def main() -> None:
  jax.config.update("jax_disable_most_optimizations", True)  # compiles sooner
  assert jax.local_device_count() == 8
  spec = games.tiny_spec()
  learner = spacql.make(spec, spacql.Config(hidden_size=8, ensemble_size=3, batch_size=16, num_proposals=2))
  dataset = games.random_batch(spec, jax.random.key(5), batch_size=64)

  def train(seeds, layout):
    init_keys, run_keys = (layout.place(keys) for keys in chunk.seed_keys(seeds))
    states = layout.place(jax.jit(jax.vmap(learner.init))(init_keys))
    given = states, layout.place_whole(dataset), run_keys, np.int32(0)
    program = chunk.train_chunk.lower(learner.update, draw, *given, 6, layout).compile()
    return jax.device_get(program(*given)[:2]), program.as_text().count("all-reduce(")

  for num_seeds, words in ((8, "8 devices, 1 seed to each"), (4, "8 devices, 1 seed to each, each batch over 2")):
    layout = devices.layout(num_seeds, 16)
    assert layout.words(num_seeds) == words, layout.words(num_seeds)
    seeds = range(num_seeds)
    several, sums = train(seeds, layout)
    assert (sums > 0) == (num_seeds == 4), "seeds need nothing of each other, parts of a batch do"
    chex.assert_trees_all_close(several, train(seeds, devices.Layout())[0], rtol=1e-3, atol=1e-4)
    print(words, "same numbers as one device", flush=True)
  assert np.prod(devices.layout(3, 7).mesh.devices.shape) == 3
  print("done")


if __name__ == "__main__":
  sys.exit(main())
