"""The library of policies, and what a recording promises."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies
from hypothesis.extra import numpy as numpy_strategies

from marl_offline.collection import library, mappo, online, policies, record
from marl_offline.environments import particle_tasks

TINY = mappo.Config(copies=64, hidden=16, epochs=2, minibatches=2)


@settings(max_examples=50, deadline=None)
@given(
  strategies.lists(strategies.floats(-5, 60), min_size=2, max_size=20),
  strategies.floats(0.05, 0.95),
)
def test_tilted_shares_meet_a_target_below_the_mean(returns, where):
  returns = np.array(returns)
  target = returns.min() + where * (returns.mean() - returns.min())
  shares = policies.tilted_shares(returns, target)
  assert (shares >= 0).all() and np.isclose(shares.sum(), 1.0)
  if np.ptp(returns) > 1.0 and where > 0.3:
    assert abs(shares @ returns - target) < 0.05 * np.ptp(returns)


def test_tilted_shares_leave_a_mean_below_the_target_alone():
  np.testing.assert_allclose(policies.tilted_shares(np.array([0.0, 1.0, 2.0]), 5.0), [1 / 3] * 3)


def test_choose_takes_the_first_snapshot_at_each_level():
  roles = policies.choose("spread", np.linspace(-1.0, 115.0, 117))
  assert roles["medium"]["snapshots"] == [33] and roles["expert"]["snapshots"] == [105]  # 32 >= 31.8, 104 >= 104
  assert roles["medium-replay"]["snapshots"][0] == 0 and roles["medium-replay"]["snapshots"][-1] == 33
  for task, medium in (("tag", 64), ("world", 80)):  # the scale's 100 is the last snapshot with all of its noise
    roles = policies.choose(task, np.linspace(0.0, 120.0, 121))
    assert roles["medium"] == {"snapshots": [medium], "shares": [1.0], "noise": [1.0]}
    assert roles["expert"] == {"snapshots": [120], "shares": [1.0], "noise": [0.5]}
  with pytest.raises(ValueError, match=r"spread: training ended at 20\.0, below the level 31\.8"):
    policies.choose("spread", np.linspace(0.0, 20.0, 5))


def test_a_library_comes_back_as_it_was_saved(tmp_path):
  actors = [mappo.init_actor(jax.random.key(k), 3, 18, 16) for k in range(4)]
  roles = {"medium": {"snapshots": [3], "shares": [1.0], "noise": [0.5]}}
  library = policies.build([jax.tree.map(np.asarray, actor) for actor in actors], roles, {"learner": "none"})
  policies.save(tmp_path, "spread", library)
  loaded = policies.load("spread", tmp_path)
  assert loaded.mixture("medium") == [(0, 1.0, 0.5)] and loaded.facts["kept"] == [3]
  jax.tree.map(np.testing.assert_array_equal, loaded.actor(0), policies.rounded(actors[3]))
  with pytest.raises(FileNotFoundError):
    policies.load("tag", tmp_path)


@given(numpy_strategies.arrays(np.uint16, numpy_strategies.array_shapes(min_dims=1, max_dims=3, max_side=4)))
def test_packing_keeps_every_number_of_half_precision(bits):
  weights = bits.view(np.float16)
  with np.errstate(invalid="ignore"):  # a signalling nan
    back = policies.unpacked(policies.packed(weights.astype(np.float32)))
    np.testing.assert_array_equal(back, weights.astype(np.float32))
  for wrong in (weights, np.zeros((3, 1), np.uint8), np.zeros(2, np.uint8)):
    with pytest.raises(ValueError, match=r"belongs"):
      policies.unpacked(wrong)


@pytest.mark.parametrize("name", ["spread_mappo", "tag_mappo", "world_mappo"])
def test_the_shipped_libraries_fit_their_environments(name):
  environment, library = getattr(particle_tasks, name.split("_")[0])(), policies.load(name)
  assert library.facts["environment"]["version"] == environment.version
  assert set(library.facts["qualities"]) == {"medium-replay", "medium", "expert"}
  for quality in library.facts["qualities"]:
    mixture = library.mixture(quality)
    assert np.isclose(sum(share for _, share, _ in mixture), 1.0)
    obs = environment.observe(environment.reset(jax.random.key(0)))
    assert mappo.mean_action(library.actor(mixture[0][0]), obs).shape == (3, 2)


@pytest.mark.parametrize("name", ["spread", "tag", "world"])
def test_the_shipped_library_of_version_2_has_a_network_for_each_agent(name):
  environment, library = getattr(particle_tasks, name)(), policies.load(name)
  assert library.facts["environment"]["version"] == environment.version
  assert {"medium-replay", "medium", "expert"} <= set(library.facts["qualities"])
  leaves = jax.tree.leaves(library.actors)
  assert all(leaf.shape[:2] == (len(library.facts["kept"]), 3) for leaf in leaves)
  assert all((leaf[-1, 0] != leaf[-1, 1]).any() for leaf in leaves)


@pytest.fixture(scope="module")
def recorded():
  environment = particle_tasks.spread()
  actor = policies.load("spread_mappo").actor(0)
  behaviors = [record.Behavior(None, 1.0, 30), record.Behavior(actor, 0.0, 20)]
  return environment, actor, behaviors, record.record(environment, behaviors, seed=3)


def test_a_recording_holds_whole_episodes_with_their_true_ends(recorded):
  environment, actor, _, episodes = recorded
  assert episodes.num_episodes == 50 and episodes.num_rows == 50 * environment.horizon
  assert episodes.truncated.reshape(50, 25)[:, -1].all() and episodes.truncated.sum() == 50
  assert not episodes.terminated.any()
  assert len(np.unique(episodes.obs[::25, 0], axis=0)) == 50  # each behavior has starts of its own
  # position moves by 0.1 times the new velocity, within an episode and into its final observation alike
  obs = np.concatenate([episodes.obs.reshape(50, 25, 3, 18), episodes.final_obs[:, None]], axis=1)
  np.testing.assert_allclose(obs[:, 1:, :, 2:4] - obs[:, :-1, :, 2:4], 0.1 * obs[:, 1:, :, :2], atol=1e-5)
  # the behavior policy is asked at the final observation; without noise its answer is its mean action
  np.testing.assert_allclose(episodes.final_action[30:], mappo.mean_action(actor, episodes.final_obs[30:]), atol=1e-5)
  assert (np.abs(episodes.final_action[:30]) > 0).all() and (np.abs(episodes.action) <= 1).all()


def test_episodes_end_where_the_task_says_so_and_at_the_time_limit_at_the_latest():
  # The world counts steps and ends by itself after 2, 3, ... of them; its limit, which it does not tell, is 4.
  def step(world, action, key):
    return (world[0] + 1, world[1]), world[0], world[0] + 1 == world[1], False

  environment = particle_tasks.spread()._replace(
    name="count",
    horizon=4,
    reset=lambda key: (0.0, jax.random.randint(key, (), 2, 8).astype(float)),
    observe=lambda world: jnp.full((3, 18), world[0]),
    step=step,
  )
  episodes = record.record(environment, [record.Behavior(None, 1.0, 60)], seed=0)
  ends = np.flatnonzero(episodes.terminated | episodes.truncated)
  lengths = np.diff(ends, prepend=-1)
  assert set(lengths) == {2, 3, 4} and len(lengths) == 60
  assert episodes.terminated[ends][lengths < 4].all() and episodes.truncated[ends][lengths == 4].any()
  assert (episodes.terminated[ends] != episodes.truncated[ends]).all()
  counted = np.concatenate([np.arange(length) for length in lengths])
  np.testing.assert_array_equal(episodes.obs[:, 0, 0], counted)
  np.testing.assert_array_equal(episodes.reward, np.repeat(counted[:, None], 3, axis=1))  # a shared one is everybody's
  np.testing.assert_array_equal(episodes.final_obs[:, 0, 0], lengths)


def test_a_recording_is_made_again_from_its_seed(recorded):
  environment, _, behaviors, episodes = recorded
  again, other = (record.record(environment, behaviors, seed=seed) for seed in (3, 4))
  np.testing.assert_array_equal(again.action, episodes.action)
  assert (other.action != episodes.action).any()


def test_a_library_of_a_run_is_chosen_by_its_scores(monkeypatch):
  """Returns of 159.8 score 0 and of 516.8 score 100; a run's snapshots are scored as they are kept."""
  environment, config = particle_tasks.spread(), dataclasses.replace(TINY, gamma=0.9)
  history = online.History(np.arange(4) * 100, None, [({"w": np.full(3, 1e-4 + z)},) for z in range(4)])

  def scored(environment, actors, seed):
    assert seed == 8 and all(leaf["w"].dtype == np.float32 for leaf in actors)
    np.testing.assert_array_equal([leaf["w"][0] for leaf in actors], np.float16([1e-4, 1.0, 2.0, 3.0]))
    return 159.8 + 3.57 * np.array([0.0, 32.0, 31.0, 105.0])

  monkeypatch.setattr(library, "snapshot_returns", scored)
  shelf = library.from_history(environment, history, config, 7)
  assert shelf.facts["kept"] == [0, 1, 3] and shelf.facts["curve"]["env_steps"] == [0, 100, 200, 300]
  assert shelf.facts["curve"]["normalized"] == [0.0, 32.0, 31.0, 105.0] and shelf.facts["seed"] == 7
  assert shelf.mixture("medium") == [(1, 1.0, 1.0)] and shelf.mixture("expert") == [(2, 1.0, 1.0)]
  assert shelf.actor(2)["w"][0] == 3.0 and shelf.facts["config"]["gamma"] == 0.9
