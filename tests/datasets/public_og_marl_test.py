"""OG-MARL's vaults become our episodes; what is none is one sentence."""

import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_offline.datasets import checks, public_og_marl
from tests.datasets import published
from tests.datasets.made import refused

pytest.importorskip("tensorstore")


def mine(folder, **arguments):
  """Reads a vault of a task that is none of ours, whose episodes are cut after 6 steps."""
  return public_og_marl.read(folder, "mine", **{"time_limit": 6} | arguments)


@settings(max_examples=8, deadline=None)
@given(
  lengths=st.lists(st.integers(1, 6), max_size=4).map(lambda some: [*some, 2]),  # one row at least is to be drawn
  flag=st.text("tT", min_size=1, max_size=3),
  unfinished=st.integers(0, 2),
  final_rows=st.booleans(),
  with_state=st.booleans(),
  chunk=st.integers(1, 9),
)
def test_episodes_are_cut_where_they_end(tmp_path_factory, lengths, flag, unfinished, final_rows, with_state, chunk):
  rows = [steps + final_rows for steps in lengths] + [1] * unfinished
  flags = ("".join(flag) * 5)[: len(lengths)] + "-" * unfinished
  leaves = published.vault_leaves(2, 3, 2, 4 if with_state else None, rows, flag=flags)
  folder = tmp_path_factory.mktemp("vault") / "uid"
  published.write_vault(folder, leaves)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(checks, "CHUNK", chunk)
    read, notes = mine(folder, final_rows=final_rows)
  np.testing.assert_array_equal(read.lengths(), lengths)
  assert notes.get("rows_of_an_unfinished_episode_left_out", 0) == unfinished
  assert ("final_obs" in notes) != final_rows
  begin = row = 0
  for episode, steps in enumerate(lengths):
    for name, leaf in (("obs", "observations"), ("action", "actions"), ("reward", "rewards")):
      np.testing.assert_array_equal(getattr(read, name)[row : row + steps], leaves[leaf][0, begin : begin + steps])
    at_end = begin + steps - (not final_rows)
    np.testing.assert_array_equal(read.final_obs[episode], leaves["observations"][0, at_end])
    if with_state:
      np.testing.assert_array_equal(read.state[row : row + steps], leaves["infos.state"][0, begin : begin + steps])
      np.testing.assert_array_equal(read.final_state[episode], leaves["infos.state"][0, at_end])
    ended = flags[episode] == "t" and steps < 6
    assert read.terminated[row + steps - 1] == ended != read.truncated[row + steps - 1]
    begin, row = begin + steps + final_rows, row + steps
  assert (read.state is not None) == with_state and read.final_action_unknown.all()
  drawn = np.arange(row) if read.rows_to_draw() is None else read.rows_to_draw()
  np.testing.assert_array_equal(drawn, np.flatnonzero(~read.truncated))


def test_five_data_sets_the_prey_and_ends_that_nobody_flagged(tmp_path):
  leaves = published.vault_leaves(4, 16, 2, None, (25, 25), sets=5, flag="-")
  published.write_vault(tmp_path / "uid", leaves)
  read, notes = public_og_marl.read(tmp_path / "uid", "tag", index=3)
  assert read.num_agents == 3 and notes["ends"] == "none is flagged: cut every 25 steps" and read.truncated[24]
  np.testing.assert_array_equal(read.obs, leaves["observations"][3, :, :3])
  np.testing.assert_array_equal(read.reward, leaves["rewards"][3, :, :3])
  refused(lambda: public_og_marl.read(tmp_path / "uid", "tag", index=5), "holds 5 data sets", "--seed_folder=5")


def test_a_state_for_each_agent_is_that_of_the_first(tmp_path):
  """OMAR's HalfCheetah: infos.state is [5, X, 2, 17] there."""
  leaves = published.vault_leaves(2, 6, 3, 17, (1000,), sets=5)
  for name, state in (("uid", np.stack([leaves["infos.state"]] * 2, axis=2)), ("other", leaves["infos.state"])):
    published.write_vault(tmp_path / name, leaves | {"infos.state": state})
    read = public_og_marl.read(tmp_path / name, "halfcheetah_2x3", index=4).episodes
    np.testing.assert_array_equal(read.state, leaves["infos.state"][4])
  wrong = leaves | {"infos.state": np.stack([leaves["infos.state"]] * 3, axis=2)}
  published.write_vault(tmp_path / "wrong", wrong)
  refused(
    lambda: public_og_marl.read(tmp_path / "wrong", "halfcheetah_2x3"), "infos.state: has shape (3, 17)", "(2, 17)"
  )


def test_a_limit_that_nobody_reaches_is_doubted(tmp_path):
  published.write_vault(tmp_path / "uid", published.vault_leaves(2, 3, 2, None, (5, 2, 5)))
  told = mine(tmp_path / "uid").notes["time_limit_in_doubt"]
  assert told.startswith("no episode has 6 steps, and 2 of 3 have 5, which none exceeds") and "--time_limit=5" in told
  assert "time_limit_in_doubt" not in mine(tmp_path / "uid", time_limit=5).notes
  published.write_vault(tmp_path / "other", published.vault_leaves(2, 3, 2, None, (5, 2, 4)))
  assert "time_limit_in_doubt" not in mine(tmp_path / "other").notes  # the longest is one alone


def test_omigas_vaults_have_a_row_more(tmp_path):
  leaves = published.vault_leaves(3, 14, 1, 14, (4, 1001))
  leaves["actions"][0, 3] = 77.0  # rubbish beside the final observation
  published.write_vault(tmp_path / "uid", leaves)
  read, notes = public_og_marl.read(tmp_path / "uid", "hopper_3x1")
  assert list(read.lengths()) == [3, 1000] and read.terminated[2] and read.truncated[1002]
  assert notes == {"ends": "as flagged", "episodes_cut_by_the_time_limit": 1}
  assert "furthest_action" in mine(tmp_path / "uid", time_limit=1001, final_rows=False, clip_actions=True).notes


def test_an_episode_ends_where_all_agents_do(tmp_path):
  leaves = published.vault_leaves(2, 3, 2, None, (3, 2))
  leaves["terminals"][0, 1, 0] = 1  # one agent alone
  leaves["terminals"][0, 2, 1], leaves["truncations"][0, 2, 1] = 0, 1  # together they are all, none of them whole
  published.write_vault(tmp_path / "uid", leaves)
  read = mine(tmp_path / "uid").episodes
  assert list(read.lengths()) == [3, 2] and read.truncated[2] and read.terminated[4]


def test_without_truncations_and_with_other_types(tmp_path):
  leaves = published.vault_leaves(2, 3, 2, None, (3, 2))
  del leaves["truncations"]
  leaves["terminals"], leaves["observations"] = leaves["terminals"] > 0, leaves["observations"].astype(float)
  published.write_vault(tmp_path / "uid", leaves)
  assert list(mine(tmp_path / "uid").episodes.lengths()) == [3, 2]


def test_the_folder_is_found_and_its_name_believed(tmp_path):
  place = tmp_path / "3hopper.vlt"
  for uid in ("Expert", "Medium-Replay"):
    (place / uid).mkdir(parents=True)
    (place / uid / "metadata.json").write_text("{}")
  find = public_og_marl.find
  assert find(place, "hopper_3x1", "medium-replay") == place / "Medium-Replay"
  assert find(place / "Expert", "hopper_3x1", "expert") == place / "Expert"
  refused(lambda: find(place, "hopper_3x1", "medium"), "nor a vault called medium", "Expert, Medium-Replay")
  refused(lambda: find(place / "Expert", "hopper_3x1", "medium"), "is of Expert where medium was asked for")
  refused(lambda: find(place, "ant_2x4", "expert"), "is of 3hopper.vlt where 2ant.vlt, for ant_2x4")
  refused(lambda: find(tmp_path / "nowhere", "ant_2x4", "expert"), "is no folder")
  refused(lambda: find(tmp_path, "ant_2x4", "expert"), "has no metadata.json", "vaults in it: none")


def leaf(name, change):
  return lambda leaves: leaves.update({name: change(leaves[name])})


def value(name, row, to):
  def change(leaves):
    leaves[name][0, row] = to

  return change


FAULTS = [
  (lambda leaves: leaves.pop("rewards"), ("has no rewards; metadata.json names observations, actions, terminals",)),
  (leaf("actions", lambda x: x[..., 0].astype(np.int64)), ("actions: are discrete; only continuous",)),
  (leaf("actions", lambda x: x[:, :, :1]), ("actions: has shape (1, 2)", "(2, 2)")),
  (leaf("rewards", lambda x: x[..., :1]), ("rewards: has shape (1,)", "(2)")),
  (leaf("observations", lambda x: x[..., 0]), ("observations: has shape (1, 10000000000000, 2)",)),
  (value("observations", 4, np.nan), ("observations: row 4 holds nan",)),
  (value("actions", 4, 2.5), ("actions: row 4 holds the action 2.5", "--clip_actions")),
  (value("rewards", 7, np.inf), ("rewards: row 7 holds inf",)),
  (value("terminals", 1, 0.5), ("terminals: row 1 holds 0.5 where 0 or 1",)),
  (value("terminals", slice(None), 0), ("terminals: no row of 8 ends an episode", "no multiple of 6 steps")),
  (value("terminals", 2, 0), ("terminals: the episode that ends at row 7 has 8 steps; 1 to 6",)),
]


@pytest.mark.parametrize(("change", "words"), FAULTS)
def test_a_faulty_vault_is_one_sentence(tmp_path, monkeypatch, change, words):
  monkeypatch.setattr(checks, "CHUNK", 3)
  leaves = published.vault_leaves(2, 3, 2, None)
  change(leaves)
  published.write_vault(tmp_path / "uid", leaves)
  refused(lambda: mine(tmp_path / "uid"), tmp_path / "uid", *words)


def test_other_sizes_and_no_limit(tmp_path):
  published.write_vault(tmp_path / "uid", published.vault_leaves(3, 13, 1, None))
  read = public_og_marl.read
  refused(lambda: read(tmp_path / "uid", "hopper_3x1"), "observations: has shape (3, 13)", "(3, 14)")
  refused(lambda: read(tmp_path / "uid", "ant_2x4"), "has 3 agents where 2ant has 2")
  refused(lambda: read(tmp_path / "uid", "mine"), "after how many steps", "--time_limit")
  refused(lambda: mine(tmp_path / "uid", final_rows=True, time_limit=1), "ends at row 2 has 2 steps; 1 to 1")
  published.write_vault(tmp_path / "other", published.vault_leaves(3, 14, 1, None))
  refused(lambda: read(tmp_path / "other", "hopper_3x1"), "has no infos.state")


def test_what_is_no_whole_vault(tmp_path):
  folder = tmp_path / "uid"
  published.write_vault(folder, published.vault_leaves(2, 3, 2, None))
  metadata = folder / "metadata.json"
  good = metadata.read_text()
  for text, words in (
    ("{", "is not JSON"),
    ("[]", "has no structure_shape"),
    ('{"version": 1.2}', "has no structure_shape"),
    (json.dumps(json.loads(good) | {"version": 2.0}), "is of version 2.0 where 1.x"),
    (json.dumps(json.loads(good) | {"version": None}), "is of version None"),
  ):
    metadata.write_text(text)
    refused(lambda: mine(folder), "metadata.json", words)
  metadata.unlink()
  refused(lambda: mine(folder), "metadata.json: cannot be read")
  metadata.write_text(good)
  blocks = {path: path.read_bytes() for path in (folder / "d").iterdir()}
  for path, content in blocks.items():
    path.write_bytes(content[: len(content) // 2])
  refused(lambda: mine(folder), "uid: cannot be read, it is damaged, cut short or no vault")
  for path in blocks:
    path.unlink()
  refused(lambda: mine(folder), "uid: cannot be read")
  (folder / "manifest.ocdbt").write_bytes(b"nothing")
  refused(lambda: mine(folder), "uid: cannot be read")
  (folder / "manifest.ocdbt").unlink()
  refused(lambda: mine(folder), "uid: cannot be read")
  published.write_vault(tmp_path / "empty", published.vault_leaves(2, 3, 2, None), written=0)
  refused(lambda: mine(tmp_path / "empty"), "vault_index: is 0")


def test_without_the_library_a_sentence(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "tensorstore", None)
  refused(lambda: mine(tmp_path), "pip install 'marl_offline[public]'")
