"""Environment steps: ours beside JaxMARL's."""

import contextlib
import os
import sys

import jax

from experiments import runs
from experiments.benchmarks.timing import Case, alternate
from marl_offline.environments import particle_tasks

STEPS = 25


def ours(copies: int) -> Case:
  """Rewards and observations of 25 steps of our spread, from uniform starts under uniform actions."""
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

  return Case(jax.jit(inputs), jax.jit(run))


@contextlib.contextmanager
def output_to_stderr():
  """Standard output is for JSON lines; also a library's that keeps hold of the file itself."""
  sys.__stdout__.flush()
  kept = os.dup(1)
  try:
    os.dup2(2, 1)
    yield
  finally:
    sys.__stdout__.flush()
    os.dup2(kept, 1)
    os.close(kept)


def jaxmarl_spread(copies: int) -> Case:
  """The same of JaxMARL's spread, by its step without automatic reset, as ours has none.

  Raises:
    UserError: jaxmarl is not installed.
  """
  try:
    with output_to_stderr():  # it prints while it is imported
      import jaxmarl

      environment = jaxmarl.make("MPE_simple_spread_v3", action_type="Continuous")
  except ImportError as error:
    raise runs.UserError("the comparison needs jaxmarl: pip install '.[dev]'") from error
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

  return Case(jax.jit(inputs), jax.jit(run))


def lines(repeats: int, copies: int) -> list[dict]:
  """One line for each implementation, and the ratio; without JaxMARL a line that says so instead of those two."""
  cases, skipped = {"marl_offline": ours(copies)}, []
  try:
    cases["jaxmarl"] = jaxmarl_spread(copies)
  except runs.UserError as error:
    skipped = [{"case": "spread/jaxmarl", "skipped": str(error)}]
  times = alternate(cases, repeats)
  told = [
    {"case": f"spread/{name}", "ms": round(1e3 * second, 2), "copies": copies, "compile_s": first}
    | {"steps_per_second": round(copies * STEPS / second)}
    for name, (first, second) in times.items()
  ]
  if skipped:
    return told + skipped
  ratio = told[0]["steps_per_second"] / told[1]["steps_per_second"]
  return [*told, {"case": "spread/ratio", "marl_offline_over_jaxmarl": round(ratio, 2)}]
