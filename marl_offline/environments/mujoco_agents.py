"""Multi-agent MuJoCo on the host: B robots at once, the physics of all of them in one call a control step.

Rewards, ends, observations and the noise of a reset are those of Gymnasium's v5 robots, split into agents as
mujoco_partition says; the reward is the robot's, the same for every agent. A step depends on its World alone: the
constraint solver starts afresh at each control step, which changes a result by less than 1e-10.
"""

import contextlib
import functools
import importlib.util
import pathlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from marl_offline import execution
from marl_offline.environments import mujoco_partition
from marl_offline.environments.api import HostEnvironment

MISSING = "multi-agent MuJoCo needs the packages mujoco and gymnasium: pip install 'marl_offline[mujoco]'"


class World(NamedTuple):
  """B robots. Everything that their future depends on."""

  physics: np.ndarray  # [B, 1 + positions + velocities] MuJoCo's full physics state: time, qpos, qvel
  place: np.ndarray  # [B] along the track, where the next step's speed is measured from
  forces: np.ndarray  # [B, 6 * bodies] contact forces, within [-1, 1]; 0 bodies where nobody feels any
  time: np.ndarray  # [B] int, control steps since the reset


class Body(NamedTuple):
  """A robot's model, and its reward: speed - effort * sum a^2 - touch * sum forces^2 + 1 if standing."""

  model: str  # file among Gymnasium's assets
  substeps: int  # of physics in a control step
  effort: float
  noise: float  # of a reset
  healthy: Callable | None = None  # positions, velocities -> [B]; None: nothing ends but by time
  gaussian: bool = False  # noise of velocities; that of positions is uniform
  touch: float = 0.0


def _hopper_stands(positions, velocities):
  rest = np.concatenate([positions[:, 2:], velocities], axis=1)
  sane = np.all(np.abs(rest) < 100.0, axis=1)
  return sane & (positions[:, 1] > 0.7) & (np.abs(positions[:, 2]) < 0.2)


def _walker_stands(positions, velocities):
  height, angle = positions[:, 1], positions[:, 2]
  return (height > 0.8) & (height < 2.0) & (np.abs(angle) < 1.0)


def _ant_stands(positions, velocities):
  finite = np.all(np.isfinite(positions), axis=1) & np.all(np.isfinite(velocities), axis=1)
  return finite & (positions[:, 2] >= 0.2) & (positions[:, 2] <= 1.0)


BODIES = {
  "halfcheetah": Body("half_cheetah.xml", substeps=5, effort=0.1, noise=0.1, gaussian=True),
  "hopper": Body("hopper.xml", substeps=4, effort=1e-3, noise=5e-3, healthy=_hopper_stands),
  "walker2d": Body("walker2d_v5.xml", substeps=4, effort=1e-3, noise=5e-3, healthy=_walker_stands),
  "ant": Body("ant.xml", substeps=5, effort=0.5, noise=0.1, healthy=_ant_stands, gaussian=True, touch=5e-4),
}


class Physics:
  """A model, and one simulator a thread. advance is a function of its arguments alone."""

  def __init__(self, body: Body, num_bodies: int, num_threads: int):
    self.mujoco, rollout = _packages()
    self.model = _load(self.mujoco, body.model)
    self.seconds = self.model.opt.timestep * body.substeps  # of a control step
    self.substeps, self.num_bodies = body.substeps, num_bodies
    self.kind = self.mujoco.mjtState.mjSTATE_FULLPHYSICS.value
    self.simulators = [self.mujoco.MjData(self.model) for _ in range(num_threads)]
    self.pool = rollout.Rollout(nthread=num_threads if num_threads > 1 else 0)
    self.threads = ThreadPoolExecutor(num_threads)  # of the last substep, where it is taken apart
    self.lock = threading.Lock()  # a simulator serves one step at a time

  def advance(self, physics: np.ndarray, control: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One control step. physics [B, P], control [B, actuators] -> physics [B, P], place [B], forces [B, 6 * bodies].

    Where forces are felt, the last substep is taken apart from the others: forces, and the torso's place as Gymnasium
    measures it, are by-products of that substep's last stage, which mujoco.rollout keeps to itself.
    """
    with self.lock, unlogged(self.mujoco):
      substeps = self.substeps - bool(self.num_bodies)
      controls = np.repeat(control[:, None], substeps, axis=1)
      states, _ = self.pool.rollout(self.model, self.simulators, physics, controls)
      last = np.ascontiguousarray(states[:, -1])
      if not self.num_bodies:
        return last, last[:, 1].copy(), np.zeros((len(last), 0))
      place, forces = np.empty(len(last)), np.empty((len(last), 6 * self.num_bodies))
      parts = np.array_split(np.arange(len(last)), len(self.simulators))
      finish = functools.partial(self._finish, last, control, place, forces)
      list(self.threads.map(finish, self.simulators, parts))
      return last, place, np.clip(forces, -1.0, 1.0)

  def _finish(self, physics, control, place, forces, simulator, rows):
    """The last substep of these rows, written into physics, place and forces."""
    for row in rows:
      self.mujoco.mj_setState(self.model, simulator, physics[row], self.kind)
      simulator.ctrl[:] = control[row]
      simulator.qacc_warmstart[:] = 0.0  # or a robot would depend on the one before it
      self.mujoco.mj_step(self.model, simulator)
      self.mujoco.mj_rnePostConstraint(self.model, simulator)
      self.mujoco.mj_getState(self.model, simulator, physics[row], self.kind)
      place[row], forces[row] = simulator.xpos[1, 0], simulator.cfrc_ext.ravel()


def make(name: str, num_threads: int | None = None) -> HostEnvironment:
  """The environment of a variant's name, see mujoco_partition. num_threads: by default one a core.

  Raises:
    ValueError: no such variant, or fewer than one thread; by reset and step: what they were given has wrong sizes, or
      actions are not finite.
    ImportError: the extra [mujoco] is not installed.
  """
  variant = mujoco_partition.variant(name)
  num_threads = execution.cores() if num_threads is None else num_threads
  if num_threads < 1:
    raise ValueError(f"num_threads={num_threads} must be at least 1")
  robot, body = mujoco_partition.ROBOTS[variant.robot], BODIES[variant.robot]
  physics = Physics(body, robot.num_bodies, num_threads)

  def seen(observer, of, world):
    return observer(of, *_parts(robot, world.physics), world.forces)

  return HostEnvironment(
    *variant[:7],  # name to horizon
    reset=functools.partial(_reset, robot, body, physics.model.qpos0.copy()),
    observe=functools.partial(seen, mujoco_partition.observe, variant),
    state=functools.partial(seen, mujoco_partition.state, robot),
    step=functools.partial(_step, variant, body, physics),
  )


def _reset(robot, body, stance, generator: np.random.Generator, count: int) -> World:
  """count robots near their stance; the same as count resets of one, one after the other."""
  if count < 1:
    raise ValueError(f"reset: {count} environments were asked for; expected at least 1")
  rows = np.zeros((count, 1 + robot.num_positions + robot.num_velocities))
  for row in rows:
    row[1 : 1 + robot.num_positions] = stance + generator.uniform(-body.noise, body.noise, robot.num_positions)
    if body.gaussian:
      row[1 + robot.num_positions :] = body.noise * generator.standard_normal(robot.num_velocities)
    else:
      row[1 + robot.num_positions :] = generator.uniform(-body.noise, body.noise, robot.num_velocities)
  return World(rows, rows[:, 1].copy(), np.zeros((count, 6 * robot.num_bodies)), np.zeros(count, np.int64))


def _step(variant, body, physics, world: World, action: np.ndarray):
  """See HostEnvironment.step; actions beyond [-1, 1] are paid for in full and drive no harder, as in Gymnasium.

  A robot whose simulation diverges ends there (terminated), with reward 0.
  """
  action = np.asarray(action, np.float64)
  wanted = (len(world.time), variant.num_agents, variant.action_size)
  if action.shape != wanted:
    raise ValueError(f"{variant.name}: actions have shape {action.shape}; expected {wanted}, [B, N, A]")
  if not np.isfinite(action).all():
    raise ValueError(f"{variant.name}: action {action[~np.isfinite(action)][0]} is not finite")
  control = np.empty((wanted[0], variant.actuators.size))
  control[:, variant.actuators.ravel()] = action.reshape(wanted[0], -1)
  after, place, forces = physics.advance(world.physics, control)
  time = world.time + 1
  reward = (place - world.place) / physics.seconds - body.effort * np.sum(np.square(control), axis=1)
  reward -= body.touch * np.sum(np.square(forces), axis=1)
  terminated = np.zeros(len(time), bool)
  if body.healthy is not None:
    healthy = body.healthy(*_parts(mujoco_partition.ROBOTS[variant.robot], after))
    reward, terminated = reward + healthy, ~healthy
  diverged = after[:, 0] < world.physics[:, 0] + physics.seconds / 2  # MuJoCo set such a robot back, its clock too
  reward, terminated = np.where(diverged, 0.0, reward), terminated | diverged
  reward = np.repeat(reward[:, None], variant.num_agents, axis=1)
  return World(after, place, forces, time), reward, terminated, time >= variant.horizon


def _parts(robot, physics):
  """Positions and velocities out of physics [B, P]."""
  return physics[:, 1 : 1 + robot.num_positions], physics[:, 1 + robot.num_positions :]


def _packages() -> tuple[Any, Any]:
  """The modules mujoco and mujoco.rollout.

  Raises:
    ImportError: the extra is not installed.
  """
  try:
    import mujoco
    from mujoco import rollout
  except ImportError as error:
    raise ImportError(MISSING) from error
  return mujoco, rollout


def _load(mujoco: Any, file: str) -> Any:
  """A robot of Gymnasium's assets, which are found without importing it.

  Raises:
    ImportError: gymnasium is not installed, or too old or new to have this robot.
  """
  package = importlib.util.find_spec("gymnasium")
  if package is None:
    raise ImportError(MISSING)
  path = pathlib.Path(package.origin).parent / "envs" / "mujoco" / "assets" / file
  if not path.is_file():
    raise ImportError(f"the installed gymnasium has no robot {path}; {MISSING}")
  with unlogged(mujoco):
    return mujoco.MjModel.from_xml_path(str(path))


@contextlib.contextmanager
def unlogged(mujoco: Any) -> Iterator[None]:
  """MuJoCo's warnings, of an old file or a simulation that diverges, would be written into ./MUJOCO_LOG.TXT.

  The process has one handler of them: the first who enters keeps it, the last who leaves puts it back.
  """
  with _QUIET.lock:
    if not _QUIET.count:
      _QUIET.before = mujoco.get_mju_user_warning()
      mujoco.set_mju_user_warning(lambda text: None)
    _QUIET.count += 1
  try:
    yield
  finally:
    with _QUIET.lock:
      _QUIET.count -= 1
      if not _QUIET.count:
        mujoco.set_mju_user_warning(_QUIET.before)


class _Quiet:
  """Who is inside unlogged."""

  def __init__(self):
    self.lock, self.count, self.before = threading.Lock(), 0, None


_QUIET = _Quiet()
