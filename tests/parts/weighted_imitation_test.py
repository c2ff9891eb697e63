import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline.algorithms import awac, iql, maicq
from marl_offline.parts import weighted_imitation
from tests import games

SPEC = games.tiny_spec()
SMALL = {"hidden_size": 8, "batch_size": 16}
CONFIG = dataclasses.replace(awac.Config(), **SMALL)


@pytest.fixture(scope="module")
def setting():
  net = weighted_imitation.build(SPEC, CONFIG)
  return net, jax.jit(net.init)(jax.random.key(0)), games.random_batch(SPEC, jax.random.key(1))


def test_no_weight_no_gradient_and_a_row_counts_as_its_weight(setting):
  net, state, batch = setting
  gradient = jax.jit(jax.grad(lambda actors, weight: weighted_imitation.actor_loss(net, actors, batch, weight)))
  jax.tree.map(lambda g: np.testing.assert_array_equal(g, 0.0), gradient(state.actors, jnp.zeros(16)))
  only_first = gradient(state.actors, jnp.zeros(16).at[0].set(16.0))
  first = jax.tree.map(lambda x: x[:1], batch)
  alone = jax.grad(lambda actors: weighted_imitation.actor_loss(net, actors, first, jnp.ones(1)))(state.actors)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), only_first, alone)


def test_samples_are_clipped_and_constant_under_gradient(setting):
  net, state, batch = setting
  wide = {"params": state.actors["params"] | {"log_std": jnp.full((3, 2), 1.0)}}

  def total(actors):
    return jnp.sum(weighted_imitation.sample(net, actors, batch.obs, jax.random.key(2)))

  action = weighted_imitation.sample(net, wide, batch.obs, jax.random.key(2))
  assert action.shape == (16, 3, 2) and np.abs(action).max() == 1.0 and np.std(action) > 0.5
  jax.tree.map(lambda g: np.testing.assert_array_equal(g, 0.0), jax.grad(total)(wide))


@pytest.mark.parametrize("module", [iql, awac, maicq])
def test_targets_follow_every_update(module, setting):
  _, _, batch = setting
  learner = module.make(SPEC, dataclasses.replace(module.Config(), **SMALL))
  start = jax.jit(learner.init)(jax.random.key(0))
  after, _ = jax.jit(learner.update)(start, batch, jax.random.key(1), 0)
  expected = jax.tree.map(lambda old, new: 0.995 * old + 0.005 * new, start.target_critics, after.critics)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), after.target_critics, expected)


@pytest.mark.parametrize("module", [iql, maicq])
def test_in_sample_methods_never_ask_for_actions_out_of_the_data(module, setting):
  """Critics move alike whatever the policies are."""
  _, _, batch = setting
  learner = module.make(SPEC, dataclasses.replace(module.Config(), **SMALL))
  start = jax.jit(learner.init)(jax.random.key(0))
  update = jax.jit(learner.update)
  other = start.replace(actors=jax.tree.map(lambda x: x + 0.1, start.actors))
  first, second = (update(state, batch, jax.random.key(1), 0)[0].critics for state in (start, other))
  jax.tree.map(np.testing.assert_array_equal, first, second)


def test_maicq_bootstraps_at_most_the_target_q(setting):
  _, _, batch = setting
  shares = {}
  for beta in (1e-3, 1e6):
    learner = maicq.make(SPEC, dataclasses.replace(maicq.Config(), beta=beta, **SMALL))
    _, metrics = jax.jit(learner.update)(jax.jit(learner.init)(jax.random.key(0)), batch, jax.random.key(1), 0)
    shares[beta] = float(metrics["bootstrap_mean"])
  assert shares[1e-3] < 0.3  # few next actions keep their value
  assert shares[1e6] == pytest.approx(1.0, abs=1e-3)  # all do


@pytest.mark.parametrize(
  "module, field, value",
  [(iql, "expectile", 1.0), (iql, "inverse_temperature", 0.0), (awac, "temperature", 0.0), (awac, "max_weight", -1.0),
   (maicq, "beta", 0.0), (maicq, "alpha", 0.0)],
)  # fmt: skip
def test_make_refuses_what_cannot_weigh(module, field, value):
  with pytest.raises(ValueError, match=f"{field}={value} must"):
    module.make(SPEC, dataclasses.replace(module.Config(), **{field: value}))
