"""Episodes of a policy in a pure environment, whole on the device: every seed and every episode in one program."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from marl_offline.environments.api import HostEnvironment, PureEnvironment
from marl_offline.evaluation import host_rollouts
from marl_offline.types import Learner

EVALUATION_KEY = 20_251_107  # every evaluation of every seed begins from the same episodes, so that they compare


def _play(environment: PureEnvironment, act: Callable, state: Any, key: jax.Array, memory: Any):
  """One episode of `horizon` steps, played on past an end. -> world states [T+1, ...], reward [T, N], alive [T]."""
  key_reset, key_steps = jax.random.split(key)
  first = environment.reset(key_reset)
  if (shape := environment.observe(first).shape) != (wanted := (environment.num_agents, environment.obs_size)):
    raise ValueError(f"{environment.name} observes {shape}, where its num_agents and obs_size say {wanted}")

  def one_step(carry, key):
    world, memory, alive = carry
    key_act, key_world = jax.random.split(key)
    action, memory = act(state, memory, environment.observe(world), key_act)
    world, reward, terminated, truncated = environment.step(world, action, key_world)
    reward, ended = checked(environment, reward, terminated, truncated)
    return (world, memory, alive & ~ended), (world, reward, alive)

  keys = jax.random.split(key_steps, environment.horizon)
  _, (worlds, reward, alive) = jax.lax.scan(one_step, (first, memory, jnp.array(True)), keys)
  worlds = jax.tree.map(lambda start, rest: jnp.concatenate([start[None], rest]), first, worlds)
  return worlds, reward, alive


def checked(environment: PureEnvironment, reward, terminated, truncated) -> tuple[jax.Array, jax.Array]:
  """What a step gives, as it is wanted: reward [N], of a shared one [] too; whether the episode ended, bool [].

  Raises:
    ValueError: other shapes; the sentence names the environment.
  """
  reward, ends = jnp.asarray(reward), [jnp.asarray(end) for end in (terminated, truncated)]
  if reward.shape not in ((), (environment.num_agents,)) or any(end.shape for end in ends):
    shapes = f"reward {reward.shape}, terminated {ends[0].shape} and truncated {ends[1].shape}"
    raise ValueError(f"a step of {environment.name} gave {shapes}; wanted are [{environment.num_agents}], [] and []")
  return jnp.broadcast_to(reward, (environment.num_agents,)), ends[0].astype(bool) | ends[1].astype(bool)


def episode_return(environment, act, state, key, memory=()) -> jax.Array:
  """mean_i sum_t r_i,t of one episode: the agents' mean, as the particle tasks' published scores are. -> []."""
  _, reward, alive = _play(environment, act, state, key, memory)
  return jnp.sum(jnp.where(alive, jnp.mean(reward, axis=-1), 0.0))  # what comes after an end may be no number


def episode_returns(environment, act, state, key, num_episodes, memory=()) -> jax.Array:
  """Returns of independent episodes. act(state, memory, obs [N, O], key) -> action [N, A], memory. -> [episodes]."""
  keys = jax.random.split(key, num_episodes)
  return jax.vmap(lambda key: episode_return(environment, act, state, key, memory))(keys)


def evaluator(
  environment: PureEnvironment | HostEnvironment,
  learner: Learner,
  num_episodes: int,
  key_number: int = EVALUATION_KEY,
):
  """states [seeds, ...] -> returns [seeds, episodes], greedy, one jitted call; the episodes' keys are always the same.

  There is no exploration argument: what this returns is the score. On the host it is one jitted call a step.
  """
  if isinstance(environment, HostEnvironment):
    return host_rollouts.evaluator(environment, learner, num_episodes, key_number)

  @jax.jit
  def run(states):
    def one_seed(state):
      key = jax.random.key(key_number)
      return episode_returns(environment, learner.act, state, key, num_episodes, learner.memory)

    return jax.vmap(one_seed)(states)

  return lambda states: np.asarray(run(states))


def record_episode(environment, act, state, key, memory=()):
  """One episode to look at: world states stacked over time [t+1, ...] and reward [t, N], cut where it ended (NumPy)."""
  play = jax.jit(functools.partial(_play, environment, act))
  worlds, reward, alive = jax.device_get(play(state, key, memory))
  length = int(np.sum(alive))
  return jax.tree.map(lambda leaf: leaf[: length + 1], worlds), reward[:length]
