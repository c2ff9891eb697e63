"""Q(s, a_1, .., a_N), and Q at all M x N counterfactual proposals at once.

The first layer is linear, so its value at (s, a) is shared by everything that differs from it in one agent's action:
only that agent's slice of the weights is applied again, and an input [B, M, N, S + N * A] is never built.
A normalisation of the inputs is affine and folds into the same weights.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from marl_offline.networks.mlp import default_bound, uniform

EPSILON = 1e-5  # beside variances, as the original code has it


class JointCritic(nn.Module):
  """One member: two ReLU layers on (s, a_1, .., a_N) as they come. Callers standardise the state by the data set."""

  state_size: int
  num_agents: int
  action_size: int
  hidden_size: int
  rows_at_once: int | None = None  # counterfactuals of so many transitions at a time; None: of all

  def setup(self):
    self.input_size = self.state_size + self.num_agents * self.action_size
    sizes = (self.input_size, self.hidden_size, self.hidden_size, 1)
    bounds = [default_bound(size) for size in sizes[:-1]]
    self.weights = [self.param(f"weight_{i}", uniform(bounds[i]), sizes[i : i + 2]) for i in range(3)]
    self.biases = [self.param(f"bias_{i}", uniform(bounds[i]), sizes[i + 1 : i + 2]) for i in range(3)]

  def __call__(self, state: jax.Array, action: jax.Array) -> jax.Array:
    """Q of B states at Q joint actions each. [B, S], [B, Q, N, A] -> [B, Q].

    Each of the Q queries is a forward pass of its own: it sees the statistics of its own B rows.
    """
    return self._values(state, action, self.moments(action, axis=0))

  def proposed(self, state: jax.Array, proposals: jax.Array) -> jax.Array:
    """Q at M joint proposals, all B x M rows as one pass. [B, S], [B, M, N, A] -> [B, M]."""
    return self._values(state, proposals, self.moments(proposals, axis=(0, 1)))

  def counterfactual(self, state: jax.Array, action: jax.Array, proposals: jax.Array) -> jax.Array:
    """Q where agent i alone plays its m-th proposal, all B x M x N rows as one pass.

    [B, S], [B, N, A], [B, M, N, A] -> [B, M, N].
    """
    mean, rate = self.counterfactual_moments(action, proposals)
    of_state, of_action = self._first_layer(state)
    start = of_state + _flat((action - mean) * rate) @ of_action  # [B, H]
    change = (proposals - action[:, None]) * rate  # [B, M, N, A]
    of_agent = of_action.reshape(self.num_agents, self.action_size, self.hidden_size)

    def values(transition):
      """One transition: [H], [M, N, A] -> [M, N]."""
      start, change = transition
      # A is 2 or 3: a sum of A products is fused with what follows, a matrix product of that inner size is not
      return self._head(start + sum(change[..., c, None] * of_agent[:, c] for c in range(self.action_size)))

    if self.rows_at_once is None:
      return jax.vmap(values)((start, change))
    # on a CPU, computing a block again for the gradient is much faster than fetching its hidden layers from memory
    return jax.lax.map(jax.checkpoint(values), (start, change), batch_size=self.rows_at_once)

  def moments(self, rows: jax.Array, axis):
    """Mean and 1 / standard deviation by which inputs are standardised: here none."""
    del rows, axis
    return 0.0, 1.0

  def counterfactual_moments(self, action: jax.Array, proposals: jax.Array):
    """moments of the actions in all B x M x N counterfactual rows."""
    del action, proposals
    return 0.0, 1.0

  def first_weights(self):
    """Weights [S + N * A, H] and bias [H] that meet the standardised inputs."""
    return self.weights[0], self.biases[0]

  def activate(self, x: jax.Array, layer: int) -> jax.Array:
    del layer
    return nn.relu(x)

  def _values(self, state, action, action_moments):
    mean, rate = action_moments
    of_state, of_action = self._first_layer(state)
    return self._head(of_state[:, None] + _flat((action - mean) * rate) @ of_action)

  def _first_layer(self, state):
    """What the state gives to the first layer, bias included [B, H], and the actions' weights [N * A, H]."""
    weight, bias = self.first_weights()
    mean, rate = self.moments(state, axis=0)
    return ((state - mean) * rate) @ weight[: self.state_size] + bias, weight[self.state_size :]

  def _head(self, x: jax.Array) -> jax.Array:
    """From the first layer's sums [..., H] to values [...]."""
    x = self.activate(x, 0)
    x = self.activate(x @ self.weights[1] + self.biases[1], 1)
    return (x @ self.weights[2] + self.biases[2])[..., 0]


class BatchNormCritic(JointCritic):
  """Inputs are standardised by the rows at hand in every forward pass, in targets too, then scaled by trained numbers.

  So CFCQL's released code trains (its papers do not say it), and learning depends on it. Biased variance; gradient
  flows through the statistics. No running averages: a critic never acts.
  """

  def setup(self):
    super().setup()
    self.scale = self.param("input_scale", nn.initializers.ones, (self.input_size,))
    self.offset = self.param("input_offset", nn.initializers.zeros, (self.input_size,))

  def moments(self, rows, axis):
    return jnp.mean(rows, axis), jax.lax.rsqrt(jnp.var(rows, axis) + EPSILON)

  def counterfactual_moments(self, action, proposals):
    # in the pass, agent i's slot holds its proposals in one row of N and its data action in the other N - 1
    n = self.num_agents
    mean = (jnp.mean(proposals, (0, 1)) + (n - 1) * jnp.mean(action, 0)) / n  # [N, A]
    proposed, kept = jnp.mean(jnp.square(proposals - mean), (0, 1)), jnp.mean(jnp.square(action - mean), 0)
    return mean, jax.lax.rsqrt((proposed + (n - 1) * kept) / n + EPSILON)

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


CRITICS = {"batch": BatchNormCritic, "data": JointCritic, "layer": LayerNormCritic}


def _flat(action: jax.Array) -> jax.Array:
  """[..., N, A] -> [..., N * A]."""
  return action.reshape(*action.shape[:-2], -1)
