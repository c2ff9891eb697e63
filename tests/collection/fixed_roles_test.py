"""The scripted expert: its action by hand, and the level of what it records."""

import jax
import jax.numpy as jnp
import numpy as np

from marl_offline.collection import fixed_roles, record
from marl_offline.environments import particle_tasks


def test_agent_i_drives_to_landmark_i():
  environment = particle_tasks.spread()
  state = environment.reset(jax.random.key(0))
  state = state.replace(agent_vel=jnp.array([[0.0, 0.0], [0.1, 0.0], [0.0, -0.2]]))
  action = fixed_roles.mean_action(fixed_roles.FixedRoles(), environment.observe(state))
  wanted = np.tanh(6.0 * (state.landmark_pos - state.agent_pos) - 2.0 * state.agent_vel)
  np.testing.assert_allclose(action, wanted, atol=1e-6)


def test_its_returns_are_the_published_expert_datas():
  episodes = record.record(particle_tasks.spread(), [record.Behavior(fixed_roles.FixedRoles(), 1.0, 1000)], 0)
  assert 520 < episodes.returns().mean() < 535 and 66 < episodes.returns().std() < 76  # published: 531 +- 71
