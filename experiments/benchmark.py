"""Measures speeds; one JSON object a line, all of one call measured in one run.

  python -m experiments.benchmark --what environment      (needs jaxmarl: pip install -e .[dev])

environment: steps a second of 1,024 copies of `spread`, 25-step episodes from uniform starts, ours beside JaxMARL's
MPE_simple_spread_v3 with continuous actions. Actions (uniform) and keys are drawn outside what is timed; inside, both
write observations and rewards of every step out, in one compiled scan. The two take turns; medians of the repeats.
"""

import contextlib
import json
import statistics
import sys
import time

import jax
from absl import flags

from experiments import runs
from marl_offline.environments import particle_tasks

FLAGS = flags.FlagValues()
WHAT = flags.DEFINE_string("what", "environment", "what to measure: environment", flag_values=FLAGS)
REPEATS = flags.DEFINE_integer("repeats", 15, "repeats of each measurement", lower_bound=3, flag_values=FLAGS)
COPIES = flags.DEFINE_integer("copies", 1024, "environments stepped at once", lower_bound=1, flag_values=FLAGS)
STEPS = 25


def ours(copies: int):
  """(inputs: key -> states and actions, run: inputs -> rewards and observations of 25 steps) of our spread."""
  environment = particle_tasks.spread()

  def inputs(key):
    key_reset, key_action = jax.random.split(key)
    state = jax.vmap(environment.reset)(jax.random.split(key_reset, copies))
    return state, jax.random.uniform(key_action, (STEPS, copies, 3, 2), minval=-1.0, maxval=1.0)

  def run(state, actions):
    def one_step(state, action):
      state, reward, _, _ = jax.vmap(lambda s, a: environment.step(s, a, None))(state, action)
      return state, (reward, jax.vmap(environment.observe)(state))

    return jax.lax.scan(one_step, state, actions)[1]

  return jax.jit(inputs), jax.jit(run)


def jaxmarl_spread(copies: int):
  """The same of JaxMARL's spread, by its step without automatic reset, as ours has none.

  Raises:
    UserError: jaxmarl is not installed.
  """
  try:
    with contextlib.redirect_stdout(sys.stderr):  # it prints while it is imported
      import jaxmarl
  except ImportError as error:
    raise runs.UserError("the comparison needs jaxmarl: pip install '.[dev]'") from error
  environment = jaxmarl.make("MPE_simple_spread_v3", action_type="Continuous")
  agents = environment.agents
  size = environment.action_space(agents[0]).shape[0]  # five forces, each in [0, 1]

  def inputs(key):
    key_reset, key_action, key_step = jax.random.split(key, 3)
    _, state = jax.vmap(environment.reset)(jax.random.split(key_reset, copies))
    actions = jax.random.uniform(key_action, (STEPS, len(agents), copies, size))
    return state, actions, jax.random.split(key_step, (STEPS, copies))

  def run(state, actions, keys):
    def one_step(state, step):
      action, key = step
      action = dict(zip(agents, action, strict=True))
      obs, state, reward, _, _ = jax.vmap(environment.step_env)(key, state, action)
      return state, (reward, obs)

    return jax.lax.scan(one_step, state, (actions, keys))[1]

  return jax.jit(inputs), jax.jit(run)


def alternate(cases: dict, repeats: int) -> dict[str, tuple[float, float]]:
  """Seconds of the first call (compilation) and the median second of the others, for each case, in turns."""
  first, seconds = {}, {name: [] for name in cases}
  for repeat in range(repeats + 1):
    for name, (inputs, run) in cases.items():
      given = jax.block_until_ready(inputs(jax.random.key(repeat)))
      start = time.perf_counter()
      jax.block_until_ready(run(*given))
      took = time.perf_counter() - start
      if repeat:
        seconds[name].append(took)
      else:
        first[name] = round(took, 2)
  return {name: (first[name], statistics.median(seconds[name])) for name in cases}


def environment_lines() -> list[dict]:
  """One line for each implementation, and the ratio."""
  copies = COPIES.value
  times = alternate({"marl_offline": ours(copies), "jaxmarl": jaxmarl_spread(copies)}, REPEATS.value)
  lines = [
    {"case": f"spread/{name}", "copies": copies, "steps_per_second": round(copies * STEPS / second), "compile_s": first}
    for name, (first, second) in times.items()
  ]
  ratio = lines[0]["steps_per_second"] / lines[1]["steps_per_second"]
  return [*lines, {"case": "spread/ratio", "marl_offline_over_jaxmarl": round(ratio, 2)}]


def main() -> None:
  """The binary."""
  measure = {"environment": environment_lines}
  what = runs.choose("what", WHAT.value, measure)
  told = {"what": what, "device": runs.device(), "versions": runs.versions(), "repeats": REPEATS.value}
  for line in measure[what]():
    print(json.dumps({**told, **line}))


if __name__ == "__main__":
  runs.start(main, FLAGS)
