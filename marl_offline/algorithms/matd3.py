"""MATD3, arXiv:1910.01465, online: the policies that our multi-agent MuJoCo data sets are recorded from.

One central learner for agents that act decentrally: the reward is the team's, so each agent's pair of critics is the
same pair, and all policies climb its first member together, where that paper's code changes one agent's action at a
time and takes the others' from the replay. Not for training from a fixed data set: nothing keeps the policies near it.
"""

import dataclasses

from marl_offline import losses
from marl_offline.parts import joint_critic, updates
from marl_offline.types import Learner, Spec


@dataclasses.dataclass(frozen=True)
class Config:
  """TD3's values, arXiv:1802.09477, but for the critics' layer normalization and for smaller networks.

  With it, HalfCheetah 2x3 returns some 3,000 after 60,000 steps of play; without it and with 3e-4, nothing by then.
  """

  gamma: float = 0.99
  tau: float = 0.005  # of all targets, with every move of the actors
  learning_rate: float = 1e-3  # of actors and critics
  max_grad_norm: float = 1e9  # in effect none, as TD3
  batch_size: int = 256
  hidden_size: int = 128
  ensemble_size: int = 2
  policy_delay: int = 2  # critic updates to one of actors and targets
  target_noise: float = 0.2  # on the target policies' actions
  noise_clip: float = 0.5
  normalization: str = "layer"  # or, of the critics' inputs: data, batch
  action_regularization: float = 0.0  # keeps tanh out of its corners


def make(spec: Spec, config: Config) -> Learner:
  """Twin joint critics, one objective for all actors.

  Raises:
    ValueError: a field of config lies outside its range; the sentence names it, its value and the range.
  """
  joint_critic.check_critics(config, spec)
  joint_critic.check_ranges(config, ("policy_delay",), ("noise_clip",), ("target_noise", "action_regularization"))
  net = joint_critic.build(spec, config)

  def update(state, batch, key, step):
    next_policy = net.actor(state.target_actors, batch.next_obs)
    next_action = joint_critic.smoothed_within(next_policy, key, config.target_noise, config.noise_clip)
    next_q = joint_critic.joint_q(net, state.target_critics, batch.next_state, next_action)  # [E, B]
    target = losses.minimum_target(batch.reward, config.gamma * batch.discount, next_q)  # [B]
    state, metrics = joint_critic.td_step(net, state, batch, target)

    def actors_and_targets(state):
      state, of_actor = joint_critic.actor_step(net, state, batch, config, joint_critic.joint_actor_loss)
      state, _ = joint_critic.target_step(state, config.tau)
      return state, of_actor

    state, of_actor = updates.every(config.policy_delay, step, config.policy_delay - 1, actors_and_targets, state)
    return state, metrics | of_actor

  return Learner(net.init, update, joint_critic.greedy(net))
