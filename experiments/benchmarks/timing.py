"""Measurements that are compared are taken in turns in one run, and their medians are told."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import jax

from marl_offline import execution

MATMUL_SIZE = 2048
PRODUCTS_ON_ACCELERATOR = 100  # one after the other in one program: one alone is over before its start is paid


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


def products() -> int:
  """How many of them matrix_product times at once."""
  return 1 if execution.here().in_turn else PRODUCTS_ON_ACCELERATOR


def matrix_product() -> Case:
  """Square float32 products at the precision of this run, each of what the one before gave: what one accelerator
  reaches at best, or all cores of a CPU."""

  def inputs(key):
    a, b = (jax.random.normal(each, (MATMUL_SIZE, MATMUL_SIZE)) for each in jax.random.split(key))
    return a, b / MATMUL_SIZE**0.5  # so that a product of many stays of the size of a

  def run(a, b):
    for _ in range(products()):
      a = a @ b
    return a

  return Case(jax.jit(inputs), jax.jit(run))


def matrix_product_gflops(seconds: float) -> float:
  """GFLOP/s of `matrix_product`."""
  return products() * 2 * MATMUL_SIZE**3 / 1e9 / seconds
