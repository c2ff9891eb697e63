"""Q(s, a_1, .., a_N), and Q at all M x N counterfactual proposals at once; V(s).

The first layer is linear, so its value at (s, a) is shared by everything that differs from it in one agent's action:
only the difference meets the weights again, and an input [B, M, N, S + N * A] is never built. A critic takes inputs
that are standardised already (input_statistics.py) and treats each row by itself, so a batch may be cut into blocks.
"""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from marl_offline.networks.mlp import Linear, default_bound, tall_product, uniform

EPSILON = 1e-5  # beside variances, as the original code has it


class JointCritic(nn.Module):
  """One member: two ReLU layers on (s, a_1, .., a_N)."""

  state_size: int
  num_agents: int
  action_size: int
  hidden_size: int

  def setup(self):
    self.input_size = self.state_size + self.num_agents * self.action_size
    sizes = (self.input_size, self.hidden_size, self.hidden_size, 1)
    bounds = [default_bound(size) for size in sizes[:-1]]
    self.weights = [self.param(f"weight_{i}", uniform(bounds[i]), sizes[i : i + 2]) for i in range(3)]
    self.biases = [self.param(f"bias_{i}", uniform(bounds[i]), sizes[i + 1 : i + 2]) for i in range(3)]

  def __call__(self, state: jax.Array, action: jax.Array) -> jax.Array:
    """Q of B states at Q joint actions each. [B, S], [B, Q, N, A] -> [B, Q]."""
    chex.assert_shape(action, (state.shape[0], None, self.num_agents, self.action_size))
    of_state, of_action = self._first_layer(state)
    return self._head(of_state, _rows(action) @ of_action, action.shape[:2])

  def counterfactual(self, state: jax.Array, action: jax.Array, proposals: jax.Array) -> jax.Array:
    """Q where agent i alone plays its m-th proposal. [B, S], [B, N, A], [B, M, N, A] -> [B, M, N]."""
    chex.assert_shape(action, (state.shape[0], self.num_agents, self.action_size))
    chex.assert_shape(proposals, (state.shape[0], None, self.num_agents, self.action_size))
    of_state, of_action = self._first_layer(state)
    start = of_state + _rows(action) @ of_action  # [B, H]
    change = proposals - action[:, None]  # [B, M, N, A]
    own = change[..., None, :] * np.eye(self.num_agents, dtype=change.dtype)[:, :, None]  # [B, M, N, N, A], rest is 0
    return self._head(start, _rows(own) @ of_action, proposals.shape[:3])

  def first_weights(self):
    """Weights [S + N * A, H] and bias [H] that meet the standardised inputs."""
    return self.weights[0], self.biases[0]

  def activate(self, x: jax.Array, layer: int) -> jax.Array:
    del layer
    return nn.relu(x)

  def _first_layer(self, state):
    """What the state gives to the first layer, bias included [B, H], and the actions' weights [N * A, H]."""
    weight, bias = self.first_weights()
    return state @ weight[: self.state_size] + bias, weight[self.state_size :]

  def _head(self, of_batch: jax.Array, of_rows: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """From the first layer's two parts, [B, H] and [R, H] with R = prod(shape), to values [*shape], shape[0] = B.

    All products are of two axes: a CPU's are several times slower where a transposition of more is in the way.
    """
    batch, hidden = of_batch.shape
    x = (of_rows.reshape(batch, -1, hidden) + of_batch[:, None]).reshape(-1, hidden)  # [R, H]
    x = self.activate(x, 0)
    x = self.activate(tall_product(x, self.weights[1]) + self.biases[1], 1)
    return (x @ self.weights[2] + self.biases[2]).reshape(shape)


class ScaledCritic(JointCritic):
  """Its standardised inputs are scaled and shifted by trained numbers: the second half of a BatchNorm on the inputs."""

  def setup(self):
    super().setup()
    self.scale = self.param("input_scale", nn.initializers.ones, (self.input_size,))
    self.offset = self.param("input_offset", nn.initializers.zeros, (self.input_size,))

  def first_weights(self):
    weight, bias = super().first_weights()
    return self.scale[:, None] * weight, bias + self.offset @ weight


class LayerNormCritic(JointCritic):
  """LayerNorm before each ReLU, as JAX code for offline RL favours."""

  def setup(self):
    super().setup()
    self.scales = self.param("layer_scale", nn.initializers.ones, (2, self.hidden_size))
    self.offsets = self.param("layer_offset", nn.initializers.zeros, (2, self.hidden_size))

  def activate(self, x, layer):
    mean, variance = jnp.mean(x, -1, keepdims=True), jnp.var(x, -1, keepdims=True)
    return nn.relu((x - mean) * jax.lax.rsqrt(variance + EPSILON) * self.scales[layer] + self.offsets[layer])


class StateValue(nn.Module):
  """V: two ReLU layers on a standardised state. [..., S] -> [...]."""

  hidden_size: int

  @nn.compact
  def __call__(self, state: jax.Array) -> jax.Array:
    x = nn.relu(Linear(self.hidden_size)(state))
    x = nn.relu(Linear(self.hidden_size)(x))
    return Linear(1)(x)[..., 0]


CRITICS = {"batch": ScaledCritic, "data": JointCritic, "layer": LayerNormCritic}


def _rows(action: jax.Array) -> jax.Array:
  """[..., N, A] -> [R, N * A]."""
  return action.reshape(-1, action.shape[-2] * action.shape[-1])
