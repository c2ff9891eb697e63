"""The nouns that every room shares.

Axis letters, declared here once; every array names its own:
  B batch        T time             N agents          E ensemble members
  K number of replaced agents       M proposals       A action size
  O observation size                S state size      R rows of a data set      P episodes
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct


@struct.dataclass
class Normalizer:
  """Means and scales fitted on a data set once; applied in training and in play alike."""

  obs_mean: jax.Array  # [N, O]
  obs_scale: jax.Array  # [N, O], positive
  state_mean: jax.Array  # [S]
  state_scale: jax.Array  # [S], positive

  def obs(self, obs: jax.Array) -> jax.Array:
    """(obs - mean) / scale per agent. [..., N, O] -> [..., N, O]."""
    return (obs - self.obs_mean) / self.obs_scale

  def state(self, state: jax.Array) -> jax.Array:
    """(state - mean) / scale. [..., S] -> [..., S]."""
    return (state - self.state_mean) / self.state_scale

  @classmethod
  def identity(cls, num_agents: int, obs_size: int, state_size: int) -> "Normalizer":
    """Changes nothing: mean 0 and scale 1 everywhere."""
    obs, state = (num_agents, obs_size), (state_size,)
    return cls(jnp.zeros(obs), jnp.ones(obs), jnp.zeros(state), jnp.ones(state))


@dataclasses.dataclass(frozen=True)
class Spec:
  """What an algorithm must know of a task: sizes, and the data set's Normalizer. Actions lie in [-1, 1]."""

  num_agents: int
  obs_size: int
  action_size: int
  state_size: int
  normalizer: Normalizer


@struct.dataclass
class Transition:
  """One batch of steps of all agents together."""

  state: jax.Array  # [B, S]
  obs: jax.Array  # [B, N, O]
  action: jax.Array  # [B, N, A] in [-1, 1]
  reward: jax.Array  # [B] of the team
  agent_reward: jax.Array  # [B, N] each agent's own: independent learners train on it
  discount: jax.Array  # [B] 0 only where the task ended; 1 at a time limit
  next_state: jax.Array  # [B, S]
  next_obs: jax.Array  # [B, N, O]
  next_action: jax.Array  # [B, N, A] what the data did next: partial replacement lives on it


class Proposals(NamedTuple):
  """Actions out of the data that a conservative penalty looks at, each with the density it was drawn from."""

  action: jax.Array  # [B, M, N, A]
  log_prob: jax.Array  # [B, M, N], constant under gradient


class Learner(NamedTuple):
  """An algorithm: three pure functions over one frozen state."""

  init: Callable  # key -> state
  update: Callable  # state, batch, key, step -> state, metrics (a flat dict of scalars)
  act: Callable  # state, memory, obs [N, O], key -> action [N, A], memory; greedy
  memory: Any = ()  # what act carries before the first step; () when memoryless
