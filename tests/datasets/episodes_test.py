"""Your own data in ten lines, and one sentence each for what is no data set."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_offline.datasets import storage
from tests.datasets import made
from tests.datasets.made import refused


def episode(steps=3, terminated=False, **changes):
  """One episode of 2 agents with 3 observation and 2 action components."""
  fields = {
    "obs": np.arange((steps + 1) * 6.0).reshape(steps + 1, 2, 3),
    "action": np.full((steps + 1, 2, 2), 0.5),
    "reward": np.ones((steps, 2)),
    "terminated": terminated,
  }
  return {name: value for name, value in (fields | changes).items() if value is not None}


def test_own_episodes_become_flat_arrays():
  made_of = storage.from_episodes([episode(3), episode(1, terminated=True)])
  assert made_of.num_rows == 4 and made_of.num_episodes == 2 and made_of.num_agents == 2
  np.testing.assert_array_equal(made_of.terminated, [False, False, False, True])
  np.testing.assert_array_equal(made_of.truncated, [False, False, True, False])
  np.testing.assert_array_equal(made_of.lengths(), [3, 1])
  np.testing.assert_array_equal(made_of.returns(), [3.0, 1.0])
  np.testing.assert_array_equal(made_of.final_obs[0], episode(3)["obs"][3])
  assert made_of.obs.dtype == np.float32


def test_lists_doubles_and_a_team_reward_are_taken():
  own = {name: np.asarray(value).tolist() for name, value in episode(2, reward=np.array([1.0, 3.0])).items()}
  made_of = storage.from_episodes(iter([own]))
  np.testing.assert_array_equal(made_of.reward, [[1, 1], [3, 3]])
  assert {array.dtype.name for array in made_of.arrays().values()} == {"float32", "bool"}


def test_a_terminated_episode_needs_no_final_action_and_both_ends_may_hold():
  short = episode(3, terminated=True, truncated=True, action=np.full((3, 2, 2), 0.5))
  made_of = storage.from_episodes([short])
  np.testing.assert_array_equal(made_of.final_action, made_of.action[-1:])  # stands in
  assert made_of.terminated[-1] and made_of.truncated[-1]


def test_returns_by_hand():
  # two agents, episode 0: rewards (1, 3), (2, 0): means 2 + 1 = 3; episode 1: (4, 6): 5.
  one = episode(2, reward=np.array([[1.0, 3.0], [2.0, 0.0]]))
  np.testing.assert_array_equal(storage.from_episodes([one, episode(1, reward=[[4.0, 6.0]])]).returns(), [3.0, 5.0])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=6), st.booleans())
def test_episodes_of_any_lengths_keep_their_rows(ends, with_state):
  state = lambda steps: np.arange(steps + 1.0)[:, None] if with_state else None  # noqa: E731
  own = [episode(steps, terminated, state=state(steps)) for steps, terminated in ends]
  made_of = storage.from_episodes(own)
  np.testing.assert_array_equal(made_of.lengths(), [steps for steps, _ in ends])
  first = 0
  for number, (steps, terminated) in enumerate(ends):
    np.testing.assert_array_equal(made_of.obs[first : first + steps], own[number]["obs"][:-1])
    np.testing.assert_array_equal(made_of.final_obs[number], own[number]["obs"][-1])
    assert made_of.terminated[first + steps - 1] == terminated != made_of.truncated[first + steps - 1]
    first += steps
  assert (made_of.state is not None) == with_state


@pytest.mark.parametrize(
  ("changes", "words"),
  [
    ({"action": np.zeros((3, 2, 2))}, ("episode 1, action", "final observation", "partial replacement")),
    ({"action": np.zeros((2, 2, 2))}, ("episode 1, action", "2 actions", "need 4")),
    ({"reward": np.zeros(4)}, ("episode 1, reward", "4 steps", "make 3")),
    ({"obs": np.zeros((1, 2, 3))}, ("episode 1, obs", "1 observations", "needs two")),
    ({"obs": np.zeros((4, 6))}, ("episode 1, obs", "(4, 6)", "[T + 1, N, O]")),
    ({"obs": np.zeros((4, 2, 5))}, ("episode 1, obs", "(2, 5)", "episode 0 has (2, 3)")),
    ({"obs": [[1.0], [1.0, 2.0]]}, ("episode 1, obs", "not an array")),
    ({"obs": np.full((4, 2, 3), "x")}, ("episode 1, obs", "numbers are expected")),
    ({"terminated": None}, ("episode 1", "no terminated")),
    ({"terminated": 2}, ("episode 1, terminated", "true or false")),
    ({"terminated": [True, False]}, ("episode 1, terminated", "(2,)")),
    ({"truncated": False}, ("episode 1", "neither terminated nor truncated")),
    ({"dones": 1}, ("episode 1", "unknown dones", "known are")),
    ({"state": np.zeros((4, 2))}, ("episode 1, state", "some episodes have it")),
    ({"action": np.full((4, 2, 2), 2.0)}, ("action: episode 1, step 0, agent 0, component 0 is 2", "[-1, 1]")),
    ({"action": np.arange(16).reshape(4, 2, 2) * (0.99 / 11)}, ("final_action: episode 1, agent 0", "[-1, 1]")),
    ({"reward": [[0, 0], [0, 0], [0, np.nan]]}, ("reward: episode 1, step 2, agent 1 is nan",)),
    ({"obs": np.full((4, 2, 3), 1e300)}, ("obs: episode 1, step 0", "inf", "finite")),
  ],
)
def test_episodes_that_are_none(changes, words):
  refused(lambda: storage.from_episodes([episode(3), episode(3, **changes)]), *words)


def test_no_episodes():
  refused(lambda: storage.from_episodes([]), "at least one")
  refused(lambda: storage.from_episodes(episode(3)), "episode 0: is a str where a mapping")


@pytest.mark.parametrize(
  ("field", "change", "words"),
  [
    ("obs", lambda x: x[:-1], ("action: has 8 rows where obs has 7",)),
    ("action", lambda x: x * 1e4, ("action: row 1, agent 0, component 1 is 1.16666", "actions must lie in [-1, 1]")),
    ("final_action", lambda x: x - 2, ("final_action: episode 0, agent 0",)),
    (
      "reward",
      lambda x: np.where(x >= 20, np.float32(np.nan), x),
      ("reward: row 4, agent 0 is nan", "8 such values in 4 rows"),
    ),
    ("final_obs", lambda x: x[:2], ("final_obs: has 2 episodes", "3 ends")),
    ("final_obs", lambda x: x[..., :2], ("final_obs: has 2 observation components where obs has 3",)),
    ("truncated", lambda x: x[1:], ("truncated: has 7 rows where obs has 8",)),
    ("truncated", lambda x: x.astype(np.int8), ("truncated: holds int8 where bool",)),
    ("obs", lambda x: x.astype(np.float64), ("obs: holds float64 where float32",)),
    ("action", lambda x: x[..., 0], ("action: has shape (8, 2) where [rows, agents, action components]",)),
    ("terminated", lambda x: x & (np.arange(8) < 7), ("row 7, the last one, ends no episode", "last end is at row 3")),
    ("obs", lambda x: x[:0], ("obs: has no rows",)),
    ("obs", lambda x: x[:, :0], ("obs: has no agents",)),
    ("state", lambda _: np.zeros((8, 4), np.float32), ("final_state: is missing although there is state",)),
  ],
)
def test_arrays_that_are_no_data_set(field, change, words):
  sound = made.episodes((3, 1, 4))
  broken = dataclasses.replace(sound, **{field: change(getattr(sound, field))})
  refused(lambda: storage.check(broken), *words)


def test_a_final_state_of_another_size_is_refused():
  sound = made.episodes(with_state=True)
  broken = dataclasses.replace(sound, final_state=sound.final_state[:, :4])
  refused(lambda: storage.check(broken), "final_state: has 4 state components where state has 5")


def test_arrays_without_final_action():
  fields = made.episodes((2, 2), terminated=[True, True]).arrays()
  del fields["final_action"]
  made_of = storage.from_arrays(**fields)
  np.testing.assert_array_equal(made_of.final_action, made_of.action[made_of.last()])  # stands in
  both = storage.from_arrays(**fields | {"truncated": fields["terminated"]})  # where both hold, terminated counts
  np.testing.assert_array_equal(both.final_action, made_of.final_action)
  fields |= {"terminated": np.array([0, 1, 0, 0]), "truncated": np.array([0, 0, 0, 1])}
  refused(lambda: storage.from_arrays(**fields), "final_action", "row 3", "partial replacement")


def test_a_wrong_value_in_a_later_chunk_is_found_at_its_row(monkeypatch):
  monkeypatch.setattr("marl_offline.datasets.checks.CHUNK", 3)
  sound = made.episodes((3, 1, 4))
  obs = sound.obs.copy()
  obs[7, 1, 2] = np.inf
  refused(lambda: storage.check(dataclasses.replace(sound, obs=obs)), "obs: row 7, agent 1, component 2 is inf")


def test_action_bounds_are_those_asked_for():
  sound = made.episodes((3,))
  storage.check(sound, action_low=0.0)
  refused(lambda: storage.check(sound, action_low=0.0, action_high=1e-5), "[0, 1e-05]")


STRANGE = [None, 3, "x", [], [[1], [2, 3]], {}, np.zeros(()), np.zeros((1, 1, 1, 1)), np.ones(5), 1j, object(), b"", -1]


@pytest.mark.parametrize("name", ["obs", "action", "reward", "terminated", "truncated", "state"])
@pytest.mark.parametrize("value", STRANGE)
def test_strange_values_are_refused_in_a_sentence_or_taken(name, value):
  own = episode(3) | {"terminated": True} | {name: value}
  try:
    assert storage.from_episodes([own]).num_rows == 3
  except storage.DataError as error:
    assert "episode 0" in str(error)
  fields = made.episodes((2, 2)).arrays() | {name: value}
  try:
    storage.from_arrays(**fields)
  except storage.DataError as error:
    assert "\n" not in str(error)
