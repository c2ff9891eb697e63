"""MA-TD3+BC: TD3+BC, arXiv:2106.06860, with a central critic, as arXiv:2309.12696 appendix C.3 compares with.

The multi-agent code is not released; this is the literal change. All agents act by their policies, in the targets and
in the Q that the policies climb: together they are TD3+BC's one policy, and each is drawn to its own data.
"""

import dataclasses

import jax

from marl_offline import losses
from marl_offline.parts import joint_critic, updates
from marl_offline.types import Learner, Spec


@dataclasses.dataclass(frozen=True)
class Config:
  """TD3+BC's values; gamma, sizes, clipping and the learning rate are those of the other algorithms here."""

  gamma: float = 0.95
  tau: float = 0.005  # of all targets, with every move of the actors
  learning_rate: float = 1e-3  # of actors and critics
  max_grad_norm: float = 0.5  # of all critics together, of each actor by itself; TD3+BC clips none
  batch_size: int = 1024
  hidden_size: int = 64
  ensemble_size: int = 2
  alpha: float = 2.5  # Q is scaled to this before it meets imitation; 0 is imitation alone
  # Critic updates to one of actors and targets. Not `actor_period`, of which logs hold whole ones: 10,005 updates have
  # only odd divisors, and the actors' metrics over 145 updates are up to 1/145 off their mean over its moves.
  policy_delay: int = 2
  target_noise: float = 0.2  # on the target policies' actions
  noise_clip: float = 0.5
  normalization: str = "data"  # of the critics' inputs; or batch, layer


def make(spec: Spec, config: Config) -> Learner:
  """Twin joint critics, one objective for all actors.

  Raises:
    ValueError: a field of config lies outside its range; the sentence names it, its value and the range.
  """
  joint_critic.check_critics(config, spec)
  joint_critic.check_ranges(config, ("policy_delay",), ("noise_clip",), ("alpha", "target_noise"))
  net = joint_critic.build(spec, config)

  def update(state, batch, key, step):
    next_policy = net.actor(state.target_actors, batch.next_obs)
    next_action = joint_critic.smoothed_within(next_policy, key, config.target_noise, config.noise_clip)
    next_q = joint_critic.joint_q(net, state.target_critics, batch.next_state, next_action)  # [E, B]
    target = losses.minimum_target(batch.reward, config.gamma * batch.discount, next_q)  # [B]
    state, metrics = joint_critic.td_step(net, state, batch, target)

    def actors_and_targets(state):
      state, of_actor = actor_step(net, state, batch, config.alpha)
      state, _ = joint_critic.target_step(state, config.tau)
      return state, of_actor

    state, of_actor = updates.every(config.policy_delay, step, config.policy_delay - 1, actors_and_targets, state)
    return state, metrics | of_actor

  return Learner(net.init, update, joint_critic.greedy(net))


def actor_loss(net: joint_critic.Net, actors, critics, batch, alpha: float) -> jax.Array:
  """TD3+BC's objective at the first member's Q of all agents' policies. -> []."""
  action = net.actor(actors, batch.obs)  # [B, N, A]
  first = jax.tree.map(lambda leaf: leaf[:1], critics)
  q = joint_critic.joint_q(net, first, batch.state, action)[0]  # [B]
  return losses.td3_bc_objective(q, action, batch.action, alpha)


def actor_step(net: joint_critic.Net, state: joint_critic.TrainState, batch, alpha: float):
  """One descent of actor_loss for all agents. -> state, metrics."""
  loss, gradient = jax.value_and_grad(actor_loss, argnums=1)(net, state.actors, state.critics, batch, alpha)
  actors, actor_opt = updates.gradient_step(net.actor_optimizer, state.actors, state.actor_opt, gradient)
  metrics = {"actor_loss": loss, "actor_grad_norm": updates.global_norm(gradient)}
  return state.replace(actors=actors, actor_opt=actor_opt), metrics
