"""A player of spread for any number of agents that nothing has to be learned for: the scale of its scores.

At reset every agent is matched to a landmark, so that the distances sum to the least. Then each drives there as fast
as it can and stays. It does not avoid collisions, so it is good play and not the best: scores above 100 are possible.
Every agent sees all landmarks and all others, so it is play that agents with their own observations can reach.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from marl_offline.environments.api import PureEnvironment
from marl_offline.environments.particle_world import DAMPING, TIME_STEP, WorldState

GAIN = 5.0  # force per unit of action of spread's agents


def match(agent_pos: np.ndarray, landmark_pos: np.ndarray) -> np.ndarray:
  """Which landmark each agent takes: the permutation with the least sum of distances. [N, 2], [N, 2] -> int [N]."""
  gaps = np.linalg.norm(agent_pos[:, None] - landmark_pos[None], axis=-1)
  return scipy.optimize.linear_sum_assignment(gaps)[1]


def approach(state: WorldState, goal: jax.Array) -> jax.Array:
  """The action that brings every agent to its goal in this step, clipped to [-1, 1]. goal [N, 2] -> [N, 2]."""
  wanted = (goal - state.agent_pos) / TIME_STEP
  return jnp.clip((wanted - (1.0 - DAMPING) * state.agent_vel) / (TIME_STEP * GAIN), -1.0, 1.0)


def returns(environment: PureEnvironment, episodes: int, seed: int) -> np.ndarray:
  """Agents' mean of the reward sum of each episode. environment: spread, of any number of agents. -> [episodes]."""
  states = jax.jit(jax.vmap(environment.reset))(jax.random.split(jax.random.key(seed), episodes))
  matched = np.stack(list(map(match, np.asarray(states.agent_pos), np.asarray(states.landmark_pos))))
  goals = np.take_along_axis(np.asarray(states.landmark_pos), matched[:, :, None], axis=1)
  return np.asarray(_play(environment, states, goals))


@functools.partial(jax.jit, static_argnames="environment")
def _play(environment: PureEnvironment, states: WorldState, goals: jax.Array) -> jax.Array:
  def one_step(states, key):
    action = jax.vmap(approach)(states, goals)
    states, reward, _, _ = jax.vmap(environment.step, in_axes=(0, 0, None))(states, action, key)
    return states, jnp.mean(reward, axis=1)

  return jnp.sum(jax.lax.scan(one_step, states, jax.random.split(jax.random.key(0), environment.horizon))[1], axis=0)
