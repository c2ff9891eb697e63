"""Run by devices_test.py in a process of its own, with eight virtual devices: their numbers are those of one."""

import sys

import chex
import jax
import numpy as np

from experiments.benchmarks import traces, updates
from marl_offline import execution
from marl_offline.algorithms import spacql
from marl_offline.training import chunk, devices
from tests import games


def draw(dataset, key):
  rows = jax.random.randint(key, (16,), 0, dataset.reward.shape[0])
  return jax.tree.map(lambda array: array[rows], dataset)


def train(seeds, config, layout):
  """Three chunks of four updates. -> states and metrics, and how often the program sums over devices."""
  spec = games.tiny_spec()
  learner = spacql.make(spec, config)
  dataset = games.random_batch(spec, jax.random.key(5), batch_size=64)
  init_keys, run_keys = (layout.place(keys) for keys in chunk.seed_keys(seeds))
  states = layout.place(jax.jit(jax.vmap(learner.init))(init_keys))
  dataset = layout.place_whole(dataset)
  program = chunk.train_chunk.lower(learner.update, draw, states, dataset, run_keys, np.int32(0), 4, layout).compile()
  for step in (0, 4, 8):
    states, means, _ = program(states, dataset, run_keys, np.int32(step))
  return jax.device_get((states, means)), program.as_text().count("all-reduce(")


def trace() -> None:
  """The benchmark of a chunk under the profiler, on all of them: it gives nothing to a device while it is measured."""
  sizes = {"batch_size": 16, "hidden_size": 8, "num_proposals": 2, "ensemble_size": 2}
  updates.SHAPES["spread"] = updates.SHAPES["spread"]._replace(fields=sizes)
  updates.UPDATES_ON_ACCELERATOR = 2
  for num_seeds in (1, 4):
    assert traces.line(num_seeds)["ms_profiled"] > 0
    print("traced", flush=True)


def main() -> None:
  jax.config.update("jax_disable_most_optimizations", True)  # compiles sooner
  assert jax.local_device_count() == 8
  config = spacql.Config(hidden_size=8, ensemble_size=4, batch_size=16, num_proposals=2)
  one, _ = train(range(8), config, devices.Layout.here())
  first_four = jax.tree.map(lambda leaf: leaf[:4], one)
  for cut in (execution.CPU, execution.ACCELERATOR):  # members are shared out, or rows of the batch
    execution.CPU = cut
    for num_seeds, words in ((8, "8 devices, 1 seed to each"), (4, "8 devices, 1 seed to 2 of them")):
      layout = devices.layout(num_seeds, config)
      assert layout.words(num_seeds) == words, layout.words(num_seeds)
      several, sums = train(range(num_seeds), config, layout)
      assert (sums > 0) == (num_seeds == 4), "seeds need nothing of each other, parts of a seed's work do"
      chex.assert_trees_all_close(several, one if num_seeds == 8 else first_four, rtol=1e-3, atol=1e-4)
      print(words, layout.in_turn, "same numbers as one device", flush=True)
  trace()
  print("done")


if __name__ == "__main__":
  sys.exit(main())
