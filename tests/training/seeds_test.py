"""A seed trained beside others is that seed trained alone, with the paper's own algorithm and not only a tiny one."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from marl_offline.algorithms import spacql
from marl_offline.training import chunk
from tests import games

STEPS = 6  # one actor step at 0 and one at 5, targets moved at 4


def draw(dataset, key):
  rows = jax.random.randint(key, (8,), 0, dataset.reward.shape[0])
  return jax.tree.map(lambda array: array[rows], dataset)


def test_one_seed_of_three_is_that_seed_alone():
  spec = games.tiny_spec()
  learner = spacql.make(spec, spacql.Config(hidden_size=8, ensemble_size=3, batch_size=8, num_proposals=2))
  dataset = games.random_batch(spec, jax.random.key(5), batch_size=64)

  def train(seeds):
    init_keys, run_keys = chunk.seed_keys(seeds)
    states = jax.jit(jax.vmap(learner.init))(init_keys)
    return chunk.train_chunk(learner.update, draw, states, dataset, run_keys, 0, STEPS)

  states, means, broken = train([4, 7, 9])
  alone, means_alone, _ = train([7])
  pick = lambda tree: jax.tree.map(lambda leaf: leaf[1:2], tree)  # noqa: E731
  chex.assert_trees_all_close(pick(states), alone, rtol=1e-4, atol=1e-5)
  chex.assert_trees_all_close(pick(means), means_alone, rtol=1e-4, atol=1e-5)
  chex.assert_trees_all_equal(broken, jax.tree.map(lambda step: jnp.full_like(step, -1), broken))
  first, second, third = means["td_loss"]
  assert len({float(first), float(second), float(third)}) == 3, "seeds must differ"


def test_a_fixed_number_of_minibatches_comes_again_and_again_while_the_updates_stay_fresh():
  run_key = jax.random.key(3)
  data = lambda key: jax.random.key_data(key).tolist()  # noqa: E731
  batch, update = zip(*(map(data, chunk.keys_at(run_key, step, chunk.Repeated(5))) for step in range(12)), strict=True)
  fresh_batch, fresh_update = zip(*(map(data, chunk.keys_at(run_key, step)) for step in range(12)), strict=True)
  assert batch[:5] == fresh_batch[:5] and batch[5:10] == batch[:5] and batch[10:] == batch[:2]
  assert update == fresh_update and len({*map(str, fresh_batch)}) == 12
  fed = chunk.batch_keys(run_key[None], np.int32(4), 4, minibatches=chunk.Repeated(5))
  assert [data(key) for key in fed[0]] == list(batch[4:8])
  later = [data(chunk.keys_at(run_key, step, chunk.Repeated(2, first_step=7))[0]) for step in range(12)]
  assert later[:9] == list(fresh_batch[:9]) and later[9:] == [later[7], later[8], later[7]]
