"""Collection on the host: rows of episodes of any length by hand, a run gone on from, which snapshots are chosen."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline.algorithms import matd3
from marl_offline.collection import host_library, host_loop, host_online, host_record, policies
from marl_offline.environments.api import HostEnvironment, observation_hash
from marl_offline.types import Learner, Normalizer, Spec

AGENTS, OBS, ACTIONS = 2, 2, 1


class World(NamedTuple):
  name: np.ndarray  # [B] which world it is
  time: np.ndarray  # [B]
  life: np.ndarray  # [B] steps until it terminates


def environment(lives=(3, 100), horizon=4):
  """Observations are (world, time) for all agents; a step pays the first agent's action and 10 to the second."""

  def reset(generator, count):
    generator.uniform(size=count)
    return World(np.arange(count), np.zeros(count, int), np.resize(lives, count))

  def observe(world):
    return np.repeat(np.stack([world.name, world.time], axis=1)[:, None], AGENTS, axis=1).astype(float)

  def step(world, action):
    assert (world.time < np.minimum(world.life, horizon)).all(), "a world that is over was stepped"
    world = world._replace(time=world.time + 1)
    reward = np.stack([action[:, 0, 0], np.full(len(action), 10.0)], axis=1)
    return world, reward, world.time == world.life, world.time >= horizon

  def state(world):
    return observe(world).reshape(len(world.time), -1)

  return HostEnvironment("line", "v1", AGENTS, OBS, ACTIONS, AGENTS * OBS, horizon, reset, observe, state, step)


def drawn():
  """The same, where worlds are numbers in [0, 1] that no two resets share; those below a half live 3 steps."""
  line = environment()

  def reset(generator, count):
    name = generator.uniform(size=count)
    return line.reset(generator, count)._replace(name=name, life=np.where(name < 0.5, 3, 100))

  return line._replace(reset=reset)


def by_time(actors, obs):
  """Acts a tenth of the time, and what `actors` adds. obs [N, O] -> [N, A]."""
  return obs[:, 1:] / 10 + actors


def test_rows_by_hand_of_a_terminated_a_truncated_and_a_cut_episode():
  behaviors = [host_record.Behavior(jnp.float32(0.0), 0.0, 9)]
  episodes = host_record.record(environment(), by_time, behaviors, 0)
  assert episodes.lengths().tolist() == [3, 4, 2]  # world 0 dies at 3, world 1 plays to 4; world 2 is cut
  np.testing.assert_array_equal(episodes.obs[:, 0, 1], [0, 1, 2, 0, 1, 2, 3, 0, 1])
  np.testing.assert_allclose(episodes.action[:, 0, 0], [0, 0.1, 0.2, 0, 0.1, 0.2, 0.3, 0, 0.1], rtol=1e-6)
  np.testing.assert_array_equal(np.flatnonzero(episodes.terminated), [2])
  np.testing.assert_array_equal(np.flatnonzero(episodes.truncated), [6, 8])
  np.testing.assert_array_equal(episodes.final_obs[:, 0], [[0, 3], [1, 4], [2, 2]])
  np.testing.assert_array_equal(episodes.final_state, episodes.final_obs.reshape(3, -1))
  np.testing.assert_allclose(episodes.final_action[:, 1, 0], [0.3, 0.4, 0.2], rtol=1e-6)
  np.testing.assert_allclose(episodes.returns(), [(0.3 + 30) / 2, (0.6 + 40) / 2, (0.1 + 20) / 2], rtol=1e-6)


def test_behaviors_follow_each_other_with_noise_of_their_own_within_bounds():
  behaviors = [host_record.Behavior(jnp.float32(0.9), 1.0, 40), host_record.Behavior(None, 0.0, 40)]
  episodes = host_record.record(environment(lives=(100,)), by_time, behaviors, 3)
  noisy, uniform = episodes.action[:40].ravel(), episodes.action[40:].ravel()
  assert np.abs(episodes.action).max() <= 1 and (noisy == 1).any() and not (np.abs(uniform) == 1).any()
  assert noisy.mean() > 0.3 > abs(uniform.mean()) and len(np.unique(uniform)) == 80
  again = host_record.record(environment(lives=(100,)), by_time, behaviors, 3)
  np.testing.assert_array_equal(again.action, episodes.action)
  with pytest.raises(ValueError, match="at least one row"):
    host_record.record(environment(), by_time, [], 0)


def test_an_episode_is_played_no_further_than_its_rows():
  behaviors, played = [host_record.Behavior(jnp.float32(0.5), 0.3, 2)], []
  whole = environment(lives=(100,), horizon=50)
  counted = whole._replace(step=lambda world, action: played.append(1) or whole.step(world, action))
  short = host_record.record(counted, by_time, behaviors, 0)
  assert len(played) == 2
  longer = host_record.record(whole, by_time, [behaviors[0]._replace(rows=50)], 0)
  np.testing.assert_array_equal(short.action, longer.action[:2])  # what is left out changes nothing of what is there
  np.testing.assert_array_equal(short.final_action[0], longer.action[2])
  np.testing.assert_array_equal(short.final_obs[0], longer.obs[2])


def test_what_one_call_does_not_fill_is_filled_by_other_episodes():
  """Ten copies would fill 40 rows if they played to the time limit; all die after one step."""
  behaviors = [host_record.Behavior(jnp.float32(0.0), 0.1, 40), host_record.Behavior(jnp.float32(0.0), 0.1, 5)]
  episodes = host_record.record(drawn()._replace(step=dying), by_time, behaviors, 0)
  assert (episodes.lengths() == 1).all() and episodes.terminated.all() and not episodes.truncated.any()
  assert len(np.unique(episodes.obs[:, 0, 0])) == 45 and len(np.unique(episodes.action)) == 90


def dying(world, action):
  return world, np.zeros((len(action), AGENTS)), np.ones(len(action), bool), np.zeros(len(action), bool)


def small_run():
  """MATD3 on the line, and what it keeps after each snapshot."""
  spec = Spec(AGENTS, OBS, ACTIONS, AGENTS * OBS, Normalizer.identity(AGENTS, OBS, AGENTS * OBS))
  learner = matd3.make(spec, matd3.Config(hidden_size=8))
  return learner, host_online.Plan(rounds=30, batch_size=8, copies=4, updates=2, warmup=5, snapshots=6)


def test_a_run_gone_on_from_is_the_same_run_and_holds_what_happened():
  learner, plan = small_run()
  task, kept = environment(), []
  begun = host_online.begin(task, learner, plan, 1)
  whole = host_online.train(task, learner, plan, 1, begun, lambda run: kept.append(jax.tree.map(np.array, run)))
  assert len(kept) == plan.snapshots - 1
  rest = host_online.train(task, learner, plan, 1, kept[2], lambda run: None)
  jax.tree.map(np.testing.assert_array_equal, rest, whole)
  rows = whole.play.buffer
  # worlds 0 and 2 die after 3 steps, 1 and 3 are cut after 4: only the first have a discount of 0
  time, died = rows.obs[:, 0, 1], rows.discount == 0
  np.testing.assert_array_equal(died, (time == 2) & (rows.obs[:, 0, 0] % 2 == 0))
  np.testing.assert_array_equal(rows.next_obs[:, 0, 1], time + 1)
  np.testing.assert_allclose(rows.reward, (rows.action[:, 0, 0] + 10) / 2, rtol=1e-6)
  assert np.abs(rows.action).max() <= 1 and len(np.unique(rows.action)) > 100
  assert np.isfinite(whole.returns[1:]).all() and 10 < whole.returns[1:].mean() < 25
  changed = [not np.array_equal(leaf[1], leaf[-1]) for leaf in jax.tree.leaves(whole.actors)]
  assert all(changed)


@pytest.mark.parametrize(
  ("field", "value", "words"), [("copies", 0, "copies=0"), ("snapshots", 7, "multiple"), ("warmup", 30, "warmup=30")]
)
def test_a_plan_that_cannot_run_is_refused(field, value, words):
  learner, plan = small_run()
  plan = host_online.Plan(**{**plan.__dict__, field: value})
  with pytest.raises(ValueError, match=words):
    host_online.begin(environment(), learner, plan, 0)


def test_snapshots_are_scored_with_noise_all_at_once():
  actors, score = jnp.array([0.0, 0.5]), host_library.scorer(environment(), by_time, 0, episodes=2)
  returns = score(actors, np.zeros(2))
  first = ((0.3 + 30) / 2 + (0.6 + 40) / 2) / 2  # world 0 lives 3 steps, world 1 four
  np.testing.assert_allclose(returns, [first, first + 0.5 * 3.5 / 2], rtol=1e-5)
  noisy = score(actors, np.array([0.0, 0.3]))
  assert noisy[0] == returns[0] and np.abs(noisy[1] - returns[1]) > 1e-3


def test_lengths_by_hand():
  lengths = host_library.mean_lengths(environment(), by_time, jnp.array([0.0, 0.5, 0.7]), np.zeros(3), 0, episodes=4)
  np.testing.assert_array_equal(lengths, [3.5, 3.5, 3.5])  # worlds 0 and 2 live 3 steps, 1 and 3 four


def test_a_lucky_snapshot_is_scored_again():
  asked, better = [], {1: 4.0, 2: 8.0, 4: 6.0}

  def rescored(z):
    asked.append(z)
    return better[z]

  calm = np.array([0.0, 7.0, 6.0, 4.0, 9.0])
  np.testing.assert_array_equal(host_library.confirmed(calm, 5.0, rescored), [0.0, 4.0, 8.0, 4.0, 9.0])
  assert asked == [1, 2]  # 4 seems to be at it too, and comes too late
  np.testing.assert_array_equal(host_library.confirmed(calm, 8.5, rescored), [0.0, 7.0, 6.0, 4.0, 6.0])
  np.testing.assert_array_equal(calm, [0.0, 7.0, 6.0, 4.0, 9.0])


def test_qualities_by_hand(monkeypatch):
  monkeypatch.setitem(host_library.LEVELS, "line", {"medium-replay": 3.0, "medium": 5.0, "expert": 9.0})
  monkeypatch.setattr(host_library, "REPLAY_SNAPSHOTS", 3)
  returns, calm = np.array([0.0, 2.0, 4.0, 6.0, 8.0, 10.0]), np.array([0.0, 1.0, 2.0, 5.0, 6.0, 9.0])
  noise = np.array([0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
  roles = host_library.choose("line", returns, calm, noise)
  assert roles["medium"]["snapshots"] == [3] and roles["expert"]["snapshots"] == [5]
  assert roles["medium-expert"]["snapshots"] == [3, 5] and roles["medium-expert"]["shares"] == [0.5, 0.5]
  replay = roles["medium-replay"]  # the mean of 0, 2, 4, 6 is 3: medium is far enough; 0, 2 (of 1.5), 6 are taken
  assert replay["snapshots"] == [0, 2, 3] and replay["noise"] == [0.6, 0.4, 0.3]  # what the learner acted with
  assert (roles["medium"]["noise"], roles["expert"]["noise"]) == ([0.15], [0.05])  # half of it
  np.testing.assert_allclose(np.dot(replay["shares"], [0.0, 4.0, 6.0]), 3.0, atol=1e-6)
  with pytest.raises(ValueError, match=r"line.*below the level 9"):
    host_library.choose("line", returns, np.minimum(calm, 8.0), noise)
  with pytest.raises(ValueError, match=r"ended at 6.0, below the level 9"):  # a policy that is lost is no expert
    host_library.choose("line", returns, np.array([0.0, 1.0, 2.0, 5.0, 6.0, np.nan]), noise)


def test_a_library_of_networks_of_any_layout_comes_back(tmp_path):
  learner, _ = small_run()
  actors = learner.init(jax.random.key(0)).actors
  shelf = policies.build([actors, actors], {"medium": {"snapshots": [1], "shares": [1.0], "noise": [0.5]}}, {})
  policies.save(tmp_path, "line", shelf)
  back = policies.load("line", tmp_path)
  jax.tree.map(np.testing.assert_array_equal, back.actor(0), policies.rounded(actors))
  assert back.mixture("medium") == [(0, 1.0, 0.5)]


class Noted(NamedTuple):
  actors: jax.Array
  steps: jax.Array  # [updates] that update was told
  least: jax.Array  # [] smallest reward that update was given


def test_what_is_played_and_learned_from_by_hand():
  """The learner's first agent acts a tenth of the time and the second 1, both with noise; updates are numbered."""
  plan = host_online.Plan(rounds=30, batch_size=16, copies=4, updates=2, warmup=5, noise=0.05, snapshots=6)

  def update(state, batch, key, step):
    told = state.steps.at[(state.steps >= 0).sum()].set(step)
    return Noted(state.actors, told, jnp.minimum(state.least, batch.reward.min())), {}

  def act(state, memory, obs, key):
    return jnp.stack([obs[0, 1:] / 10, jnp.ones(1)]), memory

  learner = Learner(lambda key: Noted(jnp.zeros(2), jnp.full(50, -1), jnp.array(np.inf)), update, act)
  begun = host_online.begin(drawn(), learner, plan, 1)
  run = host_online.train(drawn(), learner, plan, 1, begun, lambda run: None)
  rows, state = jax.tree.map(np.asarray, run.play.buffer), run.play.learner
  np.testing.assert_array_equal(rows.state, rows.obs.reshape(120, -1))
  np.testing.assert_array_equal(rows.next_state, rows.next_obs.reshape(120, -1))
  name, time = rows.obs[:, 0].T
  np.testing.assert_array_equal(rows.discount == 0, (time == 2) & (name < 0.5))
  assert (time == 0).sum() == len(np.unique(name)) > 20  # no world is begun twice
  uniform, (first, second) = rows.action[:24], rows.action[24:, :, 0].T  # the first round, and five of warm-up
  assert len(np.unique(uniform)) == 48 and abs(uniform).max() > 0.8
  noise = first - time[24:] / 10  # also right after a restart, at the new world's time
  assert abs(noise).max() < 0.25 and abs(noise.std() - 0.05) < 0.015 and len(np.unique(noise)) == 96
  assert second.max() == 1 and 0.3 < (second == 1).mean() < 0.7
  np.testing.assert_array_equal(state.steps, np.arange(50))  # two in each of 25 rounds
  assert state.least >= 4.5  # (10 - 1) / 2: no row that is not filled yet


def test_a_library_of_a_run_by_hand(monkeypatch):
  """Snapshot z returns 10 z, less 10 times its noise, and 2 more than is true over few episodes."""
  asked = []

  def scorer(environment, policy, seed, episodes):
    asked.append((seed, episodes))
    return lambda actors, noise: 10.0 * actors - 10.0 * noise - 2.0 * (episodes > 5)

  monkeypatch.setattr(host_library, "scorer", scorer)
  monkeypatch.setattr(host_library, "SCORED_STEPS", 20)
  monkeypatch.setattr(host_library, "mean_lengths", lambda environment, policy, actors, *rest: 1.0 + actors)
  monkeypatch.setitem(host_library.LEVELS, "line", {"medium-replay": 5.0, "medium": 7.0, "expert": 27.0})
  noise, plan = np.array([0.4, 0.4, 0.2, 0.2]), host_online.Plan(rounds=6, batch_size=1, copies=4, snapshots=3)
  run = host_loop.Run(None, np.arange(4, dtype=np.float16), None, noise)
  shelf = host_library.from_run(environment(), by_time, run, plan, 7, learner="none")
  curve = shelf.facts["curve"]
  assert curve["return"] == [-4.0, 6.0, 18.0, 28.0] and curve["env_steps"] == [0, 8, 16, 24]
  # half the noise: -2, 8, 19, 29. Medium seems to be 1, which is a 6 in truth, and is 2, a 17; expert is 3, a 27
  assert curve["calm_return"] == [-2.0, 6.0, 17.0, 27.0] and curve["noise"] == noise.tolist()
  assert sorted(episodes for _, episodes in asked) == [5, 50] and len({seed for seed, _ in asked}) == 2
  assert shelf.mixture("medium") == [(2, 1.0, 0.1)] and shelf.mixture("expert") == [(3, 1.0, 0.1)]
  snapshots, shares, noise = zip(*shelf.mixture("medium-replay"), strict=True)
  assert (snapshots, noise) == ((0, 1, 2), (0.4, 0.4, 0.2)) and sum(shares) == pytest.approx(1.0)
  episodes = np.array(shares) / [1.0, 2.0, 3.0]  # shares are of rows: longer episodes take more of them
  assert episodes / episodes.sum() @ [-4.0, 6.0, 18.0] == pytest.approx(5.0)
  assert shelf.facts["environment"]["observation_hash"] == observation_hash(environment()) and shelf.actor(3) == 3.0
