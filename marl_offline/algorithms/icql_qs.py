"""ICQL-QS: Individual Conservative Q-Learning with Q-Sharing, arXiv:2511.07629 equations 1 and 2.

Each agent in turn takes its next action from its target policy while the others keep the data's; one Q, shared by all
agents, meets the average of their losses. The paper names neither critics nor minimum: twins, as CFCQL's code has.
"""

import dataclasses

import jax
import jax.numpy as jnp

from marl_offline import joint_actions, losses
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


def make(spec: Spec, config: Config) -> Learner:
  """Shared joint critics, one agent replaced at a time.

  Raises:
    ValueError: a field of config lies outside its range; the sentence names it, its value and the range.
  """
  joint_critic.check(config, spec)
  net = joint_critic.build(spec, config)
  propose = PROPOSALS[config.proposals]

  def update(state, batch, key, step):
    key_next, key_ood = jax.random.split(key)
    policy = joint_critic.smoothed(net.actor(state.target_actors, batch.next_obs), key_next, config.target_noise)
    mixed = jax.vmap(joint_actions.replace_one)(batch.next_action, policy)  # [B, N, N, A], agent i alone by policy
    next_q = net.critic(state.target_critics, *net.inputs.queries(batch.next_state, mixed))  # [E, B, N]
    target = losses.individual_targets(batch.reward, config.gamma * batch.discount, next_q)  # [B, N]
    ood = propose(key_ood, net, state.actors, batch, config)

    def average_error(q, target):
      return jnp.mean(jnp.square(q[..., None] - target), axis=-1)  # [E, b], over the agents' errors

    state, metrics = joint_critic.counterfactual_step(net, state, batch, ood, target[None], average_error, config.alpha)
    metrics = metrics | {"target_mean": jnp.mean(target)}
    metrics = metrics | {"target_std": jnp.mean(losses.disagreement(next_q))}  # of the members that made the target
    return joint_critic.actor_and_targets(net, state, metrics, batch, step, config)

  return Learner(net.init, update, joint_critic.greedy(net))
