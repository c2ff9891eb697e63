"""N actors and N x E critics Q_i(o_i, a_i), each agent by itself: the state that ICQL and OMAR train, and its moves.

What one agent trains never meets another's parameters or numbers: every function of one agent is mapped over all.
`config` is an algorithm's own; the fields read here are tau, learning_rate, max_grad_norm, hidden_size, ensemble_size,
normalization, actor_period and those that the proposals read.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct

from marl_offline import execution, losses
from marl_offline.networks import ensemble
from marl_offline.networks.actors import TanhActor
from marl_offline.networks.critics import CRITICS
from marl_offline.networks.input_statistics import STANDARDIZERS
from marl_offline.parts import blocks, joint_critic, proposals, updates
from marl_offline.types import Proposals, Spec, Transition


@struct.dataclass
class TrainState:
  actors: Any  # leading axis N
  critics: Any  # leading axes N, E
  target_actors: Any
  target_critics: Any
  actor_opt: optax.OptState  # leading axis N: each agent's gradients are clipped by themselves
  critic_opt: optax.OptState  # leading axis N


class Net(NamedTuple):
  """Functions of parameters. Actor and critic take raw observations; rows of different agents never meet."""

  init: Callable  # key -> TrainState
  actor: Callable  # actors [N, ...], obs [..., N, O] -> [..., N, A]
  critic: Callable  # critics [N, E, ...], obs [B, N, O], action [B, M, N, A] -> [E, B, M, N]
  inputs: Callable  # obs [B, N, O], action [B, M, N, A] -> what one_agent takes, with N in front
  one_agent: Callable  # critics [E, ...], obs [b, O], action [b, M, 1, A], standardised -> [E, b, M]
  critic_gradient: Callable  # loss of one agent, critics [N, E, ...], rows [N, B, ...] -> gradient, metrics [N]
  actor_optimizer: optax.GradientTransformation
  critic_optimizer: optax.GradientTransformation


def build(spec: Spec, config) -> Net:
  """Networks and optimizers for a task's sizes. The critic is the joint one of a team of one, its state the own obs."""
  cut = execution.here()
  actor = TanhActor(spec.action_size, config.hidden_size)
  critic = CRITICS[config.normalization](spec.obs_size, 1, spec.action_size, config.hidden_size)
  one_optimizer = updates.clipped_adam(config.learning_rate, config.max_grad_norm)
  per_agent = optax.GradientTransformation(jax.vmap(one_optimizer.init), jax.vmap(one_optimizer.update))
  one_agent = (ensemble.apply_members_in_turn if cut.in_turn else ensemble.apply_members)(critic.apply)

  def init(key):
    key_actors, key_critics = jax.random.split(key)
    obs, action = jnp.zeros((1, spec.obs_size)), jnp.zeros((1, 1, 1, spec.action_size))

    def members(key):
      return ensemble.init_members(lambda key: critic.init(key, obs, action), key, config.ensemble_size)

    actors = ensemble.init_members(lambda key: actor.init(key, obs[0]), key_actors, spec.num_agents)
    critics = ensemble.init_members(members, key_critics, spec.num_agents)
    # targets are copies: one buffer under two names cannot be donated
    copies = jax.tree.map(jnp.copy, (actors, critics))
    return TrainState(actors, critics, *copies, per_agent.init(actors), per_agent.init(critics))

  def each_agent(function):
    """function of one agent's trees -> of all agents', N in front; in turn where members are."""
    return (lambda *trees: jax.lax.map(lambda own: function(*own), trees)) if cut.in_turn else jax.vmap(function)

  def inputs(obs, action):
    own_obs = jnp.moveaxis(spec.normalizer.obs(obs), -2, 0)  # [N, B, O]
    own_action = jnp.moveaxis(action, -2, 0)[..., None, :]  # [N, B, M, 1, A]
    return jax.vmap(STANDARDIZERS[config.normalization].proposed)(own_obs, own_action)

  def gradient(loss, critics, rows):
    rows_each = proposals.per_transition(1, config)
    return each_agent(lambda own, rows: blocks.members_gradient(loss, own, rows, cut, rows_each))(critics, rows)

  return Net(
    init=init,
    actor=lambda actors, obs: ensemble.apply_agents(actor.apply)(actors, spec.normalizer.obs(obs)),
    critic=lambda critics, obs, action: jnp.moveaxis(each_agent(one_agent)(critics, *inputs(obs, action)), 0, -1),
    inputs=inputs,
    one_agent=one_agent,
    critic_gradient=gradient,
    actor_optimizer=per_agent,
    critic_optimizer=per_agent,
  )


def first_q(net: Net, critics, obs: jax.Array, action: jax.Array) -> jax.Array:
  """Each agent's first member: Q_i1(o_i, a_i). obs [B, N, O], action [B, M, N, A] -> [B, M, N]."""
  return net.critic(jax.tree.map(lambda leaf: leaf[:, :1], critics), obs, action)[0]


def conservative_gradient(net: Net, critics, batch: Transition, ood: Proposals, target: jax.Array, alpha: float):
  """Gradient of sum_e mean_b ((Q_ie(o_i, a_i) - y_i)^2 + alpha * CQL's gap) for each agent. -> [N, E, ...], metrics.

  target [B, N]; the metrics are means over agents and members. Members are summed, not averaged.
  """
  data, proposed = net.inputs(batch.obs, batch.action[:, None]), net.inputs(batch.obs, ood.action)

  def loss(members, rows):  # of one agent
    data, proposed, log_prob, target = rows
    q = net.one_agent(members, *data)[..., 0]  # [E, b]
    q_ood = net.one_agent(members, *proposed)  # [E, b, M]
    gap = jax.vmap(losses.joint_gap, in_axes=(0, None, 0))(q_ood, log_prob, q)  # [E, b]
    td = jnp.square(q - target)
    metrics = {"td_loss": jnp.mean(td), "penalty": jnp.mean(gap), "q_data": jnp.mean(q)}
    return jnp.sum(jnp.mean(td + alpha * gap, axis=1)), metrics

  rows = data, proposed, jnp.moveaxis(ood.log_prob, -1, 0), target.T
  gradient, metrics = net.critic_gradient(loss, critics, rows)
  return gradient, jax.tree.map(jnp.mean, metrics)


def critic_step(net: Net, state: TrainState, batch: Transition, ood: Proposals, target: jax.Array, alpha: float):
  """One descent by conservative_gradient, each agent's clipped by itself. -> state, metrics."""
  gradient, metrics = conservative_gradient(net, state.critics, batch, ood, target, alpha)
  critics, critic_opt = updates.gradient_step(net.critic_optimizer, state.critics, state.critic_opt, gradient)
  metrics = metrics | {"critic_grad_norm": updates.global_norm(gradient)}
  return state.replace(critics=critics, critic_opt=critic_opt), metrics


def actor_step(net: Net, state: TrainState, actor_loss: Callable):
  """One descent of actor_loss: actors, critics -> [], the sum over agents of each one's own. -> state, metrics."""
  loss, gradient = jax.value_and_grad(actor_loss)(state.actors, state.critics)
  actors, actor_opt = updates.gradient_step(net.actor_optimizer, state.actors, state.actor_opt, gradient)
  metrics = {"actor_loss": loss, "actor_grad_norm": updates.global_norm(gradient)}
  return state.replace(actors=actors, actor_opt=actor_opt), metrics


def actor_and_targets(net: Net, state: TrainState, metrics: dict, actor_loss: Callable, step: jax.Array, config):
  """Of every `actor_period` critic updates the first is followed by an actor step, the last by one step of all
  targets; the released code's period is 1. -> state, metrics."""
  period = config.actor_period
  state, of_actor = updates.every(period, step, 0, lambda s: actor_step(net, s, actor_loss), state)
  state, _ = updates.every(period, step, period - 1, lambda s: joint_critic.target_step(s, config.tau), state)
  return state, metrics | of_actor
