"""MACQL: conservative Q-learning on the joint action, from which arXiv:2309.12696 section 4.2 starts.

As CFCQL, but what is pushed down is all agents' actions at once. Policies climb agent by agent, as the released code
does by default; whether that paper's MACQL does is not said (`policy_gradient`).
"""

import dataclasses

import jax
import jax.numpy as jnp

from marl_offline import losses
from marl_offline.parts import joint_critic
from marl_offline.parts.proposals import PROPOSALS
from marl_offline.types import Learner, Spec


@dataclasses.dataclass(frozen=True)
class Config:
  """The values of CFCQL's released code, as no paper prints any; alpha and
  learning_rate per task and quality are in experiments/hyperparameters.py."""

  gamma: float = 0.95
  tau: float = 0.01  # of the targets, once in actor_period critic updates
  learning_rate: float = 0.01  # of actors and critics
  max_grad_norm: float = 0.5  # of all critics together, of each actor by itself
  batch_size: int = 1024
  hidden_size: int = 64
  ensemble_size: int = 2
  alpha: float = 1.0  # weight of the conservative penalty
  actor_period: int = 5  # critic updates to one update of actors and targets
  num_proposals: int = 10  # for every agent, of each source
  proposals: str = "uniform"  # or three_sources
  proposal_noise: float = 0.2  # of three_sources
  target_noise: float = 0.05  # on the target policies' actions
  action_regularization: float = 1e-3
  normalization: str = "batch"  # of the critics' inputs; or data, layer
  policy_gradient: str = "counterfactual"  # or joint: all agents leave the data at once


def make(spec: Spec, config: Config) -> Learner:
  """Twin joint critics, penalty on joint proposals.

  Raises:
    ValueError: a field of config lies outside its range; the sentence names it, its value and the range.
  """
  joint_critic.check(config, spec)
  joint_critic.check_known(config, "policy_gradient", joint_critic.POLICY_GRADIENTS)
  actor_loss = joint_critic.POLICY_GRADIENTS[config.policy_gradient]
  net = joint_critic.build(spec, config)
  propose = PROPOSALS[config.proposals]

  def update(state, batch, key, step):
    key_next, key_ood = jax.random.split(key)
    policy = joint_critic.smoothed(net.actor(state.target_actors, batch.next_obs), key_next, config.target_noise)
    next_q = net.critic(state.target_critics, *net.inputs.queries(batch.next_state, policy[:, None]))[..., 0]  # [E, B]
    target = losses.minimum_target(batch.reward, config.gamma * batch.discount, next_q)  # [B]
    ood = propose(key_ood, net, state.actors, batch, config)
    data = net.inputs.queries(batch.state, batch.action[:, None])
    proposed = net.inputs.proposed(batch.state, ood.action)

    def critic_loss(critics, rows):
      data, proposed, log_prob, target = rows
      q = net.critic(critics, *data)[..., 0]  # [E, B]
      q_ood = net.critic(critics, *proposed)  # [E, B, M]
      gap = jax.vmap(losses.joint_gap, in_axes=(0, None, 0))(q_ood, jnp.sum(log_prob, axis=-1), q)  # [E, B]
      td = jnp.square(q - target)
      metrics = {"td_loss": jnp.mean(td), "penalty": jnp.mean(gap), "q_data": jnp.mean(q)}
      return jnp.sum(jnp.mean(td + config.alpha * gap, axis=1)), metrics  # members are summed, not averaged

    state, metrics = joint_critic.critic_step(net, state, critic_loss, (data, proposed, ood.log_prob, target))
    metrics = metrics | {"target_mean": jnp.mean(target)}
    return joint_critic.actor_and_targets(net, state, metrics, batch, step, config, actor_loss)

  return Learner(net.init, update, joint_critic.greedy(net))
