"""A pure environment as one on the host, for learners and recorders of that kind."""

import jax
import jax.numpy as jnp
import numpy as np

from marl_offline.environments.api import HostEnvironment, PureEnvironment


def from_pure(environment: PureEnvironment) -> HostEnvironment:
  """The same task for B worlds at once; its state is the agents' observations, concatenated.

  For tasks whose steps draw no random numbers, as those here: every step is given one and the same key. Steps compile
  anew for every B.
  """
  resets, observes = jax.jit(jax.vmap(environment.reset)), jax.jit(jax.vmap(environment.observe))
  steps = jax.jit(jax.vmap(environment.step, in_axes=(0, 0, None)))

  def reset(generator: np.random.Generator, count: int):
    key = jax.random.key(generator.integers(2**32))
    return jax.tree.map(np.asarray, resets(jax.random.split(key, count)))

  def observe(world):
    return np.array(observes(world))

  def step(world, action):
    told = steps(world, jnp.asarray(action, jnp.float32), jax.random.key(0))
    return jax.tree.map(np.asarray, told)

  return HostEnvironment(
    *environment[:7],  # name to horizon
    reset=reset,
    observe=observe,
    state=lambda world: observe(world).reshape(len(world.time), -1),
    step=step,
  )
