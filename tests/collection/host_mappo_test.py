"""MAPPO on the host: its advantages and moments by hand, and a run on host_test's line."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from marl_offline.collection import host_mappo, mappo
from tests.collection import host_test


def test_advantages_by_hand():
  # one copy, gamma 0.5, trace 0.5: step 0 goes on, step 1 terminates, step 2 is cut by the time limit, step 3 goes on
  reward = jnp.array([[1.0], [2.0], [3.0], [4.0]])
  value, following = jnp.array([[10.0], [20.0], [30.0], [40.0]]), jnp.array([[20.0], [99.0], [60.0], [80.0]])
  terminated, ended = jnp.array([[0.0], [1.0], [0.0], [0.0]]), jnp.array([[0.0], [1.0], [1.0], [0.0]])
  found = host_mappo.advantages(reward, value, following, terminated, ended, gamma=0.5, trace=0.5)
  # d: 1 + 10 - 10 = 1; 2 + 0 - 20 = -18; 3 + 30 - 30 = 3; 4 + 40 - 40 = 4. Only step 0 hands on: 1 + 0.25 * -18
  np.testing.assert_allclose(found[:, 0], [-3.5, -18.0, 3.0, 4.0])


def test_moments_of_parts_are_those_of_the_whole():
  states = np.random.default_rng(0).normal(3.0, 2.0, size=(7, 5, 2)).astype(np.float32)
  scale = host_mappo.Scale(np.zeros(()), np.zeros(2), np.ones(2))
  for part in (states[:1], states[1:3], states[3:]):
    scale = host_mappo.seen_more(scale, part)
  flat = states.reshape(-1, 2).astype(np.float64)
  np.testing.assert_allclose(scale.mean, flat.mean(axis=0), rtol=1e-12)
  np.testing.assert_allclose(scale.variance, flat.var(axis=0), rtol=1e-12)
  assert scale.count == 35


def test_a_run_learns_ends_with_less_noise_and_is_gone_on_from_exactly():
  task, plan, kept = host_test.environment(), host_mappo.Plan(rounds=20, steps=8, snapshots=5), []
  begun = host_mappo.begin(task, plan, 1)
  whole = host_mappo.train(task, plan, 1, begun, lambda run: kept.append(jax.tree.map(np.array, run)))
  rest = host_mappo.train(task, plan, 1, kept[1], lambda run: None)
  jax.tree.map(np.testing.assert_array_equal, rest, whole)
  assert len(kept) == 4 and int(whole.play.round) == 20
  # the line pays for agent 0's action, and that goes up
  assert whole.returns[-1] > whole.returns[1] + 0.2 and np.isfinite(whole.returns[1:]).all()
  assert whole.noise[0] == pytest.approx(np.exp(-0.5)) and np.all(np.diff(whole.noise[1:]) < 0)
  obs = np.float32(task.observe(whole.play.world))
  first, last = (
    host_mappo.mean_action(jax.tree.map(lambda leaf, z=z: np.float32(leaf[z]), whole.actors), obs) for z in (0, -1)
  )
  assert first.shape == (64, host_test.AGENTS, host_test.ACTIONS) and np.abs(first).max() < 0.2
  assert last[:, 0, 0].mean() > first[:, 0, 0].mean() + 0.05


def test_what_a_round_saw_by_hand(monkeypatch):
  """Ends, states before and after a step also where a world begins anew, densities of actions before clipping."""
  seen, task, plan = [], host_test.drawn(), host_mappo.Plan(rounds=2, steps=8, snapshots=2)
  monkeypatch.setattr(host_mappo, "_learn", lambda rounds, learner, *given: seen.append(given) or learner)
  play = host_mappo.begin(task, plan, 0).play
  for _ in range(2):
    play, finished = host_mappo.advance(task, plan, play, 0)
    assert len(finished) == seen[-1][0].ended.sum()
  rounds, centers, widths, _, numbers = zip(*seen, strict=True)
  assert numbers == (0, 1)
  played = host_mappo.Played(*map(np.concatenate, zip(*rounds, strict=True)))  # [T, C, ...] of both
  name, time = np.moveaxis(played.obs[:, :, 0], -1, 0)
  np.testing.assert_array_equal(played.state, played.obs.reshape(16, 64, -1))
  np.testing.assert_array_equal(played.next_state, played.state + np.array([0.0, 1.0, 0.0, 1.0]))
  np.testing.assert_array_equal(played.terminated, (time == 2) & (name < 0.5))
  np.testing.assert_array_equal(played.ended, ((time == 2) & (name < 0.5)) | (time == 3))
  assert (time == 0).sum() == len(np.unique(name)) > 256  # no world is begun twice
  assert (np.abs(played.action) > 1).any()
  np.testing.assert_allclose(played.reward, (np.clip(played.action[:, :, 0, 0], -1.0, 1.0) + 10.0) / 2, rtol=1e-6)
  mean = np.asarray(host_mappo.mean_action(play.learner.actor, played.obs))
  assert len(np.unique(played.action - mean)) > 2000  # of 2,048: every step of every round has noise of its own
  expected = scipy.stats.norm.logpdf(played.action, mean, np.exp(-0.5)).sum(axis=-1)
  np.testing.assert_allclose(played.log_prob, expected, rtol=1e-4, atol=1e-5)
  for states, center, width in zip((played.state[:8], played.state), centers, widths, strict=True):
    np.testing.assert_allclose(center, states.mean(axis=(0, 1)), rtol=1e-4)
    np.testing.assert_allclose(width, states.std(axis=(0, 1)), rtol=1e-4)


def test_what_is_learned_from_by_hand(monkeypatch):
  """Standardised states are valued, rewards are a twentieth, advantages standardised after the targets."""
  monkeypatch.setattr(mappo, "descend", lambda team, data, key, config, optimizer, bound, policy: (data, bound))
  critic = [{"w": jnp.array([[1.0]]), "b": jnp.zeros(1)}]  # a value is the standardised state
  state, after = np.array([[[10.0]], [[14.0]]]), np.array([[[12.0]], [[16.0]]])  # 0, 2 and 1, 3
  reward, no, cut = np.array([[20.0], [40.0]]), np.zeros((2, 1)), np.array([[1.0], [0.0]])
  nothing = np.zeros((2, 1, 1, 1))
  played = host_mappo.Played(nothing, state, after, nothing, no[..., None], reward, no, cut)
  learned, center, width = mappo.Team(None, critic, None), np.array([10.0]), np.array([2.0])
  data, bound = host_mappo._learn.__wrapped__(20, learned, played, center, width, None, 5)
  _, inputs, _, _, advantage, target = data
  np.testing.assert_allclose(inputs.ravel(), [0.0, 2.0])
  # 1 + 0.99 * 1 - 0 and 2 + 0.99 * 3 - 2; the first is cut by the time limit, so its value goes on and nothing else
  np.testing.assert_allclose(target.ravel(), [1.99, 4.97], rtol=1e-6)
  np.testing.assert_allclose(advantage.ravel(), [-1.0, 1.0], rtol=1e-4)
  assert bound == pytest.approx(-0.5 - 1.5 * 5 / 20)


def test_agents_have_networks_of_their_own():
  run = host_mappo.begin(host_test.environment(), host_mappo.Plan(rounds=2, steps=8, snapshots=2), 0)
  actors, obs = run.play.learner.actor, np.ones((1, host_test.AGENTS, host_test.OBS), np.float32)
  changed = jax.tree.map(lambda leaf: leaf.at[0].add(1.0), actors)
  before, after = (host_mappo.mean_action(each, obs)[0] for each in (actors, changed))
  assert (before[0] != after[0]).all() and (before[1] == after[1]).all()


@pytest.mark.parametrize(
  ("field", "value", "words"), [("steps", 0, "steps=0"), ("snapshots", 3, "multiple"), ("rounds", 0, "rounds=0")]
)
def test_a_plan_that_cannot_run_is_refused(field, value, words):
  plan = dataclasses.replace(host_mappo.Plan(rounds=20, steps=8, snapshots=5), **{field: value})
  with pytest.raises(ValueError, match=words):
    host_mappo.begin(host_test.environment(), plan, 0)
