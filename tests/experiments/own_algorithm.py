"""An algorithm that is not of the library, as its users write one: behavior cloning whose policy is another."""

import jax.numpy as jnp

from marl_offline.algorithms import bc
from marl_offline.types import Learner, Spec

Config = bc.Config
ACTION = 0.25


def make(spec: Spec, config: Config) -> Learner:
  """Trains as bc, and plays one action whatever it sees."""
  learner = bc.make(spec, config)

  def act(state, memory, obs, key):
    del state, key
    return jnp.full((*obs.shape[:-1], spec.action_size), ACTION), memory

  return learner._replace(act=act)
