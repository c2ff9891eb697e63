"""The physics that the particle tasks share: discs in the plane that push each other apart.

The variant that OMAR and CFCQL were trained on (their fork of the multi-agent particle environments), unlike
the later public ones: acceleration enters squared, velocity moves before position. Letters: G bodies that move (learned
agents, then the prey), L landmarks.
"""

import itertools
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


def distance(point: jax.Array, other: jax.Array) -> jax.Array:
  """Euclidean distance of two points. [2], [2] -> []."""
  return jnp.sqrt(jnp.square(other[0] - point[0]) + jnp.square(other[1] - point[1]))


def contact(point: jax.Array, other: jax.Array, reach: float) -> tuple[jax.Array, jax.Array]:
  """Push on point away from other: 100 k log(1 + e^((reach - d) / k)) on the line between; reach = r + r'. -> x, y."""
  dx, dy = point[0] - other[0], point[1] - other[1]
  gap = jnp.sqrt(dx * dx + dy * dy)
  strength = CONTACT_FORCE * CONTACT_MARGIN * jnp.logaddexp((reach - gap) / CONTACT_MARGIN, 0.0)
  # Two bodies in one spot have no direction to part in: no force, where the original divides by zero.
  scale = strength / jnp.maximum(gap, 1e-9)
  return dx * scale, dy * scale


def advance(bodies: Bodies, state: WorldState, action: jax.Array) -> WorldState:
  """One step of 0.1: v <- 0.75 v + 0.1 F, capped, then p <- p + 0.1 v with the new v. action [G, 2] in [-1, 1].

  Pairs are written out one by one: under vmap each is then one long vector, which compiles to code four times as fast
  as the same sums over [G, G, 2].
  """
  num_bodies, place = len(bodies.radius), state.agent_pos
  force = [[action[i, axis] * bodies.gain[i] for axis in (0, 1)] for i in range(num_bodies)]
  for i, j in itertools.combinations(range(num_bodies), 2):
    push = contact(place[i], place[j], float(bodies.radius[i] + bodies.radius[j]))
    for axis in (0, 1):
      force[i][axis] += push[axis]
      force[j][axis] -= push[axis]
  for i, j in itertools.product(range(num_bodies), np.flatnonzero(bodies.landmark_solid)):
    push = contact(place[i], state.landmark_pos[j], float(bodies.radius[i] + bodies.landmark_radius[j]))
    for axis in (0, 1):
      force[i][axis] += push[axis]
  velocity = state.agent_vel * (1.0 - DAMPING) + TIME_STEP * jnp.stack([jnp.stack(pair) for pair in force])
  if np.isfinite(bodies.max_speed).any():
    speed = jnp.sqrt(jnp.square(velocity[:, 0]) + jnp.square(velocity[:, 1]))
    slower = jnp.where(speed > bodies.max_speed, bodies.max_speed / jnp.maximum(speed, 1e-9), 1.0)
    velocity = velocity * slower[:, None]
  return state.replace(agent_pos=place + TIME_STEP * velocity, agent_vel=velocity, time=state.time + 1)


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
