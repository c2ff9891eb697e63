"""OMIGA's HDF5 files become our episodes; what is none is one sentence."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_offline.datasets import checks, public_omiga
from tests.datasets import published
from tests.datasets.made import refused

pytest.importorskip("h5py")


@settings(max_examples=20, deadline=None)
@given(
  lengths=st.lists(st.one_of(st.integers(1, 6), st.just(1000)), min_size=1, max_size=5),
  unfinished=st.integers(0, 3),
  chunk=st.integers(1, 9).map(lambda n: n**3),
  task=st.sampled_from(["hopper_3x1", "halfcheetah_6x1"]),
)
def test_episodes_are_cut_where_they_end(tmp_path_factory, lengths, unfinished, chunk, task):
  arrays = published.omiga_arrays(task, lengths, unfinished=unfinished)
  path = tmp_path_factory.mktemp("omiga") / "some.hdf5"
  published.write_hdf5(path, arrays)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(checks, "CHUNK", chunk if sum(lengths) < 2000 else 500)
    read, notes = public_omiga.read(path, task)
  np.testing.assert_array_equal(read.lengths(), lengths)
  assert notes.get("rows_of_an_unfinished_episode_left_out", 0) == unfinished
  assert notes["time_limits_stored_as_ends"] == lengths.count(1000)
  begin = row = 0
  for episode, steps in enumerate(lengths):  # by a loop over the file's rows
    for name, key in (("obs", "o"), ("action", "a")):
      expected = arrays[key][begin : begin + steps].astype(np.float32)
      np.testing.assert_array_equal(getattr(read, name)[row : row + steps], expected)
    np.testing.assert_array_equal(read.reward[row : row + steps, -1], arrays["r"][begin : begin + steps, 0].astype("f"))
    np.testing.assert_array_equal(read.final_obs[episode], arrays["o"][begin + steps].astype(np.float32))
    np.testing.assert_array_equal(read.final_state[episode], arrays["s"][begin + steps, 0].astype(np.float32))
    assert read.truncated[row + steps - 1] == (steps == 1000) != read.terminated[row + steps - 1]
    begin, row = begin + steps + 1, row + steps
  assert read.final_action_unknown.all()
  np.testing.assert_array_equal(read.final_action, read.action[read.last()])
  drawn = np.arange(row) if read.rows_to_draw() is None else read.rows_to_draw()
  np.testing.assert_array_equal(drawn, np.flatnonzero(~read.truncated))  # a true end is trained on


def test_flat_rewards_and_ends_mean_the_same(tmp_path):
  arrays = published.omiga_arrays(lengths=(3, 2))
  published.write_hdf5(tmp_path / "a.hdf5", arrays)
  flat = arrays | {"r": arrays["r"][:, 0].astype(np.float32), "d": arrays["d"][:, 0].astype(bool)}
  published.write_hdf5(tmp_path / "b.hdf5", flat)
  one, other = (public_omiga.read(tmp_path / name, "hopper_3x1").episodes for name in ("a.hdf5", "b.hdf5"))
  for name, array in one.arrays().items():
    np.testing.assert_array_equal(getattr(other, name), array)


def test_the_file_is_found_and_its_name_believed(tmp_path):
  path = tmp_path / "Ant-v2-2x4-medium-replay.hdf5"
  path.write_bytes(b"")
  assert public_omiga.find(tmp_path, "ant_2x4", "medium-replay") == path
  assert public_omiga.find(path, "ant_2x4", "medium-replay") == path
  refused(
    lambda: public_omiga.find(path, "ant_2x4", "medium"), "is of Ant-v2-2x4-medium-replay where Ant-v2-2x4-medium "
  )
  refused(lambda: public_omiga.find(path, "hopper_3x1", "medium"), "where Hopper-v2-3x1-medium was asked for")
  refused(lambda: public_omiga.find(tmp_path, "ant_2x4", "expert"), "no Ant-v2-2x4-expert.hdf5", path.name)
  refused(lambda: public_omiga.find(tmp_path / "nowhere", "ant_2x4", "expert"), "does not exist")
  path.rename(tmp_path / "mine.h5")
  assert public_omiga.find(tmp_path / "mine.h5", "ant_2x4", "medium").name == "mine.h5"


def value(key, row, to):
  def change(arrays):
    arrays[key] = arrays[key].astype(float)
    arrays[key][row] = to

  return change


FAULTS = [
  (lambda arrays: arrays.pop("a"), ("some.hdf5, a: is missing", "here are: d, o, r, s")),
  (lambda arrays: arrays.update(o=arrays["o"][:, :2]), ("o: has shape (10, 2, 14)", "(any, 3, 14)")),
  (lambda arrays: arrays.update(a=arrays["a"][:, :, 0]), ("a: has shape (10, 3)",)),
  (lambda arrays: arrays.update(r=arrays["r"][:-1]), ("r: has 9 rows where o has 10",)),
  (lambda arrays: arrays.update(r=np.zeros((10, 3))), ("r: has shape (10, 3) where [rows] or [rows, 1]",)),
  (lambda arrays: arrays.update(r=3.0), ("r: has shape ()",)),
  (lambda arrays: arrays.update(s=np.full((10, 3, 14), b"x")), ("s: holds |S1 where numbers",)),
  (value("o", 4, np.nan), ("o: row 4 holds nan",)),
  (value("o", 3, np.inf), ("o: row 3 holds inf",)),  # a final observation
  (value("a", 5, np.nan), ("a: row 5 holds nan",)),
  (value("a", 5, 1.5), ("a: row 5 holds the action 1.5", "--clip_actions")),
  (value("r", 6, np.nan), ("r: row 6 holds nan",)),
  (value("d", 6, 0.5), ("d: row 6 holds 0.5 where 0 or 1",)),
  (value("d", 4, 1.0), ("d: the episode whose final observation is row 4 has 0 steps; 1 to 1000",)),
  (value("d", slice(None), 0.0), ("d: has 10 rows and none is 1",)),
]


@pytest.mark.parametrize(("change", "words"), FAULTS)
def test_a_faulty_file_is_one_sentence(tmp_path, monkeypatch, change, words):
  monkeypatch.setattr(checks, "CHUNK", 4)
  arrays = published.omiga_arrays(lengths=(3, 5))
  change(arrays)
  published.write_hdf5(tmp_path / "some.hdf5", arrays)
  refused(lambda: public_omiga.read(tmp_path / "some.hdf5", "hopper_3x1"), tmp_path / "some.hdf5", *words)


def test_an_episode_longer_than_the_limit(tmp_path):
  published.write_hdf5(tmp_path / "some.hdf5", published.omiga_arrays(lengths=(1001,)))
  refused(lambda: public_omiga.read(tmp_path / "some.hdf5", "hopper_3x1"), "has 1001 steps; 1 to 1000")


def test_what_is_no_whole_file(tmp_path):
  path = tmp_path / "some.hdf5"
  published.write_hdf5(path, published.omiga_arrays(lengths=(50,)))
  content = path.read_bytes()
  for broken in (b"", b"no such file", content[:-2000], content[:100], b"\0" * 4096):
    path.write_bytes(broken)
    refused(lambda: public_omiga.read(path, "hopper_3x1"), "some.hdf5: cannot be read as HDF5")
  refused(lambda: public_omiga.read(tmp_path / "nowhere", "hopper_3x1"), "nowhere: cannot be read as HDF5")


def test_without_the_library_a_sentence(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "h5py", None)
  refused(lambda: public_omiga.read(tmp_path / "some.hdf5", "hopper_3x1"), "pip install 'marl_offline[public]'")
