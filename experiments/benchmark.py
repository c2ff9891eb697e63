"""Measures speeds; one JSON object a line, all of one call measured in one run.

  python -m experiments.benchmark --what environment      (needs jaxmarl: pip install -e .[dev])

environment: steps a second of 1,024 copies of `spread` under uniform play, 25-step episodes, ours beside JaxMARL's
MPE_simple_spread_v3 with continuous actions. Both are given the same actions and both return what a learner needs
(observations and rewards), inside one compiled scan. The order alternates; medians of the repeats.
"""

import json
import statistics
import time

import jax
import jax.numpy as jnp
from absl import flags

from experiments import runs
from marl_offline.environments import particle_tasks

FLAGS = flags.FlagValues()
WHAT = flags.DEFINE_string("what", "environment", "what to measure: environment", flag_values=FLAGS)
REPEATS = flags.DEFINE_integer("repeats", 15, "repeats of each measurement", lower_bound=3, flag_values=FLAGS)
COPIES = flags.DEFINE_integer("copies", 1024, "environments stepped at once", lower_bound=1, flag_values=FLAGS)
STEPS = 25


def ours(copies: int):
  """key -> checksums of 25 steps of our spread."""
  environment = particle_tasks.spread()

  def run(key):
    state = jax.vmap(environment.reset)(jax.random.split(key, copies))

    def one_step(state, key):
      action = jax.random.uniform(key, (copies, 3, 2), minval=-1.0, maxval=1.0)
      state, reward, _, _ = jax.vmap(lambda s, a: environment.step(s, a, key))(state, action)
      return state, (jnp.mean(reward), jnp.mean(jax.vmap(environment.observe)(state)))

    return jax.lax.scan(one_step, state, jax.random.split(key, STEPS))[1]

  return jax.jit(run)


def jaxmarl_spread(copies: int):
  """key -> checksums of 25 steps of JaxMARL's spread, without its automatic reset, as ours has none.

  Raises:
    UserError: jaxmarl is not installed.
  """
  try:
    import jaxmarl
  except ImportError as error:
    raise runs.UserError("the comparison needs jaxmarl: pip install -e .[dev]") from error
  environment = jaxmarl.make("MPE_simple_spread_v3", action_type="Continuous")
  size = {agent: environment.action_space(agent).shape[0] for agent in environment.agents}

  def run(key):
    _, state = jax.vmap(environment.reset)(jax.random.split(key, copies))

    def one_step(state, key):
      keys = jax.random.split(key, copies)
      action = {agent: jax.random.uniform(key, (copies, size[agent])) for agent in environment.agents}
      obs, state, reward, _, _ = jax.vmap(environment.step_env)(keys, state, action)
      means = [jnp.mean(jnp.stack(list(part.values()))) for part in (reward, obs)]
      return state, tuple(means)

    return jax.lax.scan(one_step, state, jax.random.split(key, STEPS))[1]

  return jax.jit(run)


def alternate(functions: dict, repeats: int) -> dict[str, tuple[float, float]]:
  """Seconds of the first call (compilation) and the median second of the others, for each function, in turns."""
  first, seconds = {}, {name: [] for name in functions}
  for name, function in functions.items():
    start = time.perf_counter()
    jax.block_until_ready(function(jax.random.key(0)))
    first[name] = time.perf_counter() - start
  for repeat in range(repeats):
    for name, function in functions.items():
      key = jax.random.key(repeat)
      start = time.perf_counter()
      jax.block_until_ready(function(key))
      seconds[name].append(time.perf_counter() - start)
  return {name: (first[name], statistics.median(seconds[name])) for name in functions}


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
