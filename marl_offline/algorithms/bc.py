"""BC: behavior cloning, the floor. Each agent's deterministic policy is regressed onto what it did in the data."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from marl_offline import losses
from marl_offline.networks import ensemble
from marl_offline.networks.actors import TanhActor
from marl_offline.parts import updates
from marl_offline.types import Learner, Spec


@dataclasses.dataclass(frozen=True)
class Config:
  """No paper's: sizes of the other algorithms, and a learning rate for 10,000 updates of plain regression."""

  learning_rate: float = 1e-3
  max_grad_norm: float = 0.5
  batch_size: int = 1024
  hidden_size: int = 64


@struct.dataclass
class TrainState:
  actors: Any  # leading axis N
  actor_opt: optax.OptState


def make(spec: Spec, config: Config) -> Learner:
  """One regression per agent.

  Raises:
    ValueError: a field of config lies outside its range; the sentence names it, its value and the range.
  """
  check(config)
  actor = TanhActor(spec.action_size, config.hidden_size)
  optimizer = updates.clipped_adam(config.learning_rate, config.max_grad_norm)

  def play(actors, obs):
    return ensemble.apply_agents(actor.apply)(actors, spec.normalizer.obs(obs))

  def init(key):
    actors = ensemble.init_members(lambda key: actor.init(key, jnp.zeros(spec.obs_size)), key, spec.num_agents)
    return TrainState(actors, jax.vmap(optimizer.init)(actors))

  def update(state, batch, key, step):
    del key, step

    def actor_loss(actors):
      return jnp.mean(losses.imitation(play(actors, batch.obs), batch.action))

    loss, gradient = jax.value_and_grad(actor_loss)(state.actors)
    step_all = jax.vmap(lambda params, opt, grad: updates.gradient_step(optimizer, params, opt, grad))
    actors, actor_opt = step_all(state.actors, state.actor_opt, gradient)
    return TrainState(actors, actor_opt), {"actor_loss": loss, "actor_grad_norm": updates.global_norm(gradient)}

  def act(state, memory, obs, key):
    del key
    return play(state.actors, obs), memory

  return Learner(init, update, act)


def check(config: Config) -> None:
  """Refuses what cannot train, in one sentence."""
  for name in ("batch_size", "hidden_size"):
    if getattr(config, name) < 1:
      raise ValueError(f"{name}={getattr(config, name)} must be at least 1")
  for name in ("learning_rate", "max_grad_norm"):
    if not 0 < getattr(config, name) < math.inf:
      raise ValueError(f"{name}={getattr(config, name)} must be greater than 0 and finite")
