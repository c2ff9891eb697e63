"""Where a robot's limbs are drawn, and in whose color."""

import sys

import matplotlib.colors
import numpy as np
import PIL.Image
import pytest
from matplotlib.figure import Figure

from marl_offline.environments import mujoco_agents, mujoco_picture
from marl_offline.evaluation import animation


@pytest.fixture(autouse=True, scope="module")
def simulator():
  pytest.importorskip("mujoco", reason="the extra [mujoco]")
  pytest.importorskip("gymnasium", reason="the extra [mujoco]")


def at(robot, **joints):
  """One row of a World: the model's own pose, at rest, but for these joints."""
  model = robot.physics.model
  physics = np.concatenate([[0.0], model.qpos0, np.zeros(model.nv)])
  for joint, angle in joints.items():
    physics[1 + model.joint(joint).qposadr[0]] = angle
  return mujoco_agents.World(physics, physics[1], np.zeros(0), np.zeros((), int))


def named(robot, values):
  """{name of a geom: its value}."""
  return {robot.physics.model.geom(geom).name: value for geom, value in zip(robot.geoms, values, strict=True)}


def test_the_cheetah_stands_where_its_file_says():
  robot = mujoco_picture.robot("halfcheetah_2x3")
  pose = mujoco_picture.pose(robot, at(robot))
  ends = named(robot, np.sort(np.stack([pose.start, pose.end], axis=1), axis=1))  # [2, 3], each axis sorted
  np.testing.assert_allclose(ends["torso"], [[-0.5, 0, 0.7], [0.5, 0, 0.7]], atol=1e-9)
  # bfoot, from body to body: (-0.5 + 0.16 - 0.28 + 0.03, 0.7 - 0.25 - 0.14 - 0.097) = (-0.59, 0.213); half as long as
  # 0.094, upright but for -0.27: 0.094 * (sin, cos) = (0.0250727, 0.0905945).
  np.testing.assert_allclose(ends["bfoot"], [[-0.6150727, 0, 0.1224055], [-0.5649273, 0, 0.3035945]], atol=1e-6)
  np.testing.assert_allclose(pose.radius, 0.046)
  assert len(ends) == 8 and robot.seconds == 0.05


def test_the_cheetah_goes_and_turns_where_its_joints_say():
  robot = mujoco_picture.robot("halfcheetah_2x3")
  # a quarter turn about y takes forward to down, and the torso's front end with it
  pose = mujoco_picture.pose(robot, at(robot, rootx=3.0, rooty=np.pi / 2))
  np.testing.assert_allclose(pose.torso, [3, 0, 0.7], atol=1e-9)
  torso = np.sort(named(robot, np.stack([pose.start, pose.end], axis=1))["torso"], axis=0)
  np.testing.assert_allclose(torso, [[3, 0, 0.2], [3, 0, 1.2]], atol=1e-9)


NOBODY = mujoco_picture.NOBODY
_CHEETAH = ("bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot")
_LEGS = (("left_leg", "left_ankle"), ("right_leg", "right_ankle"))
_LEGS += (("back_leg", "third_ankle"), ("rightback_leg", "fourth_ankle"))


def ant(*legs):
  """Owners of the ant's geoms, by the owner of each leg; the first piece of a leg does not move in the torso."""
  still = dict.fromkeys(["torso_geom", *(f"aux_{leg}_geom" for leg in (1, 2, 3, 4))], NOBODY)
  return still | {f"{part}_geom": owner for leg, owner in zip(_LEGS, legs, strict=True) for part in leg}


@pytest.mark.parametrize(
  ("name", "owners"),
  [
    ("halfcheetah_2x3", {"torso": NOBODY, "head": NOBODY} | dict(zip(_CHEETAH, [0, 0, 0, 1, 1, 1], strict=True))),
    ("halfcheetah_6x1", {"torso": NOBODY, "head": NOBODY} | dict(zip(_CHEETAH, range(6), strict=True))),
    ("hopper_3x1", {"torso_geom": NOBODY, "thigh_geom": 0, "leg_geom": 1, "foot_geom": 2}),
    ("ant_2x4_own", ant(0, 0, 1, 1)),
    ("ant_2x4", ant(0, 1, 1, 0)),  # the robot's actuators begin with the fourth leg's
  ],
)
def test_limbs_have_their_agents_colors(name, owners):
  robot = mujoco_picture.robot(name)
  assert named(robot, robot.owners.tolist()) == owners
  axes = Figure().add_subplot()
  mujoco_picture.draw(axes, robot, at(robot))
  drawn = [matplotlib.colors.to_hex(color) for color in axes.collections[-1].get_facecolor()]
  assert sorted(drawn) == sorted(map(mujoco_picture.color_of, owners.values()))
  words = {text.get_text(): text.get_color() for text in axes.texts}
  assert [words[f"agent {agent}"] for agent in range(robot.num_agents)] == [*mujoco_picture.AGENTS[: robot.num_agents]]
  assert mujoco_picture.TORSO not in mujoco_picture.AGENTS and len(set(mujoco_picture.AGENTS)) == 6


@pytest.mark.parametrize("name", ["hopper_3x1", "ant_2x4"])
def test_the_picture_follows_the_robot_along_numbered_ground(name):
  robot, limbs, numbers = mujoco_picture.robot(name), [], []
  for place in (0, 4):
    axes, world = Figure().add_subplot(), at(robot)
    world.physics[1] += place
    mujoco_picture.draw(axes, robot, world)
    corner, far = np.transpose([axes.get_xlim(), axes.get_ylim()])
    limbs.append(np.concatenate([path.vertices for path in axes.collections[-1].get_paths()]) - corner)
    assert (limbs[-1] > 0).all() and (limbs[-1] < far - corner).all()
    numbers.append([text.get_text() for text in axes.texts if text.get_text().endswith(" m")])
  np.testing.assert_allclose(*limbs, atol=1e-9)
  assert "0 m" in numbers[0] and len(numbers[0]) > 2
  assert numbers[1] == [f"{int(number.removesuffix(' m')) + 4} m" for number in numbers[0]]


def test_a_film(tmp_path):
  environment, robot = mujoco_agents.make("ant_2x4", num_threads=1), mujoco_picture.robot("ant_2x4")
  world = environment.reset(np.random.default_rng(0), 3)  # three robots pass for three moments of one
  path = tmp_path / "ant.gif"

  def draw(axes, row):
    mujoco_picture.draw(axes, robot, row)

  animation.render(path, world, np.ones((2, 2)), draw, robot.seconds, mujoco_picture.SIZE)
  with PIL.Image.open(path) as film:
    assert (film.format, film.n_frames, film.size, film.info["duration"]) == ("GIF", 3, (480, 320), 50)
    colors = {color for _, color in film.convert("RGB").getcolors(100_000)}
  for color in mujoco_picture.AGENTS[:2]:
    wanted = 255 * np.array(matplotlib.colors.to_rgb(color))
    assert min(np.abs(np.subtract(color, wanted)).max() for color in colors) <= 8


@pytest.mark.parametrize("absent", ["mujoco", "gymnasium"])
def test_the_missing_extra_is_named(monkeypatch, absent):
  if absent == "mujoco":
    monkeypatch.setitem(sys.modules, "mujoco", None)
  else:
    monkeypatch.setattr(mujoco_agents.importlib.util, "find_spec", lambda name: None)
  with pytest.raises(ImportError) as error:
    mujoco_picture.robot("hopper_3x1")
  assert str(error.value) == mujoco_agents.MISSING
