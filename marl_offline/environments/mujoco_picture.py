"""Draws a robot of multi-agent MuJoCo from its own forward kinematics; no OpenGL and no window are needed.

Every geom of these robots is a capsule or a sphere, whose picture under a parallel projection is the hull of two
equal discs. Robots that live in a plane are seen from the side, the ant from above at an angle.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from marl_offline.environments import mujoco_agents, mujoco_partition

SIZE = (6.0, 4.0)  # inches of a frame, of the shape of a view
AGENTS = ("#3b6fb6", "#d98c21", "#2a9d4a", "#b5446e", "#7a5bbf", "#2aa5a5")  # colors by the agent's number
NOBODY = -1  # owner of what no agent moves
TORSO, FLOOR, TILE, SHADOW, INK = "#8a8a8a", "#e4e2dc", "#d0cdc4", "#aaa79e", "#444444"


class View(NamedTuple):
  """A parallel projection of points p [3] in metres onto a picture: (right . p, up . p)."""

  right: np.ndarray
  up: np.ndarray
  away: np.ndarray  # where the camera looks
  width: float  # metres, of the picture
  height: float


def _view(turn: float, tilt: float, width: float, height: float) -> View:
  """Looking across the track, turned by `turn` about the vertical and down by `tilt`, both in degrees."""
  (cos, sin), (level, down) = ((np.cos(angle), np.sin(angle)) for angle in np.deg2rad([turn, tilt]))
  right, away = np.array([cos, sin, 0.0]), np.array([-sin * level, cos * level, -down])
  return View(right, np.cross(right, away), away, width, height)


LYING, STANDING, ABOVE = _view(0.0, 0.0, 3.3, 2.1), _view(0.0, 0.0, 3.9, 2.5), _view(-20.0, 42.0, 4.2, 2.7)
VIEWS = {"halfcheetah": LYING, "hopper": STANDING, "walker2d": STANDING, "ant": ABOVE}
MARGIN, HEADROOM = 0.3, 0.8  # metres of a side view below the floor, and at least so many above the torso's middle


class Robot(NamedTuple):
  """A variant's model, and which agent moves which of its geoms."""

  physics: mujoco_agents.Physics
  geoms: np.ndarray  # [G] indices of all geoms but the floor
  owners: np.ndarray  # [G] the agent, or NOBODY
  num_agents: int
  view: View

  @property
  def seconds(self) -> float:
    """Of a control step."""
    return self.physics.seconds


class Pose(NamedTuple):
  """Where a robot's G geoms are, in metres: all points within `radius` of the line from start to end."""

  start: np.ndarray  # [G, 3]
  end: np.ndarray  # [G, 3]; a sphere's is its start
  radius: np.ndarray  # [G]
  torso: np.ndarray  # [3] its body's origin, which the picture follows


def robot(name: str) -> Robot:
  """What is needed to draw a variant; name: see mujoco_partition.

  A geom belongs to the agent whose joint is the nearest one with an actuator on the way from it to the torso.

  Raises:
    ValueError: no such variant.
    ImportError: the extra [mujoco] is not installed.
  """
  variant = mujoco_partition.variant(name)
  physics = mujoco_agents.Physics(mujoco_agents.BODIES[variant.robot], num_bodies=0, num_threads=1)
  model = physics.model
  owner_of = np.full(model.nbody, NOBODY)
  for agent, actuators in enumerate(variant.actuators):
    owner_of[model.jnt_bodyid[model.actuator_trnid[actuators, 0]]] = agent
  for body in range(1, model.nbody):  # parents come before their children
    if owner_of[body] == NOBODY:
      owner_of[body] = owner_of[model.body_parentid[body]]
  geoms = np.flatnonzero(model.geom_bodyid > 0)
  return Robot(physics, geoms, owner_of[model.geom_bodyid[geoms]], variant.num_agents, VIEWS[variant.robot])


def pose(robot: Robot, world: Any) -> Pose:
  """MuJoCo's forward kinematics of one row of a World: physics [P]."""
  physics, geoms = robot.physics, robot.geoms
  mujoco, model, simulator = physics.mujoco, physics.model, physics.simulators[0]
  with physics.lock:
    mujoco.mj_setState(model, simulator, np.asarray(world.physics, np.float64), physics.kind)
    mujoco.mj_kinematics(model, simulator)
    middle, torso = simulator.geom_xpos[geoms], simulator.xpos[1].copy()  # body 0 is the world
    along = simulator.geom_xmat[geoms].reshape(-1, 3, 3)[:, :, 2]
  capsule = model.geom_type[geoms] == mujoco.mjtGeom.mjGEOM_CAPSULE
  half = along * np.where(capsule, model.geom_size[geoms, 1], 0.0)[:, None]
  return Pose(middle - half, middle + half, model.geom_size[geoms, 0], torso)


def draw(axes: Any, robot: Robot, world: Any) -> None:
  """One moment of an episode onto matplotlib axes: each agent's limbs in its color, what no agent moves gray.

  The picture follows the torso over a floor with tiles of a metre, numbered along the track.

  world: one row of a mujoco_agents.World, physics [P].
  """
  now, view = pose(robot, world), robot.view
  left = view.right @ now.torso - view.width / 2
  if view is ABOVE:
    bottom = _ground(view) @ now.torso - 0.43 * view.height
    _floor_from_above(axes, view, now.torso, left, bottom)
    shadow = _outlines(now, view.right, _ground(view))
    _paint(axes, shadow, SHADOW, zorder=2, antialiaseds=False)
  else:
    bottom = max(0.0, now.torso[2] + HEADROOM + MARGIN - view.height) - MARGIN
    _floor_from_the_side(axes, view, left, bottom)
  ball = np.where((now.start == now.end).all(axis=1), now.radius, 0.0)  # bulges in front of what begins inside of it
  order = np.argsort(ball - (now.start + now.end) @ view.away / 2, kind="stable")  # the farthest first
  outlines, colors = _outlines(now, view.right, view.up), [color_of(owner) for owner in robot.owners]
  _paint(axes, outlines[order], [colors[geom] for geom in order], zorder=3, edgecolors="white", linewidths=0.8)
  axes.set(xlim=(left, left + view.width), ylim=(bottom, bottom + view.height), aspect="equal", xticks=[], yticks=[])
  _words(axes, robot, world, now)


def color_of(owner: int) -> str:
  """The color of what an agent moves, or of what nobody does."""
  return TORSO if owner == NOBODY else AGENTS[owner % len(AGENTS)]


def _ground(view):
  """Where a point's foot on the floor is seen: `up` without its height. -> [3]."""
  return view.up * [1.0, 1.0, 0.0]


def _outlines(now, right, up):
  """Corners of the hulls of each geom's two discs. -> [G, corners, 2]."""
  start, end = (points @ np.stack([right, up], axis=1) for points in (now.start, now.end))
  along = np.arctan2(*(end - start).T[::-1])
  turn = along[:, None] + np.linspace(np.pi / 2, 3 * np.pi / 2, 13)
  cap = now.radius[:, None, None] * np.stack([np.cos(turn), np.sin(turn)], axis=2)  # [G, 13, 2]
  return np.concatenate([start[:, None] + cap, end[:, None] - cap], axis=1)


def _paint(axes, outlines, colors, **style) -> None:
  from matplotlib.collections import PolyCollection  # matplotlib is slow to import and only pictures need it

  axes.add_collection(PolyCollection(outlines, facecolors=colors, **style), autolim=False)


def _floor_from_the_side(axes, view, left, bottom) -> None:
  """A line, and below it tiles with their places along the track."""
  axes.axhspan(bottom - 1.0, 0.0, color=FLOOR, linewidth=0, zorder=0)
  places = range(math.floor(left), math.ceil(left + view.width) + 1)
  tiles = [[(x, -0.12), (x + 1, -0.12), (x + 1, 0.0), (x, 0.0)] for x in places if x % 2 == 0]
  _paint(axes, tiles, TILE, zorder=1, antialiaseds=False)
  axes.axhline(0.0, color=INK, linewidth=1.2, zorder=2)
  for place in places:
    if left + 0.1 < place < left + view.width - 0.1:
      _number(axes, place, place, -0.15)


def _floor_from_above(axes, view, torso, left, bottom) -> None:
  """A chessboard, numbered along the track where its lines leave the picture below."""
  axes.set_facecolor(FLOOR)
  reach = int(np.ceil(view.width))
  x, y = np.meshgrid(*(np.arange(-reach, reach) + int(np.floor(place)) for place in torso[:2]))
  dark = (x + y) % 2 == 0
  lower = np.stack([x[dark], y[dark], np.zeros(dark.sum())], axis=1)
  corners = lower[:, None] + np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])  # [tiles, 4, 3]
  _paint(axes, corners @ np.stack([view.right, view.up], axis=1), TILE, zorder=1, antialiaseds=False)
  height = bottom + 0.17
  for place in np.unique(x):
    point = np.array([place, (height - view.up[0] * place) / view.up[1], 0.0])
    if left + 0.1 < view.right @ point < left + view.width - 0.1:
      _number(axes, place, view.right @ point, height)


def _number(axes, place, x, y) -> None:
  axes.text(x, y, f"{place} m", ha="center", va="top", fontsize=7, color=INK, zorder=4, clip_on=True)


def _words(axes, robot, world, now) -> None:
  """Whose color is whose, and how far and how fast along the track."""
  speed = world.physics[1 + robot.physics.model.nq]
  place = {"transform": axes.transAxes, "va": "top", "fontsize": 8, "zorder": 5}
  axes.text(0.985, 0.97, f"x = {now.torso[0]:z.1f} m,  {speed:z.1f} m/s", ha="right", color=INK, **place)
  for agent in range(robot.num_agents):
    axes.text(0.015, 0.97 - 0.055 * agent, f"agent {agent}", color=color_of(agent), weight="bold", **place)
