"""OMAR's folders become our episodes, row by row, and what is no such folder is one sentence."""

import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_offline.datasets import checks, public_omar, public_rows
from tests.datasets import published
from tests.datasets.made import refused


@settings(max_examples=12, deadline=None)
@given(
  task=st.sampled_from(["spread", "tag", "world"]),
  episodes=st.integers(1, 5),
  chunk=st.integers(1, 140),
  dones=st.sampled_from(["zeros", "limits"]),
  seed=st.integers(0, 99),
)
def test_every_row_comes_back_whatever_the_chunks(tmp_path_factory, task, episodes, chunk, dones, seed):
  root = tmp_path_factory.mktemp("omar")
  given, folder = published.write_omar(root, task, episodes=episodes, seed=seed, dones=dones)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(checks, "CHUNK", chunk)
    read, notes = public_omar.read(folder, task)
  assert read.num_agents == 3 and read.num_episodes == episodes, "the prey is not learned"
  assert not read.terminated.any() and read.final_action_unknown.all()
  np.testing.assert_array_equal(read.final_action, read.action[read.last()])
  np.testing.assert_array_equal(np.flatnonzero(read.truncated), 25 * np.arange(1, episodes + 1) - 1)
  for agent in range(3):
    for ours, theirs in ((read.obs, "obs"), (read.action, "acs"), (read.reward, "rews")):
      np.testing.assert_array_equal(ours[:, agent], given[f"{theirs}_{agent}"].astype(np.float32))
    np.testing.assert_array_equal(read.final_obs[:, agent], given[f"next_obs_{agent}"][24::25].astype(np.float32))
  # by a loop: the agents' mean of the rewards' sum over each 25 rows
  sums = [np.mean([sum(given[f"rews_{i}"][25 * p : 25 * p + 25]) for i in range(3)]) for p in range(episodes)]
  np.testing.assert_allclose(read.returns(), sums, rtol=1e-4, atol=1e-5)
  np.testing.assert_array_equal(read.rows_to_draw(), [row for row in range(25 * episodes) if row % 25 != 24])
  assert notes == {"dones": "all 0" if dones == "zeros" else "1 at every time limit, which is taken as a cut"}


def test_halfcheetah_has_a_state_and_a_thousand_steps(tmp_path):
  given, folder = published.write_omar(tmp_path, "halfcheetah_2x3", "medium", dones="limits")
  read, _ = public_omar.read(folder, "halfcheetah_2x3")
  assert read.obs.shape == (2000, 2, 6) and read.action.shape == (2000, 2, 3) and list(read.lengths()) == [1000, 1000]
  np.testing.assert_array_equal(read.state, given["states_0"].astype(np.float32))
  np.testing.assert_array_equal(read.final_state, given["next_states_0"][999::1000].astype(np.float32))
  assert not read.terminated.any()


def test_other_types_and_shapes_that_mean_the_same(tmp_path):
  given, folder = published.write_omar(tmp_path)
  np.save(folder / "obs_0.npy", np.asfortranarray(given["obs_0"]))
  np.save(folder / "next_obs_1.npy", given["next_obs_1"].astype(np.float32))  # rounded apart from obs_1
  np.save(folder / "rews_1.npy", given["rews_1"].astype(">f4")[:, None])
  np.save(folder / "dones_2.npy", given["dones_2"].astype(bool)[:, None])
  read, _ = public_omar.read(folder, "spread")
  np.testing.assert_array_equal(read.obs[:, 0], given["obs_0"].astype(np.float32))
  np.testing.assert_array_equal(read.reward[:, 1], given["rews_1"].astype(np.float32))


def test_a_simulator_that_starts_anew_by_itself_is_noticed(tmp_path):
  given, folder = published.write_omar(tmp_path, episodes=3)
  for agent in range(3):
    given[f"next_obs_{agent}"][24] = given[f"obs_{agent}"][25]
    np.save(folder / f"next_obs_{agent}.npy", given[f"next_obs_{agent}"])
  assert public_omar.read(folder, "spread").notes["final_obs_of_the_next_episode"] == 1


def test_actions_a_little_outside_are_clipped_and_counted(tmp_path):
  given, folder = published.write_omar(tmp_path)
  given["acs_1"][3] = [1 + 1e-6, -1 - 5e-5]
  np.save(folder / "acs_1.npy", given["acs_1"])
  read, notes = public_omar.read(folder, "spread")
  assert notes["clipped_actions"] == 2 and abs(notes["furthest_action"] - 1.00005) < 1e-6
  np.testing.assert_array_equal(read.action[3, 1], [1, -1])
  given["acs_1"][3] = [0, -1.5]
  np.save(folder / "acs_1.npy", given["acs_1"])
  refused(lambda: public_omar.read(folder, "spread"), "acs_1.npy: row 3 holds the action -1.5", "--clip_actions")
  assert public_omar.read(folder, "spread", clip_actions=True).notes["furthest_action"] == 1.5


def test_the_folder_is_found_from_anywhere_above_and_its_name_believed(tmp_path):
  _, folder = published.write_omar(tmp_path, "tag", "medium", seed=3)
  for place in (folder, folder.parent, folder.parents[1], folder.parents[2]):
    assert public_omar.find(place, "tag", "medium", 3)[0].resolve() == folder
  assert public_omar.find(folder, "tag", "medium") == (folder, 3)
  refused(lambda: public_omar.find(tmp_path, "tag", "medium"), "holds no simple_tag/medium/seed_0_data")
  refused(lambda: public_omar.find(folder, "tag", "medium", 1), "is of seed_3_data where seed_1_data was asked for")
  refused(lambda: public_omar.find(folder, "tag", "expert"), "is of medium where expert was asked for")
  refused(lambda: public_omar.find(folder, "spread", "medium"), "is of simple_tag where simple_spread, for spread")
  refused(lambda: public_omar.find(tmp_path / "nowhere", "tag", "medium"), "is no folder")
  plain = tmp_path / "mine"
  folder.rename(plain)
  assert public_omar.find(plain, "tag", "medium") == (plain, 0)


def replaced(name, change):
  """Writes another array in the place of a file."""

  def plant(folder, arrays):
    np.save(folder / f"{name}.npy", change(arrays[name]))

  return plant


def with_value(name, row, value):
  def change(array):
    array[row] = value
    return array

  return replaced(name, change)


def cut(folder, arrays):
  path = folder / "acs_2.npy"
  path.write_bytes(path.read_bytes()[:-8])


class Bomb:
  def __reduce__(self):
    return (pathlib.Path.touch, (pathlib.Path("exploded"),))


def bomb(folder, arrays):
  np.save(folder / "rews_0.npy", np.array([Bomb()], dtype=object), allow_pickle=True)


FAULTS = [
  (lambda folder, arrays: (folder / "acs_1.npy").unlink(), ("acs_1.npy: is missing", "[rows, 2]")),
  (lambda folder, arrays: (folder / "rews_2.npy").write_bytes(b"no array"), ("rews_2.npy: has no readable .npy",)),
  (cut, ("acs_2.npy: is cut short",)),
  (bomb, ("rews_0.npy: holds pickled Python objects",)),
  (replaced("rews_1", lambda x: x[:-1]), ("rews_1.npy: has 49 rows where obs_0.npy has 50",)),
  (replaced("obs_1", lambda x: x[:, :-1]), ("obs_1.npy: has shape (50, 17) where [rows, 18]",)),
  (replaced("dones_1", lambda x: np.stack([x, x], 1)), ("dones_1.npy: has shape (50, 2) where [rows]",)),
  (replaced("obs_0", lambda x: x.astype("S9")), ("obs_0.npy: holds |S9 where numbers",)),
  (with_value("obs_2", 7, np.nan), ("obs_2.npy: row 7 holds", "nan", "finite")),
  (with_value("obs_2", 7, 1e300), ("obs_2.npy: row 7 holds", "1e+300", "finite")),
  (with_value("rews_2", 30, np.inf), ("rews_2.npy: row 30 holds inf",)),
  (with_value("next_obs_1", 11, 9.0), ("next_obs_1.npy: row 11 is not what obs_1.npy holds in row 12",)),
  (with_value("dones_0", 24, 1.0), ("dones_0.npy: row 49, at a time limit, is 0 where it is 1 at the first",)),
  (with_value("dones_0", 49, 1.0), ("dones_0.npy: row 49, at a time limit, is 1 where it is 0 at the first",)),
  (with_value("dones_2", 10, 1.0), ("dones_2.npy: row 10 is 1 within an episode",)),
  (with_value("dones_2", 10, 0.5), ("dones_2.npy: row 10 holds 0.5 where 0 or 1",)),
]


@pytest.mark.parametrize(("fault", "words"), FAULTS)
def test_a_faulty_folder_is_one_sentence(tmp_path, monkeypatch, fault, words):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(checks, "CHUNK", 16)
  arrays, folder = published.write_omar(tmp_path)
  fault(folder, arrays)
  refused(lambda: public_omar.read(folder, "spread"), folder, *words)
  assert not (tmp_path / "exploded").exists()


def test_another_tasks_files_and_parts_of_episodes(tmp_path):
  arrays, folder = published.write_omar(tmp_path)
  refused(lambda: public_omar.read(folder, "tag"), "obs_0.npy: has shape (50, 18) where [rows, 16]")
  for name, array in arrays.items():
    np.save(folder / f"{name}.npy", array[:40])
  refused(lambda: public_omar.read(folder, "spread"), "has 40 rows, no positive multiple of 25")
  for name, array in arrays.items():
    np.save(folder / f"{name}.npy", array[:0])
  refused(lambda: public_omar.read(folder, "spread"), "has 0 rows")


def test_chunks_cover_every_row_once(monkeypatch):
  monkeypatch.setattr(checks, "CHUNK", 7)
  assert list(public_rows.in_chunks("", 16)) == [(0, 7), (7, 14), (14, 16)]
