"""Every variant beside Gymnasium-Robotics' mamujoco_v1: from the same state the same actions lead to the same."""

import numpy as np
import pytest

from marl_offline.environments import mujoco_agents, mujoco_partition

mujoco = pytest.importorskip("mujoco", reason="the extra [mujoco]")
reference = pytest.importorskip("gymnasium_robotics", reason="the extra [dev]").mamujoco_v1

SCENARIOS = {"halfcheetah": "HalfCheetah", "hopper": "Hopper", "walker2d": "Walker2d", "ant": "Ant"}
TOLERANCE = 1e-8


def original(variant):
  """The same task of Gymnasium-Robotics; its agents have no kind `full`, which is compared with the state."""
  kind = variant.version.split("-")[1]
  own = {"global_categories": ()} if kind == "own" else {}
  reach = int(kind[-1]) if kind.startswith("near") else 0
  split = variant.name.split("_")[1]
  with mujoco_agents.unlogged(mujoco):
    return reference.parallel_env(scenario=SCENARIOS[variant.robot], agent_conf=split, agent_obsk=reach, **own)


def world_of(base, time):
  """One row of a World with what the original's simulator holds."""
  kind = mujoco.mjtState.mjSTATE_FULLPHYSICS
  physics = np.empty(mujoco.mj_stateSize(base.model, kind))
  mujoco.mj_getState(base.model, base.data, physics, kind)
  ant = "Ant" in type(base).__name__
  forces = np.clip(base.data.cfrc_ext, -1.0, 1.0).ravel() if ant else np.zeros(0)
  return mujoco_agents.World(physics, base.data.xpos[1, 0] if ant else base.data.qpos[0], forces, np.array(time))


def seen_by(theirs, obs):
  return [obs[agent] for agent in theirs.possible_agents], theirs.state()


def recorded(variant, steps, seed=7):
  """Uniform play of the original: worlds before, actions [steps, N, A], and (obs, state, reward, ends) after."""
  theirs = original(variant)
  base, generator = theirs.single_agent_env.unwrapped, np.random.default_rng(seed)
  theirs.reset(seed=seed)
  time, worlds, actions, after = 0, [], [], []
  for _ in range(steps):
    action = generator.uniform(-1.0, 1.0, (variant.num_agents, variant.action_size))
    worlds.append(world_of(base, time))
    given = dict(zip(theirs.possible_agents, action, strict=True))
    if variant.seen is None:  # agents' actions one after the other are the robot's
      given = theirs.map_global_action_to_local_actions(action.ravel())
    obs, rewards, terminations, truncations, _ = theirs.step(given)
    ends = [list(told.values()) for told in (rewards, terminations, truncations)]
    actions.append(action)
    after.append((*seen_by(theirs, obs), *ends))
    time += 1
    if ends[1][0] or ends[2][0]:
      theirs.reset()
      time = 0
  theirs.close()
  return mujoco_agents.World(*map(np.stack, zip(*worlds, strict=True))), np.stack(actions), after


def check_seen(variant, obs, state, their_obs, their_state):
  np.testing.assert_allclose(state, their_state, rtol=0, atol=TOLERANCE)
  for agent in range(variant.num_agents):
    if variant.seen is None:
      vector = np.concatenate([their_state, np.eye(variant.num_agents)[agent]])
      expected = (vector - np.mean(vector)) / np.std(vector)
    else:
      expected = np.concatenate([their_obs[agent], np.zeros(variant.obs_size - len(their_obs[agent]))])
    np.testing.assert_allclose(obs[agent], expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", mujoco_partition.names())
def test_every_step_is_the_originals(name):
  variant, ours = mujoco_partition.variant(name), mujoco_agents.make(name)
  steps = 1000 if name == "halfcheetah_2x3" else 200
  worlds, actions, after = recorded(variant, steps)
  ends, (worlds, reward, terminated, truncated) = [told[2:] for told in after], ours.step(worlds, actions)
  their_reward, their_terminated, their_truncated = map(np.array, zip(*ends, strict=True))
  np.testing.assert_allclose(reward, their_reward, rtol=0, atol=TOLERANCE)
  np.testing.assert_array_equal(np.repeat(terminated[:, None], variant.num_agents, 1), their_terminated)
  np.testing.assert_array_equal(np.repeat(truncated[:, None], variant.num_agents, 1), their_truncated)
  assert terminated.any() == (variant.robot != "halfcheetah") and truncated.any() == (steps == 1000)
  for obs, state, told in zip(ours.observe(worlds), ours.state(worlds), after, strict=True):
    check_seen(variant, obs, state, *told[:2])


@pytest.mark.parametrize("name", ["halfcheetah_2x3", "hopper_3x1", "walker2d_2x3", "ant_2x4"])
def test_a_run_goes_on_as_the_originals(name):
  # Only the first is given: what a world carries on from step to step is all there is. Rounding grows with time, so
  # no long run stays together.
  variant, ours = mujoco_partition.variant(name), mujoco_agents.make(name)
  worlds, actions, after = recorded(variant, 20)
  world, over = mujoco_agents.World(*(leaf[:1] for leaf in worlds)), False
  for action, (obs, state, reward, _, _) in zip(actions, after, strict=True):
    if not over:
      world, its_reward, terminated, _ = ours.step(world, action[None])
      np.testing.assert_allclose(its_reward[0], reward, rtol=0, atol=TOLERANCE)
      check_seen(variant, ours.observe(world)[0], ours.state(world)[0], obs, state)
      over = terminated[0]


@pytest.mark.parametrize("name", ["halfcheetah_2x3", "hopper_3x1", "walker2d_2x3_near1", "ant_2x4_near1"])
def test_episodes_begin_as_the_originals(name):
  variant, ours = mujoco_partition.variant(name), mujoco_agents.make(name)
  theirs, generator = original(variant), np.random.default_rng(11)
  for seed in (11, None):  # the second goes on drawing from the same generator
    obs, _ = theirs.reset(seed=seed)
    world = ours.reset(generator, 1)
    check_seen(variant, ours.observe(world)[0], ours.state(world)[0], *seen_by(theirs, obs))
  theirs.close()
