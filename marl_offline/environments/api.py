"""What an environment is. One page.

The pure kind: `reset`, `observe` and `step` are functions of their arguments alone, so that they vmap over environments
and scan over time. There is no automatic reset: whoever scans decides what follows an end.
"""

import hashlib
from collections.abc import Callable
from typing import NamedTuple


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


def observation_hash(environment: PureEnvironment) -> str:
  """Twelve hex digits of what fixes the meaning of an observation; data set and environment must agree on them."""
  facts = (environment.name, environment.version, environment.num_agents, environment.obs_size, environment.action_size)
  return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]
