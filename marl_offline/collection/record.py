"""From policies to a data set: whole episodes, every step with what the behavior policy did, the last one included."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from marl_offline.collection import coupled, fixed_roles, mappo
from marl_offline.datasets import storage
from marl_offline.environments.api import PureEnvironment

COPIES = 500  # episodes played at once


class Behavior(NamedTuple):
  """Who acts in how many episodes. `actor` None acts uniformly in [-1, 1], a FixedRoles by its script."""

  actor: Any
  noise: float  # factor on the actor's own standard deviation
  episodes: int
  coupling: float | None = None  # probability that all agents share a step's draw, see coupled.py; None: no such draw
  skilled: float | None = None  # that an agent plays the actor, drawn by each in each episode, else uniformly; None: 1


def _uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)


@functools.partial(jax.jit, static_argnames="environment")
def _play(environment: PureEnvironment, behavior: Behavior, key: jax.Array) -> dict[str, Any]:
  """COPIES episodes. Returns arrays [C, T, ...] and the final observations and actions [C, ...].

  behavior: its episodes are not read. Without coupling and skilled the stream of random numbers is as it always was.
  """
  actor, noise, _, coupling, skilled = behavior
  size = (COPIES, environment.num_agents, environment.action_size)
  if skilled is not None:
    able = jax.random.bernoulli(jax.random.fold_in(key, 1), skilled, (*size[:2], 1))

  def act(obs, key):
    one = _uniform if actor is None else jax.random.normal
    drawn = one(key, size) if coupling is None else coupled.draw(one, key, size, coupling)
    if actor is None:
      return drawn
    if isinstance(actor, fixed_roles.FixedRoles):
      mean, std = fixed_roles.mean_action(actor, obs), actor.std
    else:
      mean, std = mappo.mean_action(actor, obs), jnp.exp(actor["log_std"])
    action = jnp.clip(mean + noise * std * drawn, -1.0, 1.0)
    return action if skilled is None else jnp.where(able, action, _uniform(jax.random.fold_in(key, 1), size))

  def one_step(state, key):
    key_act, key_task = jax.random.split(key)
    obs = jax.vmap(environment.observe)(state)
    action = act(obs, key_act)
    keys = jax.random.split(key_task, COPIES)
    state, reward, terminated, truncated = jax.vmap(environment.step)(state, action, keys)
    step = {"obs": obs, "action": action, "reward": reward, "terminated": terminated, "truncated": truncated}
    return state, step

  key_reset, key_final, key_steps = jax.random.split(key, 3)
  state = jax.vmap(environment.reset)(jax.random.split(key_reset, COPIES))
  state, steps = jax.lax.scan(one_step, state, jax.random.split(key_steps, environment.horizon))
  final_obs = jax.vmap(environment.observe)(state)
  episodes = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), steps)
  return {**episodes, "final_obs": final_obs, "final_action": act(final_obs, key_final)}


def record(environment: PureEnvironment, behaviors: Sequence[Behavior], seed: int, title: str = "") -> storage.Episodes:
  """Plays every behavior's episodes, one behavior after the other, with a bar.

  Raises:
    ValueError: no episodes.
  """
  total = sum(behavior.episodes for behavior in behaviors)
  if total <= 0:
    raise ValueError("record needs at least one episode")
  parts, run_key, call = [], jax.random.key(seed), 0
  with tqdm(total=total, desc=title, unit="episode") as bar:
    for behavior in behaviors:
      left = behavior.episodes
      while left:
        count, key = min(left, COPIES), jax.random.fold_in(run_key, call)
        played = _play(environment, jax.tree.map(jnp.float32, behavior._replace(episodes=0)), key)
        parts.append(_whole({name: np.asarray(array)[:count] for name, array in played.items()}))
        left, call = left - count, call + 1
        bar.update(count)
  return storage.from_arrays(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _whole(played: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """The fields of storage.from_arrays: each episode up to its end or the time limit. played: see _play, [C, T, ...]."""
  ended = played["terminated"] | played["truncated"]
  last = np.where(ended.any(axis=1), ended.argmax(axis=1), ended.shape[1] - 1)
  each = np.arange(len(last))
  truncated = played["truncated"].copy()
  truncated[each, last] |= ~played["terminated"][each, last]
  kept = np.arange(ended.shape[1]) <= last[:, None]
  fields = {name: played[name][kept] for name in ("obs", "action", "terminated")} | {"truncated": truncated[kept]}
  reward = played["reward"]
  if reward.ndim == 2:  # one of all is each one's
    reward = reward[..., None]
  fields["reward"] = np.broadcast_to(reward, played["obs"].shape[:3])[kept]
  for name in ("obs", "action"):  # what follows the last step
    fields[f"final_{name}"] = np.concatenate([played[name], played[f"final_{name}"][:, None]], axis=1)[each, last + 1]
  return fields
