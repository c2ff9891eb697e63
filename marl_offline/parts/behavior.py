"""A model of the joint behavior in the data, and how likely each agent's action is under it: CFCQL appendix B.2.

One variational autoencoder for all agents at once, fitted before anything else is learned. States are standardised by
the data set's statistics; the released code takes them raw.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct

from marl_offline import execution, losses
from marl_offline.networks.generative import ConditionalVae
from marl_offline.parts import updates
from marl_offline.types import Spec, Transition

DIVERGENCE_WEIGHT = 0.5
# The decoder's standard deviation under which the loss below is the evidence's bound, scaled: with D actions and 2 D
# latents, 2 sd^2 = DIVERGENCE_WEIGHT / 2. No density that this model gives is narrower.
DECODER_SD = (DIVERGENCE_WEIGHT / 4) ** 0.5


@struct.dataclass
class BehaviorState:
  params: Any
  opt: optax.OptState


class Behavior(NamedTuple):
  """Functions of raw states and of all agents' actions."""

  init: Callable  # key -> BehaviorState
  fit: Callable  # BehaviorState, batch, key -> BehaviorState, metrics: one step
  log_density: Callable  # params, state [B, S], action [B, N, A], key -> log mu_i of agent i's action [B, N]


def build(spec: Spec, hidden_size: int, learning_rate: float, num_samples: int) -> Behavior:
  """The model of a task's sizes; num_samples latents are drawn for a density."""
  joint_size = spec.num_agents * spec.action_size
  network = ConditionalVae(joint_size, hidden_size)
  optimizer = optax.adam(learning_rate)
  in_turn = execution.here().in_turn

  def init(key):
    params = network.init(key, jnp.zeros(spec.state_size), jnp.zeros(joint_size))
    return BehaviorState(params, optimizer.init(params))

  def encode(params, state, action):
    return network.apply(params, state, action, method="encode")

  def decode(params, state, latent):
    return network.apply(params, state, latent, method="decode")

  def fit(behavior: BehaviorState, batch: Transition, key):
    state, action = spec.normalizer.state(batch.state), batch.action.reshape(-1, joint_size)  # [B, S], [B, N * A]
    noise = jax.random.normal(key, (action.shape[0], 2 * joint_size))

    def loss(params):
      mean, log_std = encode(params, state, action)  # [B, Z]
      decoded = decode(params, state, mean + jnp.exp(log_std) * noise)
      error = jnp.mean(losses.reconstruction(decoded, action))
      divergence = jnp.mean(losses.latent_divergence(mean, log_std))
      return error + DIVERGENCE_WEIGHT * divergence, {"behavior_error": error, "behavior_divergence": divergence}

    gradient, metrics = jax.grad(loss, has_aux=True)(behavior.params)
    return BehaviorState(*updates.gradient_step(optimizer, behavior.params, behavior.opt, gradient)), metrics

  def log_density(params, state, action, key):
    state = spec.normalizer.state(state)
    mean, log_std = encode(params, state, action.reshape(-1, joint_size))  # [B, Z]
    latent = mean + jnp.exp(log_std) * jax.random.normal(key, (num_samples, *mean.shape))  # [L, B, Z]

    def of_samples(latent, params, state, action):
      def of_one(latent):  # [B, Z] -> [B, N]
        return losses.action_log_likelihood(decode(params, state, latent).reshape(action.shape), action, DECODER_SD)

      return jax.lax.map(of_one, latent) if in_turn else jax.vmap(of_one)(latent)

    shared = execution.shared_out(of_samples, num_samples) if in_turn else of_samples
    log_likelihood = shared(latent, params, state, action)  # [L, B, N]
    log_ratio = losses.latent_log_ratio(latent, mean, log_std)  # [L, B]
    return losses.importance_log_density(log_likelihood, jnp.broadcast_to(log_ratio[..., None], log_likelihood.shape))

  return Behavior(init, fit, log_density)
