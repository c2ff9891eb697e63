"""From policies to a data set in an environment on the host: episodes of any length, in the order of their policies."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from marl_offline.datasets import storage
from marl_offline.environments.api import HostEnvironment
from marl_offline.evaluation import host_rollouts

COPIES = 100  # episodes played at once
ENDS = ("terminated", "truncated")


class Behavior(NamedTuple):
  """Who acts for how many rows. `actors` None acts uniformly in [-1, 1]."""

  actors: Any  # what policy takes
  noise: float  # standard deviation on every component, clipped to [-1, 1] with it
  rows: int


def record(
  environment: HostEnvironment, policy: Callable, behaviors: Sequence[Behavior], seed: int, title: str = ""
) -> storage.Episodes:
  """Plays every behavior's rows, one behavior after the other, with a bar.

  policy: actors, obs [N, O] -> actions [N, A], without noise. A behavior's last episode is cut where its rows are
  full, as by a time limit; all others are whole.

  Raises:
    ValueError: no rows.
  """
  total = sum(behavior.rows for behavior in behaviors)
  if total <= 0:
    raise ValueError("record needs at least one row")
  act = actor(environment, policy)
  parts, call = [], 0
  with tqdm(total=total, desc=title, unit="row", unit_scale=True) as bar:
    for behavior in behaviors:
      left, steps = behavior.rows, np.zeros(0)
      while left:
        copies = min(COPIES, math.ceil(left / (steps.mean() if steps.size else environment.horizon)))
        rows, steps = play(environment, act, behavior, copies, (seed, call), min(left, environment.horizon))
        parts.append(cut(rows, steps, left))
        count, call = len(parts[-1]["obs"]), call + 1
        left -= count
        bar.update(count)
  return storage.from_arrays(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def actor(environment: HostEnvironment, policy: Callable) -> Callable:
  """What play asks, compiled: actors, obs [B, N, O], noise, key -> actions [B, N, A] in [-1, 1]. policy: see record."""
  return jax.jit(functools.partial(_act, policy, environment.action_size))


def _act(policy, action_size, actors, obs, noise, key):
  shape = (*obs.shape[:2], action_size)
  if actors is None:
    return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)
  action = jax.vmap(policy, in_axes=(None, 0))(actors, obs)
  return jnp.clip(action + noise * jax.random.normal(key, shape), -1.0, 1.0)


def play(
  environment: HostEnvironment, act: Callable, behavior: Behavior, copies: int, seed: tuple[int, int], most: int
):
  """One episode in each copy, at most so many steps of it. -> rows {name: [R, ...]}, episode after episode, and steps
  of each episode [copies].

  An episode of L steps has L + 1 rows: the last is what is seen and done after them, with a reward of 0.
  """
  key = jax.random.fold_in(jax.random.key(seed[0]), seed[1])
  world, playing = environment.reset(np.random.default_rng(seed), copies), np.arange(copies)
  seen = {"obs": environment.observe(world).astype(np.float32), "state": environment.state(world)}  # [copies, ...]
  nothing = {"reward": np.zeros((copies, environment.num_agents)), **dict.fromkeys(ENDS, np.zeros(copies, bool))}
  rows, steps = [], np.zeros(copies, int)
  for step in range(most):
    action = np.asarray(act(behavior.actors, seen["obs"], behavior.noise, jax.random.fold_in(key, step)))[playing]
    row = {"episode": playing, **{name: array[playing] for name, array in seen.items()}, "action": action}
    world, *told = environment.step(world, action)
    row["reward"], *ends = host_rollouts.checked(environment, len(playing), *told)
    rows.append(row | dict(zip(ENDS, ends, strict=True)))
    steps[playing] += 1
    seen["obs"][playing], seen["state"][playing] = environment.observe(world), environment.state(world)
    going_on = ~(ends[0] | ends[1])
    playing, world = playing[going_on], jax.tree.map(lambda leaf: leaf[going_on], world)  # noqa: B023
    if not playing.size:
      break
  last = np.asarray(act(behavior.actors, seen["obs"], behavior.noise, jax.random.fold_in(key, most)))
  rows.append({"episode": np.arange(copies), **seen, "action": last, **nothing})
  joined = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
  order = np.argsort(joined.pop("episode"), kind="stable")
  return {name: array[order] for name, array in joined.items()}, steps


def cut(rows: dict[str, np.ndarray], steps: np.ndarray, most: int) -> dict[str, np.ndarray]:
  """The fields of storage.from_arrays of the first `most` steps; where an episode is cut by that, it is truncated."""
  starts = np.cumsum(steps + 1) - (steps + 1)
  steps = np.clip(most - (np.cumsum(steps) - steps), 0, steps)  # what is left of each episode
  starts, steps = starts[steps > 0], steps[steps > 0]
  kept = np.concatenate([start + np.arange(count) for start, count in zip(starts, steps, strict=True)])
  fields = {name: array[kept] for name, array in rows.items()}
  ends = np.cumsum(steps) - 1
  fields["truncated"][ends] |= ~fields["terminated"][ends]
  return fields | {f"final_{name}": rows[name][starts + steps] for name in ("obs", "state", "action")}
