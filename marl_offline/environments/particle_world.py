"""The physics that the particle tasks share: discs in the plane that push each other apart.

The variant that OMAR and CFCQL were trained on (their fork of the multi-agent particle environments), unlike
the later public ones: acceleration enters squared, velocity moves before position. Letters: G bodies that move (learned
agents, then the prey), L landmarks.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

TIME_STEP = 0.1
DAMPING = 0.25
CONTACT_FORCE = 100.0
CONTACT_MARGIN = 1e-3


@struct.dataclass
class WorldState:
  """Where everything is. Landmarks stay where they are for the episode."""

  agent_pos: jax.Array  # [G, 2]
  agent_vel: jax.Array  # [G, 2]
  landmark_pos: jax.Array  # [L, 2]
  time: jax.Array  # [] steps since reset


class Bodies(NamedTuple):
  """What does not change in a task."""

  radius: np.ndarray  # [G]
  gain: np.ndarray  # [G] force per unit of action: 5 without an acceleration, its square with one
  max_speed: np.ndarray  # [G] inf where there is none
  landmark_radius: np.ndarray  # [L]
  landmark_solid: np.ndarray  # [L] bool: pushes agents away


def offsets(points: jax.Array, others: jax.Array) -> jax.Array:
  """others - points, every pair. [P, 2], [Q, 2] -> [P, Q, 2]."""
  return others[None, :, :] - points[:, None, :]


def distances(points: jax.Array, others: jax.Array) -> jax.Array:
  """Euclidean distance of every pair. [P, 2], [Q, 2] -> [P, Q]."""
  return jnp.sqrt(jnp.sum(jnp.square(offsets(points, others)), axis=-1))


def contact_force(points: jax.Array, radius: np.ndarray, others: jax.Array, other_radius: np.ndarray) -> jax.Array:
  """Push on each point away from each other: 100 k log(1 + e^((r + r' - d) / k)) on the line between. [P, Q, 2]."""
  away = -offsets(points, others)
  distance = jnp.sqrt(jnp.sum(jnp.square(away), axis=-1))
  overlap = (radius[:, None] + other_radius[None, :] - distance) / CONTACT_MARGIN
  strength = CONTACT_FORCE * CONTACT_MARGIN * jnp.logaddexp(overlap, 0.0)
  # Two bodies in one spot have no direction to part in: no force, where the original divides by zero.
  return away * (strength / jnp.maximum(distance, 1e-9))[..., None]


def advance(bodies: Bodies, state: WorldState, action: jax.Array) -> WorldState:
  """One step of 0.1: v <- 0.75 v + 0.1 F, capped, then p <- p + 0.1 v with the new v. action [G, 2] in [-1, 1]."""
  num_bodies = len(bodies.radius)
  force = action * bodies.gain[:, None]
  between = contact_force(state.agent_pos, bodies.radius, state.agent_pos, bodies.radius)
  force = force + jnp.sum(between * (1.0 - np.eye(num_bodies, dtype=np.float32))[..., None], axis=1)
  solid = np.flatnonzero(bodies.landmark_solid)
  if solid.size:
    walls = contact_force(state.agent_pos, bodies.radius, state.landmark_pos[solid], bodies.landmark_radius[solid])
    force = force + jnp.sum(walls, axis=1)
  velocity = state.agent_vel * (1.0 - DAMPING) + force * TIME_STEP
  speed = jnp.sqrt(jnp.sum(jnp.square(velocity), axis=-1))
  velocity = velocity * jnp.where(speed > bodies.max_speed, bodies.max_speed / jnp.maximum(speed, 1e-9), 1.0)[:, None]
  return state.replace(agent_pos=state.agent_pos + TIME_STEP * velocity, agent_vel=velocity, time=state.time + 1)


def scatter(key: jax.Array, bodies: Bodies, agent_bound: float, landmark_bound: float) -> WorldState:
  """Everything at rest, uniform in a square around the origin. Positions in [-bound, bound]^2."""
  key_agents, key_landmarks = jax.random.split(key)
  num_bodies, num_landmarks = len(bodies.radius), len(bodies.landmark_radius)
  return WorldState(
    agent_pos=jax.random.uniform(key_agents, (num_bodies, 2), minval=-agent_bound, maxval=agent_bound),
    agent_vel=jnp.zeros((num_bodies, 2)),
    landmark_pos=jax.random.uniform(key_landmarks, (num_landmarks, 2), minval=-landmark_bound, maxval=landmark_bound),
    time=jnp.zeros((), jnp.int32),
  )
