"""Who owns which joint and who sees what, written by hand; no simulator is needed."""

import numpy as np
import pytest

from marl_offline.environments import mujoco_partition
from marl_offline.environments.api import observation_hash
from marl_offline.environments.mujoco_partition import ROBOTS, rings, variant


def test_omars_cheetah_sees_its_own_leg_foot_first_and_acts_thigh_first():
  # qpos: x z pitch, bthigh bshin bfoot, fthigh fshin ffoot at 3 to 8; the same of qvel, behind it, at 12 to 17.
  cheetah = variant("halfcheetah_2x3")
  np.testing.assert_array_equal(cheetah.seen, [[5, 14, 4, 13, 3, 12], [8, 17, 7, 16, 6, 15]])
  np.testing.assert_array_equal(cheetah.actuators, [[0, 1, 2], [3, 4, 5]])
  sizes = cheetah.num_agents, cheetah.obs_size, cheetah.action_size, cheetah.state_size, cheetah.horizon
  assert sizes == (2, 6, 3, 17, 1000)


@pytest.mark.parametrize(
  ("name", "obs_size", "state_size", "actuators"),
  [
    ("halfcheetah_6x1", 23, 17, [[0], [1], [2], [3], [4], [5]]),
    ("hopper_3x1", 14, 11, [[0], [1], [2]]),
    ("ant_2x4", 107, 105, [[0, 1, 2, 3], [4, 5, 6, 7]]),  # OMIGA's: hip4 ankle4 hip1 ankle1, then the rest
    ("ant_2x4_own", 2 * 4 + 6 * 7, 105, [[2, 3, 4, 5], [6, 7, 0, 1]]),  # front legs, back legs
    ("walker2d_2x3", 19, 17, [[0, 1, 2], [3, 4, 5]]),
    ("walker2d_2x3_own", 6, 17, [[2, 1, 0], [5, 4, 3]]),  # foot first
  ],
)
def test_sizes_and_order_of_actions(name, obs_size, state_size, actuators):
  named = variant(name)
  assert (named.obs_size, named.state_size, named.name) == (obs_size, state_size, name)
  np.testing.assert_array_equal(named.actuators, actuators)


def test_neighbours_by_hand():
  cheetah, ant = ROBOTS["halfcheetah"], ROBOTS["ant"]
  assert rings(cheetah, ("bthigh",), 2) == [["bthigh"], ["bshin", "fthigh"], ["bfoot", "fshin"]]
  assert rings(ant, ("hip1", "ankle1"), 1) == [["ankle1", "hip1"], ["hip2", "hip3", "hip4"]]
  assert rings(cheetah, ("ffoot",), 2) == [["ffoot"], ["fshin"], ["fthigh"]]
  walker = ROBOTS["walker2d"]  # its legs meet at the thighs
  assert rings(walker, ("foot", "leg", "thigh"), 2) == [["foot", "leg", "thigh"], ["thigh_left"], ["leg_left"]]
  assert rings(walker, ("leg_left",), 2) == [["leg_left"], ["foot_left", "thigh_left"], ["thigh"]]
  assert rings(walker, ("foot_left",), 1) == [["foot_left"], ["leg_left"]]
  # Hopper's thigh: its angle and velocity, the leg's angle, z and pitch, three velocities of the root, 0 at the end.
  hopper = variant("hopper_3x1_near1")
  np.testing.assert_array_equal(hopper.seen[0], [3, 9, 4, 1, 2, 6, 7, 8, -1])
  np.testing.assert_array_equal(hopper.seen[1], [4, 10, 5, 3, 1, 2, 6, 7, 8])


def test_an_ants_leg_feels_each_of_its_bodies_once():
  # 15 positions, 14 velocities; body b's forces at 29 + 6 b. ankle1: leg 2, 3, 4; ankle2: 5, 6, 7; hip1: torso.
  seen = variant("ant_2x4_own").seen[0]
  feels = [29 + 6 * body for body in (2, 3, 4, 5, 6, 7, 1)]
  assert seen[[2, 8, 14, 22, 28, 34, 42]].tolist() == feels
  assert seen[[0, 1, 20, 21, 40, 41, 48, 49]].tolist() == [8, 22, 10, 24, 7, 21, 9, 23]


def test_observations_by_hand():
  positions, velocities = np.arange(6.0)[None], np.array([[0.0, 20.0, -1.0, 3.0, 11.0, -30.0]])
  none = np.zeros((1, 0))
  state = mujoco_partition.state(ROBOTS["hopper"], positions, velocities, none)
  np.testing.assert_array_equal(state[0], [1, 2, 3, 4, 5, 0, 10, -1, 3, 10, -10])
  near = mujoco_partition.observe(variant("hopper_3x1_near1"), positions, velocities, none)
  np.testing.assert_array_equal(near[0, 0], [3, 3, 4, 1, 2, 0, 10, -1, 0])  # 0: the thigh has one neighbour only
  full = mujoco_partition.observe(variant("hopper_3x1"), positions, velocities, none)
  vector = np.concatenate([state[0], [0, 1, 0]])
  np.testing.assert_allclose(full[0, 1], (vector - vector.mean()) / vector.std())


@pytest.mark.parametrize(
  ("name", "of_state", "of_agents"),
  [("halfcheetah_2x3", 20, 20), ("hopper_3x1_own", 10, 10), ("walker2d_2x3_own", 10, 20), ("ant_2x4_own", 20, 20)],
)
def test_where_velocities_are_clipped(name, of_state, of_agents):
  """Gymnasium clips the hopper's and walker's at 10; mamujoco_v1 shows the walker's agents theirs unclipped."""
  robot = ROBOTS[variant(name).robot]
  positions, forces = np.zeros((1, robot.num_positions)), np.zeros((1, 6 * robot.num_bodies))
  velocities = np.full((1, robot.num_velocities), -20.0)
  assert mujoco_partition.state(robot, positions, velocities, forces).min() == -of_state
  assert mujoco_partition.observe(variant(name), positions, velocities, forces).min() == -of_agents


def test_every_variant_is_another_to_a_data_set():
  hashes = {observation_hash(variant(name)) for name in mujoco_partition.names()}
  assert len(hashes) == len(mujoco_partition.names()) == 20
  for name in mujoco_partition.names():
    named = variant(name)
    assert sorted(named.actuators.ravel()) == list(range(named.num_agents * named.action_size))


def test_an_unknown_name_lists_the_known():
  with pytest.raises(ValueError, match=r"'halfcheetah_3x2' is no .* known are halfcheetah_2x3, .*walker2d_2x3"):
    variant("halfcheetah_3x2")
