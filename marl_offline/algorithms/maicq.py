"""MAICQ, continuous: Implicit Constraint Q-learning, arXiv:2106.03400, with a central critic and factorised policies.

Targets ask only for the data's next actions, weighted by exp(Q / beta) / Z; the policies imitate with the same kind of
weight. The normaliser Z(s) is the batch's, as in the paper's softmax version.
"""

import dataclasses

import jax.numpy as jnp

from marl_offline import losses
from marl_offline.parts import joint_critic, weighted_imitation
from marl_offline.types import Learner, Spec


@dataclasses.dataclass(frozen=True)
class Config:
  """ICQ's values, alpha and beta those of its released class; gamma, sizes, clipping and the learning rate are those of
  the other algorithms here.

  The released launch script has beta 600 and alpha 2, for one locomotion data set with batches of 32. Here Q is of the
  order of 100 and varies by some tens: at 600 all weights are nearly alike, and alpha 2 then halves the discount.
  """

  gamma: float = 0.95
  tau: float = 0.005  # of the target critics, every update
  learning_rate: float = 1e-3  # of actors and critics
  max_grad_norm: float = 0.5  # of all critics together, of each actor by itself; ICQ clips none
  batch_size: int = 1024
  hidden_size: int = 64
  ensemble_size: int = 1  # ICQ trains one
  alpha: float = 1.0  # divides the target's weights before they are clipped at 1
  beta: float = 100.0  # temperature of both softmaxes, in units of Q
  normalization: str = "data"  # of the critics' inputs; or batch, layer


def make(spec: Spec, config: Config) -> Learner:
  """Joint critic of the implicitly constrained policy, weighted imitation.

  Raises:
    ValueError: a field of config lies outside its range; the sentence names it, its value and the range.
  """
  joint_critic.check_critics(config, spec)
  joint_critic.check_ranges(config, above_zero=("alpha", "beta"))
  net = weighted_imitation.build(spec, config)

  def smallest_q(critics, state, action):
    return jnp.min(joint_critic.joint_q(net, critics, state, action), axis=0)  # [B]

  def update(state, batch, key, step):
    del key, step
    next_q = smallest_q(state.target_critics, batch.next_state, batch.next_action)
    # Z is the batch's and not the state's, so a weight may exceed 1 by its state's worth alone: clipped, it contracts
    bootstrap = jnp.minimum(losses.softmax_weights(next_q, config.beta) / config.alpha, 1.0)
    target = losses.td_target(batch.reward, config.gamma * batch.discount, bootstrap * next_q)
    state, of_critic = joint_critic.td_step(net, state, batch, target)
    weight = losses.softmax_weights(smallest_q(state.critics, batch.state, batch.action), config.beta)
    state, of_actor = weighted_imitation.actor_step(net, state, batch, weight)
    metrics = of_critic | of_actor | {"bootstrap_mean": jnp.mean(bootstrap)}
    return weighted_imitation.follow(state, config.tau), metrics

  return Learner(net.init, update, weighted_imitation.greedy(net))
