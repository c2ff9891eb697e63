"""Tabular Dec-MDPs, small enough that every expectation is a sum over a table."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class DecMDP(NamedTuple):
  """S states, N agents with U actions each. Joint actions stand on N axes of their own, written U^N."""

  reward: jax.Array  # [S, U, .., U]
  transition: jax.Array  # [S, U, .., U, S], sums to 1 over the last axis
  gamma: float

  @property
  def num_agents(self) -> int:
    return self.reward.ndim - 1


def random_game(key: jax.Array, num_states: int, num_agents: int, num_actions: int, gamma: float) -> DecMDP:
  """Rewards U[-1, 1], transitions uniform over the simplex."""
  key_reward, key_next = jax.random.split(key)
  shape = (num_states,) + (num_actions,) * num_agents
  reward = jax.random.uniform(key_reward, shape, minval=-1.0, maxval=1.0)
  return DecMDP(reward, jax.random.dirichlet(key_next, jnp.ones(num_states), shape), gamma)


def random_policies(key: jax.Array, num_states: int, num_agents: int, num_actions: int) -> jax.Array:
  """Each agent's own policy. -> [N, S, U]."""
  return jax.random.dirichlet(key, jnp.ones(num_actions), (num_agents, num_states))


def random_joint_policy(key: jax.Array, num_states: int, num_agents: int, num_actions: int) -> jax.Array:
  """Behavior that need not factorise. -> [S, U, .., U]."""
  flat = jax.random.dirichlet(key, jnp.ones(num_actions**num_agents), (num_states,))
  return flat.reshape((num_states,) + (num_actions,) * num_agents)
