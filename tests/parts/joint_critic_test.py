import dataclasses
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline import execution, losses
from marl_offline.algorithms import cfcql, matd3_bc
from marl_offline.parts import joint_critic, proposals
from tests import games

SPEC = games.tiny_spec()
CONFIG = dataclasses.replace(cfcql.Config(), hidden_size=8, num_proposals=6, batch_size=16)


@pytest.fixture(scope="module")
def setting():
  net = joint_critic.build(SPEC, CONFIG)
  return net, jax.jit(net.init)(jax.random.key(0)), games.random_batch(SPEC, jax.random.key(1))


def differences(first, second):
  return max(float(np.abs(a - b).max()) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True))


def test_targets_start_as_copies_and_members_differ(setting):
  _, state, _ = setting
  assert differences(state.critics, state.target_critics) == 0
  assert differences(state.actors, state.target_actors) == 0
  weight = state.critics["params"]["weight_1"]  # [E, H, H]
  assert not np.allclose(weight[0], weight[1])


def test_actor_moves_at_step_0_and_targets_at_step_4(setting):
  _, start, batch = setting
  update = jax.jit(cfcql.make(SPEC, CONFIG).update)
  state, seen = start, []
  for step in range(5):
    before = state
    state, metrics = update(state, batch, jax.random.fold_in(jax.random.key(2), step), step)
    moved = [differences(getattr(before, n), getattr(state, n)) > 0 for n in ("critics", "actors", "target_critics")]
    seen.append((*moved, float(metrics["actor_grad_norm"]) > 0))
  assert seen == [(True, True, False, True)] + 3 * [(True, False, False, False)] + [(True, False, True, False)]
  expected = jax.tree.map(lambda old, new: 0.99 * old + 0.01 * new, start.target_actors, state.actors)
  assert differences(expected, state.target_actors) < 1e-6


def test_an_agents_policy_gradient_asks_nothing_of_the_others_policies(setting):
  """Agent 0's gradient is the same whatever the other agents' policies are, batch statistics apart."""
  net = joint_critic.build(SPEC, dataclasses.replace(CONFIG, normalization="data"))
  _, _, batch = setting
  state = jax.jit(net.init)(jax.random.key(0))
  gradient = jax.jit(jax.grad(lambda actors: joint_critic.actor_loss(net, actors, state.critics, batch, 1e-3)))
  others_moved = jax.tree.map(lambda leaf: leaf.at[1:].multiply(2.0), state.actors)
  first, second = gradient(state.actors), gradient(others_moved)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b[0], rtol=1e-5, atol=1e-7), first, second)
  assert differences(jax.tree.map(lambda a: a[1:], first), jax.tree.map(lambda a: a[1:], second)) > 1e-5


def test_all_policies_climb_together_where_asked(setting):
  """-Q_1 at the joint policy action; agent 0's gradient asks what the others' policies are."""
  net = joint_critic.build(SPEC, dataclasses.replace(CONFIG, normalization="data"))
  _, _, batch = setting
  state = jax.jit(net.init)(jax.random.key(0))
  value_and_gradient = jax.jit(
    jax.value_and_grad(lambda actors: joint_critic.joint_actor_loss(net, actors, state.critics, batch, 1e3))
  )
  loss, first = value_and_gradient(state.actors)
  action = net.actor(state.actors, batch.obs)[:, None]
  q = net.critic(state.critics, *net.inputs.queries(batch.state, action))[0]
  penalty = 1e3 * jnp.mean(jnp.sum(jnp.mean(jnp.square(action[:, 0]), axis=-1), axis=-1))
  np.testing.assert_allclose(loss, penalty - jnp.mean(q), rtol=1e-5)
  assert penalty > 1e-3
  _, second = value_and_gradient(jax.tree.map(lambda leaf: leaf.at[1:].multiply(2.0), state.actors))
  assert differences(jax.tree.map(lambda a: a[0], first), jax.tree.map(lambda a: a[0], second)) > 1e-6


def after_critic_step(setting, agent_weight):
  """State and metrics after one counterfactual_step towards 0."""
  net, state, batch = setting
  ood = proposals.uniform(jax.random.key(3), net, state.actors, batch, CONFIG)
  target = jnp.zeros_like(batch.reward)[None]

  @jax.jit
  def step(agent_weight):
    given = net, state, batch, ood, target, lambda q, y: jnp.square(q - y), 5.0
    return joint_critic.counterfactual_step(*given, agent_weight)

  return step(agent_weight)


def test_agent_weights_are_uniform_where_none_are_given(setting):
  state, metrics = after_critic_step(setting, None)
  for weight in (jnp.full(3, 1 / 3), jnp.full((16, 3), 1 / 3)):
    other, other_metrics = after_critic_step(setting, weight)
    np.testing.assert_allclose(metrics["penalty"], other_metrics["penalty"], rtol=1e-5)
    assert differences(state.critics, other.critics) < 1e-5


def test_each_row_meets_its_own_agent_weights_also_where_a_batch_is_cut(setting, monkeypatch):
  """The penalty is linear in the weights: one-hot rows give the mean of what each agent alone gives on its rows."""
  own = jnp.eye(3)[jnp.arange(16) % 3]
  whole, metrics = after_critic_step(setting, own)
  cut = dataclasses.replace(execution.here(), rows_at_once=5 * 6 * 3)  # blocks of 5 transitions
  monkeypatch.setattr(execution, "here", lambda: cut)
  net = joint_critic.build(SPEC, CONFIG)
  in_blocks, block_metrics = after_critic_step((net, *setting[1:]), own)
  np.testing.assert_allclose(block_metrics["penalty"], metrics["penalty"], rtol=1e-5)
  assert differences(whole.critics, in_blocks.critics) < 1e-5
  _, state, batch = setting
  ood = proposals.uniform(jax.random.key(3), net, state.actors, batch, CONFIG)
  q_ood = net.counterfactual(state.critics, *net.inputs.counterfactual(batch.state, batch.action, ood.action))
  q = net.critic(state.critics, *net.inputs.queries(batch.state, batch.action[:, None]))[..., 0]
  soft_max = jax.nn.logsumexp(q_ood - ood.log_prob, axis=2) - np.log(6)  # [E, B, N]
  expected = np.mean(np.asarray(soft_max)[:, np.arange(16), np.arange(16) % 3] - q)
  np.testing.assert_allclose(metrics["penalty"], expected, rtol=1e-5)


def test_a_member_learns_from_the_rows_that_count_in_its_loss_alone(setting):
  """Two members, rows 0 to 7 of weight 2 for the first, none for the second: its gradient is that of these rows."""
  net = joint_critic.build(SPEC, dataclasses.replace(CONFIG, normalization="data", proposals="uniform"))
  _, _, batch = setting
  state = jax.jit(net.init)(jax.random.key(0))
  recorded, half = [], jax.tree.map(lambda x: x[:8], batch)
  ood = proposals.uniform(jax.random.key(3), net, state.actors, batch, CONFIG)
  weight = jnp.zeros((2, 16)).at[0, :8].set(2.0)

  def record(net, state, loss, rows, *own):
    recorded.append(net.critic_gradient(loss, state.critics, rows, *own)[0])
    return state, {}

  with mock.patch.object(joint_critic, "critic_step", record):
    for some, seen, masks in ((batch, ood, weight), (half, jax.tree.map(lambda x: x[:8], ood), None)):
      given = net, state, some, seen, some.reward[None], losses.squared, 1.0
      joint_critic.counterfactual_step(*given, member_weight=masks)
  for masked, alone in zip(*map(jax.tree.leaves, recorded), strict=True):
    np.testing.assert_allclose(masked[0], alone[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(masked[1], 0.0)
  assert max(float(np.abs(leaf[0]).max()) for leaf in jax.tree.leaves(recorded[0])) > 0.01


def test_smoothed_is_clipped_noise():
  action = joint_critic.smoothed(jnp.zeros((2000, 1)), jax.random.key(0), 0.05)
  np.testing.assert_allclose(np.std(action), 0.05, rtol=0.1)
  assert np.abs(joint_critic.smoothed(jnp.ones(1000), jax.random.key(0), 5.0)).max() <= 1.0
  np.testing.assert_array_equal(joint_critic.smoothed(action, jax.random.key(0), 0.0), action)


def test_uniform_proposals(setting):
  net, state, batch = setting
  drawn = proposals.uniform(jax.random.key(0), net, state.actors, batch, CONFIG)
  assert drawn.action.shape == (16, 6, 3, 2)
  assert np.abs(drawn.action).max() <= 1
  np.testing.assert_allclose(drawn.log_prob, np.full((16, 6, 3), 2 * np.log(0.5)), rtol=1e-6)


def test_three_sources_keep_the_density_of_their_own_noise(setting):
  net, state, batch = setting
  drawn = proposals.three_sources(jax.random.key(0), net, state.actors, batch, CONFIG)
  assert drawn.action.shape == (16, 18, 3, 2)
  for first, obs in ((6, batch.obs), (12, batch.next_obs)):
    action = drawn.action[:, first : first + 6]
    noise = (action - net.actor(state.actors, obs)[:, None]) / 0.2
    inside = np.all(np.abs(action) < 1, axis=-1)  # where nothing was clipped, the noise can be read off
    density = -0.5 * np.sum(np.square(noise), -1) - 2 * np.log(0.2 * np.sqrt(2 * np.pi))
    assert inside.mean() > 0.9
    np.testing.assert_allclose(drawn.log_prob[:, first : first + 6][inside], density[inside], rtol=1e-3, atol=1e-3)


def test_proposals_around_the_policies_are_actions(setting):
  net, state, batch = setting
  wide = dataclasses.replace(CONFIG, proposal_noise=2.0)
  drawn = proposals.three_sources(jax.random.key(0), net, state.actors, batch, wide)
  corners = np.abs(drawn.action) == 1.0  # of a normal number of std 2, 62 % lie beyond
  np.testing.assert_allclose([corners[:, :6].mean(), corners[:, 6:].mean()], [0.0, 0.62], atol=0.05)
  assert np.abs(drawn.action).max() == 1.0


def test_act_and_training_apply_the_same_normalizer(setting):
  net, state, batch = setting
  act = joint_critic.greedy(net)
  action, _ = act(state, (), batch.obs[3], jax.random.key(0))
  np.testing.assert_allclose(action, net.actor(state.actors, batch.obs)[3], rtol=1e-5, atol=1e-6)


def test_smoothed_within_clips_the_noise_and_the_action():
  action = jnp.array([0.0, 0.9] * 500)
  noisy = joint_critic.smoothed_within(action, jax.random.key(0), 10.0, 0.5)
  np.testing.assert_allclose([noisy[::2].min(), noisy[::2].max()], [-0.5, 0.5], rtol=1e-6)
  np.testing.assert_allclose([noisy[1::2].min(), noisy[1::2].max()], [0.4, 1.0], rtol=1e-6)


def test_td3_bc_moves_actors_and_targets_at_every_second_update(setting):
  _, _, batch = setting
  learner = matd3_bc.make(SPEC, dataclasses.replace(matd3_bc.Config(), hidden_size=8, batch_size=16))
  state, update, seen = jax.jit(learner.init)(jax.random.key(0)), jax.jit(learner.update), []
  for step in range(4):
    before = state
    state, _ = update(state, batch, jax.random.fold_in(jax.random.key(2), step), step)
    names = ("critics", "actors", "target_critics", "target_actors")
    seen.append(tuple(differences(getattr(before, n), getattr(state, n)) > 0 for n in names))
  assert seen == 2 * [(True, False, False, False), (True, True, True, True)]


def test_in_td3_bc_an_agents_gradient_knows_the_others_policies(setting):
  """All agents act by policy in the Q that each climbs; with alpha 0 there is no Q, and each is by itself."""
  config = dataclasses.replace(matd3_bc.Config(), hidden_size=8, batch_size=16)
  net, (_, _, batch) = joint_critic.build(SPEC, config), setting
  state = jax.jit(net.init)(jax.random.key(0))
  others_moved = jax.tree.map(lambda leaf: leaf.at[1:].multiply(2.0), state.actors)

  def change(alpha):
    gradient = jax.jit(jax.grad(lambda actors: matd3_bc.actor_loss(net, actors, state.critics, batch, alpha)))
    first, second = (jax.tree.map(lambda a: a[0], gradient(actors)) for actors in (state.actors, others_moved))
    return differences(first, second)

  assert change(0.0) < 1e-7
  assert change(2.5) > 1e-5
