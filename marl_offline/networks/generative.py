"""Models of what the data does. Their inputs are already normalised by the data set's fixed statistics."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from marl_offline.networks.mlp import Linear

LOG_STD_RANGE = (-4.0, 15.0)


class ConditionalVae(nn.Module):
  """Encoder and decoder of two ReLU layers each, latent size twice the action's: BCQ's, arXiv:1812.02900."""

  action_size: int  # of all that is modelled at once
  hidden_size: int

  def setup(self):
    self.encoder = [Linear(self.hidden_size), Linear(self.hidden_size), Linear(4 * self.action_size)]
    self.decoder = [Linear(self.hidden_size), Linear(self.hidden_size), Linear(self.action_size)]

  def encode(self, state: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and log standard deviation of the latent. [..., S], [..., A] -> [..., Z = 2 A] twice."""
    mean, log_std = jnp.split(_forward(self.encoder, state, action), 2, axis=-1)
    return mean, jnp.clip(log_std, *LOG_STD_RANGE)

  def decode(self, state: jax.Array, latent: jax.Array) -> jax.Array:
    """The mean action. [..., S], [..., Z] -> [..., A] in (-1, 1)."""
    return jnp.tanh(_forward(self.decoder, state, latent))

  def __call__(self, state: jax.Array, action: jax.Array) -> jax.Array:
    """The action through the mean of its latent; makes all parameters. [..., S], [..., A] -> [..., A]."""
    return self.decode(state, self.encode(state, action)[0])


def _forward(layers, *inputs):
  x = jnp.concatenate(inputs, axis=-1)
  for layer in layers[:-1]:
    x = nn.relu(layer(x))
  return layers[-1](x)
