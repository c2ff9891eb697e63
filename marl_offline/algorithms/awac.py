"""AWAC: advantage-weighted actor-critic, arXiv:2006.09359, with a central critic, as arXiv:2309.12696 appendix C.3
compares with.

Q is that of the policies, all agents drawing their next actions; each agent imitates the data with the weight of how
much better the data's joint action is than one that the policies draw.
"""

import dataclasses

import jax
import jax.numpy as jnp

from marl_offline import losses
from marl_offline.parts import joint_critic, weighted_imitation
from marl_offline.types import Learner, Spec


@dataclasses.dataclass(frozen=True)
class Config:
  """AWAC's values as its common re-implementation has them; gamma, sizes, clipping and the learning rate are those of
  the other algorithms here."""

  gamma: float = 0.95
  tau: float = 0.005  # of the target critics, every update
  learning_rate: float = 1e-3  # of actors and critics
  max_grad_norm: float = 0.5  # of all critics together, of each actor by itself; AWAC clips none
  batch_size: int = 1024
  hidden_size: int = 64
  ensemble_size: int = 2
  temperature: float = 1.0  # the paper's lambda, which divides the advantage
  max_weight: float = 100.0
  normalization: str = "data"  # of the critics' inputs; or batch, layer


def make(spec: Spec, config: Config) -> Learner:
  """Twin joint critics of the stochastic policies, weighted imitation.

  Raises:
    ValueError: a field of config lies outside its range; the sentence names it, its value and the range.
  """
  joint_critic.check_critics(config, spec)
  joint_critic.check_ranges(config, above_zero=("temperature", "max_weight"))
  net = weighted_imitation.build(spec, config)

  def smallest_q(critics, state, action):
    return jnp.min(joint_critic.joint_q(net, critics, state, action), axis=0)  # [B]

  def update(state, batch, key, step):
    del step
    key_next, key_now = jax.random.split(key)
    next_action = weighted_imitation.sample(net, state.actors, batch.next_obs, key_next)
    next_q = joint_critic.joint_q(net, state.target_critics, batch.next_state, next_action)  # [E, B]
    target = losses.minimum_target(batch.reward, config.gamma * batch.discount, next_q)  # [B]
    state, of_critic = joint_critic.td_step(net, state, batch, target)
    drawn = weighted_imitation.sample(net, state.actors, batch.obs, key_now)
    q_data, q_drawn = (smallest_q(state.critics, batch.state, action) for action in (batch.action, drawn))
    advantage = q_data - q_drawn  # one draw stands for the policies' value
    weight = losses.advantage_weights(advantage, config.temperature, config.max_weight)
    state, of_actor = weighted_imitation.actor_step(net, state, batch, weight)
    metrics = of_critic | of_actor | {"advantage_mean": jnp.mean(advantage)}
    return weighted_imitation.follow(state, config.tau), metrics

  return Learner(net.init, update, weighted_imitation.greedy(net))
