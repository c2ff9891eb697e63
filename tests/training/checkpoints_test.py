"""What is saved comes back, and what is damaged, foreign or unfinished does not."""

import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys

import chex
import jax
import numpy as np
import pytest

from marl_offline.training import checkpoints
from marl_offline.training.checkpoints import CheckpointError, Checkpoints
from tests.training import tiny

SEEDS = [3, 5]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
  folder = tmp_path_factory.mktemp("run") / "checkpoints"
  learner = tiny.make(tiny.spec(), tiny.Config())
  states = jax.vmap(learner.init)(jax.vmap(jax.random.key)(np.array(SEEDS)))
  meta = checkpoints.describe("tiny", tiny.Config(), tiny.spec(), task="nowhere")
  Checkpoints(folder).save(10, states, SEEDS, meta)
  return folder, learner, states


@pytest.fixture
def saved(original, tmp_path):
  """The same in a folder of its own, to be damaged."""
  folder, learner, states = original
  shutil.copytree(folder.parent, tmp_path / "run")
  return tmp_path / "run" / "checkpoints", learner, states


def like(learner):
  return jax.eval_shape(learner.init, jax.random.key(0))


def save_again(folder, states, step=20):
  meta = checkpoints.describe("tiny", tiny.Config(), tiny.spec())
  Checkpoints(folder).save(step, states, SEEDS, meta)


def test_round_trip_is_bit_for_bit_in_numpy_with_typed_keys(original):
  folder, learner, states = original
  restored, meta = Checkpoints(folder).restore(like(learner), SEEDS)
  assert isinstance(restored.actors["w"], np.ndarray)
  assert (meta["step"], meta["seeds"], meta["task"]) == (10, SEEDS, "nowhere")
  assert jax.random.key_impl(restored.key) == jax.random.key_impl(states.key)
  chex.assert_trees_all_equal(restored.replace(key=None), jax.device_get(states.replace(key=None)))
  chex.assert_trees_all_equal(jax.random.key_data(restored.key), jax.random.key_data(states.key))


def test_one_seed_of_two(original):
  folder, learner, states = original
  restored, _ = Checkpoints(folder).restore(like(learner), [5])
  np.testing.assert_array_equal(restored.actors["w"][0], states.actors["w"][1])


@pytest.mark.parametrize("where", ["", "checkpoints"])
def test_load_policy_in_three_lines(original, where):
  folder, learner, states = original
  obs = np.array(jax.random.normal(jax.random.key(1), (tiny.AGENTS, tiny.OBS)))
  act = checkpoints.load_policy(folder.parent / where, seed=5)
  action = act(obs, jax.random.key(0))
  alone = jax.tree.map(lambda leaf: leaf[1], states)
  np.testing.assert_allclose(action, learner.act(alone, (), obs, None)[0], rtol=1e-6)  # the Normalizer came along
  np.testing.assert_array_equal(checkpoints.load_policy(folder)(obs), checkpoints.load_policy(folder, 3)(obs))


def test_restores_on_another_number_of_devices(original):
  program = """
import sys, jax, numpy as np
from marl_offline.training import checkpoints
assert len(jax.devices()) == 3
print(float(np.sum(checkpoints.load_policy(sys.argv[1])(np.ones((2, 3))))))
"""
  environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}
  command = [sys.executable, "-c", program, original[0]]
  root = pathlib.Path(__file__).resolve().parents[2]
  ended = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300)
  here = float(np.sum(checkpoints.load_policy(original[0])(np.ones((2, 3)))))
  assert float(ended.stdout) == pytest.approx(here, rel=1e-6), ended.stderr


def test_paths_may_be_relative(original, monkeypatch):
  folder, _, _ = original
  monkeypatch.chdir(folder.parent.parent)
  checkpoints.load_policy(folder.parent.name, seed=3)


def test_the_newest_stay(saved):
  folder, _, states = saved
  keeper = Checkpoints(folder, keep=2)
  for step in (20, 30):
    keeper.save(step, states, SEEDS, checkpoints.describe("tiny", tiny.Config(), tiny.spec()))
  assert keeper.steps() == [20, 30]


def test_what_was_just_written_stays_though_older_steps_are_higher(saved):
  folder, _, states = saved
  keeper, meta = Checkpoints(folder.parent / "failed", keep=1), {"algorithm": "tiny"}
  for step in (500, 450):
    keeper.save(step, states, SEEDS, meta)
    assert keeper.steps() == [step]
  keeper = Checkpoints(folder.parent / "failed", keep=2)
  for step, kept in ((300, [300, 450]), (400, [400, 450]), (500, [450, 500])):
    keeper.save(step, states, SEEDS, meta)
    assert keeper.steps() == kept


def test_an_altered_byte_in_any_file_is_refused(saved, capfd):
  folder, learner, _ = saved
  files = sorted(path for path in (folder / "10").rglob("*") if path.is_file())
  assert len(files) > 10
  for path in files:
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(CheckpointError, match="damaged") as caught:
      Checkpoints(folder).restore(like(learner), SEEDS)
    assert "\n" not in str(caught.value)
    path.write_bytes(whole)
  Checkpoints(folder).restore(like(learner), SEEDS)
  assert capfd.readouterr().err == ""


def test_a_missing_file_is_refused(saved):
  folder, learner, _ = saved
  next(path for path in (folder / "10" / "seed_3").rglob("*") if path.is_file()).unlink()
  with pytest.raises(CheckpointError, match="damaged"):
    Checkpoints(folder).restore(like(learner), SEEDS)


def test_foreign_folders_are_refused(saved, tmp_path):
  folder, _, _ = saved
  (tmp_path / "empty").mkdir()
  (tmp_path / "foreign" / "5").mkdir(parents=True)
  (tmp_path / "foreign" / "5" / "weights.bin").write_bytes(b"x")
  for name, words in (("nothing", "no folder"), ("empty", "no checkpoint in"), ("foreign", "no meta.json")):
    with pytest.raises(CheckpointError, match=words):
      checkpoints.load_policy(tmp_path / name)
  with pytest.raises(CheckpointError, match=r"holds the seeds \[3, 5\], not 4"):
    checkpoints.load_policy(folder, seed=4)


def test_another_algorithm_or_size_is_refused_with_the_leaf(saved):
  folder, learner, _ = saved
  other = like(learner)
  bigger = other.replace(actors=other.actors | {"w": jax.ShapeDtypeStruct((9, 9), np.float32)})
  with pytest.raises(CheckpointError, match=r"is of tiny and does not fit: .*w.* is \[\[2, 3, 2\]"):
    Checkpoints(folder).restore(bigger, SEEDS)
  with pytest.raises(CheckpointError, match="does not fit"):
    Checkpoints(folder).restore({"other": jax.ShapeDtypeStruct((1,), np.float32)}, SEEDS)


def test_an_algorithm_that_is_gone_is_one_sentence(saved):
  folder, _, states = saved
  meta = checkpoints.describe("tiny", tiny.Config(), tiny.spec()) | {"module": "marl_offline.algorithms.gone"}
  Checkpoints(folder).save(20, states, SEEDS, meta)
  with pytest.raises(CheckpointError, match="cannot be made: No module named"):
    checkpoints.load_policy(folder)


def test_a_meta_that_describe_did_not_write_is_one_sentence(saved):
  folder, _, states = saved
  Checkpoints(folder).save(60, states, SEEDS, {})
  with pytest.raises(CheckpointError, match="cannot be made: its meta, see describe, has no 'normalizer'"):
    checkpoints.load_policy(folder)


def test_a_field_younger_than_the_run_has_its_default_and_one_that_is_gone_is_refused(saved):
  folder, _, states = saved
  meta = checkpoints.describe("tiny", tiny.Config(), tiny.spec())
  older = dict(list(meta["config"].items())[1:])
  Checkpoints(folder).save(30, states, SEEDS, meta | {"config": older})
  assert checkpoints.load_learner(folder)[2]["step"] == 30
  Checkpoints(folder).save(40, states, SEEDS, meta | {"config": meta["config"] | {"gone": 1}})
  with pytest.raises(CheckpointError, match=r"its config has \['gone'\], which this version does not know"):
    checkpoints.load_learner(folder)


def test_a_full_disk_leaves_the_last_good_checkpoint(saved, monkeypatch):
  folder, learner, states = saved
  write = pathlib.Path.write_text

  def full(self, *args, **kwargs):
    if self.name == "meta.json":
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
    return write(self, *args, **kwargs)

  monkeypatch.setattr(pathlib.Path, "write_text", full)
  with pytest.raises(CheckpointError, match=r"cannot save step 20 .*no space left.*step 10 is intact"):
    save_again(folder, states)
  assert [path.name for path in folder.iterdir()] == ["10"]
  Checkpoints(folder).restore(like(learner), SEEDS)


def test_too_little_room_is_seen_before_writing(saved, monkeypatch):
  folder, _, states = saved
  monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
  with pytest.raises(CheckpointError, match="no space left on device"):
    save_again(folder, states)
  assert [path.name for path in folder.iterdir()] == ["10"]


def test_an_unfinished_save_is_ignored_and_swept(saved):
  folder, _, states = saved
  shutil.copytree(folder / "10", folder / ".unfinished-20")
  (folder / ".unfinished-20" / "meta.json").unlink()
  assert Checkpoints(folder).steps() == [10]
  save_again(folder, states, step=30)
  assert sorted(path.name for path in folder.iterdir()) == ["10", "30"]


def test_meta_says_where_the_policy_comes_from(original):
  meta = json.loads((original[0] / "10" / "meta.json").read_text())
  assert meta["spec"] == {"num_agents": 2, "obs_size": 3, "action_size": 2, "state_size": 6}
  assert meta["config"]["learning_rate"] == tiny.Config().learning_rate
  assert np.float32(meta["normalizer"]["obs_mean"][0][0]) == np.float32(0.1)
