"""ICQL: independent conservative Q-learning, arXiv:2111.11188 equation 1 (MA-CQL there, ICQL in arXiv:2309.12696).

Every agent learns twin critics of its own observation and action from its own reward, as if it were alone.
"""

import dataclasses

import jax
import jax.numpy as jnp

from marl_offline import losses
from marl_offline.parts import independent, joint_critic
from marl_offline.parts.proposals import PROPOSALS
from marl_offline.types import Learner, Spec


@dataclasses.dataclass(frozen=True)
class Config:
  """The released code's values; alpha per task and quality is in experiments/hyperparameters.py."""

  gamma: float = 0.95  # the paper's text has 0.99, its code runs with 0.95
  tau: float = 0.01  # of the targets, once in actor_period critic updates
  learning_rate: float = 0.01  # of actors and critics
  max_grad_norm: float = 0.5  # of an agent's critics together, of each actor by itself
  batch_size: int = 1024
  hidden_size: int = 64
  ensemble_size: int = 2
  alpha: float = 1.0  # weight of the conservative penalty
  actor_period: int = 1  # critic updates to one update of actors and targets
  num_proposals: int = 10  # for every agent, of each source
  proposals: str = "uniform"  # or three_sources
  proposal_noise: float = 0.2  # of three_sources
  target_noise: float = 0.0  # on the target policies' actions; the paper's algorithm names one, its code has none
  action_regularization: float = 1e-3
  normalization: str = "batch"  # of the critics' inputs; or data, layer


def make(spec: Spec, config: Config) -> Learner:
  """Twin critics and a policy for each agent.

  Raises:
    ValueError: a field of config lies outside its range; the sentence names it, its value and the range.
  """
  joint_critic.check(config, spec)
  net = independent.build(spec, config)
  propose = PROPOSALS[config.proposals]

  def update(state, batch, key, step):
    key_next, key_ood = jax.random.split(key)
    policy = joint_critic.smoothed(net.actor(state.target_actors, batch.next_obs), key_next, config.target_noise)
    next_q = net.critic(state.target_critics, batch.next_obs, policy[:, None])[:, :, 0]  # [E, B, N]
    discount = jnp.broadcast_to(config.gamma * batch.discount[:, None], batch.agent_reward.shape)
    target = losses.minimum_target(batch.agent_reward, discount, next_q)  # [B, N]
    ood = propose(key_ood, net, state.actors, batch, config)
    state, metrics = independent.critic_step(net, state, batch, ood, target, config.alpha)

    def actor_loss(actors, critics):
      action = net.actor(actors, batch.obs)  # [B, N, A]
      q = independent.first_q(net, critics, batch.obs, action[:, None])[:, 0]  # [B, N]
      return jnp.mean(losses.individual_objective(q) + config.action_regularization * losses.action_penalty(action))

    metrics = metrics | {"target_mean": jnp.mean(target)}
    return independent.actor_and_targets(net, state, metrics, actor_loss, step, config)

  return Learner(net.init, update, joint_critic.greedy(net))
