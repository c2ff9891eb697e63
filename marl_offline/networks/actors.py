"""Policies. Their inputs are already normalised by the data set's fixed statistics, in training and in play alike."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from marl_offline.networks.mlp import Linear


class TanhActor(nn.Module):
  """One agent's deterministic policy: two ReLU layers, tanh. obs [..., O] -> [..., A] in (-1, 1).

  The last weights start small, U(-0.003, 0.003), as in DDPG, so that tanh starts far from its corners.
  """

  action_size: int
  hidden_size: int

  @nn.compact
  def __call__(self, obs: jax.Array) -> jax.Array:
    x = nn.relu(Linear(self.hidden_size)(obs))
    x = nn.relu(Linear(self.hidden_size)(x))
    return jnp.tanh(Linear(self.action_size, weight_bound=3e-3)(x))
