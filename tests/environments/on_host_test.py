"""A pure task on the host is the same task."""

import jax
import numpy as np

from marl_offline.environments import on_host, particle_tasks


def test_steps_observations_and_ends_are_the_pure_tasks():
  pure = particle_tasks.spread()
  host, generator = on_host.from_pure(pure), np.random.default_rng(0)
  world = host.reset(generator, 4)
  state = jax.tree.map(lambda leaf: leaf[2], world)
  assert not np.array_equal(world.agent_pos[0], world.agent_pos[1])
  for step in range(host.horizon):
    action = generator.uniform(-1, 1, (4, host.num_agents, host.action_size))
    np.testing.assert_allclose(host.observe(world)[2], pure.observe(state), rtol=1e-6)
    world, reward, terminated, truncated = host.step(world, action)
    state, expected, *_ = pure.step(state, action[2].astype(np.float32), jax.random.key(1))
    np.testing.assert_allclose(reward[2], expected, rtol=1e-5)
    assert not terminated.any() and truncated.all() == truncated.any() == (step == host.horizon - 1)
  assert host.state(world).shape == (4, host.state_size)
  anew, again = (host.reset(each, 4).agent_pos for each in (generator, np.random.default_rng(0)))
  assert len(np.unique(np.concatenate([anew, again])[:, 0, 0])) == 8  # a batch of episodes is no copy of the one before
