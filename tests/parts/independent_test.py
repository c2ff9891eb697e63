"""No agent's training knows of another, and the gradient is that of a plain double loop."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline import losses
from marl_offline.algorithms import icql, omar
from marl_offline.networks.critics import CRITICS
from marl_offline.parts import independent, proposals
from marl_offline.types import Proposals
from tests import games

SPEC = games.tiny_spec()
SIZES = {"hidden_size": 8, "num_proposals": 4, "batch_size": 16}
CONFIG = dataclasses.replace(icql.Config(), **SIZES)


def of_agent(tree, i):
  return jax.tree.map(lambda leaf: leaf[i], tree)


@functools.cache
def setting(normalization):
  config = dataclasses.replace(CONFIG, normalization=normalization)
  net = independent.build(SPEC, config)
  return config, net, jax.jit(net.init)(jax.random.key(0)), games.random_batch(SPEC, jax.random.key(1))


def standardized(obs, action):
  """As the released code has it: mean and biased variance of all rows of one pass. [R, O], [R, A]."""
  return tuple((x - jnp.mean(x, 0)) / jnp.sqrt(jnp.var(x, 0) + 1e-5) for x in (obs, action))


def test_gradient_is_that_of_a_double_loop_over_agents_and_members():
  config, net, state, batch = setting("batch")
  ood = proposals.uniform(jax.random.key(2), net, state.actors, batch, config)
  target = batch.agent_reward
  got = functools.partial(independent.conservative_gradient, net)
  gradient, metrics = jax.jit(got)(state.critics, batch, ood, target, 0.7)
  module = CRITICS["batch"](SPEC.obs_size, 1, SPEC.action_size, 8)

  def q_of(member, obs, action):  # [R, O], [R, A] -> [R], every row by itself
    obs, action = standardized((obs - 0.1) / 2.0, action)
    return module.apply(member, obs, action[:, None, None])[:, 0]

  @jax.jit
  def loss(member, obs, action, proposed, target):
    q = q_of(member, obs, action)
    q_ood = q_of(member, jnp.repeat(obs, 4, axis=0), proposed.reshape(-1, 2)).reshape(16, 4)
    gap = jnp.log(jnp.mean(jnp.exp(q_ood - 2 * jnp.log(0.5)), axis=1)) - q
    return jnp.mean((q - target) ** 2 + 0.7 * gap)

  totals = 0.0
  for i in range(3):
    for e in range(2):
      own = of_agent(of_agent(state.critics, i), e)
      given = batch.obs[:, i], batch.action[:, i], ood.action[:, :, i], target[:, i]
      value, expected = jax.value_and_grad(loss)(own, *given)
      totals += value
      found = of_agent(of_agent(gradient, i), e)
      jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, expected)
  np.testing.assert_allclose(6 * (metrics["td_loss"] + 0.7 * metrics["penalty"]), totals, rtol=1e-5)


@pytest.mark.parametrize("module", [icql, omar])
def test_nothing_of_another_agent_reaches_ones_parameters(module):
  """Agent 0 trains on the same bits whatever the others see, do, earn and know; they do not."""
  learner = module.make(SPEC, dataclasses.replace(module.Config(), **SIZES))
  batch = games.random_batch(SPEC, jax.random.key(1))
  state = jax.jit(learner.init)(jax.random.key(0))
  update = jax.jit(learner.update)

  names = ("obs", "action", "agent_reward", "next_obs", "next_action")
  other_batch = batch.replace(**{name: getattr(batch, name).at[:, 1:].multiply(0.5) for name in names})
  other_batch = other_batch.replace(reward=7.0 + batch.reward, state=2.0 * batch.state)
  other_state = jax.tree.map(lambda leaf: leaf.at[1:].set((1.5 * leaf[1:]).astype(leaf.dtype)), state)
  for step in range(2):
    state, _ = update(state, batch, jax.random.key(3), step)
    other_state, _ = update(other_state, other_batch, jax.random.key(3), step)
  jax.tree.map(np.testing.assert_array_equal, of_agent(state, 0), of_agent(other_state, 0))
  for kind in ("actors", "critics"):
    weights = [jax.tree.leaves(of_agent(getattr(s, kind), 1))[-1] for s in (state, other_state)]
    assert not np.allclose(*weights)


def test_gradient_of_one_agents_actor_loss_stays_its_own():
  _, net, state, batch = setting("batch")

  @jax.jit
  def gradients(actors, critics):
    def loss(actors, critics):
      q = independent.first_q(net, critics, batch.obs, net.actor(actors, batch.obs)[:, None])[:, 0]
      return jnp.mean(losses.individual_objective(q[:, 1:2]))

    return jax.grad(loss, (0, 1))(actors, critics)

  for gradient in gradients(state.actors, state.critics):
    for leaf in jax.tree.leaves(gradient):
      np.testing.assert_array_equal(leaf[jnp.array([0, 2])], 0.0)
    assert max(float(np.abs(leaf[1]).max()) for leaf in jax.tree.leaves(gradient)) > 0
  _, of_critics = gradients(state.actors, state.critics)
  assert all(np.all(leaf[1, 1] == 0) for leaf in jax.tree.leaves(of_critics))  # its first member alone


def test_under_batch_statistics_a_critic_does_not_see_the_scale_of_a_policy():
  """A weakness of the released code's input: a pass holds one policy's actions alone, standardised by themselves."""
  change = {}
  for normalization in ("batch", "data"):
    _, net, state, batch = setting(normalization)
    q = [independent.first_q(net, state.critics, batch.obs, s * batch.action[:, None]) for s in (1.0, 0.5)]
    change[normalization] = float(jnp.abs(q[0] - q[1]).max())
  assert change["batch"] < 1e-3 < 1e-2 < change["data"]


def test_omar_that_imitates_nothing_is_icql(monkeypatch):
  """The same proposals: what is left of its policies' loss is ICQL's; and with any imitation it is not."""
  batch, after, state = games.random_batch(SPEC, jax.random.key(1)), [], None
  recorded = Proposals(jax.random.uniform(jax.random.key(2), (16, 4, 3, 2), minval=-1.0), jnp.zeros((16, 4, 3)))
  monkeypatch.setitem(proposals.PROPOSALS, "uniform", lambda *_: recorded)
  for module, changes in ((icql, {}), (omar, {"imitation_weight": 0.0}), (omar, {"imitation_weight": 0.1})):
    config = dataclasses.replace(module.Config(), **SIZES, **changes)
    learner = module.make(SPEC, config)
    state = state or jax.jit(learner.init)(jax.random.key(0))
    after.append(jax.jit(learner.update)(state, batch, jax.random.key(3), 0)[0])
  plain, without, with_imitation = (jax.tree.leaves((s.actors, s.critics, s.target_critics)) for s in after)
  for ours, theirs in zip(without, plain, strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
  of_actors = len(jax.tree.leaves(after[0].actors))
  changes = [np.abs(a - b).max() for a, b in zip(with_imitation, plain, strict=True)]
  assert max(changes[:of_actors]) > 1e-3 > 1e-6 > max(changes[of_actors:])


@pytest.mark.parametrize(("found_q", "moves"), [(-1e9, False), (1e9, True)])
def test_omars_own_action_is_among_those_that_it_may_be_drawn_to(found_q, moves, monkeypatch):
  """A policy that only imitates stays where it is as long as nothing better is found."""
  found = lambda key, q_of, shape, config: (jnp.full((16, 1, 3, 2), 0.9), jnp.full((16, 1, 3), found_q))  # noqa: E731
  monkeypatch.setitem(omar.SEARCHES, "soft", found)
  config = dataclasses.replace(omar.Config(), **SIZES, imitation_weight=1.0, action_regularization=0.0)
  learner, batch = omar.make(SPEC, config), games.random_batch(SPEC, jax.random.key(1))
  state = jax.jit(learner.init)(jax.random.key(0))
  after, _ = jax.jit(learner.update)(state, batch, jax.random.key(3), 0)
  pairs = zip(jax.tree.leaves(after.actors), jax.tree.leaves(state.actors), strict=True)
  assert (max(float(np.abs(a - b).max()) for a, b in pairs) > 1e-3) == moves


def test_actor_and_targets_move_at_every_step():
  config, _, start, batch = setting("batch")
  state, metrics = jax.jit(icql.make(SPEC, config).update)(start, batch, jax.random.key(2), 3)
  expected = jax.tree.map(lambda old, new: 0.99 * old + 0.01 * new, start.target_critics, state.critics)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), expected, state.target_critics)
  assert metrics["actor_grad_norm"] > 0
  weight = start.critics["params"]["weight_1"]  # [N, E, H, H]
  assert weight.shape == (3, 2, 8, 8)
  assert not np.allclose(weight[0, 0], weight[0, 1]) and not np.allclose(weight[0, 0], weight[1, 0])


@pytest.mark.parametrize(
  "field, value",
  [("search", "random"), ("search_rounds", 0), ("search_samples", 0), ("imitation_weight", 1.5), ("search_std", 0.0)],
)
def test_omar_refuses_what_cannot_search(field, value):
  with pytest.raises(ValueError, match=f"{field}={value} must"):
    omar.make(SPEC, dataclasses.replace(omar.Config(), **{field: value}))


def test_omar_refuses_more_elites_than_samples():
  with pytest.raises(ValueError, match=r"search_elites=11 must lie in 2\.\.search_samples=10"):
    omar.make(SPEC, dataclasses.replace(omar.Config(), search="elites", search_elites=11))
