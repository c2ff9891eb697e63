"""Discrete actions: one-hots beside a mask of what was legal, which nothing continuous sees."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments import inspect_data
from marl_offline.datasets import storage, transitions
from tests.datasets import made
from tests.datasets.made import refused


def discrete(lengths=(2, 1), terminated=(True, False), choices=3, seed=0):
  """made.episodes with one-hots of random legal actions, 2 agents."""
  random, sound = np.random.default_rng(seed), made.episodes(lengths, terminated, action_size=choices)
  fields = {}
  for prefix, rows in (("", sum(lengths)), ("final_", len(lengths))):
    chosen = random.integers(0, choices, (rows, 2))
    fields[f"{prefix}action"] = np.eye(choices, dtype=np.float32)[chosen]
    fields[f"{prefix}legal"] = (random.random((rows, 2, choices)) < 0.5) | (fields[f"{prefix}action"] == 1)
  return dataclasses.replace(sound, **fields)


@settings(max_examples=20, deadline=None)
@given(
  ends=st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=4),
  choices=st.integers(1, 5),
  seed=st.integers(0, 99),
)
def test_own_arrays_and_episodes_keep_what_was_legal(ends, choices, seed):
  lengths, terminated = zip(*ends, strict=True)
  whole = discrete(lengths, terminated, choices, seed)
  given_as = {name: array.astype(int) if "legal" in name else array for name, array in whole.arrays().items()}
  ends = np.flatnonzero(whole.last())
  own = []
  for number, (first, stop) in enumerate(zip(ends - lengths + 1, ends + 1, strict=True)):
    rows, final = slice(first, stop), slice(number, number + 1)
    fields = {
      name: np.concatenate([getattr(whole, name)[rows], getattr(whole, f"final_{name}")[final]])
      for name in ("obs", "action", "legal")
    }
    own.append(fields | {"reward": whole.reward[rows], "terminated": terminated[number]})
  for found in (storage.from_arrays(**given_as), storage.from_episodes(own)):
    assert set(found.arrays()) == set(whole.arrays())
    for name, array in whole.arrays().items():
      np.testing.assert_array_equal(getattr(found, name), array)
      assert getattr(found, name).dtype == array.dtype


def test_on_disk_they_are_fields_of_their_own_and_batches_are_what_they_were(tmp_path):
  whole = discrete()
  storage.save(tmp_path / "set", whole, **made.FACTS)
  loaded, card = storage.load(tmp_path / "set")
  np.testing.assert_array_equal(loaded.legal, whole.legal)
  np.testing.assert_array_equal(loaded.final_legal, whole.final_legal)
  assert {"legal", "final_legal"} <= set(card["sha256"]) and card["action_size"] == 3
  plain = dataclasses.replace(whole, legal=None, final_legal=None)
  for one in dataclasses.fields(transitions.Dataset):
    np.testing.assert_array_equal(
      *(getattr(transitions.from_episodes(each, place=np.asarray), one.name) for each in (loaded, plain))
    )
  storage.save(tmp_path / "plain", plain, **made.FACTS)
  assert not list((tmp_path / "plain").glob("*legal*")) and storage.load(tmp_path / "plain")[0].legal is None
  lines = list(inspect_data.coverage_lines(whole))
  assert lines[0].startswith("legal") and lines[0].endswith("of the 3 actions, agent by agent")


def test_what_is_shown_by_hand():
  legal = np.array([[[1, 1, 1, 0], [1, 0, 0, 0]], [[0, 1, 0, 0], [1, 0, 0, 0]]], bool)  # 4 of 8, 2 of 8
  fields = discrete((2,), (True,), 4).arrays() | {"legal": legal}
  fields["action"] = np.eye(4, dtype=np.float32)[[[0, 0], [1, 0]]]
  lines = list(inspect_data.coverage_lines(storage.Episodes(**fields)))
  assert "50.0 %, 25.0 % of the 4 actions" in lines[0] and "2, 1 different ones" in lines[1]


def put(name, place, to):
  def change(fields):
    fields[name] = fields[name].copy()
    fields[name][place] = to

  return change


@pytest.mark.parametrize(
  ("change", "words"),
  [
    (put("action", (1, 0), [0, 0.5, 0.5]), ("action: row 1, agent 0 is no one-hot",)),
    (put("action", (1, 0), [1, -1, 1]), ("action: row 1, agent 0 is no one-hot",)),
    (put("action", 1, 0), ("action: row 1, agent 0 is no one-hot", "(2 such in 1 rows)")),
    (put("final_action", (0, 1), 1), ("final_action: episode 0, agent 1 is no one-hot",)),
    (put("action", (1, 0), np.nan), ("action: row 1, agent 0, component 0 is nan",)),
    (put("legal", (2, 1), [1, 0, 0]), ("action: row 2, agent 1 is an action that legal forbids",)),
    (
      put("final_legal", (1, 1), [1, 0, 0]),
      ("final_action: episode 1, agent 1 is an action that final_legal forbids",),
    ),
    (put("legal", (2, 1), 0), ("legal: row 2, agent 1 has no legal action",)),
    (put("final_legal", (0, 1), 0), ("final_legal: episode 0, agent 1 has no legal action",)),
    (lambda fields: fields.pop("legal"), ("legal: is missing although there is final_legal", "continuous")),
    (lambda fields: fields.pop("final_legal"), ("final_legal: is missing although there is legal",)),
    (
      lambda fields: fields.update(legal=fields["legal"][..., :2]),
      ("legal: has 2 action components where action has 3",),
    ),
    (lambda fields: fields.update(legal=fields["legal"][:2]), ("legal: has 2 rows where obs has 3",)),
    (lambda fields: fields.update(final_legal=fields["legal"]), ("final_legal: has 3 episodes where", "2 ends")),
    (lambda fields: fields.update(legal=fields["action"]), ("legal: holds float32 where bool",)),
  ],
)
def test_what_no_agent_can_have_done(change, words):
  fields = discrete().arrays()
  fields["action"] = np.eye(3, dtype=np.float32)[np.full((3, 2), 2)]
  fields["legal"] = np.ones((3, 2, 3), bool)
  fields["final_action"], fields["final_legal"] = fields["action"][1:], np.ones((2, 2, 3), bool)
  change(fields)
  refused(lambda: storage.check(storage.Episodes(**{"legal": None} | fields)), *words)


def test_a_final_action_of_no_weight_may_be_anything_that_is_a_choice():
  whole = discrete()  # the first terminated, the second was cut
  forbidden = dataclasses.replace(whole, final_legal=whole.final_action == 0)
  refused(lambda: storage.check(forbidden), "final_action: episode 1, agent 0", "final_legal forbids")
  storage.check(dataclasses.replace(forbidden, final_action_unknown=np.array([False, True])))
  fields = discrete((2, 1), (True, True)).arrays()
  del fields["final_action"]  # the last ones stand in
  storage.from_arrays(**fields | {"final_legal": fields["action"][[1, 2]] == 0})


def test_own_episodes_that_have_it_wrong():
  one = {"obs": np.zeros((3, 2, 4)), "action": np.eye(2)[np.zeros((3, 2), int)], "reward": np.zeros(2)}
  one |= {"terminated": True, "legal": np.ones((3, 2, 2))}
  assert storage.from_episodes([one | {"action": one["action"][:2]}]).final_legal.all()
  refused(lambda: storage.from_episodes([one, one | {"legal": one["legal"][:2]}]), "episode 1, legal", "(3, 2, 2)")
  refused(lambda: storage.from_episodes([one | {"legal": np.full((3, 2, 2), 2)}]), "episode 0, legal", "true or false")
  refused(
    lambda: storage.from_episodes([one, {k: v for k, v in one.items() if k != "legal"}]), "episode 1, legal: some"
  )
