"""What is computed at once, what in turn and what side by side: the one place that knows backends.

Every number was measured by `experiments/benchmark.py --what update` or `--what seeds`; BUILD_NOTES.md has the tables.
"""

import contextlib
import dataclasses
import math
import os
from collections.abc import Callable

import jax
from jax.sharding import PartitionSpec

from marl_offline import control_groups

# Axes of a mesh of devices: seeds are shared out first; what is left of the devices shares the work of each seed, which
# is a batch's rows on accelerators and the ensemble's members on a CPU's cores.
SEED, SHARE = "seed", "share"


@dataclasses.dataclass(frozen=True)
class Execution:
  """How a program is cut for one kind of device; results are the same but for rounding."""

  in_turn: bool  # ensemble members, and seeds, one after the other instead of batched
  rows_at_once: int | None  # critic rows whose loss and gradient are computed together; None: all
  transpose_first: bool  # many rows are transposed before a weight's gradient is taken of them, not within the product


# A CPU is bound by memory: a block's hidden layers must stay in its cache from the forward pass to the gradient.
# An accelerator is bound by the number of kernels it starts: everything in one.
CPU = Execution(in_turn=True, rows_at_once=1024, transpose_first=True)
ACCELERATOR = Execution(in_turn=False, rows_at_once=None, transpose_first=False)


def cores() -> int:
  """Cores that this process may use; where the system does not tell, all there are. Of a container that may use so
  much processor time a second, as many as that is, rounded up."""
  there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
  with contextlib.suppress(OSError, ValueError):
    for folder in control_groups.folders("cpu.max"):
      quota, period = (folder / "cpu.max").read_text().split()
      there = there if quota == "max" else min(there, math.ceil(int(quota) / int(period)))
  return max(there, 1)


def here() -> Execution:
  """That of JAX's default backend."""
  return CPU if jax.default_backend() == "cpu" else ACCELERATOR


def shared_out(function: Callable, count: int) -> Callable:
  """function(own [count, ...], *whole) -> [count, ...], each of the devices that share a seed's work with its part of
  `own`; the function itself where no devices do, or not evenly."""
  devices = dict(jax.sharding.get_abstract_mesh().shape).get(SHARE, 1)
  if devices == 1 or count % devices:
    return function
  part, whole = PartitionSpec(SHARE), PartitionSpec()

  def shared(own, *inputs):
    specs = {"in_specs": (part, *[whole] * len(inputs)), "out_specs": part, "axis_names": {SHARE}}
    return jax.shard_map(function, check_vma=False, **specs)(own, *inputs)

  return shared


def block_size(rows: int, at_most: int | None) -> int:
  """Into blocks of which size `rows` are cut: the largest divisor of rows that is at_most, or at_most itself where
  that is less than half of it (the last block is then smaller). at_most below 1 counts as 1; None: one block."""
  if at_most is None or at_most >= rows:
    return rows
  at_most = max(at_most, 1)
  divisor = max(size for size in range(1, at_most + 1) if rows % size == 0)
  return divisor if 2 * divisor >= at_most else at_most
