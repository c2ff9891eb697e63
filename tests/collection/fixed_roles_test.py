"""The script: its action by hand, the level of what it records, and who is skilled where that is drawn by lot."""

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


def test_each_agent_is_skilled_in_some_episodes_by_a_draw_of_its_own():
  exact = fixed_roles.FixedRoles(std=0.0)  # so that its actions are known
  episodes = record.record(particle_tasks.spread(4), [record.Behavior(exact, 1.0, 1500, skilled=0.3)], 0)
  by_script = np.abs(episodes.action - fixed_roles.mean_action(exact, episodes.obs)).max(axis=-1) < 1e-5
  share = by_script.reshape(1500, 25, 4).mean(axis=1)  # of its steps, for each episode and agent
  skilled = share > 0.5
  assert (share[skilled] == 1.0).all() and (share[~skilled] < 0.3).all()
  together = skilled.astype(float).T @ skilled / 1500  # agents' shares on the diagonal, pairs' beside it
  np.testing.assert_allclose(together, np.where(np.eye(4), 0.3, 0.09), atol=0.04)  # over three standard errors
  others = episodes.action.reshape(1500, 25, 4, 2).swapaxes(1, 2)[~skilled]
  assert abs(others.mean()) < 0.01 and abs(others.var() - 1 / 3) < 0.01  # uniform in [-1, 1]
