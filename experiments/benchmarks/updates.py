"""Gradient updates: how near to the machine's limit, and what more seeds cost."""

import functools
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp

from experiments.benchmarks import timing
from marl_offline import execution
from marl_offline.algorithms import cfcql, spacql
from marl_offline.datasets import sampling, transitions
from marl_offline.parts import proposals
from marl_offline.training import chunk, devices
from marl_offline.training.devices import Layout
from marl_offline.types import Learner, Normalizer, Spec

UPDATES = 5  # timed at once: one period of the actors, so all that a run does is in it
UPDATES_ON_ACCELERATOR = 145  # a run's chunk: what starting a program costs would show in five updates of a millisecond
ROWS = 100_000
SEEDS = (1, 2, 4, 5, 8, 16)


class Shape(NamedTuple):
  """Sizes of a task and of the networks that the papers train on it."""

  num_agents: int
  obs_size: int
  action_size: int
  state_size: int
  fields: dict  # of the algorithm's Config

  def spec(self) -> Spec:
    """With a Normalizer that changes nothing."""
    sizes = self.num_agents, self.obs_size, self.action_size, self.state_size
    return Spec(*sizes, Normalizer.identity(self.num_agents, self.obs_size, self.state_size))


CHEETAH = {"batch_size": 256, "hidden_size": 256, "proposals": "three_sources", "learning_rate": 3e-4}
SHAPES = {"spread": Shape(3, 18, 2, 54, {}), "halfcheetah": Shape(2, 6, 3, 17, CHEETAH)}
ALGORITHMS = {"spacql": spacql, "cfcql": cfcql}


def learner_of(algorithm: str, shape: Shape) -> tuple[Learner, object]:
  """The learner at the paper's sizes, and its config."""
  config = ALGORITHMS[algorithm].Config(**shape.fields)
  return ALGORITHMS[algorithm].make(shape.spec(), config), config


@functools.cache
def data(name: str) -> transitions.Dataset:
  """Uniform numbers in the shape of a data set, 25-step episodes: no update takes longer or shorter for its values."""
  shape, keys = SHAPES[name], jax.random.split(jax.random.key(0), 4)
  last, uniform = jnp.arange(ROWS) % 25 == 24, functools.partial(jax.random.uniform, minval=-1.0, maxval=1.0)
  agents, ends = shape.num_agents, ROWS // 25
  agent_reward = uniform(keys[2], (ROWS, agents))
  return transitions.Dataset(
    obs=uniform(keys[0], (ROWS, agents, shape.obs_size)),
    action=uniform(keys[1], (ROWS, agents, shape.action_size)),
    reward=jnp.mean(agent_reward, axis=1),
    agent_reward=agent_reward,
    terminated=jnp.zeros(ROWS, bool),
    last=last,
    episode=jnp.arange(ROWS) // 25,
    final_obs=jnp.zeros((ends, agents, shape.obs_size)),
    final_action=jnp.zeros((ends, agents, shape.action_size)),
    state=uniform(keys[3], (ROWS, shape.state_size)),
    final_state=jnp.zeros((ends, shape.state_size)),
  )


def naive_gflop(shape: Shape, config) -> float:
  """GFLOP of one critic update if each of the B x M x N proposals went through every layer of every member, forward and
  twice that backward. What else an update does (targets, data rows, actors, drawing) is not counted, but timed."""
  inputs, hidden = shape.state_size + shape.num_agents * shape.action_size, config.hidden_size
  weights = inputs * hidden + hidden * hidden + hidden
  rows = config.batch_size * proposals.per_transition(shape.num_agents, config)
  return 2 * 3 * rows * config.ensemble_size * weights / 1e9


def at_once() -> int:
  """How many updates are timed at once."""
  return UPDATES if execution.here().in_turn else UPDATES_ON_ACCELERATOR


@functools.cache
def drawing(batch_size: int):
  """The one `draw` of a batch size: another object of the same meaning would be compiled anew."""
  return functools.partial(sampling.draw, batch_size=batch_size)


def updating(name: str, learner: Learner, config, num_seeds: int, layout: Layout) -> timing.Case:
  """Updates of num_seeds seeds, from fresh states."""
  init = jax.jit(jax.vmap(learner.init))
  dataset = layout.place_whole(data(name))

  def inputs(key):
    init_key, run_key = jax.random.split(key)
    keys = jax.random.split(init_key, num_seeds), jax.random.split(run_key, num_seeds)
    return layout.place(init(keys[0])), layout.place(keys[1])

  def run(states, run_keys):
    given = learner.update, drawing(config.batch_size), states, dataset, run_keys, 0, at_once()
    return chunk.train_chunk(*given, layout=layout)[:2]

  return timing.Case(inputs, run)


def lowered(name: str, learner: Learner, config, layout: Layout, states, run_keys, first_step):
  """The program of one chunk, on its way to the compiler."""
  given = learner.update, drawing(config.batch_size), states, layout.place_whole(data(name)), run_keys, first_step
  return chunk.train_chunk.lower(*given, at_once(), layout=layout)


def compiled(name: str, case: timing.Case, learner: Learner, config, layout: Layout) -> dict:
  """Seconds of the compiler, and the memory that the program takes on each device with all its arguments; a CPU's cores
  are devices of one memory. What case runs is the same program, so it is compiled here and not again."""
  states, run_keys = case.inputs(jax.random.key(0))
  start = time.perf_counter()
  sizes = lowered(name, learner, config, layout, states, run_keys, 0).compile().memory_analysis()
  seconds = time.perf_counter() - start
  names = ("argument_size_in_bytes", "output_size_in_bytes", "temp_size_in_bytes")
  total = sum(getattr(sizes, field) for field in names) - sizes.alias_size_in_bytes
  return {"compile_s": round(seconds, 1), "memory_mb_a_device": round(total / 1e6, 1)}


def lines(repeats: int) -> list[dict]:
  """One line for each algorithm and shape, all timed in turns with a plain matrix product."""
  cases, facts = {"matmul": timing.matrix_product()}, {}
  for algorithm in ALGORITHMS:
    for name, shape in SHAPES.items():
      learner, config = learner_of(algorithm, shape)
      case, traces = f"{algorithm}/{name}", []

      def update(*given, of=learner.update, traces=traces):
        traces.append(1)
        return of(*given)

      counted = learner._replace(update=update)
      layout = devices.layout(1, config)
      cases[case] = updating(name, counted, config, 1, layout)
      told = compiled(name, cases[case], counted, config, layout)
      facts[case] = naive_gflop(shape, config), accelerators(layout), told, traces
  firsts = {}
  for name, case in cases.items():  # the first chunk
    jax.block_until_ready(case.run(*case.inputs(jax.random.key(0))))
    firsts[name] = len(facts[name][-1]) if name in facts else 0
  times = timing.alternate(cases, repeats)
  return [
    {"case": name, "traces": len(traces) / firsts[name]} | rates(gflop, times[name], times["matmul"], on) | of_compiler
    for name, (gflop, on, of_compiler, traces) in facts.items()
  ]


def accelerators(layout: Layout) -> int:
  """How many times the plain product's device works on it: the product takes one accelerator, or all cores of a CPU."""
  return 1 if execution.here().in_turn or layout.mesh is None else layout.mesh.devices.size


def rates(gflop: float, of_case: tuple[float, float], of_product: tuple[float, float], on: int) -> dict:
  """What alternate measured, in words; gflop: naive work of one update of all seeds; on: see accelerators."""
  per_update, product = of_case[1] / at_once(), on * timing.matrix_product_gflops(of_product[1])
  rate = gflop / per_update
  told = {"ms": round(1e3 * per_update, 2), "naive_gflop": round(gflop, 2), "naive_gflops": round(rate, 3)}
  return told | {"matmul_gflops": round(product, 3), "ratio": round(rate / product, 3)}


def seed_lines(repeats: int) -> list[dict]:
  """SPaCQL on the shape of spread with 1 to 16 seeds in turns: as a run trains them here, and batched on one device
  where that is another way."""
  learner, config = learner_of("spacql", SHAPES["spread"])
  trained, batched = {seeds: devices.layout(seeds, config) for seeds in SEEDS}, Layout(in_turn=False)
  ways = {("as trained", seeds): layout for seeds, layout in trained.items()}
  ways |= {("batched", seeds): batched for seeds, layout in trained.items() if layout != batched}
  cases = {(way, seeds): updating("spread", learner, config, seeds, layout) for (way, seeds), layout in ways.items()}
  facts = {key: compiled("spread", case, learner, config, ways[key]) for key, case in cases.items()}
  times = timing.alternate(cases | {"matmul": timing.matrix_product()}, repeats)
  product, gflop, told = times.pop("matmul"), naive_gflop(SHAPES["spread"], config), []
  for (way, seeds), measured in times.items():
    line = {"case": f"spacql/spread/{seeds} seeds {way}", "devices": ways[way, seeds].words(seeds)}
    line |= rates(seeds * gflop, measured, product, accelerators(ways[way, seeds]))
    line |= {"times_one_seed": round(measured[1] / times["as trained", 1][1], 2)}
    told.append(line | facts[way, seeds])
  return told
