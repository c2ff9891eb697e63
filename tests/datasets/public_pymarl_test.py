"""pymarl's episodes become ours, row by row, however their ends are stored; what is no such file is one sentence."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_offline.datasets import checks, public_pymarl, transitions
from marl_offline.datasets.public_rows import Task
from tests.datasets import published
from tests.datasets.made import refused

pytest.importorskip("h5py")
TINY = Task("tiny", 2, 3, 4, 5, 6)  # 2 agents, 3 observation components, 4 actions, cut after 5 steps, state of 6


def read(path, arrays, task="tiny", time_limit=5):
  published.write_hdf5(path, arrays)
  return public_pymarl.read(path, task, time_limit)


@settings(max_examples=40, deadline=None)
@given(
  ends=st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=5),
  filled=st.sampled_from(["final", "steps", "absent"]),
  chunk=st.integers(1, 20),
  flat=st.booleans(),
)
def test_every_step_of_every_episode(tmp_path_factory, ends, filled, chunk, flat):
  """Against a loop over the file's rows."""
  ends.append((2, True))  # says what filled counts
  arrays = published.pymarl_arrays(TINY, ends, filled)
  given_as = {key: array[..., 0] for key, array in arrays.items() if array.shape[-1] == 1} if flat else {}
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(checks, "CHUNK", chunk)
    episodes, notes = read(tmp_path_factory.mktemp("pymarl") / "some.h5", arrays | given_as)
  unknown = np.zeros(len(ends), bool) if episodes.final_action_unknown is None else episodes.final_action_unknown
  np.testing.assert_array_equal(episodes.lengths(), [steps for steps, _ in ends])
  row = 0
  for number, (steps, ended) in enumerate(ends):
    for t in range(steps + 1):
      at, here = (min(t, steps - 1), "final_") if filled == "absent" and t == steps else (t, "final_" * (t == steps))
      place = number if here else row + t
      for name, key in (("obs", "obs"), ("state", "state"), ("legal", "avail_actions")):
        np.testing.assert_array_equal(getattr(episodes, here + name)[place], arrays[key][number, at])
      at = t if t < steps or filled == "final" else steps - 1
      chosen = getattr(episodes, here + "action")[place]
      np.testing.assert_array_equal(chosen, np.eye(4)[arrays["actions"][number, at, :, 0]])
      if t < steps:
        np.testing.assert_array_equal(episodes.reward[place], np.full(2, arrays["reward"][number, t, 0]))
    ended = ended and not (filled == "absent" and steps == 5)
    assert episodes.terminated[row + steps - 1] == ended != episodes.truncated[row + steps - 1]
    assert unknown[number] == (filled != "final")
    row += steps
  assert notes.get("final_observations_missing", 0) == (len(ends) if filled == "absent" else 0)
  drawn = np.arange(row) if episodes.rows_to_draw() is None else episodes.rows_to_draw()
  np.testing.assert_array_equal(drawn, np.flatnonzero(~(episodes.truncated & (filled != "final"))))


def test_ends_by_hand(tmp_path):
  # ended, cut at the limit, ended at the limit, cut before it by whatever did, a free place of the buffer
  arrays = published.pymarl_arrays(TINY, ((2, True), (5, False), (5, True), (3, False), (1, True)))
  arrays["filled"][4] = 0
  episodes, notes = read(tmp_path / "a.h5", arrays)
  np.testing.assert_array_equal(np.flatnonzero(episodes.terminated), [1, 11])
  np.testing.assert_array_equal(np.flatnonzero(episodes.truncated), [6, 14])
  assert notes == {"cut_at_the_time_limit": 1, "cut_before_it": 1, "empty_episodes_left_out": 1}
  # nobody says what filled counts: a whole length of rows is steps, else the last one is the final observation
  alone = published.pymarl_arrays(TINY, ((4, False), (3, False)))
  assert list(read(tmp_path / "c.h5", alone)[0].lengths()) == [5, 3]
  # the same without final observations: the end at the limit is a time limit that was stored as an end
  arrays = published.pymarl_arrays(TINY, ((2, True), (5, False), (5, True)), "absent")
  episodes, notes = read(tmp_path / "b.h5", arrays | {"corrected_terminated": np.ones_like(arrays["terminated"])})
  np.testing.assert_array_equal(np.flatnonzero(episodes.terminated), [1])
  np.testing.assert_array_equal(episodes.rows_to_draw(), [0, 1, 2, 3, 4, 5, 7, 8, 9, 10])
  assert notes == {
    "cut_at_the_time_limit": 2,
    "time_limits_stored_as_ends": 1,
    "final_observations_missing": 3,
    "final_actions_unknown": 3,
  }


def test_padding_is_not_taken_for_an_action(tmp_path):
  arrays = published.pymarl_arrays(TINY, ((3, False), (2, True)))
  arrays["actions"][0, 3] = 0  # nobody chose there; 0 is not legal for the living
  episodes, notes = read(tmp_path / "some.h5", arrays)
  np.testing.assert_array_equal(episodes.final_action_unknown, [True, False])
  np.testing.assert_array_equal(episodes.final_action[0], episodes.action[2])
  np.testing.assert_array_equal(episodes.final_obs[0], arrays["obs"][0, 3])
  assert notes["final_actions_unknown"] == 1 and list(episodes.rows_to_draw()) == [0, 1, 3, 4]
  dataset = transitions.from_episodes(episodes, place=np.asarray)  # which knows nothing of legal
  batch = transitions.gather(dataset, dataset.rows_at(np.arange(4)))
  np.testing.assert_array_equal(batch.next_action, np.r_[episodes.action[[1, 2, 4]], episodes.final_action[[1]]])
  np.testing.assert_array_equal(batch.discount, [1, 1, 1, 0])


def test_what_lies_beyond_an_episode_is_not_read(tmp_path):
  arrays = published.pymarl_arrays(TINY, ((3, True), (2, True)))
  expected, _ = read(tmp_path / "a.h5", arrays)
  for key, rubbish in (("obs", np.nan), ("state", np.inf), ("actions", 99), ("avail_actions", 7), ("terminated", 9)):
    arrays[key][0, 4:] = rubbish
  arrays["reward"][0, 3:] = np.nan
  del arrays["probs"]
  found, _ = read(tmp_path / "b.h5", arrays)
  for name, array in expected.arrays().items():
    np.testing.assert_array_equal(getattr(found, name), array)


def test_published_sizes_are_required(tmp_path):
  known = public_pymarl.TASKS["3m"]
  arrays = published.pymarl_arrays(known, ((4, True), (60, False)))
  episodes, notes = read(tmp_path / "some.h5", arrays, "3m", None)
  assert episodes.obs.shape == (64, 3, 30) and episodes.legal.shape == (64, 3, 9)
  assert notes == {"cut_at_the_time_limit": 1}
  path = tmp_path / "some.h5"
  refused(lambda: public_pymarl.read(path, "8m"), path, "state: has shape (2, 61, 48) where for 8m (2, 61, 168)")
  refused(lambda: public_pymarl.read(path, "mine"), "what cuts episodes of mine is not known here", "--time_limit")
  refused(lambda: public_pymarl.read(path, "mine", 59), "has 61 rows an episode where mine has at most 60")
  assert public_pymarl.read(path, "mine", 60).episodes.num_rows == 64


def test_the_file_is_found_and_its_name_believed(tmp_path):
  path = tmp_path / "3s_vs_5z_medium_replay.h5"
  path.write_bytes(b"")
  assert public_pymarl.find(tmp_path, "3s_vs_5z", "medium-replay") == path
  assert public_pymarl.find(path, "3s_vs_5z", "medium-replay") == path
  words = "is of 3s_vs_5z_medium_replay where"
  refused(lambda: public_pymarl.find(path, "3s_vs_5z", "medium"), words, "3s_vs_5z_medium was asked for")
  refused(lambda: public_pymarl.find(path, "2s3z", "medium-replay"), words, "2s3z_medium_replay was asked for")
  refused(lambda: public_pymarl.find(tmp_path, "3m", "expert"), "holds no 3m_expert.h5, nor 3m.h5", path.name)
  refused(lambda: public_pymarl.find(tmp_path / "nowhere", "3m", "expert"), "does not exist", "3m_expert.h5")
  (tmp_path / "3m.h5").write_bytes(b"")  # ICQ-MA's name
  assert public_pymarl.find(tmp_path, "3m", "expert").name == "3m.h5"
  path.rename(tmp_path / "mine.h5")
  assert public_pymarl.find(tmp_path / "mine.h5", "2s3z", "good").name == "mine.h5"


def value(key, place, to):
  def change(arrays):
    arrays[key] = arrays[key].astype(float)
    arrays[key][place] = to

  return change


FAULTS = [
  (
    lambda arrays: arrays.pop("avail_actions"),
    ("some.h5, avail_actions: is missing", "here are: actions, filled, obs"),
  ),
  (
    lambda arrays: arrays.update(obs=arrays["obs"][:1]),
    ("state: has shape (2, 6, 6) where for mine (1, 6, 6)",),
  ),
  (lambda arrays: arrays.update(obs=arrays["obs"][..., 0]), ("obs: has shape (2, 6, 2) where the shape (any, any",)),
  (lambda arrays: arrays.update(obs=arrays["obs"][:0]), ("obs: is empty, its shape is (0, 6, 2, 3)",)),
  (lambda arrays: arrays.update(reward=arrays["reward"][:, :5]), ("reward: has shape (2, 5, 1) where for mine (2, 6",)),
  (lambda arrays: arrays.update(actions=arrays["obs"]), ("actions: has shape (2, 6, 2, 3)",)),
  (lambda arrays: arrays.update(filled=3), ("filled: has shape ()",)),
  (lambda arrays: arrays.update(state=np.full((2, 6, 6), b"x")), ("state: holds |S1 where numbers",)),
  (lambda arrays: arrays.update(reward=["pickled"]), ("reward: holds object where numbers are expected",)),
  (value("obs", (1, 2, 1, 0), np.nan), ("obs: episode 1, row 2, agent 1 holds nan", "finite")),  # a final observation
  (value("state", (0, 1, 3), np.inf), ("state: episode 0, row 1 holds inf",)),
  (value("state", (0, 1, 3), 1e300), ("state: episode 0, row 1 holds 1e+300",)),
  (value("reward", (0, 2), np.nan), ("reward: episode 0, row 2 holds nan",)),
  (value("actions", (0, 1, 0), 4), ("actions: episode 0, row 1, agent 0 holds 4.0; one of 0 to 3",)),
  (value("actions", (0, 1, 0), 1.5), ("actions: episode 0, row 1, agent 0 holds 1.5",)),
  (value("actions", (0, 1, 1), np.nan), ("actions: episode 0, row 1, agent 1 holds nan",)),
  (value("actions", (0, 1, 0), 0), ("actions: episode 0, row 1, agent 0 holds 0.0", "avail_actions forbids")),
  (value("avail_actions", (0, 0, 1, 2), 2), ("avail_actions: episode 0, row 0, agent 1 holds 2.0; 0 or 1",)),
  (value("filled", (1, 1), 0.5), ("filled: episode 1, row 1 holds 0.5",)),
  (value("filled", (1, 1), 0), ("filled: episode 1 has an empty row before a filled one",)),
  (value("filled", (0, 4), 1), ("filled: episode 0 has 5 filled rows and terminates at row 2",)),
  (value("filled", slice(None), 0), ("filled: is 0 throughout",)),
  (value("filled", (1, slice(1, None)), 0), ("filled: episode 1 has 1 filled rows and never terminates",)),
  (value("terminated", (0, 1), 3), ("terminated: episode 0, row 1 holds 3.0",)),
]


@pytest.mark.parametrize(("change", "words"), FAULTS)
@pytest.mark.parametrize("also", [None, lambda arrays: arrays.update(obs=arrays["obs"] * np.nan)])
def test_a_faulty_file_is_one_sentence(tmp_path, monkeypatch, change, words, also):
  monkeypatch.setattr(checks, "CHUNK", 4)
  arrays = published.pymarl_arrays(TINY, ((3, True), (2, False)))
  if also:
    also(arrays)
  change(arrays)
  path = tmp_path / "some.h5"
  refused(lambda: read(path, arrays, "mine"), path, *(words if also is None else ()))


def test_what_is_no_whole_file(tmp_path):
  path = tmp_path / "some.h5"
  published.write_hdf5(path, published.pymarl_arrays(TINY, [(3, True)] * 20))
  content = path.read_bytes()
  damaged = bytearray(content)
  damaged[200:2000:7] = bytes(len(range(200, 2000, 7)))
  for broken in (b"", b"\x80\x04pickle", content[:-2000], content[:100], b"\0" * 4096, bytes(damaged)):
    path.write_bytes(broken)
    refused(lambda: public_pymarl.read(path, "tiny", 5), path)
  refused(lambda: public_pymarl.read(tmp_path / "nowhere", "tiny", 5), "nowhere: cannot be read as HDF5")
  published.write_hdf5(path, {"obs/inside": np.zeros(3)})
  refused(lambda: public_pymarl.read(path, "tiny", 5), "state: is missing; a file of pymarl's episodes has state, obs")


def test_without_the_library_a_sentence(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "h5py", None)
  refused(lambda: public_pymarl.read(tmp_path / "some.h5", "3m"), "pip install 'marl_offline[public]'")


def test_a_limit_that_nobody_reaches_is_doubted(tmp_path):
  arrays = published.pymarl_arrays(TINY, ((5, True), (2, True), (5, True)))
  assert "2 of 3 have 5" in read(tmp_path / "a.h5", arrays, time_limit=9).notes["time_limit_in_doubt"]
  assert "time_limit_in_doubt" not in read(tmp_path / "b.h5", arrays).notes


def test_parts_of_a_data_set_are_not_taken_for_the_whole(tmp_path):
  for number in (0, 1):
    (tmp_path / f"part_{number}.h5").touch()
  for place in (tmp_path, tmp_path / "part_0.h5"):
    refused(
      lambda place=place: public_pymarl.find(place, "mine", "expert"), "holds 2 parts of one data set", "part_0.h5"
    )
  (tmp_path / "part_1.h5").unlink()
  assert public_pymarl.find(tmp_path / "part_0.h5", "mine", "expert") == tmp_path / "part_0.h5"
