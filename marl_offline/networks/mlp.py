"""Linear layers with the initialisation that the original code trained with."""

import math

import flax.linen as nn
import jax

from marl_offline import execution


def uniform(bound: float):
  """Initialiser: U(-bound, bound)."""
  return lambda key, shape, dtype=float: jax.random.uniform(key, shape, dtype, -bound, bound)


def default_bound(fan_in: int) -> float:
  """1 / sqrt(fan_in): the released networks keep their library's default for weights and biases alike."""
  return 1.0 / math.sqrt(fan_in)


def tall_product(x: jax.Array, weight: jax.Array) -> jax.Array:
  """x @ weight for many more rows than columns. [R, I], [I, F] -> [R, F]. Differentiable backwards only."""
  return _transposing_product(x, weight) if execution.here().transpose_first else x @ weight


@jax.custom_vjp
def _transposing_product(x, weight):
  return x @ weight


def _forward(x, weight):
  return x @ weight, (x, weight)


def _backward(kept, gradient):
  x, weight = kept
  # the barrier keeps the compiler from folding the transposition back into the product
  return gradient @ weight.T, jax.lax.optimization_barrier(x.T) @ gradient


_transposing_product.defvjp(_forward, _backward)


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
