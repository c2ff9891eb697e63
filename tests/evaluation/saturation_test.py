"""Stuck policies: the measure by hand, and a saturated actor of a real algorithm."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline.algorithms import cfcql
from marl_offline.evaluation import saturation
from tests import games


def test_what_is_stuck_by_hand():
  steady, moving, still = np.full(8, -0.99), np.tile([1.0, -1.0], 4), np.zeros(8)
  agents = [(steady, -steady), (steady, moving), (still, still), (moving, moving), (steady, still)]
  action = np.stack([np.stack(numbers, axis=-1) for numbers in agents], axis=1)[None]  # [1, R, N, A]
  # one number is enough: it never learns again; bang-bang play and doing nothing are not stuck
  assert saturation.stuck_agents(action) == [[0, 1, 4]]


@pytest.mark.parametrize("lost", [0, 2])
def test_a_saturated_actor_is_found_and_its_gradient_is_gone(lost):
  spec = games.tiny_spec()
  config = dataclasses.replace(cfcql.Config(), hidden_size=8, num_proposals=2, batch_size=16)
  learner = cfcql.make(spec, config)
  one = jax.jit(learner.init)(jax.random.key(0))
  last = max(one.actors["params"])
  dead = jax.tree.map(lambda x: x, one.actors)
  dead["params"][last]["bias"] = dead["params"][last]["bias"].at[lost].set(50.0)
  states = jax.tree.map(lambda *leaves: jnp.stack(leaves), one, one.replace(actors=dead))
  batch = games.random_batch(spec, jax.random.key(1), 64)
  action = saturation.greedy_actions(learner, states, np.asarray(batch.obs))
  assert action.shape == (2, 64, 3, 2) and saturation.stuck_agents(action) == [[], [lost]]
  after, _ = jax.jit(learner.update)(jax.tree.map(lambda x: x[1], states), batch, jax.random.key(2), 0)
  moved = jax.tree.map(lambda a, b: jnp.any(a != b, axis=tuple(range(1, a.ndim))), after.actors, dead)
  moved = np.any(jnp.stack(jax.tree.leaves(moved)), axis=0)  # [N]
  assert moved.tolist() == [agent != lost for agent in range(3)]
