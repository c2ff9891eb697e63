"""Values worked by hand, or given by the original code for states that are easy to write down."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline.environments import particle_picture, particle_tasks, particle_world
from marl_offline.environments.api import observation_hash
from marl_offline.environments.particle_world import WorldState

SCENARIOS = [particle_tasks.spread_scenario, particle_tasks.tag_scenario, particle_tasks.world_scenario]
TASKS = [particle_tasks.spread, particle_tasks.tag, particle_tasks.world]


def at_rest(scenario, agents, landmark=lambda j: (0.15 + 0.3 * j, -0.1 - 0.1 * j)):
  landmarks = [landmark(j) for j in range(len(scenario.bodies.landmark_radius))]
  agents = jnp.array(agents)
  return WorldState(agents, jnp.zeros_like(agents), jnp.array(landmarks), jnp.zeros((), jnp.int32))


@pytest.mark.parametrize(
  ("scenario", "agents", "velocity", "reward"),
  [
    (SCENARIOS[0], [(0, 0), (0.2, 0), (0, 0.25)], [(-1, -0.5), (1, 0), (0, 0.5)], [11.396003] * 3),
    (
      SCENARIOS[1],
      [(0, 0), (0.1, 0), (0.5, 0.5), (0.05, 0.08)],
      [(-0.983669, 0.179985), (-0.056042, 0.998428), (0, 0), (-0.214107, 0.905389)],
      [9.912983] * 3 + [-9.912983],
    ),
    (
      SCENARIOS[2],
      [(0, 0), (0.1, 0), (0.5, 0.5), (0.05, 0.08)],
      [(-0.977427, 0.211271), (-0.075335, 0.997158), (0, 0), (-0.189825, 0.776881)],
      [4.914721] * 3 + [-4.887176],
    ),
  ],
)
def test_bodies_that_touch_part_as_in_the_original(scenario, agents, velocity, reward):
  scenario = scenario()
  state = at_rest(scenario, [tuple(map(float, agent)) for agent in agents])
  after = particle_world.advance(scenario.bodies, state, jnp.zeros((len(agents), 2)))
  np.testing.assert_allclose(after.agent_vel, velocity, atol=2e-5)
  np.testing.assert_allclose(scenario.rewards(after), reward, rtol=1e-5)


def test_full_throttle_speeds():
  # spread: v = 0.75 v + 0.5, so 0.5, then towards 2. Predators: 0.9, then capped at 1. Prey: 1.6, capped at 1.3.
  def speeds(scenario, steps):
    far = [(3.0 * i, 0.0) for i in range(len(scenario.bodies.radius))]
    state = at_rest(scenario, far, landmark=lambda j: (-50.0 - j, 0.0))
    for _ in range(steps):
      state = particle_world.advance(scenario.bodies, state, jnp.tile(jnp.array([1.0, 0.0]), (len(far), 1)))
    return np.asarray(state.agent_vel[:, 0])

  spread, tag = particle_tasks.spread_scenario(), particle_tasks.tag_scenario()
  np.testing.assert_allclose(speeds(spread, 1), [0.5] * 3, rtol=1e-6)
  np.testing.assert_allclose(speeds(spread, 60), [2.0] * 3, rtol=1e-5)
  np.testing.assert_allclose(speeds(tag, 1), [0.9] * 3 + [1.3], rtol=1e-6)
  np.testing.assert_allclose(speeds(tag, 2), [1.0] * 3 + [1.3], rtol=1e-6)


def test_spread_reward_by_hand():
  # Landmark 0 is 0.05 away (1 / 0.05 = 20, capped at 10), landmark 1 is 0.5 away (2), landmark 2 is 0.25 away (4): 16.
  # Agents 0 and 1 stand 0.1 apart and collide; agent 2 is alone: 11, 11, 16.
  scenario = particle_tasks.spread_scenario()
  landmarks = [(0.05, 0.0), (0.1, 0.5), (2.0, 0.25)]
  state = at_rest(scenario, [(0.0, 0.0), (0.1, 0.0), (2.0, 0.0)], landmark=lambda j: landmarks[j])
  np.testing.assert_allclose(scenario.rewards(state), [11.0, 11.0, 16.0], rtol=1e-5)


@pytest.mark.parametrize(("scenario", "touch", "bite"), [(SCENARIOS[1], 0.125, 10.0), (SCENARIOS[2], 0.12, 5.0)])
def test_predators_bite_at_the_sum_of_the_radii(scenario, touch, bite):
  scenario = scenario()
  for gap, bitten in ((touch - 1e-3, bite), (touch + 1e-3, 0.0)):
    agents = [(gap, 0.0), (0.0, 2.0), (0.0, -2.0), (0.0, 0.0)]  # the two others 2 away
    state = at_rest(scenario, agents, landmark=lambda j: (50.0 + j, 0.0))
    np.testing.assert_allclose(scenario.rewards(state)[:3], [bitten - 0.1 * (gap + 4.0)] * 3, rtol=1e-5)


@pytest.mark.parametrize(("gap", "eaten"), [(0.074, 2.0), (0.076, 0.0)])
def test_the_prey_eats_the_food_that_it_touches(gap, eaten):
  # Predators 1, 2 and 2 away: 0.1 * 5. Food at the gap, whose distance earns 0.05 of it, and 3 away.
  scenario = particle_tasks.world_scenario()
  landmarks = [(50.0, 0.0), (gap, 0.0), (0.0, 3.0), (60.0, 0.0), (70.0, 0.0)]
  agents = [(-1.0, 0.0), (0.0, 2.0), (0.0, -2.0), (0.0, 0.0)]
  state = at_rest(scenario, agents, landmark=lambda j: landmarks[j])
  np.testing.assert_allclose(scenario.rewards(state)[3], 0.5 + eaten + 0.05 * gap, rtol=1e-5)


def test_bodies_in_one_spot_stay_finite():
  scenario = particle_tasks.tag_scenario()
  state = at_rest(scenario, [(0.0, 0.0)] * 4, landmark=lambda j: (0.0, 0.0))
  after = particle_world.advance(scenario.bodies, state, jnp.ones((4, 2)))
  assert np.isfinite(after.agent_vel).all() and np.isfinite(scenario.rewards(after)).all()


@pytest.mark.parametrize("task", TASKS)
def test_episodes_are_cut_after_25_steps_and_never_terminate(task):
  environment = task()
  sizes = {"spread": 18, "tag": 16, "world": 24}
  assert environment.obs_size == sizes[environment.name]

  def one_step(state, key):
    action = jax.random.uniform(key, (environment.num_agents, 2), minval=-1, maxval=1)
    state, reward, terminated, truncated = environment.step(state, action, key)
    return state, (environment.observe(state), reward, terminated, truncated)

  def episode(key):
    return jax.lax.scan(one_step, environment.reset(key), jax.random.split(key, 26))[1]

  obs, reward, terminated, truncated = jax.jit(jax.vmap(episode))(jax.random.split(jax.random.key(0), 400))
  assert obs.shape == (400, 26, 3, sizes[environment.name])
  assert not terminated.any() and not truncated[:, :24].any() and truncated[:, 24].all()
  assert np.isfinite(obs).all() and np.isfinite(reward).all()
  if environment.name == "spread":  # uniform play in the original: 161.9 +- 3.7 over 300 episodes
    assert 150 < jnp.mean(jnp.sum(reward[:, :25], axis=1)) < 172


@pytest.mark.parametrize("num_agents", [1, 2, 3, 4, 12])
def test_spread_takes_other_numbers_of_agents(num_agents):
  environment = particle_tasks.spread(num_agents)
  state = environment.reset(jax.random.key(0))
  obs = environment.observe(state)
  assert obs.shape == (num_agents, environment.obs_size) == (num_agents, 4 + 2 * num_agents + 4 * (num_agents - 1))
  world = jax.vmap(environment.reset)(jax.random.split(jax.random.key(1), 50))
  for places in (world.agent_pos, world.landmark_pos):  # the square doubles
    assert 0.9 < jnp.abs(places).max() / (2.0 if num_agents > 3 else 1.0) <= 1.0
  after, reward, _, _ = environment.step(state, jnp.zeros((num_agents, 2)), jax.random.key(2))
  assert reward.shape == (num_agents,) and np.isfinite(after.agent_vel).all()
  if num_agents != 3:
    assert observation_hash(environment) != observation_hash(particle_tasks.spread())


@pytest.mark.parametrize("make", [particle_tasks.spread, particle_tasks.tag])
def test_actions_of_other_agents_or_directions_are_refused(make):
  """Of one agent less the prey's action would be the last predator's."""
  environment = make()
  world = environment.reset(jax.random.key(0))
  for shape in ((2, 2), (4, 2), (3, 1), (1, 3, 2)):
    with pytest.raises(ValueError, match=rf"{environment.name}: actions have shape \({shape[0]}, .*expected \(3, 2\)"):
      environment.step(world, jnp.zeros(shape), jax.random.key(0))


def test_no_agents_is_no_spread():
  with pytest.raises(ValueError, match="num_agents=0 must be at least 1"):
    particle_tasks.spread(0)


@pytest.mark.parametrize("task", ["spread", "tag", "world"])
def test_a_picture_shows_every_body_and_landmark(task):
  from matplotlib.figure import Figure

  scenario = getattr(particle_tasks, f"{task}_scenario")()
  state = jax.tree.map(np.asarray, scenario.reset(jax.random.key(0)))
  axes = Figure().add_subplot()
  particle_picture.draw(axes, task, state)
  assert len(axes.patches) == len(state.agent_pos) + len(state.landmark_pos)
  assert [text.get_text() for text in axes.texts] == [str(i) for i in range(len(state.agent_pos))]


@pytest.mark.parametrize("task", ["tag", "world"])
def test_the_frozen_prey_is_caught_less_than_one_that_stands_still(task):
  scenario = getattr(particle_tasks, f"{task}_scenario")()

  def predators_return(prey, key):
    def one_step(state, _):
      gap = state.agent_pos[3] - state.agent_pos[:3]  # straight after it at full throttle
      chase = gap / jnp.maximum(jnp.abs(gap).max(axis=1, keepdims=True), 1e-6)
      action = prey(scenario.observe_prey(state))
      state = particle_world.advance(scenario.bodies, state, jnp.concatenate([chase, action[None]]))
      return state, (scenario.rewards(state)[0], action)

    return jax.lax.scan(one_step, scenario.reset(key), None, particle_tasks.HORIZON)[1]

  frozen = functools.partial(particle_tasks.prey_network, particle_tasks.frozen_prey(task))
  keys = jax.random.split(jax.random.key(1), 300)
  caught, action = jax.vmap(functools.partial(predators_return, frozen))(keys)
  standing, _ = jax.vmap(functools.partial(predators_return, lambda obs: jnp.zeros(2)))(keys)
  assert (jnp.abs(action) <= 1).all()
  assert caught.sum(axis=1).mean() < 0.5 * standing.sum(axis=1).mean()


@pytest.mark.parametrize(("task", "landmarks"), list(zip(TASKS, (1.0, 0.9, 0.9), strict=True)))
def test_where_everything_starts(task, landmarks):
  """Agents uniformly in [-1, 1]^2, landmarks there in spread and in [-0.9, 0.9]^2 in the chases, all at rest."""
  world = jax.jit(jax.vmap(task().reset))(jax.random.split(jax.random.key(0), 4000))
  for places, bound in ((world.agent_pos, 1.0), (world.landmark_pos, landmarks)):
    share = np.asarray(places).reshape(-1) / bound
    assert 0.999 < np.abs(share).max() <= 1.0
    np.testing.assert_allclose(np.histogram(share, 5, (-1, 1))[0] / len(share), [0.2] * 5, atol=0.02)
  assert not np.asarray(world.agent_vel).any() and not np.asarray(world.time).any()


@pytest.mark.parametrize(("task", "scenario"), list(zip(TASKS, SCENARIOS, strict=True)))
def test_an_observation_is_laid_out_as_the_readme_says(task, scenario):
  state = scenario().reset(jax.random.key(0))
  velocity = jnp.arange(state.agent_vel.size, dtype=jnp.float32).reshape(state.agent_vel.shape)
  state, environment = state.replace(agent_vel=velocity), task()
  for i in range(3):
    own, others = state.agent_pos[i], [j for j in range(len(velocity)) if j != i]
    seen = [velocity[i], own, *(state.landmark_pos - own), *(state.agent_pos[j] - own for j in others)]
    if environment.name == "spread":
      seen.append(jnp.zeros(4))
    else:
      seen.append(velocity[3])
    if environment.name == "world":  # an agent is in a forest where it touches it: radii 0.075 and 0.3
      seen.append(jnp.where(jnp.linalg.norm(state.landmark_pos[3:] - own, axis=-1) < 0.375, 1.0, -1.0))
    np.testing.assert_allclose(environment.observe(state)[i], jnp.concatenate(seen), atol=1e-6)
