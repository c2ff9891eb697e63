"""Nobody knows what the behaviour would have done at the end: such a row counts, and is never trained on."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_offline.datasets import feeding, normalization, sampling, storage, transitions
from tests.datasets import made
from tests.datasets.made import refused

draw = jax.jit(sampling.draw, static_argnames="batch_size")


def marked(lengths, terminated, unknown):
  """made.episodes with final actions that poison whatever reads them where they are unknown."""
  sound = made.episodes(lengths, terminated)
  poisoned = np.where(np.array(unknown)[:, None, None], np.float32(-1), sound.final_action)
  return dataclasses.replace(sound, final_action=poisoned, final_action_unknown=np.array(unknown))


def test_rows_by_hand():
  # rows 0 1 2 | 3 | 4 5 6 7 | 8 9: cut and unknown, terminated and unknown, cut and known, cut and unknown
  episodes = marked((3, 1, 4, 2), (False, True, False, False), (True, True, False, True))
  np.testing.assert_array_equal(episodes.rows_to_draw(), [0, 1, 3, 4, 5, 6, 7, 8])
  dataset = transitions.from_episodes(episodes)
  assert dataset.num_rows == 10 and dataset.num_to_draw == 8 and dataset.to_draw.dtype == jnp.int32
  assert episodes.num_rows == 10 and list(episodes.lengths()) == [3, 1, 4, 2]  # the statistics keep every row
  np.testing.assert_array_equal(episodes.returns(), dataclasses.replace(episodes, final_action_unknown=None).returns())
  np.testing.assert_array_equal(
    normalization.fit(dataset).obs_mean, normalization.fit(made.episodes((3, 1, 4, 2))).obs_mean
  )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=3, max_size=3), st.integers(0, 99))
def test_nothing_bootstraps_from_an_unknown_action_and_all_else_is_drawn(ends, seed):
  terminated, unknown = zip(*ends, strict=True)
  episodes = marked((3, 1, 4), terminated, unknown)
  dataset = transitions.from_episodes(episodes)
  batch = draw(dataset, jax.random.key(seed), 400)
  assert not np.any((np.asarray(batch.next_action) == -1).any(axis=(1, 2)) & (batch.discount == 1))
  left_out = [row for row, p in ((2, 0), (3, 1), (7, 2)) if unknown[p] and not terminated[p]]
  expected = {float(episodes.obs[row, 0, 0]) for row in range(8) if row not in left_out}
  assert {float(x) for x in batch.obs[:, 0, 0]} == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), max_size=5).map(lambda some: [*some, 3]))
def test_an_episode_of_unknown_end_is_one_cut_a_step_before(lengths):
  """Transition by transition: it ends with its last observation and the action that was taken there."""
  whole = made.episodes(lengths, [False] * len(lengths))
  unknown = dataclasses.replace(whole, final_action_unknown=np.ones(len(lengths), bool))
  longer = [p for p, steps in enumerate(lengths) if steps > 1]  # of one step nothing is left
  kept = np.isin(np.repeat(range(len(lengths)), lengths), longer) & ~whole.last()
  before_last = np.append(whole.last()[1:], False)
  shorter = transitions.Episodes(
    whole.obs[kept],
    whole.action[kept],
    whole.reward[kept],
    whole.terminated[kept],
    before_last[kept],
    whole.obs[whole.last()][longer],
    whole.action[whole.last()][longer],
  )
  storage.check(shorter)
  one, other = (transitions.from_episodes(each, place=np.asarray) for each in (unknown, shorter))
  assert one.num_to_draw == other.num_to_draw == other.num_rows  # so draws of one key are the same too
  places = np.arange(one.num_to_draw)
  batches = (transitions.gather(each, each.rows_at(places)) for each in (one, other))
  jax.tree.map(np.testing.assert_array_equal, *batches)


def test_draws_stay_uniform_and_unmarked_data_draw_the_same_rows_as_ever():
  # 9 rows may be drawn of 10: the share of each is 1/9 with deviation sqrt(8/81 / 20,000) = 0.0022
  episodes = marked((4, 6), (False, False), (True, False))
  share = np.bincount(
    np.asarray(draw(transitions.from_episodes(episodes), jax.random.key(0), 20_000).obs[:, 0, 0], int)
  )
  np.testing.assert_allclose(share[share > 0] / 20_000, np.full(9, 1 / 9), atol=0.01)
  plain = transitions.from_episodes(made.episodes((4, 6)))
  for known in (None, np.array([False, False])):
    same = transitions.from_episodes(dataclasses.replace(made.episodes((4, 6)), final_action_unknown=known))
    assert same.to_draw is None and jax.tree.structure(same) == jax.tree.structure(plain)
  rows = jax.random.randint(jax.random.key(3), (50,), 0, 10)
  jax.tree.map(
    np.testing.assert_array_equal, draw(plain, jax.random.key(3), 50), jax.jit(transitions.gather)(plain, rows)
  )


def test_the_feeder_draws_the_same():
  episodes = marked((3, 1, 4), (False, True, False), (True, True, True))
  on_host = transitions.from_episodes(episodes, place=np.asarray)
  assert isinstance(on_host.to_draw, np.ndarray)
  keys = jax.random.split(jax.random.key(1), (2, 3))  # seeds, steps
  (fed,) = feeding.feed(on_host, 5, lambda first, number: keys, [(0, 3)])
  one = functools.partial(sampling.draw, transitions.from_episodes(episodes), batch_size=5)
  jax.tree.map(np.testing.assert_array_equal, fed, jax.jit(jax.vmap(jax.vmap(lambda key: one(key=key))))(keys))


def test_on_disk_the_mark_is_a_field_of_its_own(tmp_path):
  saved = marked((3, 1), (False, True), (True, False))
  card = storage.save(tmp_path / "set", saved, **made.FACTS)
  assert "final_action_unknown" in card["sha256"] and card["rows"] == 4
  loaded, _ = storage.load(tmp_path / "set")
  np.testing.assert_array_equal(loaded.final_action_unknown, [True, False])
  np.testing.assert_array_equal(loaded.rows_to_draw(), [0, 1, 3])
  storage.save(tmp_path / "plain", made.episodes((3, 1)), **made.FACTS)
  assert not (tmp_path / "plain" / "final_action_unknown.npy").exists()
  assert storage.load(tmp_path / "plain")[0].rows_to_draw() is None
  card = json.loads((tmp_path / "set" / "card.json").read_text())
  del card["sha256"]["final_action_unknown"]  # an unnamed mark is no silent part, and no mark silently lost
  (tmp_path / "set" / "card.json").write_text(json.dumps(card))
  refused(lambda: storage.load(tmp_path / "set"), "final_action_unknown.npy: is not named")


@pytest.mark.parametrize(
  ("mark", "words"),
  [
    (np.array([True]), ("final_action_unknown: has 1 episodes", "mark 2 ends")),
    (np.array([1, 0], np.int8), ("final_action_unknown: holds int8 where bool",)),
    (np.array([[True], [False]]), ("final_action_unknown: has shape (2, 1) where [episodes]",)),
  ],
)
def test_marks_that_are_none(mark, words):
  refused(lambda: storage.check(dataclasses.replace(made.episodes((3, 1)), final_action_unknown=mark)), *words)


def test_at_least_one_row_must_be_left():
  refused(lambda: storage.check(marked((1, 1), (False, False), (True, True))), "at least one row must have a known one")
  storage.check(marked((1, 1), (False, True), (True, True)))


def test_own_data_may_say_so():
  fields = made.episodes((2, 2), terminated=[False, False]).arrays()
  del fields["final_action"]
  refused(lambda: storage.from_arrays(**fields), "row 1", "final_action_unknown")
  refused(lambda: storage.from_arrays(**fields, final_action_unknown=[1, 0]), "row 3", "final_action_unknown")
  made_of = storage.from_arrays(**fields, final_action_unknown=[1, 1])
  np.testing.assert_array_equal(made_of.final_action, made_of.action[[1, 3]])
  assert list(made_of.rows_to_draw()) == [0, 2]
  assert storage.from_arrays(**made.episodes().arrays(), final_action_unknown=[0, 0, 0]).final_action_unknown is None
  one = {"obs": np.zeros((4, 2, 3)), "action": np.zeros((3, 2, 2)), "reward": np.zeros(3), "terminated": False}
  whole = one | {"action": np.zeros((4, 2, 2))}
  made_of = storage.from_episodes([one | {"final_action_unknown": True}, whole])
  np.testing.assert_array_equal(made_of.final_action_unknown, [True, False])
  assert storage.from_episodes([whole]).final_action_unknown is None
  refused(lambda: storage.from_episodes([one | {"final_action_unknown": 2}]), "episode 0, final_action_unknown")
