"""Control steps of multi-agent MuJoCo on the host: ours beside Gymnasium-Robotics'."""

import contextlib
import importlib.util
import os

import jax
import numpy as np

from experiments.benchmarks.timing import Case, alternate
from marl_offline import execution
from marl_offline.environments import mujoco_agents

TASK = "halfcheetah_2x3"
STEPS = 10_000  # control steps to a measurement, of all copies together; at least two of each
SERIAL_STEPS = 1_000  # the same of mamujoco_v1, which is one at a time


def _generator(key: jax.Array) -> np.random.Generator:
  return np.random.default_rng(int(jax.random.bits(key)))


def rounds(copies: int) -> int:
  """How often all copies are stepped."""
  return max(STEPS // copies, 2)


def ours(copies: int) -> Case:
  """Observations and rewards of all copies after each step, from fresh starts under uniform actions."""
  environment = mujoco_agents.make(TASK)

  def inputs(key):
    generator = _generator(key)
    sizes = rounds(copies), copies, environment.num_agents, environment.action_size
    return environment.reset(generator, copies), generator.uniform(-1.0, 1.0, sizes)

  def run(world, actions):
    told = []
    for action in actions:
      world, reward, _, _ = environment.step(world, action)
      told.append((environment.observe(world), reward))
    return told

  return Case(inputs, run)


def mamujoco() -> Case:
  """The same of one mamujoco_v1, with the observations that ours has."""
  with output_to_null():  # it and what it is made of greet while they are imported and made
    import mujoco
    from gymnasium_robotics import mamujoco_v1

    with mujoco_agents.unlogged(mujoco):
      environment = mamujoco_v1.parallel_env("HalfCheetah", "2x3", agent_obsk=0, global_categories=())
  agents = environment.possible_agents

  def inputs(key):
    generator = _generator(key)
    environment.reset(seed=int(generator.integers(2**31)))
    actions = generator.uniform(-1.0, 1.0, (SERIAL_STEPS, len(agents), 3))
    return ([dict(zip(agents, action, strict=True)) for action in actions],)

  def run(actions):
    return [environment.step(action)[:2] for action in actions]

  return Case(inputs, run)


@contextlib.contextmanager
def output_to_null():
  """Both streams, also of libraries that are no Python."""
  kept = [os.dup(stream) for stream in (1, 2)]
  null = os.open(os.devnull, os.O_WRONLY)
  try:
    for stream in (1, 2):
      os.dup2(null, stream)
    yield
  finally:
    for stream, old in zip((1, 2), kept, strict=True):
      os.dup2(old, stream)
      os.close(old)
    os.close(null)


def lines(repeats: int, copies: int) -> list[dict]:
  """One line for each implementation that is installed, and the ratio of two."""
  missing = [name for name in ("mujoco", "gymnasium") if importlib.util.find_spec(name) is None]
  if missing:
    return [{"case": f"{TASK}/marl_offline", "skipped": mujoco_agents.MISSING}]
  cases, steps = {"marl_offline": ours(copies)}, {"marl_offline": rounds(copies) * copies, "mamujoco_v1": SERIAL_STEPS}
  if importlib.util.find_spec("gymnasium_robotics"):
    cases["mamujoco_v1"] = mamujoco()
  before = os.getloadavg()[0]
  seconds = {name: second for name, (_, second) in alternate(cases, repeats).items()}
  rates = {name: steps[name] / second for name, second in seconds.items()}
  told = [
    {"case": f"{TASK}/{name}", "ms": round(1e3 * seconds[name], 2), "copies": copies if name == "marl_offline" else 1}
    | {"steps_per_second": round(rate), "cores": execution.cores(), "load": round(before, 2)}
    for name, rate in rates.items()
  ]
  if len(rates) == 2:
    ratio = rates["marl_offline"] / rates["mamujoco_v1"]
    told.append({"case": f"{TASK}/ratio", "marl_offline_over_mamujoco": round(ratio, 2)})
  return told
