"""The scripted chasers that the prey learns against."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import train_prey
from marl_offline.collection import mappo
from marl_offline.environments import particle_tasks


@pytest.mark.parametrize("task", ["tag", "world"])
def test_a_chaser_goes_where_the_prey_will_be(task):
  scenario = getattr(particle_tasks, f"{task}_scenario")()
  state = scenario.reset(jax.random.key(0))
  prey, velocity = jnp.array([0.4, -0.3]), jnp.array([0.0, 1.0])
  predators = jnp.array([[0.0, -0.3], [0.4, 0.5], [0.9, -0.3]])
  speed = jnp.zeros((4, 2)).at[3].set(velocity)
  obs = scenario.observe(state.replace(agent_pos=jnp.concatenate([predators, prey[None]]), agent_vel=speed))
  straight = mappo.mean_action(train_prey.chaser(task, obs.shape, 8, 0.0, 0.1), obs)
  np.testing.assert_allclose(straight, [[1, 0], [0, -1], [-1, 0]], atol=1e-3)
  leading = mappo.mean_action(train_prey.chaser(task, obs.shape, 8, 0.3, 0.1), obs)
  np.testing.assert_allclose(leading, [[1, 1], [0, -1], [-1, 1]], atol=1e-2)


def test_the_frozen_weights_act_as_the_actor_does():
  actor = mappo.init_actor(jax.random.key(0), 1, 14, 16)
  obs = jax.random.normal(jax.random.key(1), (14,))
  frozen = particle_tasks.prey_network(train_prey.frozen_params(actor), obs)
  np.testing.assert_allclose(frozen, mappo.mean_action(actor, obs[None])[0], atol=1e-6)
