"""The rest of the road: making data, evaluating, feeding, starting."""

import functools
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import jax
import numpy as np

from experiments import collect, settings
from experiments.benchmarks import timing, updates
from experiments.hyperparameters import CHEETAH
from experiments.recipes import Recipe
from experiments.runs import UserError
from marl_offline.algorithms import bc
from marl_offline.datasets import feeding, sampling, storage, transitions
from marl_offline.evaluation import rollouts
from marl_offline.training import chunk
from marl_offline.training.devices import Layout

SEEDS = 5
WARM = feeding.AHEAD + 1  # fed chunks before the clock begins
TINY = ("--gradient_steps=5", "--evaluations=1", "--episodes=1")


def collect_lines() -> list[dict]:
  """A million rows of spread, written, hashed, read back and their returns counted; compilation included."""
  told = []
  with tempfile.TemporaryDirectory() as folder:
    for quality in ("random", "expert"):
      start = time.perf_counter()
      made = collect.make(Recipe("spread", quality), folder)
      collected = time.perf_counter() - start
      episodes, card = storage.load(made)
      mean = float(np.mean(episodes.returns()))
      total = time.perf_counter() - start
      rows = {"rows": len(episodes.obs), "mean_return": round(mean, 1), "card": round(card["return"]["mean"], 1)}
      rate = {"ms": round(1e3 * total), "rows_per_second": round(rows["rows"] / collected)}
      told.append({"case": f"collect/spread/{quality}", "repeats": 1} | rows | rate)
  return told


def evaluate_lines(repeats: int) -> list[dict]:
  """The episodes of one evaluation of 5 seeds of SPaCQL, as a run plays them: spread, and HalfCheetah on the host."""
  told = []
  for case, task in (("spread", "spread"), ("halfcheetah", CHEETAH)):
    try:
      environment = settings.TASKS[task]()
    except ImportError as error:
      print(f"no case evaluate/{case}: {error}", file=sys.stderr)
      continue
    learner, _ = updates.learner_of("spacql", updates.SHAPES[case])
    run, init = rollouts.evaluator(environment, learner, settings.EPISODES[task]), jax.jit(jax.vmap(learner.init))
    timed = timing.Case(lambda key, init=init: (init(jax.random.split(key, SEEDS)),), run)
    first, second = timing.alternate({"evaluate": timed}, repeats)["evaluate"]
    steps = SEEDS * settings.EPISODES[task] * environment.horizon
    line = {"case": f"evaluate/{case}", "ms": round(1e3 * second, 1), "steps_per_second": round(steps / second)}
    told.append(line | {"seeds": SEEDS, "episodes": settings.EPISODES[task], "compile_s": first})
  return told


def feed_lines(repeats: int) -> list[dict]:
  """Behavior cloning at batch 1,024, whose update is light: batches drawn on the device beside batches fed.

  Fed chunks run one after the other, as in training: the feeder works ahead, so a pause would count for nothing.
  """
  shape, steps = updates.SHAPES["spread"], 100
  config = bc.Config(batch_size=1024)
  learner, batch_size = bc.make(shape.spec(), config), config.batch_size
  on_device = updates.data("spread")
  on_host = jax.tree.map(np.asarray, on_device)
  init_keys, run_keys = chunk.seed_keys([0])
  init, draw = jax.jit(jax.vmap(learner.init)), functools.partial(sampling.draw, batch_size=batch_size)
  keys_of = functools.partial(chunk.batch_keys, run_keys)
  batches = feeding.feed(on_host, batch_size, keys_of, [(steps * i, steps) for i in range(repeats + WARM)])

  def drawn(states):
    return chunk.train_chunk(learner.update, draw, states, on_device, run_keys, 0, steps, layout=Layout.here())[1]

  def fed(states):
    given = learner.update, None, states, None, run_keys, 0, steps
    return chunk.train_chunk(*given, layout=Layout.here(), fed=next(batches))[0]

  inputs = lambda key: (init(init_keys),)  # noqa: E731
  times = {"drawn": timing.alternate({"drawn": timing.Case(inputs, drawn)}, repeats)["drawn"][1]}
  states = init(init_keys)
  for _ in range(WARM):  # it gathers ahead: what it had the time for before the clock began is no rate
    states = jax.block_until_ready(fed(states))
  start = time.perf_counter()
  for _ in range(repeats):
    states = jax.block_until_ready(fed(states))
  times["fed"] = (time.perf_counter() - start) / repeats
  size = sum(leaf.nbytes for leaf in jax.tree.leaves(transitions.gather(on_host, np.arange(batch_size))))
  return [
    {"case": f"bc/spread/{name}", "ms": round(1e3 * second / steps, 3), "batches_per_second": round(steps / second)}
    | {"mb_per_second": round(size * steps / second / 1e6)}
    for name, second in times.items()
  ]


def compile_lines(precision: str) -> list[dict]:
  """Whole processes of `experiments.train` with 5 updates: the first compiles, the second reads what the first kept.

  Raises:
    UserError: one failed, as where an accelerator opens for one process alone, and this one has it.
  """
  told = []
  with tempfile.TemporaryDirectory() as folder:
    data = pathlib.Path(folder, "data")
    collect.make(Recipe("spread", "medium-replay"), data)
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(pathlib.Path(folder, "compiled"))}
    # this process holds most of an accelerator's memory: they take what they need of the rest
    environment |= {"JAX_ENABLE_COMPILATION_CACHE": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    for start in ("cold", "warm"):
      run = ("--data_dir", str(data), "--run_dir", str(pathlib.Path(folder, start)))
      began = time.perf_counter()
      command = [sys.executable, "-m", "experiments.train", *TINY, f"--precision={precision}", *run]
      done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
      if done.returncode:
        words = done.stderr.strip().splitlines() or ["it said nothing"]
        raise UserError(f"--what=compile: experiments.train ended with {done.returncode}: {words[-1]}")
      told.append({"case": f"train/spread/{start}", "repeats": 1, "ms": round(1e3 * (time.perf_counter() - began))})
  return told
