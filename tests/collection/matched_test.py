"""The player that scores 100 on spread with any number of agents."""

import jax
import jax.numpy as jnp
import numpy as np

from marl_offline.collection import matched
from marl_offline.environments import particle_tasks
from marl_offline.evaluation import scores


def test_the_least_sum_of_distances_is_matched_by_hand():
  # Agents at 0 and 1, landmarks at 0.9 and 3: 0 -> 0.9 and 1 -> 3 costs 0.9 + 2 = 2.9. Taking the nearest pair first,
  # 1 -> 0.9, leaves 0 -> 3: 0.1 + 3 = 3.1.
  agents, landmarks = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[3.0, 0.0], [0.9, 0.0]])
  assert matched.match(agents, landmarks).tolist() == [1, 0]


def test_a_goal_in_reach_is_met_in_one_step():
  # full force adds 0.5 to the velocity and a step lasts 0.1: from rest, 0.05 away can be met, 0.2 away cannot
  environment = particle_tasks.spread(3)
  state = environment.reset(jax.random.key(0))
  places = jnp.array([[-5.0, 0.0], [0.0, 0.0], [5.0, 0.0]])
  state = state.replace(agent_pos=places, agent_vel=jnp.array([[0.0, 0.0], [0.0, 0.0], [0.4, 0.0]]))
  goal = places + jnp.array([[0.05, -0.02], [0.2, 0.0], [0.0, 0.0]])
  action = matched.approach(state, goal)
  np.testing.assert_allclose(action, [[1.0, -0.4], [1.0, 0.0], [-0.6, 0.0]], atol=1e-4)
  after = environment.step(state, action, jax.random.key(0))[0]
  np.testing.assert_allclose(after.agent_pos[::2], goal[::2], atol=1e-5)


def test_its_return_is_what_the_scale_says():
  returns = matched.returns(particle_tasks.spread(3), 200, seed=1)
  assert returns.shape == (200,)
  score = scores.normalized("spread_3", returns)
  assert abs(score.mean() - 100) < 4 * score.std() / np.sqrt(200) + 1
