"""N Gaussian actors that imitate the data with weights, and E joint critics: the moves of IQL, AWAC and MAICQ.

A row's weight is that of the joint action, from the central critics; every agent's likelihood carries it. `config` is
an algorithm's own; the fields read here are those of joint_critic.build.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from marl_offline import losses
from marl_offline.networks import ensemble
from marl_offline.networks.actors import GaussianActor
from marl_offline.parts import joint_critic, updates
from marl_offline.parts.joint_critic import Net
from marl_offline.types import Spec, Transition


@struct.dataclass
class TrainState:
  actors: Any  # leading axis N
  critics: Any  # leading axis E
  target_critics: Any
  actor_opt: optax.OptState  # leading axis N: each actor's gradient is clipped by itself
  critic_opt: optax.OptState


def build(spec: Spec, config) -> Net:
  """joint_critic.build with Gaussian actors: `actor` gives mean and log_std [..., N, A], `init` this TrainState."""
  net = joint_critic.build(spec, config)
  actor = GaussianActor(spec.action_size, config.hidden_size)

  def init(key):
    key_actors, key_critics = jax.random.split(key)
    obs = jnp.zeros(spec.obs_size)
    actors = ensemble.init_members(lambda key: actor.init(key, obs), key_actors, spec.num_agents)
    critics = net.init_critics(key_critics)
    # targets are copies: one buffer under two names cannot be donated
    opts = net.actor_optimizer.init(actors), net.critic_optimizer.init(critics)
    return TrainState(actors, critics, jax.tree.map(jnp.copy, critics), *opts)

  def play(actors, obs):
    return ensemble.apply_agents(actor.apply)(actors, spec.normalizer.obs(obs))

  return net._replace(init=init, actor=play)


def sample(net: Net, actors, obs: jax.Array, key: jax.Array) -> jax.Array:
  """One joint action of the policies, clipped to [-1, 1], constant under gradient. obs [..., N, O] -> [..., N, A]."""
  mean, log_std = net.actor(actors, obs)
  action = mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape)
  return jax.lax.stop_gradient(jnp.clip(action, -1.0, 1.0))


def actor_loss(net: Net, actors, batch: Transition, weight: jax.Array) -> jax.Array:
  """Mean of the weighted likelihood of the data's joint actions. weight [B] -> []."""
  log_prob = losses.gaussian_log_prob(*net.actor(actors, batch.obs), batch.action)  # [B, N]
  return jnp.mean(losses.weighted_likelihood(weight, log_prob))


def actor_step(net: Net, state, batch: Transition, weight: jax.Array):
  """One descent of actor_loss for all agents; state has actors and actor_opt. weight [B] -> state, metrics."""
  loss, gradient = jax.value_and_grad(actor_loss, argnums=1)(net, state.actors, batch, weight)
  actors, actor_opt = updates.gradient_step(net.actor_optimizer, state.actors, state.actor_opt, gradient)
  metrics = {
    "actor_loss": loss,
    "actor_grad_norm": updates.global_norm(gradient),
    "weight_mean": jnp.mean(weight),
    "weight_share": losses.effective_share(weight),
  }
  return state.replace(actors=actors, actor_opt=actor_opt), metrics


def follow(state, tau: float):
  """Target critics follow. -> state."""
  return state.replace(target_critics=updates.polyak(state.target_critics, state.critics, tau))


def greedy(net: Net):
  """act of a Learner without memory plays the mean: state, (), obs [N, O], key -> action [N, A], ()."""

  def act(state, memory, obs, key):
    del key
    mean, _ = net.actor(state.actors, obs)
    return jnp.clip(mean, -1.0, 1.0), memory

  return act
