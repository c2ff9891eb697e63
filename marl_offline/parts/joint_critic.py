"""N actors and E joint critics: the state that SPaCQL, ICQL-QS, CFCQL, MACQL and MA-TD3+BC train, and its moves.

`config` is an algorithm's own; the fields read here are gamma, tau, learning_rate, max_grad_norm, hidden_size,
ensemble_size, normalization, target_noise, actor_period and action_regularization. The critics' half serves
parts/weighted_imitation.py too.
"""

import functools
import math
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
from marl_offline.networks.input_statistics import STANDARDIZERS, Standardizers
from marl_offline.parts import blocks, proposals, updates
from marl_offline.types import Normalizer, Proposals, Spec, Transition


@struct.dataclass
class TrainState:
  actors: Any  # leading axis N
  critics: Any  # leading axis E
  target_actors: Any
  target_critics: Any
  actor_opt: optax.OptState  # leading axis N: each actor's gradient is clipped by itself
  critic_opt: optax.OptState


class Net(NamedTuple):
  """Functions of parameters. The actor takes raw observations; the critics take what `inputs` makes of raw arrays, and
  treat every row by itself: what they are normalised by is settled before a batch is cut."""

  init: Callable  # key -> TrainState
  init_critics: Callable  # key -> critics [E, ...]
  actor: Callable  # actors [N, ...], obs [..., N, O] -> [..., N, A]
  inputs: Standardizers  # queries(state, action), proposed(state, proposals), counterfactual(state, action, proposals)
  critic: Callable  # critics [E, ...], state [B, S], action [B, Q, N, A] -> [E, B, Q]
  counterfactual: Callable  # critics, state [B, S], action [B, N, A], proposals [B, M, N, A] -> [E, B, M, N]
  critic_gradient: Callable  # loss, critics, rows, *own -> gradient, metrics; see blocks.members_gradient
  actor_optimizer: optax.GradientTransformation
  critic_optimizer: optax.GradientTransformation


def build(spec: Spec, config) -> Net:
  """Networks and optimizers for a task's sizes."""
  cut = execution.here()
  actor = TanhActor(spec.action_size, config.hidden_size)
  critic = CRITICS[config.normalization](spec.state_size, spec.num_agents, spec.action_size, config.hidden_size)
  one_optimizer = updates.clipped_adam(config.learning_rate, config.max_grad_norm)
  per_agent = optax.GradientTransformation(jax.vmap(one_optimizer.init), jax.vmap(one_optimizer.update))

  def init_critics(key):
    state, action = jnp.zeros((1, spec.state_size)), jnp.zeros((1, 1, spec.num_agents, spec.action_size))
    return ensemble.init_members(lambda key: critic.init(key, state, action), key, config.ensemble_size)

  def init(key):
    key_actors, key_critics = jax.random.split(key)
    obs = jnp.zeros(spec.obs_size)
    actors = ensemble.init_members(lambda key: actor.init(key, obs), key_actors, spec.num_agents)
    critics = init_critics(key_critics)
    # targets are copies: one buffer under two names cannot be donated
    copies = jax.tree.map(jnp.copy, (actors, critics))
    return TrainState(actors, critics, *copies, per_agent.init(actors), one_optimizer.init(critics))

  def members(method):
    apply = ensemble.apply_members_in_turn if cut.in_turn else ensemble.apply_members
    return apply(functools.partial(critic.apply, method=method))

  def gradient(loss, critics, rows, *own):
    rows_each = proposals.per_transition(spec.num_agents, config) if hasattr(config, "proposals") else 1
    return blocks.members_gradient(loss, critics, rows, cut, rows_each, *own)

  return Net(
    init=init,
    init_critics=init_critics,
    actor=lambda actors, obs: ensemble.apply_agents(actor.apply)(actors, spec.normalizer.obs(obs)),
    inputs=with_normalizer(STANDARDIZERS[config.normalization], spec.normalizer),
    critic=members("__call__"),
    counterfactual=members("counterfactual"),
    critic_gradient=gradient,
    actor_optimizer=per_agent,
    critic_optimizer=one_optimizer,
  )


def with_normalizer(inputs: Standardizers, normalizer: Normalizer) -> Standardizers:
  """The same, of raw states: the data set's statistics come first."""
  return Standardizers(*(lambda state, *a, s=s: s(normalizer.state(state), *a) for s in inputs))


def smoothed(action: jax.Array, key: jax.Array, noise: float) -> jax.Array:
  """clip(action + N(0, noise^2), -1, 1): target policy smoothing without a clip of the noise, as released."""
  return jnp.clip(action + noise * jax.random.normal(key, action.shape), -1.0, 1.0)


def smoothed_within(action: jax.Array, key: jax.Array, noise: float, most: float) -> jax.Array:
  """clip(action + clip(N(0, noise^2), -most, most), -1, 1): target policy smoothing, TD3, arXiv:1802.09477."""
  return jnp.clip(action + jnp.clip(noise * jax.random.normal(key, action.shape), -most, most), -1.0, 1.0)


def critic_step(net: Net, state: TrainState, critic_loss: Callable, rows, *own):
  """One descent of critic_loss: critics, rows, *own -> loss, metrics. -> state, metrics.

  rows is a tree [B, ...], own are trees [E, B, ...] of what each member has for itself.

  critic_loss sums over members and averages over rows, its metrics average over both: it sees a few at a time.
  """
  gradient, metrics = net.critic_gradient(critic_loss, state.critics, rows, *own)
  critics, critic_opt = updates.gradient_step(net.critic_optimizer, state.critics, state.critic_opt, gradient)
  metrics = metrics | {"critic_grad_norm": updates.global_norm(gradient)}
  return state.replace(critics=critics, critic_opt=critic_opt), metrics


def td_step(net: Net, state: TrainState, batch: Transition, target: jax.Array):
  """critic_step on (Q(s, a) - target)^2, members summed. target [B] -> state, metrics."""

  def critic_loss(critics, rows):
    data, target = rows
    q = net.critic(critics, *data)[..., 0]  # [E, b]
    td = losses.squared(q, jnp.broadcast_to(target, q.shape))
    return jnp.sum(jnp.mean(td, axis=1)), {"td_loss": jnp.mean(td), "q_data": jnp.mean(q)}

  rows = (net.inputs.queries(batch.state, batch.action[:, None]), target)
  state, metrics = critic_step(net, state, critic_loss, rows)
  return state, metrics | {"target_mean": jnp.mean(target)}


def joint_q(net: Net, critics, state: jax.Array, action: jax.Array) -> jax.Array:
  """Every member's Q of raw states at one joint action each. [B, S], [B, N, A] -> [E, B]."""
  return net.critic(critics, *net.inputs.queries(state, action[:, None]))[..., 0]


def counterfactual_step(
  net: Net,
  state: TrainState,
  batch: Transition,
  ood: Proposals,
  target,
  error,
  alpha: float,
  agent_weight=None,
  member_weight=None,
):
  """critic_step on error + alpha * CFCQL's gap, arXiv:2309.12696 equation 7.

  error: q [E, b] and target [E, b, ...] -> [E, b]; target [E, B, ...], or [1, B, ...] or [B] if all members share it.
  Members are summed, not averaged. agent_weight is lambda, [N] or [B, N], summing to 1 and constant under gradient;
  None: 1 / N each. member_weight [E, B]: how much a row's loss counts in each member's; None: 1.
  """
  data = net.inputs.queries(batch.state, batch.action[:, None])
  proposed = net.inputs.counterfactual(batch.state, batch.action, ood.action)
  if agent_weight is not None:
    agent_weight = jnp.broadcast_to(agent_weight, batch.action.shape[:2])  # a batch is cut by rows: each brings its own
  size = jax.tree.leaves(state.critics)[0].shape[0]

  def critic_loss(critics, rows, own):
    (data, proposed, log_prob, agent_weight), (target, member_weight) = rows, own
    q = net.critic(critics, *data)[..., 0]  # [E, b]
    q_ood = net.counterfactual(critics, *proposed)  # [E, b, M, N]
    weight = 1 / q_ood.shape[-1] if agent_weight is None else agent_weight
    gap = losses.counterfactual_gap(q_ood, log_prob, q, weight)  # [E, b]
    td = error(q, target)
    metrics = {"td_loss": jnp.mean(td), "penalty": jnp.mean(gap), "q_data": jnp.mean(q)}
    loss = td + alpha * gap if member_weight is None else member_weight * (td + alpha * gap)
    return jnp.sum(jnp.mean(loss, axis=1)), metrics

  rows = data, proposed, ood.log_prob, agent_weight
  target = jnp.atleast_2d(target)
  own = jnp.broadcast_to(target, (size, *target.shape[1:])), member_weight
  return critic_step(net, state, critic_loss, rows, own)


def actor_loss(net: Net, actors, critics, batch: Transition, action_regularization: float) -> jax.Array:
  """Each agent's policy climbs the first member's Q, the others acting as in the data. -> []."""
  action = net.actor(actors, batch.obs)  # [B, N, A]
  first = jax.tree.map(lambda leaf: leaf[:1], critics)
  alone = net.inputs.counterfactual(batch.state, batch.action, action[:, None])
  q = net.counterfactual(first, *alone)[0, :, 0]  # [B, N]
  return jnp.mean(losses.counterfactual_objective(q) + action_regularization * losses.action_penalty(action))


def joint_actor_loss(net: Net, actors, critics, batch: Transition, action_regularization: float) -> jax.Array:
  """All policies climb the first member's Q together: CFCQL without its CF_P. -> []."""
  action = net.actor(actors, batch.obs)  # [B, N, A]
  first = jax.tree.map(lambda leaf: leaf[:1], critics)
  q = net.critic(first, *net.inputs.queries(batch.state, action[:, None]))[0, :, 0]  # [B]
  return jnp.mean(losses.joint_objective(q) + action_regularization * losses.action_penalty(action))


POLICY_GRADIENTS = {"counterfactual": actor_loss, "joint": joint_actor_loss}


def actor_step(net: Net, state: TrainState, batch: Transition, config, loss_of_actors: Callable = actor_loss):
  """One descent of actor_loss, or another of its kind, for all agents. -> state, metrics."""
  loss, gradient = jax.value_and_grad(loss_of_actors, argnums=1)(
    net, state.actors, state.critics, batch, config.action_regularization
  )
  actors, actor_opt = updates.gradient_step(net.actor_optimizer, state.actors, state.actor_opt, gradient)
  metrics = {"actor_loss": loss, "actor_grad_norm": updates.global_norm(gradient)}
  return state.replace(actors=actors, actor_opt=actor_opt), metrics


def target_step(state: TrainState, tau: float):
  """Targets follow. -> state, no metrics."""
  return state.replace(
    target_actors=updates.polyak(state.target_actors, state.actors, tau),
    target_critics=updates.polyak(state.target_critics, state.critics, tau),
  ), {}


def actor_and_targets(
  net: Net,
  state: TrainState,
  metrics: dict,
  batch: Transition,
  step: jax.Array,
  config,
  loss_of_actors: Callable = actor_loss,
):
  """The released order: of every `actor_period` critic updates the first is followed by an actor step on the same
  batch, the last by one step of all targets. -> state, metrics."""
  period = config.actor_period
  state, of_actor = updates.every(period, step, 0, lambda s: actor_step(net, s, batch, config, loss_of_actors), state)
  state, _ = updates.every(period, step, period - 1, lambda s: target_step(s, config.tau), state)
  return state, metrics | of_actor


def greedy(net: Net):
  """act of a Learner without memory: state, (), obs [N, O], key -> action [N, A], ()."""

  def act(state, memory, obs, key):
    del key
    return net.actor(state.actors, obs), memory

  return act


def check(config, spec: Spec) -> None:
  """Refuses what cannot train with proposals.

  Raises:
    ValueError: one sentence with the field, its value and what it may be.
  """
  check_ranges(config, ("actor_period", "num_proposals"), ("proposal_noise",), ("alpha", "action_regularization"))
  check_ranges(config, at_least_zero=("target_noise",))
  check_critics(config, spec)
  check_known(config, "proposals", proposals.PROPOSALS)


def check_critics(config, spec: Spec) -> None:
  """Refuses what no joint critic trains with.

  Raises:
    ValueError: one sentence with the field, its value and what it may be.
  """
  check_ranges(config, ("batch_size", "hidden_size", "ensemble_size"), ("learning_rate", "max_grad_norm"))
  if config.normalization == "batch" and config.batch_size < 2:
    raise ValueError(f"batch_size={config.batch_size} must be at least 2 with normalization=batch")
  if not 0 <= config.gamma < 1:
    raise ValueError(f"gamma={config.gamma} must lie in [0, 1)")
  if not 0 < config.tau <= 1:
    raise ValueError(f"tau={config.tau} must lie in (0, 1]")
  check_known(config, "normalization", CRITICS)
  if spec.num_agents < 1:
    raise ValueError(f"num_agents={spec.num_agents} must be at least 1")


def check_ranges(config, at_least_one=(), above_zero=(), at_least_zero=()) -> None:
  """Refuses a field, given by its name, outside its range; the last two must be finite.

  Raises:
    ValueError: one sentence with the field, its value and what it may be.
  """
  for name in at_least_one:
    if getattr(config, name) < 1:
      raise ValueError(f"{name}={getattr(config, name)} must be at least 1")
  for name in above_zero:
    if not 0 < getattr(config, name) < math.inf:
      raise ValueError(f"{name}={getattr(config, name)} must be greater than 0 and finite")
  for name in at_least_zero:
    if not 0 <= getattr(config, name) < math.inf:
      raise ValueError(f"{name}={getattr(config, name)} must be at least 0 and finite")


def check_known(config, name: str, known) -> None:
  """Refuses a name that is none of the known.

  Raises:
    ValueError: one sentence with the field, its value and what it may be.
  """
  if getattr(config, name) not in known:
    raise ValueError(f"{name}={getattr(config, name)} must be one of {sorted(known)}")
