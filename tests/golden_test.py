"""The particle tasks against arrays stepped by the original code (25 steps, all bodies' actions given).

Every step starts from the stored state before it: contacts are stiff, so a free rollout in float32 would drift.
"""

import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline.environments import particle_tasks, particle_world

GOLDEN = pathlib.Path(os.environ.get("MARL_GOLDEN_DIR") or pathlib.Path(__file__).parent / "golden")
SCENARIOS = {
  "simple_spread": particle_tasks.spread_scenario,
  "simple_tag": particle_tasks.tag_scenario,
  "simple_world": particle_tasks.world_scenario,
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_replays_the_original_step_by_step(name):
  golden = np.load(GOLDEN / f"{name}.npz")
  scenario = SCENARIOS[name]()

  def before(start, after):  # [E, G, 2], [E, T, G, 2] -> states before every step
    return np.concatenate([start[:, None], after[:, :-1]], axis=1)

  pos = before(golden["agent_pos"], golden["next_agent_pos"])
  vel = before(golden["agent_vel"], golden["next_agent_vel"])
  landmarks = np.broadcast_to(golden["landmark_pos"][:, None], (*pos.shape[:2], *golden["landmark_pos"].shape[1:]))

  def one_step(pos, vel, landmarks, action):
    state = particle_world.WorldState(pos, vel, landmarks, jnp.zeros((), jnp.int32))
    after = particle_world.advance(scenario.bodies, state, action)
    prey = None if scenario.observe_prey is None else (scenario.observe_prey(state), scenario.observe_prey(after))
    obs = scenario.observe(state), scenario.observe(after)
    return after.agent_pos, after.agent_vel, scenario.rewards(after), obs, prey

  arrays = [jnp.asarray(x, jnp.float32) for x in (pos, vel, landmarks, golden["actions"])]
  next_pos, next_vel, rewards, obs, prey = jax.jit(jax.vmap(jax.vmap(one_step)))(*arrays)
  np.testing.assert_allclose(next_pos, golden["next_agent_pos"], atol=1e-5)
  np.testing.assert_allclose(next_vel, golden["next_agent_vel"], atol=1e-5)
  np.testing.assert_allclose(rewards, golden["rewards"], atol=1e-4)
  for i in range(scenario.num_learned):
    np.testing.assert_allclose(obs[0][:, :, i], golden[f"obs_{i}"][:, :-1], atol=1e-5)
    np.testing.assert_allclose(obs[1][:, :, i], golden[f"obs_{i}"][:, 1:], atol=1e-5)
  if prey is not None:
    np.testing.assert_allclose(prey[0], golden["obs_3"][:, :-1], atol=1e-5)
    np.testing.assert_allclose(prey[1], golden["obs_3"][:, 1:], atol=1e-5)
