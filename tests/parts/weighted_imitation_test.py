import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline.algorithms import awac, iql, maicq
from marl_offline.networks import critics
from marl_offline.parts import joint_critic, weighted_imitation
from tests import bootstrap_test, games

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


def whole(module, **changes):
  """Networks, learner and a state whose targets are no copies, all with statistics of the data."""
  config = dataclasses.replace(module.Config(), normalization="data", **SMALL | changes)
  learner = module.make(SPEC, config)
  return weighted_imitation.build(SPEC, config), learner, bootstrap_test.apart(learner)


def lower_q(net, critics, batch, action):
  return jnp.min(joint_critic.joint_q(net, critics, batch.state, action), axis=0)  # [B]


def test_awac_weighs_the_data_against_one_draw_of_the_policies(setting, monkeypatch):
  """By the lesser of the critics that were just fitted; and bootstraps from a draw, not from the mean."""
  _, _, batch = setting
  net, learner, start = whole(awac, max_weight=1.5)
  now, later = (jax.random.uniform(jax.random.key(seed), batch.action.shape, minval=-1.0) for seed in (3, 4))
  monkeypatch.setattr(weighted_imitation, "sample", lambda net, actors, obs, key: now if obs is batch.obs else later)
  after, metrics = learner.update(start, batch, jax.random.key(1), 0)
  advantage = lower_q(net, after.critics, batch, batch.action) - lower_q(net, after.critics, batch, now)
  next_q = jnp.min(joint_critic.joint_q(net, start.target_critics, batch.next_state, later), axis=0)
  expected = {
    "advantage_mean": jnp.mean(advantage),
    "weight_mean": jnp.mean(jnp.minimum(jnp.exp(advantage), 1.5)),
    "target_mean": jnp.mean(batch.reward + 0.95 * batch.discount * next_q),
  }
  for name, value in expected.items():
    np.testing.assert_allclose(metrics[name], value, rtol=1e-3, err_msg=name)
  assert float(jnp.max(jnp.exp(advantage))) > 1.5


def test_iql_weighs_the_data_against_v_and_fits_v_to_the_target_critics(setting):
  """Both as they were before the update."""
  _, _, batch = setting
  net, learner, start = whole(iql, max_weight=1.5, expectile=0.8)
  _, metrics = jax.jit(learner.update)(start, batch, jax.random.key(1), 0)
  v = critics.StateValue(8).apply(start.value, SPEC.normalizer.state(batch.state))
  advantage = lower_q(net, start.target_critics, batch, batch.action) - v
  expected = {
    "advantage_mean": jnp.mean(advantage),
    "weight_mean": jnp.mean(jnp.minimum(jnp.exp(3.0 * advantage), 1.5)),
    "value_loss": jnp.mean(jnp.where(advantage < 0, 0.2, 0.8) * jnp.square(advantage)),
  }
  for name, value in expected.items():
    np.testing.assert_allclose(metrics[name], value, rtol=1e-3, err_msg=name)
  assert float(jnp.max(jnp.exp(3.0 * advantage))) > 1.5


def test_maicq_weighs_the_data_by_the_critic_that_was_just_fitted(setting):
  _, _, batch = setting
  net, learner, start = whole(maicq, beta=0.5)
  after, metrics = jax.jit(learner.update)(start, batch, jax.random.key(1), 0)
  weight = jax.nn.softmax(lower_q(net, after.critics, batch, batch.action) / 0.5)
  np.testing.assert_allclose(metrics["weight_share"], 1 / (16 * jnp.sum(jnp.square(weight))), rtol=1e-3)


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
