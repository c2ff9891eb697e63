"""IQL: Implicit Q-Learning, arXiv:2110.06169, with central V and Q, as arXiv:2309.12696 appendix C.3 compares with.

No action out of the data is ever asked for: V is an upper expectile of Q over the data's joint actions, Q is fitted to
V, and each agent imitates the data with the weight of the joint action's advantage.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from marl_offline import losses
from marl_offline.networks.critics import StateValue
from marl_offline.parts import joint_critic, updates, weighted_imitation
from marl_offline.types import Learner, Spec


@dataclasses.dataclass(frozen=True)
class Config:
  """IQL's values; gamma, sizes, clipping and the learning rate are those of the other algorithms here."""

  gamma: float = 0.95
  tau: float = 0.005  # of the target critics, every update
  learning_rate: float = 1e-3  # of actors, critics and V
  max_grad_norm: float = 0.5  # of all critics together, of V and of each actor by itself; IQL clips none
  batch_size: int = 1024
  hidden_size: int = 64
  ensemble_size: int = 2
  expectile: float = 0.7
  inverse_temperature: float = 3.0  # times the advantage; towards 0 it becomes imitation
  max_weight: float = 100.0
  normalization: str = "data"  # of the critics' inputs; or batch, layer


@struct.dataclass
class TrainState:
  actors: Any  # leading axis N
  critics: Any  # leading axis E
  target_critics: Any
  value: Any
  actor_opt: optax.OptState  # leading axis N
  critic_opt: optax.OptState
  value_opt: optax.OptState


def make(spec: Spec, config: Config) -> Learner:
  """Expectile V, twin Q, weighted imitation.

  Raises:
    ValueError: a field of config lies outside its range; the sentence names it, its value and the range.
  """
  joint_critic.check_critics(config, spec)
  joint_critic.check_ranges(config, above_zero=("inverse_temperature", "max_weight"))
  if not 0 < config.expectile < 1:
    raise ValueError(f"expectile={config.expectile} must lie in (0, 1)")
  net = weighted_imitation.build(spec, config)
  v = StateValue(config.hidden_size)
  value_optimizer = updates.clipped_adam(config.learning_rate, config.max_grad_norm)

  def v_of(value, state, action):
    standardized, _ = net.inputs.queries(state, action[:, None])  # as the critics see it
    return v.apply(value, standardized)  # [B]

  def init(key):
    key_rest, key_value = jax.random.split(key)
    start = net.init(key_rest)
    value = v.init(key_value, jnp.zeros(spec.state_size))
    return TrainState(
      start.actors,
      start.critics,
      start.target_critics,
      value,
      start.actor_opt,
      start.critic_opt,
      value_optimizer.init(value),
    )

  def value_step(state, batch, q):
    def value_loss(value):
      return jnp.mean(losses.expectile(v_of(value, batch.state, batch.action), q, config.expectile))

    loss, gradient = jax.value_and_grad(value_loss)(state.value)
    value, value_opt = updates.gradient_step(value_optimizer, state.value, state.value_opt, gradient)
    return state.replace(value=value, value_opt=value_opt), {"value_loss": loss}

  def update(state, batch, key, step):
    del key, step
    q = jnp.min(joint_critic.joint_q(net, state.target_critics, batch.state, batch.action), axis=0)  # [B]
    advantage = q - v_of(state.value, batch.state, batch.action)
    next_v = v_of(state.value, batch.next_state, batch.next_action)
    target = losses.td_target(batch.reward, config.gamma * batch.discount, next_v)
    weight = losses.advantage_weights(advantage, 1 / config.inverse_temperature, config.max_weight)
    state, of_value = value_step(state, batch, q)
    state, of_critic = joint_critic.td_step(net, state, batch, target)
    state, of_actor = weighted_imitation.actor_step(net, state, batch, weight)
    metrics = of_critic | of_value | of_actor | {"advantage_mean": jnp.mean(advantage)}
    return weighted_imitation.follow(state, config.tau), metrics

  return Learner(init, update, weighted_imitation.greedy(net))
