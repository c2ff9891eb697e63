"""Measurements that are compared are taken in turns in one run, and their medians are told."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import jax

MATMUL_SIZE = 2048


class Case(NamedTuple):
  """What is timed, and what it is given; the latter is made outside the clock."""

  inputs: Callable  # key -> arguments of run
  run: Callable  # arguments -> arrays


def alternate(cases: dict[str, Case], repeats: int) -> dict[str, tuple[float, float]]:
  """Seconds of the first call (compilation) and the median second of the others, for each case, in turns."""
  first, seconds = {}, {name: [] for name in cases}
  for repeat in range(repeats + 1):
    for name, case in cases.items():
      given = jax.block_until_ready(case.inputs(jax.random.key(repeat)))
      start = time.perf_counter()
      jax.block_until_ready(case.run(*given))
      took = time.perf_counter() - start
      if repeat:
        seconds[name].append(took)
      else:
        first[name] = round(took, 2)
  return {name: (first[name], statistics.median(seconds[name])) for name in cases}


def matrix_product() -> Case:
  """A square float32 product at the precision of this run: what this machine reaches at best."""

  def inputs(key):
    return [jax.random.normal(each, (MATMUL_SIZE, MATMUL_SIZE)) for each in jax.random.split(key)]

  return Case(jax.jit(inputs), jax.jit(lambda a, b: a @ b))


def matrix_product_gflops(seconds: float) -> float:
  """GFLOP/s of `matrix_product`."""
  return 2 * MATMUL_SIZE**3 / 1e9 / seconds
