"""What an environment is. One page.

The pure kind: `reset`, `observe` and `step` are functions of their arguments alone, so that they vmap over environments
and scan over time. The host kind: the same in NumPy for B environments at once, where the physics is no JAX program;
its worlds are arrays too, so rows of them can be kept, mixed and gone on from. Neither resets by itself: whoever plays
decides what follows an end.
"""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple


class PureEnvironment(NamedTuple):
  """A task for N learned agents; everything else that moves (a prey) is part of the state's own dynamics."""

  name: str  # "spread"
  version: str  # "v1"; names the dynamics, the observation layout and any frozen opponent
  num_agents: int  # N, the learned ones
  obs_size: int  # O
  action_size: int  # A, each component in [-1, 1]
  state_size: int  # S = N * O here: the learned agents' observations, concatenated
  horizon: int  # steps until the time limit
  reset: Callable  # key -> state
  observe: Callable  # state -> obs [N, O]
  step: Callable  # state, action [N, A], key -> state, reward [N], terminated [], truncated []


class HostEnvironment(NamedTuple):
  """A task for N agents, B of it at once, in float64. World: a NamedTuple of arrays [B, ...], never written to."""

  name: str  # "halfcheetah_2x3"
  version: str
  num_agents: int  # N
  obs_size: int  # O
  action_size: int  # A, each component in [-1, 1]
  state_size: int  # S
  horizon: int  # steps until the time limit
  reset: Callable  # numpy Generator, B -> World
  observe: Callable  # World -> obs [B, N, O]
  state: Callable  # World -> state [B, S]
  step: Callable  # World, action [B, N, A] -> World, reward [B, N], terminated [B], truncated [B]; both may hold


def observation_hash(environment: Any) -> str:
  """Twelve hex digits of what fixes the meaning of an observation; data set and environment must agree on them.

  environment: of either kind, or a mujoco_partition.Variant, which needs no simulator.
  """
  facts = (environment.name, environment.version, environment.num_agents, environment.obs_size, environment.action_size)
  return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]
