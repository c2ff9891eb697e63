"""A data set on disk: what comes back is what was saved, and what cannot be saved leaves nothing."""

import dataclasses
import errno
import hashlib
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marl_offline.datasets import cards, checks, storage
from marl_offline.environments.api import PureEnvironment, observation_hash
from tests.datasets import made
from tests.datasets.made import refused


@pytest.fixture
def folder(tmp_path):
  """A sound data set of 8 rows in 3 episodes."""
  storage.save(tmp_path / "made-medium-replay-v1", made.episodes((3, 1, 4)), **made.FACTS)
  return tmp_path / "made-medium-replay-v1"


# ---- there and back -------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
  ends=st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=6),
  with_state=st.booleans(),
  mmap=st.booleans(),
)
def test_round_trip(tmp_path_factory, ends, with_state, mmap):
  lengths, terminated = zip(*ends, strict=True)
  saved = made.episodes(lengths, terminated, with_state=with_state)
  folder = tmp_path_factory.mktemp("round") / "set"
  card = storage.save(folder, saved, **made.FACTS)
  loaded, read_card = storage.load(folder, mmap=mmap)
  assert read_card == card
  assert set(loaded.arrays()) == set(saved.arrays())
  for name, array in saved.arrays().items():
    np.testing.assert_array_equal(getattr(loaded, name), array)
    assert getattr(loaded, name).dtype == array.dtype
    assert isinstance(getattr(loaded, name), np.memmap) == mmap


def test_arrays_longer_than_a_chunk_come_back(tmp_path, monkeypatch):
  monkeypatch.setattr(checks, "CHUNK", 3)
  saved = made.episodes((5, 1, 6))
  storage.save(tmp_path / "set", saved, **made.FACTS)
  np.testing.assert_array_equal(storage.load(tmp_path / "set")[0].obs, saved.obs)
  np.testing.assert_array_equal(np.load(tmp_path / "set" / "obs.npy", allow_pickle=False), saved.obs)


def test_the_card_says_what_is_there(folder):
  _, card = storage.load(folder)
  assert card["name"] == "made-medium-replay-v1" and card["origin"] == "collected" and card["format"] == 1
  assert (card["rows"], card["episodes"], card["num_agents"]) == (8, 3, 2)
  assert (card["obs_size"], card["action_size"]) == (3, 2)
  # reward at step t of episode p: 10 p + t / 10 + {0, 0.05} for the two agents: mean 10 p + t / 10 + 0.025
  # episode 0: 0.025 + 0.125 + 0.225 = 0.375; episode 1: 10.025; episode 2: 4 * 20.025 + 0.6 = 80.7
  returns = np.array([0.375, 10.025, 80.7])
  np.testing.assert_allclose(card["return"]["mean"], returns.mean(), rtol=1e-6)
  np.testing.assert_allclose(card["return"]["std"], returns.std(), rtol=1e-6)
  np.testing.assert_allclose([card["return"]["min"], card["return"]["max"]], [0.375, 80.7], rtol=1e-6)
  assert sum(card["return"]["histogram"]["counts"]) == 3
  assert len(card["return"]["histogram"]["edges"]) == len(card["return"]["histogram"]["counts"]) + 1
  assert card["obs_range"] == [0.0, 203.5]
  assert set(card["sha256"]) == {name for name, field in checks.FIELDS.items() if field.required}
  assert card["sha256"]["obs"] == hashlib.sha256((folder / "obs.npy").read_bytes()).hexdigest()


@pytest.mark.parametrize("returns", [[1.65, 1.65 + 2.2e-16], [0.0, 0.0], [-1e9, -1e9 - 1e-6], [0.0, 1.0]])
def test_returns_that_differ_by_rounding_alone_have_a_histogram(returns):
  counts, edges = cards.histogram(np.array(returns), 30)
  assert counts.sum() == 2 and len(edges) == 31 and np.all(np.diff(edges) > 0)
  assert edges[0] <= min(returns) and edges[-1] >= max(returns)


def test_what_the_caller_says_is_on_the_card(tmp_path):
  environment = {"name": "made", "version": "v3", "observation_hash": "abc"}
  says = {"environment": environment, "policies": [{"noise": 0.1}], "seed": 7, "source": "a test", "licence": "none"}
  says |= {"origin": "converted", "normalized_mean": 12.5}
  card = storage.save(tmp_path / "set", made.episodes(), **made.FACTS, **says, extra={"collection": {"curve": [1, 2]}})
  for key, value in says.items():
    assert card[key] == value
  assert storage.load(tmp_path / "set")[1]["collection"] == {"curve": [1, 2]}


def test_find_takes_the_newest_version_of_that_quality_only(tmp_path):
  numbered = ("made-medium-replay-v3", "made-medium-v2", "made-medium-v10", "made-medium-v9", "made-expert-v1")
  for name in (*numbered, "made-medium-v99.seed1", "made-medium-mine", "made-expert-v2.rows25"):
    (tmp_path / name).mkdir()
    (tmp_path / name / "card.json").write_text("{}")
  (tmp_path / "made-random-v1").mkdir()  # no card: not a data set
  assert storage.find(tmp_path, "made", "medium").name == "made-medium-v10"
  assert storage.find(tmp_path, "made", "medium", "v9") == storage.folder_of(tmp_path, "made", "medium", "v9")
  assert storage.find(tmp_path, "made", "expert").name == "made-expert-v1", "only plain versions have an order"
  assert storage.find(tmp_path, "made", "medium", "mine").name == "made-medium-mine"
  refused(lambda: storage.find(tmp_path, "made", "random"), "no data set made-random", "made-expert-v1")
  refused(lambda: storage.find(tmp_path / "nowhere", "made", "random"), "nowhere", "there are none")


# ---- saving that is refused -----------------------------------------------------------------------------------------


def test_what_killed_saves_left_is_swept_after_a_day(tmp_path):
  for name, age in ((".set.partial-1", 2), (".set.partial-2", 0.5), (".setup.partial-3", 2)):
    (tmp_path / name).mkdir()
    (tmp_path / name / "obs.npy").write_bytes(b"half")
    os.utime(tmp_path / name, (time.time() - age * storage.STALE_SECONDS,) * 2)
  storage.save(tmp_path / "set", made.episodes(), **made.FACTS)
  assert sorted(path.name for path in tmp_path.iterdir()) == [".set.partial-2", ".setup.partial-3", "set"]


def test_an_existing_folder_is_kept(folder):
  before = {path.name: path.read_bytes() for path in folder.iterdir()}
  refused(lambda: storage.save(folder, made.episodes((9,)), **made.FACTS), folder, "already exists")
  assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
  (folder.parent / "empty").mkdir()
  refused(lambda: storage.save(folder.parent / "empty", made.episodes(), **made.FACTS), "already exists")


def test_faulty_data_and_cards_are_not_written(tmp_path):
  broken = dataclasses.replace(made.episodes(), action=made.episodes().action + np.float32(2))
  refused(lambda: storage.save(tmp_path / "set", broken, **made.FACTS), "action: row 0", "[-1, 1]")
  save = lambda **says: storage.save(tmp_path / "set", made.episodes(), **(made.FACTS | says))  # noqa: E731
  refused(lambda: save(extra={"curve": np.zeros(2)}), "card.json, curve", "JSON")
  refused(lambda: save(normalized_mean=float("nan")), "card.json, normalized_mean", "JSON")
  refused(lambda: save(extra={"rows": 3}), "extra", "'rows' is a key of the format")
  refused(lambda: save(origin="found"), "'origin' is 'found'", "collected, converted")
  refused(lambda: save(task=3), "'task' is 3 where str is expected")
  assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
  real, calls = storage._write, []

  def full(path, *args):
    calls.append(path)
    if len(calls) == 3:
      path.write_bytes(b"half")
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return real(path, *args)

  monkeypatch.setattr(storage, "_write", full)
  refused(lambda: storage.save(tmp_path / "set", made.episodes(), **made.FACTS), "set: no space left", "MB", "kept")
  assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_really_full_disk_leaves_nothing(tmp_path):
  if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], capture_output=True).returncode:
    pytest.skip("mounting is not allowed here")
  try:
    big = made.episodes((1000,) * 3)
    refused(lambda: storage.save(tmp_path / "set", big, **made.FACTS), "no space left", "nothing of it was kept")
    assert not list(tmp_path.iterdir())
    storage.save(tmp_path / "set", made.episodes(), **made.FACTS)
  finally:
    subprocess.run(["umount", tmp_path], check=True)


def test_a_place_that_cannot_be_written(tmp_path):
  (tmp_path / "file").write_text("not a folder")
  refused(lambda: storage.save(tmp_path / "file" / "set", made.episodes(), **made.FACTS), "cannot be written")


def test_an_interrupted_save_leaves_nothing(tmp_path, monkeypatch):
  def interrupted(path, *_):
    if path.name == "card.json":
      raise KeyboardInterrupt
    return "0"

  monkeypatch.setattr(storage, "_write", interrupted)
  with pytest.raises(KeyboardInterrupt):
    storage.save(tmp_path / "set", made.episodes(), **made.FACTS)
  assert not list(tmp_path.iterdir())


def test_a_killed_save_leaves_nothing_that_looks_complete(tmp_path):
  program = """
import os, signal, sys
from marl_offline.datasets import storage
from tests.datasets import made
from tests.datasets.made import refused
real = storage._write
def killed(path, *args):
  if path.name == "final_obs.npy":
    os.kill(os.getpid(), signal.SIGKILL)
  return real(path, *args)
storage._write = killed
storage.save(sys.argv[1], made.episodes(), **made.FACTS)
"""
  done = subprocess.run([sys.executable, "-c", program, tmp_path / "set"], cwd=pathlib.Path(__file__).parents[2])
  assert done.returncode == -9
  (left,) = tmp_path.iterdir()
  assert left.name.startswith(".set.partial-")
  refused(lambda: storage.load(left), "card.json")
  storage.save(tmp_path / "set", made.episodes(), **made.FACTS)
  assert storage.load(tmp_path / "set")[0].num_rows == 8


# ---- the environment it was made in ---------------------------------------------------------------------------------


def test_a_data_set_of_another_task(tmp_path):
  environment = PureEnvironment("made", "v3", 2, 3, 2, 6, 25, None, None, None)
  facts = {"name": "made", "version": "v3", "observation_hash": observation_hash(environment)}
  card = storage.save(tmp_path / "set", made.episodes(), **made.FACTS, environment=facts)
  storage.require_match(card, environment)
  storage.require_match(card, facts)
  refused(lambda: storage.require_match(card, environment._replace(name="other")), "'made'", "'other'", "task")
  refused(lambda: storage.require_match(card, environment._replace(version="v4")), "version 'v3'", "'v4'")
  refused(lambda: storage.require_match(card, environment._replace(obs_size=4)), "obs_size 3", "4")
  refused(lambda: storage.require_match(card, facts | {"observation_hash": "0"}), "observation hash", "'0'")


def test_your_own_data_matches_by_task_and_sizes(tmp_path):
  card = storage.save(tmp_path / "set", made.episodes(), **made.FACTS)
  storage.require_match(card, {"name": "made", "version": "v1", "num_agents": 2})
  refused(lambda: storage.require_match(card, {"name": "other"}), "'made'", "'other'")
  refused(lambda: storage.require_match(card, {"name": "made", "num_agents": 3}), "num_agents 2", "3")
  nameless = card | {"environment": {"version": "v1"}}  # of its task, then
  storage.require_match(nameless, {"name": "made", "version": "v1"})
  refused(lambda: storage.require_match(nameless, {"name": "other", "version": "v1"}), "'made'", "'other'")
