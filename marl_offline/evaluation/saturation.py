"""Policies that are stuck in a corner of the action space.

A tanh that is saturated whatever the agent sees passes no gradient on: that number of the agent's action stays at its
bound for good and never learns again, whatever the critics say. It costs a team half of its score or more and tells
nothing of what it was trained by.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from marl_offline.types import Learner

CONSTANT = 0.02  # of an action range of 2: below this standard deviation an action is taken for constant
CORNER = 0.9  # and for a corner beyond this size
ROWS = 1_000


def greedy_actions(learner: Learner, states: Any, obs: np.ndarray) -> np.ndarray:
  """What every seed does at ROWS rows, evenly spaced. states [seeds, ...], obs [R, N, O] -> [seeds, ROWS, N, A]."""
  chosen = obs[np.unique(np.linspace(0, len(obs) - 1, ROWS).astype(int))]

  def act(state, obs):
    return learner.act(state, learner.memory, obs, jax.random.key(0))[0]

  return np.asarray(jax.jit(jax.vmap(jax.vmap(act, (None, 0)), (0, None)))(states, jnp.asarray(chosen)))


def stuck_agents(action: np.ndarray) -> list[list[int]]:
  """The agents of each seed that are stuck: a number of the action constant over R, and not small.

  action [seeds, R, N, A] in [-1, 1], greedy.
  """
  corner = (np.std(action, axis=1) < CONSTANT) & (np.abs(np.mean(action, axis=1)) > CORNER)  # [seeds, N, A]
  return [np.flatnonzero(each).tolist() for each in corner.any(axis=-1)]
