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


LOG_STD_RANGE = (-20.0, 2.0)


class GaussianActor(nn.Module):
  """One agent's stochastic policy: a TanhActor for the mean, a log standard deviation that no observation moves.

  obs [..., O] -> mean [..., A] in (-1, 1), log_std [..., A] in [-20, 2]; IQL's released policy. It starts with std 1.
  """

  action_size: int
  hidden_size: int

  @nn.compact
  def __call__(self, obs: jax.Array) -> tuple[jax.Array, jax.Array]:
    mean = TanhActor(self.action_size, self.hidden_size)(obs)
    log_std = jnp.clip(self.param("log_std", nn.initializers.zeros, (self.action_size,)), *LOG_STD_RANGE)
    return mean, jnp.broadcast_to(log_std, mean.shape)
