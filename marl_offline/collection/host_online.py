"""Online, off-policy training in an environment on the host: B copies step together, then a scan of updates follows.

A round is one control step of every copy and as many updates as the plan wants for it. All that follows depends on a
Run alone (see host_loop): kept and gone on from, it is the same run.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from marl_offline.collection import host_loop
from marl_offline.collection.host_loop import Run
from marl_offline.environments.api import HostEnvironment
from marl_offline.types import Learner, Transition


@dataclasses.dataclass(frozen=True)
class Plan:
  """How a run plays and learns."""

  rounds: int
  batch_size: int
  copies: int = 20  # B
  updates: int = 10  # to each round
  warmup: int = 250  # rounds of uniform play before the first update
  noise: float = 0.1  # standard deviation on every component of an action
  snapshots: int = 100  # of the policies, evenly spread over the rounds; a divisor of them

  @property
  def env_steps(self) -> int:
    """Of all copies in a round."""
    return self.copies


class Play(NamedTuple):
  """A run between two rounds."""

  learner: Any  # the algorithm's state
  buffer: Transition  # [rounds * copies, ...], all that was ever seen; rows beyond round * copies are not yet filled
  world: Any  # [B, ...] of the environment
  action: np.ndarray  # [B, N, A] to be taken next
  gathered: np.ndarray  # [B] float64, each copy's return so far in its episode
  round: np.ndarray  # [] rounds that are done


def begin(environment: HostEnvironment, learner: Learner, plan: Plan, seed: int) -> Run:
  """Fresh parameters, fresh worlds, an empty buffer. The learner's state has its policies in `actors`.

  Raises:
    ValueError: see host_loop.check; or the warm-up is the whole run.
  """
  host_loop.check(plan)
  if plan.warmup >= plan.rounds:
    raise ValueError(f"rounds={plan.rounds} must be above warmup={plan.warmup}")
  world, state = environment.reset(np.random.default_rng((seed, 0)), plan.copies), learner.init(jax.random.key(seed))
  shape = plan.copies, environment.num_agents, environment.action_size
  action = np.asarray(_uniform(jax.random.key(seed), 0, shape))
  rows = _rows(environment, world, action, np.zeros(shape[:2]), np.zeros(plan.copies), world)
  buffer = jax.tree.map(lambda leaf: jnp.zeros((plan.rounds * plan.copies, *leaf.shape[1:])), rows)
  play = Play(state, buffer, world, action, np.zeros(plan.copies), np.array(0))
  return host_loop.begin(plan, play, functools.partial(_look, plan))


def train(
  environment: HostEnvironment, learner: Learner, plan: Plan, seed: int, run: Run, keep: Callable, title: str = ""
) -> Run:
  """The run to its end, with a bar; see host_loop.train."""

  def one_round(play):
    return advance(environment, learner, plan, play, seed)

  return host_loop.train(plan, run, one_round, functools.partial(_look, plan), keep, title)


def _look(plan, play):
  return play.learner.actors, plan.noise


def advance(environment: HostEnvironment, learner: Learner, plan: Plan, play: Play, seed: int) -> tuple[Play, list]:
  """One round. -> Play, returns of the episodes that ended in it. Learner and buffer of the old Play are donated."""
  world, reward, terminated, truncated = environment.step(play.world, play.action)
  rows = _rows(environment, play.world, play.action, reward, terminated, world)
  number, gathered, ended = int(play.round) + 1, play.gathered + reward.mean(axis=1), terminated | truncated
  world, gathered, finished = host_loop.restarted(environment, world, gathered, ended, (seed, number))
  obs = environment.observe(world).astype(np.float32) if finished else rows.next_obs
  learn = _learn if number > plan.warmup else _store
  key = jax.random.key(seed)
  state, buffer, action = learn(learner, plan, play.learner, play.buffer, rows, obs, key, number - 1)
  return Play(state, buffer, world, np.asarray(action), gathered, np.array(number)), finished


def _rows(environment, world, action, reward, terminated, after) -> Transition:
  """What a step of B copies leaves in the buffer, float32. What MATD3 does not read stays empty: [B, 0]."""
  obs, state, nothing = environment.observe(world), environment.state(world), np.zeros((len(action), 0))
  fields = Transition(
    state=state,
    obs=obs,
    action=action,
    reward=reward.mean(axis=1),
    agent_reward=nothing,
    discount=1.0 - terminated,
    next_state=environment.state(after),
    next_obs=environment.observe(after),
    next_action=nothing,
  )
  return jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), fields)


def _uniform(key, number, shape):
  return jax.random.uniform(jax.random.fold_in(key, number), shape, minval=-1.0, maxval=1.0)


def _stored(plan, buffer, rows, number):
  place = number * plan.copies
  return jax.tree.map(lambda old, new: jax.lax.dynamic_update_slice_in_dim(old, new, place, 0), buffer, rows)


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=(2, 3))
def _store(learner, plan, state, buffer, rows, obs, key, number):
  """A round of the warm-up: rows are kept, uniform play goes on."""
  shape = (*obs.shape[:2], rows.action.shape[-1])
  return state, _stored(plan, buffer, rows, number), _uniform(key, number + 1, shape)


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=(2, 3))
def _learn(learner, plan, state, buffer, rows, obs, key, number):
  """A round of learning: rows are kept, updates follow, the new policies act with noise."""
  buffer = _stored(plan, buffer, rows, number)
  filled = (number + 1) * plan.copies
  key_noise, key_updates = jax.random.split(jax.random.fold_in(key, number + 1))

  def one_update(state, i):
    key_draw, key_update = jax.random.split(jax.random.fold_in(key_updates, i))
    drawn = jax.random.randint(key_draw, (plan.batch_size,), 0, filled)
    batch = jax.tree.map(lambda leaf: leaf[drawn], buffer)
    state, _ = learner.update(state, batch, key_update, (number - plan.warmup) * plan.updates + i)
    return state, None

  state, _ = jax.lax.scan(one_update, state, jnp.arange(plan.updates))
  action, _ = jax.vmap(learner.act, in_axes=(None, None, 0, None))(state, learner.memory, obs, key)
  action = jnp.clip(action + plan.noise * jax.random.normal(key_noise, action.shape), -1.0, 1.0)
  return state, buffer, action
