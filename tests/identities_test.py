"""SPaCQL holds its neighbours as corners of its weights, and ICQL-QS is one centralised regression."""

import dataclasses
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline import joint_actions, losses
from marl_offline.algorithms import cfcql, icql_qs, spacql
from marl_offline.parts import bootstrap, joint_critic
from marl_offline.types import Proposals
from tests import games

SMALL = {"hidden_size": 8, "ensemble_size": 3, "batch_size": 16, "num_proposals": 2}


@pytest.fixture(scope="module")
def setting():
  """Networks, their parameters, a batch and the target policies' next actions."""
  spec = games.tiny_spec()
  net = joint_critic.build(spec, dataclasses.replace(spacql.Config(), **SMALL))
  state = jax.jit(net.init)(jax.random.key(0))
  batch = games.random_batch(spec, jax.random.key(1))
  policy = jax.random.uniform(jax.random.key(2), batch.next_action.shape, minval=-1.0)
  return net, state, batch, policy


def spacql_target(setting, exact_subsets, weight):
  """As spacql.update builds it, with given weights [K] in the place of the agreement's."""
  net, state, batch, policy = setting
  replace, share = spacql.partial_replacement(3, exact_subsets)
  mixed = replace(jax.random.key(3), batch.next_action, policy)
  next_q = net.critic(state.target_critics, *net.inputs.queries(batch.next_state, mixed))
  return losses.partial_replacement_target(batch.reward, 0.95 * batch.discount, next_q, weight @ share)


@pytest.mark.parametrize("exact_subsets", [False, True])
def test_all_weight_on_k_equal_n_is_cfcqls_target(setting, exact_subsets):
  net, state, batch, policy = setting
  target = spacql_target(setting, exact_subsets, jnp.array([0.0, 0.0, 1.0]))
  next_q = net.critic(state.target_critics, *net.inputs.queries(batch.next_state, policy[:, None]))[..., 0]
  expected = losses.minimum_target(batch.reward, 0.95 * batch.discount, next_q)
  np.testing.assert_allclose(target, expected, rtol=1e-5, atol=1e-6)


def test_all_weight_on_k_equal_1_with_exact_subsets_is_icql_qs_averaged_target(setting):
  net, state, batch, policy = setting
  target = spacql_target(setting, True, jnp.array([1.0, 0.0, 0.0]))
  mixed = jax.vmap(joint_actions.replace_one)(batch.next_action, policy)
  next_q = net.critic(state.target_critics, *net.inputs.queries(batch.next_state, mixed))
  expected = losses.averaged_target(batch.reward, 0.95 * batch.discount, next_q)
  np.testing.assert_allclose(target, expected, rtol=1e-5, atol=1e-6)


def test_summed_individual_errors_have_the_gradient_of_the_averaged_operators_error(setting):
  """Proposition 1: sum_i (Q - y_i)^2 against 1/2 (Q - mean_i y_i)^2, which differ by the factor 2 N."""
  net, state, batch, policy = setting
  mixed = jax.vmap(joint_actions.replace_one)(batch.next_action, policy)
  next_q = net.critic(state.target_critics, *net.inputs.queries(batch.next_state, mixed))
  individual = losses.individual_targets(batch.reward, 0.95 * batch.discount, next_q)  # [B, N]
  averaged = losses.averaged_target(batch.reward, 0.95 * batch.discount, next_q)  # [B]

  def q(critics):
    return net.critic(critics, *net.inputs.queries(batch.state, batch.action[:, None]))[..., 0]  # [E, B]

  def summed(critics):
    return jnp.sum(jnp.mean(jnp.square(q(critics)[..., None] - individual), axis=1))

  def centralised(critics):
    return jnp.sum(0.5 * jnp.mean(jnp.square(q(critics) - averaged), axis=1))

  first, second = jax.jit(lambda c: (jax.grad(summed)(c), jax.grad(centralised)(c)))(state.critics)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, 2 * 3 * b, rtol=1e-4, atol=1e-4), first, second)
  assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(first)) > 0.1


@pytest.mark.parametrize(("neighbour", "k", "exact_subsets"), [(cfcql, 3, False), (cfcql, 3, True), (icql_qs, 1, True)])
def test_the_shipped_update_with_all_weight_on_one_k_is_its_neighbours(neighbour, k, exact_subsets, monkeypatch):
  """Three agents, the same proposals: the critic step of spacql.update is CFCQL's at k = 3, ICQL-QS's at k = 1."""
  spec = games.tiny_spec()
  batch, key = games.random_batch(spec, jax.random.key(1)), jax.random.key(5)
  recorded = jax.random.uniform(jax.random.key(6), (16, 2, 3, 2), minval=-1.0)
  propose = lambda *_: Proposals(recorded, jnp.full((16, 2, 3), 2 * np.log(0.5)))  # noqa: E731
  for module in (spacql, neighbour):
    monkeypatch.setitem(module.PROPOSALS, "uniform", propose)
  monkeypatch.setattr(joint_critic, "smoothed", lambda action, *_: action)
  monkeypatch.setattr(losses, "inverse_weights", lambda u, sharpness: jnp.zeros_like(u).at[..., k - 1].set(1.0))
  after, state = [], None
  for module, changes in ((spacql, {"exact_subsets": exact_subsets}), (neighbour, {})):
    learner = module.make(spec, dataclasses.replace(module.Config(), **SMALL, **changes))
    state = state or jax.jit(learner.init)(jax.random.key(0))
    after.append(jax.jit(learner.update)(state, batch, key, 1))
  (ours, metrics), (theirs, _) = after
  assert metrics["k_eff"] == k
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), ours.critics, theirs.critics)


def test_a_lone_members_own_target_is_the_minimum_over_members():
  spec = games.tiny_spec()
  batch, key, after, state = games.random_batch(spec, jax.random.key(1)), jax.random.key(5), [], None
  for target in ("minimum", "own"):
    config = dataclasses.replace(spacql.Config(), **SMALL | {"ensemble_size": 1}, target=target)
    learner = spacql.make(spec, config)
    state = state or jax.jit(learner.init)(jax.random.key(0))
    after.append(jax.jit(learner.update)(state, batch, key, 1)[0])
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), *(s.critics for s in after))


def test_each_member_climbs_to_its_own_target():
  """Three members: the gradient of each is that of a loop over members with the target of that member alone."""
  spec = games.tiny_spec()
  batch, key = games.random_batch(spec, jax.random.key(1)), jax.random.key(5)
  config = dataclasses.replace(spacql.Config(), **SMALL, target="own", sharpness=0.0, alpha=0.0, target_noise=0.0)
  net, learner = joint_critic.build(spec, config), spacql.make(spec, config)
  state = jax.jit(learner.init)(jax.random.key(0))
  recorded = []

  def record(net, state, gradient_of, rows, *own):
    recorded.append(net.critic_gradient(gradient_of, state.critics, rows, *own)[0])
    return state, {}

  with mock.patch.object(joint_critic, "critic_step", record):
    learner.update(state, batch, key, 1)
  key_k = jax.random.split(key, 3)[1]
  replace, _ = spacql.partial_replacement(3, False)
  mixed = replace(key_k, batch.next_action, net.actor(state.target_actors, batch.next_obs))
  next_q = net.critic(state.target_critics, *net.inputs.queries(batch.next_state, mixed))  # [E, B, K]
  target = batch.reward + 0.95 * batch.discount * jnp.mean(next_q, axis=-1)  # [E, B], all k alike

  def loss_of(critics, member):
    q = net.critic(critics, *net.inputs.queries(batch.state, batch.action[:, None]))[member, :, 0]
    return jnp.mean(jnp.square(q - target[member]))

  for member in range(3):
    expected = jax.grad(loss_of)(state.critics, member)
    pairs = jax.tree.map(lambda a, b, m=member: (a[m], b[m]), recorded[0], expected)
    for ours, theirs in jax.tree.leaves(pairs, is_leaf=lambda x: isinstance(x, tuple)):
      np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_bootstrap_leaves_rows_out_of_each_members_loss():
  """What SPaCQL hands to the critics' step: nothing at 1, and at 0.5 each row once or twice for some of the members."""
  spec, seen = games.tiny_spec(), []
  batch, key = games.random_batch(spec, jax.random.key(1)), jax.random.key(5)
  step = joint_critic.counterfactual_step

  def note(*given, member_weight=None, **named):
    seen.append(member_weight)
    return step(*given, member_weight=member_weight, **named)

  with mock.patch.object(joint_critic, "counterfactual_step", note):
    for kept in (1.0, 0.5):
      learner = spacql.make(spec, dataclasses.replace(spacql.Config(), **SMALL, bootstrap=kept))
      learner.update(learner.init(jax.random.key(0)), batch, key, 1)
  assert seen[0] is None
  np.testing.assert_array_equal(seen[1], bootstrap.member_weights(batch, 3, 0.5))


def test_what_members_think_of_the_state_is_no_part_of_a_relative_disagreement():
  """A member whose every Q is higher by a number: u_k and w_k stay as they are, where the absolute ones change."""
  spec = games.tiny_spec()
  batch, key = games.random_batch(spec, jax.random.key(1)), jax.random.key(5)

  def metrics_of(disagreement):
    learner = spacql.make(spec, dataclasses.replace(spacql.Config(), **SMALL, disagreement=disagreement))
    state, update = jax.jit(learner.init)(jax.random.key(0)), jax.jit(learner.update)
    params = state.critics["params"]

    def with_offset(offset):
      of_last_layer = params["bias_2"].at[0].add(offset)
      _, metrics = update(state.replace(critics={"params": {**params, "bias_2": of_last_layer}}), batch, key, 1)
      return np.array([metrics[f"{letter}_{k}"] for letter in "uw" for k in (1, 2, 3)])

    return with_offset

  relative, absolute = metrics_of("relative"), metrics_of("absolute")
  np.testing.assert_allclose(relative(5.0), relative(0.0), rtol=1e-3)
  roots = np.sqrt([1.0, 2.0, 3.0])  # and nothing that they say is a part of the fixed control's
  np.testing.assert_allclose(metrics_of("fixed")(5.0), [*roots, *(1 / roots / sum(1 / roots))], rtol=1e-5)
  assert absolute(5.0)[0] > 2 * absolute(0.0)[0]


def test_exact_subsets_are_for_few_agents():
  many = dataclasses.replace(spacql.Config(), **SMALL, exact_subsets=True)
  with pytest.raises(ValueError, match="exact_subsets=True needs at most 6 agents, not 7"):
    spacql.make(games.tiny_spec(num_agents=7), many)
