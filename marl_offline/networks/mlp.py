"""Linear layers with the initialisation that the original code trained with."""

import math

import flax.linen as nn
import jax


def uniform(bound: float):
  """Initialiser: U(-bound, bound)."""
  return lambda key, shape, dtype=float: jax.random.uniform(key, shape, dtype, -bound, bound)


def default_bound(fan_in: int) -> float:
  """1 / sqrt(fan_in): the released networks keep their library's default for weights and biases alike."""
  return 1.0 / math.sqrt(fan_in)


class Linear(nn.Module):
  """x W + b. [..., I] -> [..., F]. Weights U(-weight_bound, weight_bound), default 1 / sqrt(I) as for the bias."""

  features: int
  weight_bound: float | None = None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    fan_in = x.shape[-1]
    bound = default_bound(fan_in)
    weight = self.param("weight", uniform(self.weight_bound or bound), (fan_in, self.features))
    return x @ weight + self.param("bias", uniform(bound), (self.features,))
