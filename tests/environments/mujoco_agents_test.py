"""Host robots without their reference: ends, batches, threads, what is refused."""

import importlib.util
import sys
import types

import numpy as np
import pytest

from marl_offline.environments import mujoco_agents, mujoco_partition

pytest.importorskip("mujoco", reason="the extra [mujoco]")
pytest.importorskip("gymnasium", reason="the extra [mujoco]")

ROBOTS = ["halfcheetah_2x3", "hopper_3x1_near1", "walker2d_2x3", "ant_2x4_own"]


def play(environment, steps, count=5, seed=0):
  """Worlds, rewards and ends of uniform play."""
  generator = np.random.default_rng(seed)
  world, told = environment.reset(generator, count), []
  for _ in range(steps):
    action = generator.uniform(-1.0, 1.0, (count, environment.num_agents, environment.action_size))
    world, *rest = environment.step(world, action)
    told.append((*world, *rest, environment.observe(world), environment.state(world)))
  return told


@pytest.mark.parametrize("name", ROBOTS)
def test_sizes_and_that_threads_change_nothing(name):
  one, three = mujoco_agents.make(name, num_threads=1), mujoco_agents.make(name, num_threads=3)
  for alone, together in zip(play(one, 8), play(three, 8), strict=True):
    for mine, theirs in zip(alone, together, strict=True):
      np.testing.assert_array_equal(mine, theirs)
  *_, reward, terminated, truncated, obs, state = alone
  assert obs.shape == (5, one.num_agents, one.obs_size) and state.shape == (5, one.state_size)
  assert obs.dtype == state.dtype == reward.dtype == np.float64 and np.isfinite(obs).all()
  assert reward.shape == (5, one.num_agents) and (reward == reward[:, :1]).all()
  assert terminated.shape == truncated.shape == (5,)


@pytest.mark.parametrize("name", ROBOTS)
def test_a_batch_is_so_many_single_ones(name):
  environment = mujoco_agents.make(name, num_threads=2)
  batch, single = np.random.default_rng(3), np.random.default_rng(3)
  world = environment.reset(batch, 4)
  alone = [environment.reset(single, 1) for _ in range(4)]
  for step in range(6):
    action = np.random.default_rng(step).uniform(-1.0, 1.0, (4, environment.num_agents, environment.action_size))
    before = [leaf.copy() for leaf in world]
    after, reward, *ends = environment.step(world, action)
    for leaf, kept in zip(world, before, strict=True):
      np.testing.assert_array_equal(leaf, kept)  # a world is never written to
    for row in range(4):
      alone[row], its_reward, *its_ends = environment.step(alone[row], action[row : row + 1])
      for whole, part in zip((*after, reward, *ends), (*alone[row], its_reward, *its_ends), strict=True):
        np.testing.assert_array_equal(whole[row], part[0])
    world = after


def test_a_fallen_hopper_terminates_and_earns_no_more_for_standing():
  environment = mujoco_agents.make("hopper_3x1", num_threads=1)
  world = environment.reset(np.random.default_rng(0), 2)
  world.physics[1, 2] = 0.5  # the second's height; 0.7 is the least
  _, reward, terminated, truncated = environment.step(world, np.zeros((2, 3, 1)))
  assert terminated.tolist() == [False, True] and not truncated.any()
  assert reward[0, 0] > 0.5 and reward[1, 0] < 0.5


@pytest.mark.parametrize(
  ("robot", "entry", "stands", "falls"),
  [
    ("hopper", 1, [0.71, 5.0], [0.69]),
    ("hopper", 2, [-0.19, 0.19], [-0.21, 0.21]),
    ("hopper", 4, [-99.0, 99.0], [-101.0, 101.0, np.nan]),
    ("walker2d", 1, [0.81, 1.99], [0.79, 2.01]),
    ("walker2d", 2, [-0.99, 0.99], [-1.01, 1.01]),
    ("ant", 2, [0.21, 0.99], [0.19, 1.01]),
    ("ant", 9, [50.0], [np.nan, np.inf]),
  ],
)
def test_where_a_robot_falls(robot, entry, stands, falls):
  # Gymnasium's healthy ranges of height, angle and, for the hopper, everything but x and z
  body, anatomy = mujoco_agents.BODIES[robot], mujoco_partition.ROBOTS[robot]
  positions = np.zeros((len(stands + falls), anatomy.num_positions))
  positions[:, 2 if robot == "ant" else 1] = 0.9
  positions[:, entry] = stands + falls
  healthy = body.healthy(positions, np.zeros((len(positions), anatomy.num_velocities)))
  assert healthy.tolist() == [True] * len(stands) + [False] * len(falls)


def test_time_ends_nothing_but_the_episode():
  environment = mujoco_agents.make("halfcheetah_2x3", num_threads=1)
  world = environment.reset(np.random.default_rng(0), 2)._replace(time=np.array([998, 999]))
  world, _, terminated, truncated = environment.step(world, np.zeros((2, 2, 3)))
  assert truncated.tolist() == [False, True] and not terminated.any()
  both = mujoco_agents.make("hopper_3x1", num_threads=1)
  world = both.reset(np.random.default_rng(0), 1)._replace(time=np.array([999]))
  world.physics[0, 2] = 0.5
  assert [end.item() for end in both.step(world, np.zeros((1, 3, 1)))[2:]] == [True, True]


def test_cheetahs_reward_by_hand():
  # (x' - x) / 0.05 s - 0.1 * (0.5^2 * 6); the agents' actions reach their own actuators.
  environment = mujoco_agents.make("halfcheetah_2x3", num_threads=1)
  world = environment.reset(np.random.default_rng(0), 1)
  after, reward, *_ = environment.step(world, np.full((1, 2, 3), 0.5))
  expected = (after.physics[0, 1] - world.physics[0, 1]) / 0.05 - 0.15
  np.testing.assert_allclose(reward[0], [expected, expected], rtol=1e-12)
  hind, *_ = environment.step(world, np.array([[[1.0, 0, 0], [0, 0, 0]]]))
  still, *_ = environment.step(world, np.zeros((1, 2, 3)))
  moved = np.abs(hind.physics - still.physics)[0, 1 + 9 :]  # velocities
  assert np.argmax(moved[3:]) == 0  # bthigh's


def test_what_is_refused():
  environment = mujoco_agents.make("hopper_3x1", num_threads=1)
  world = environment.reset(np.random.default_rng(0), 2)
  with pytest.raises(ValueError, match=r"hopper_3x1: actions have shape \(2, 3\); expected \(2, 3, 1\)"):
    environment.step(world, np.zeros((2, 3)))
  with pytest.raises(ValueError, match="hopper_3x1: action nan is not finite"):
    environment.step(world, np.full((2, 3, 1), np.nan))
  with pytest.raises(ValueError, match="0 environments were asked for; expected at least 1"):
    environment.reset(np.random.default_rng(0), 0)
  with pytest.raises(ValueError, match="num_threads=0 must be at least 1"):
    mujoco_agents.make("hopper_3x1", num_threads=0)
  with pytest.raises(ValueError, match="'hopper' is no multi-agent MuJoCo task; known are"):
    mujoco_agents.make("hopper")


@pytest.mark.parametrize("absent", ["mujoco", "gymnasium"])
def test_the_missing_extra_is_named(monkeypatch, absent):
  if absent == "mujoco":
    monkeypatch.setitem(sys.modules, "mujoco", None)
  else:
    monkeypatch.setattr(mujoco_agents.importlib.util, "find_spec", lambda name: None)
  with pytest.raises(
    ImportError, match=r"needs the packages mujoco and gymnasium: pip install 'marl_offline\[mujoco\]'"
  ):
    mujoco_agents.make("halfcheetah_2x3")


def test_making_one_leaves_no_log_file(monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  for name in ROBOTS:
    mujoco_agents.make(name, num_threads=1)
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["halfcheetah_2x3", "ant_2x4"])
def test_a_simulation_that_diverges_ends_there_without_reward_or_log_file(name, monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  environment = mujoco_agents.make(name, num_threads=1)
  world = environment.reset(np.random.default_rng(0), 3)
  physics = world.physics.copy()
  physics[1, -1] = 1e12
  action = np.zeros((3, environment.num_agents, environment.action_size))
  _, reward, terminated, _ = environment.step(world._replace(physics=physics), action)
  assert terminated.tolist() == [False, True, False] and not reward[1].any() and np.isfinite(reward).all()
  assert not list(tmp_path.iterdir())


def test_sizes_of_every_variant_are_those_of_its_simulator():
  for name in mujoco_partition.names():
    environment = mujoco_agents.make(name, num_threads=1)
    world = environment.reset(np.random.default_rng(1), 1)
    assert environment.observe(world).shape == (1, environment.num_agents, environment.obs_size)
    assert environment.state(world).shape == (1, environment.state_size)


def test_the_handler_of_warnings_comes_back_whoever_leaves_first():
  mujoco = pytest.importorskip("mujoco", reason="the extra [mujoco]")
  before = mujoco.get_mju_user_warning()
  first, second = mujoco_agents.unlogged(mujoco), mujoco_agents.unlogged(mujoco)
  first.__enter__()
  second.__enter__()
  first.__exit__(None, None, None)
  assert mujoco.get_mju_user_warning() is not before  # the second is still inside
  second.__exit__(None, None, None)
  assert mujoco.get_mju_user_warning() is before


@pytest.mark.parametrize(
  ("name", "module", "robot"),
  [
    ("halfcheetah_6x1", "half_cheetah_v5", "HalfCheetahEnv"),
    ("hopper_3x1", "hopper_v5", "HopperEnv"),
    ("walker2d_2x3", "walker2d_v5", "Walker2dEnv"),
    ("ant_2x4", "ant_v5", "AntEnv"),
  ],
)
def test_a_robot_is_gymnasiums_from_its_reset_on(name, module, robot, monkeypatch):
  """Observations, rewards and ends, also of actions beyond the bounds and of what goes on after a fall."""
  mujoco = pytest.importorskip("mujoco", reason="the extra [mujoco]")
  if importlib.util.find_spec("imageio") is None:  # only Gymnasium's pictures need it
    monkeypatch.setitem(sys.modules, "imageio", types.ModuleType("imageio"))
  environment, generator = mujoco_agents.make(name, num_threads=1), np.random.default_rng(5)
  with mujoco_agents.unlogged(mujoco):
    theirs = getattr(importlib.import_module(f"gymnasium.envs.mujoco.{module}"), robot)()
  (obs, _), world, fell = theirs.reset(seed=5), environment.reset(generator, 1), False
  for _ in range(25):
    np.testing.assert_allclose(environment.state(world)[0], obs, rtol=0, atol=1e-6)
    action = generator.uniform(-1.5, 1.5, (environment.num_agents, environment.action_size))
    obs, their_reward, their_end, *_ = theirs.step(action.ravel())  # agent by agent they are in the robot's order
    world, reward, terminated, _ = environment.step(world, action[None])
    np.testing.assert_allclose(reward[0], their_reward, rtol=0, atol=1e-6)
    assert terminated.item() == their_end
    fell |= their_end
  assert fell == (name in ("hopper_3x1", "walker2d_2x3"))
