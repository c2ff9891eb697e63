"""Which joints of a robot belong to which agent, and what each agent sees of it. No simulator is needed for this.

A variant is a robot, its agents and what they see:
  own    the agent's joints alone: angle and velocity of each, in the alphabetical order of their names
  near1  also the angles of joints one link away, and the root but for its place along the track; near2: two links
  full   the whole state and the agent's number as a one-hot, the vector standardised by its own mean and deviation
As in multi-agent MuJoCo (arXiv:2003.06709) in the form of Gymnasium-Robotics, `mamujoco_v1`; `full` as in the code
released with OMIGA (arXiv:2307.11620), which also gives actuators to agents in the robot's order, agent by agent.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

HORIZON = 1000
VERSION = "v1"  # robots of Gymnasium's v5; a change of dynamics, rewards or observations gets a new one
KINDS = ("own", "near1", "near2", "full")


class Robot(NamedTuple):
  """What of a robot's anatomy observations are made of."""

  joints: tuple[str, ...]  # those with an actuator, in the order of positions and velocities
  actuators: tuple[str, ...]  # their joints, in the order of the actuators
  links: tuple[tuple[str, ...], ...]  # joints that are each other's neighbours
  root_positions: int = 3  # positions and velocities of the root come before those of the joints
  root_velocities: int = 3
  unseen: int = 1  # of the root's positions: the place along the track
  felt: Mapping[str, tuple[int, ...]] = MappingProxyType({})  # bodies whose contact forces a joint's agent sees
  num_bodies: int = 0  # of contact forces, six numbers each; the first is the world and no part of the state
  state_limit: float = np.inf  # of velocities
  part_limit: float = np.inf  # the same in what agents see

  @property
  def num_positions(self) -> int:
    """Length of qpos."""
    return self.root_positions + len(self.joints)

  @property
  def num_velocities(self) -> int:
    """Length of qvel."""
    return self.root_velocities + len(self.joints)

  @property
  def state_size(self) -> int:
    """S: positions but the unseen, velocities, contact forces."""
    return self.num_positions - self.unseen + self.num_velocities + 6 * max(self.num_bodies - 1, 0)


_CHEETAH = ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")
_WALKER = ("thigh", "leg", "foot", "thigh_left", "leg_left", "foot_left")
# Legs: front left, front right, back left, back right.
_ANT = ("hip1", "ankle1", "hip2", "ankle2", "hip3", "ankle3", "hip4", "ankle4")

ROBOTS = {
  "halfcheetah": Robot(
    joints=_CHEETAH,
    actuators=_CHEETAH,
    links=(("bfoot", "bshin"), ("bshin", "bthigh"), ("bthigh", "fthigh"), ("fthigh", "fshin"), ("fshin", "ffoot")),
  ),
  "hopper": Robot(
    joints=("thigh", "leg", "foot"),
    actuators=("thigh", "leg", "foot"),
    links=(("foot", "leg"), ("leg", "thigh")),
    state_limit=10.0,
    part_limit=10.0,
  ),
  "walker2d": Robot(
    joints=_WALKER,
    actuators=_WALKER,
    links=(
      ("foot", "leg"),
      ("leg", "thigh"),
      ("thigh", "thigh_left"),
      ("thigh_left", "leg_left"),
      ("leg_left", "foot_left"),
    ),
    state_limit=10.0,  # and no part_limit: mamujoco_v1 has it so
  ),
  "ant": Robot(
    joints=_ANT,
    actuators=("hip4", "ankle4", *_ANT[:6]),
    links=(*((f"ankle{leg}", f"hip{leg}") for leg in (1, 2, 3, 4)), ("hip1", "hip2", "hip3", "hip4")),
    root_positions=7,
    root_velocities=6,
    unseen=2,
    felt={f"hip{leg}": (1, 3 * leg - 1) for leg in (1, 2, 3, 4)}
    | {f"ankle{leg}": (3 * leg - 1, 3 * leg, 3 * leg + 1) for leg in (1, 2, 3, 4)},
    num_bodies=14,
  ),
}

# Joints of each agent; the agent's action has their order, except in `full`.
AGENTS = {
  "halfcheetah_2x3": (_CHEETAH[:3], _CHEETAH[3:]),
  "halfcheetah_6x1": tuple((joint,) for joint in _CHEETAH),
  "hopper_3x1": (("thigh",), ("leg",), ("foot",)),
  "ant_2x4": (_ANT[:4], _ANT[4:]),
  "walker2d_2x3": (("foot", "leg", "thigh"), ("foot_left", "leg_left", "thigh_left")),
}
# What the papers' agents see; these variants go by the plain name. OMAR's see their own leg, all others the state.
PLAIN = {name: "own" if name == "halfcheetah_2x3" else "full" for name in AGENTS}


class Variant(NamedTuple):
  """A named variant: all that a data set can be matched with, and where actions go and observations come from."""

  name: str  # halfcheetah_2x3, or halfcheetah_2x3_near1 for what is not the papers' kind
  version: str  # "v1-own"
  num_agents: int  # N
  obs_size: int  # O
  action_size: int  # A
  state_size: int  # S
  horizon: int
  robot: str
  actuators: np.ndarray  # [N, A] which actuator each component of an agent's action drives
  seen: np.ndarray | None  # [N, O] into (positions, velocities, contact forces, 0); None: the full kind


def names() -> tuple[str, ...]:
  """Every variant's name."""
  return tuple(split if kind == PLAIN[split] else f"{split}_{kind}" for split in AGENTS for kind in KINDS)


def variant(name: str) -> Variant:
  """The variant of a name.

  Raises:
    ValueError: there is none of that name.
  """
  if name not in names():
    raise ValueError(f"task {name!r} is no multi-agent MuJoCo task; known are {', '.join(names())}")
  robot_name, split, *kind = name.split("_")
  agents, kind = AGENTS[f"{robot_name}_{split}"], kind[0] if kind else PLAIN[name]
  robot = ROBOTS[robot_name]
  if kind == "full":
    actuators = np.arange(len(robot.actuators)).reshape(len(agents), -1)
    seen, obs_size = None, robot.state_size + len(agents)
  else:
    actuators = np.array([[robot.actuators.index(joint) for joint in own] for own in agents])
    reach = 0 if kind == "own" else int(kind[-1])
    seen = padded([sources(robot, own, reach, root=reach > 0) for own in agents])
    obs_size = seen.shape[1]
  sizes = len(agents), obs_size, actuators.shape[1], robot.state_size
  return Variant(name, f"{VERSION}-{kind}", *sizes, HORIZON, robot_name, actuators, seen)


def rings(robot: Robot, own: tuple[str, ...], reach: int) -> list[list[str]]:
  """An agent's joints, those one link away, two, ... up to `reach`, each ring in alphabetical order."""
  found = [sorted(own)]
  known = set(own)
  for _ in range(reach):
    near = {joint for link in robot.links if set(link) & set(found[-1]) for joint in link} - known
    known |= near
    found.append(sorted(near))
  return found


def sources(robot: Robot, own: tuple[str, ...], reach: int, root: bool) -> list[int]:
  """Where the numbers of an agent's observation lie in the vector (positions, velocities, contact forces).

  Of its own joints angle, velocity and the contact forces of bodies not yet named; of joints further off the angle;
  with `root` then the root's positions but the unseen, and its velocities.
  """
  forces = robot.num_positions + robot.num_velocities
  found, felt = [], set()
  for distance, ring in enumerate(rings(robot, own, reach)):
    for joint in ring:
      place = robot.joints.index(joint)
      found.append(robot.root_positions + place)
      if distance == 0:
        found.append(robot.num_positions + robot.root_velocities + place)
        for body in robot.felt.get(joint, ()):
          if body not in felt:
            felt.add(body)
            found.extend(range(forces + 6 * body, forces + 6 * body + 6))
  if root:
    found.extend(range(robot.unseen, robot.root_positions))
    found.extend(range(robot.num_positions, robot.num_positions + robot.root_velocities))
  return found


def padded(rows: list[list[int]]) -> np.ndarray:
  """Rows of one length: agents with fewer neighbours see zeros at the end. -> int [N, O], -1 for those."""
  longest = max(map(len, rows))
  return np.array([row + [-1] * (longest - len(row)) for row in rows])


def state(robot: Robot, positions: np.ndarray, velocities: np.ndarray, forces: np.ndarray) -> np.ndarray:
  """What Gymnasium's robot observes. [B, positions], [B, velocities], [B, 6 * bodies] -> [B, S]."""
  velocities = np.clip(velocities, -robot.state_limit, robot.state_limit)
  return np.concatenate([positions[:, robot.unseen :], velocities, forces[:, 6:]], axis=1)


def observe(variant: Variant, positions: np.ndarray, velocities: np.ndarray, forces: np.ndarray) -> np.ndarray:
  """What each agent sees. [B, positions], [B, velocities], [B, 6 * bodies] -> [B, N, O]."""
  robot = ROBOTS[variant.robot]
  if variant.seen is not None:
    velocities = np.clip(velocities, -robot.part_limit, robot.part_limit)
    nothing = np.zeros((len(positions), 1))
    return np.concatenate([positions, velocities, forces, nothing], axis=1)[:, variant.seen]
  seen = state(robot, positions, velocities, forces)
  each = np.broadcast_to(seen[:, None], (len(seen), variant.num_agents, variant.state_size))
  number = np.broadcast_to(np.eye(variant.num_agents), (len(seen), variant.num_agents, variant.num_agents))
  obs = np.concatenate([each, number], axis=2)
  return (obs - obs.mean(axis=2, keepdims=True)) / obs.std(axis=2, keepdims=True)
