"""The binary train, end to end on small data, and everything that it refuses."""

import json
import pathlib
import shutil
import subprocess
import sys
import types

import jax
import numpy as np
import pytest

from experiments import collect, provenance, settings, train, train_request, train_result
from marl_offline.evaluation import curves, scores
from marl_offline.training import checkpoints, logs, memory, trainer
from tests.experiments import binaries
from tests.experiments.binaries import everything_in

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONTRACT = (
  "algorithm task quality dataset origin seeds raw_return normalized_score mean std iqm iqm_ci95 gradient_steps "
)
CONTRACT += "updates_per_second train_seconds eval_seconds episodes_per_evaluation device versions commit "
CONTRACT += "best_over_training online_episodes_for_selection dataset_mean_return"


def call(*arguments):
  return binaries.call(train.main, train_request.FLAGS, *arguments)


def test_missing_data_are_made_and_the_table_compares_with_them(finished):
  folder, out = finished
  assert "no medium-replay data of spread" in out
  assert (folder / "data" / "spread-medium-replay-v1" / "card.json").exists()
  for words in (
    "seed 3",
    "seed 4",
    "mean +- std",
    "fewer than five seeds: no interval",
    "data set",
    "learning_curve.png",
    "same episodes",
  ):
    assert words in out


def test_the_run_folder_keeps_the_contract(finished):
  run = finished[0] / "run"
  result = json.loads((run / "result.json").read_text())
  assert set(CONTRACT.split()) <= set(result)
  assert (result["seeds"], result["gradient_steps"], result["origin"]) == ([3, 4], 20, "collected")
  assert result["online_episodes_for_selection"] == 0
  lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
  assert [(line["step"], line["seed"]) for line in lines] == [(10, 3), (10, 4), (20, 3), (20, 4)]
  values, steps = logs.load_returns(run)
  assert (values.shape, steps.tolist()) == ((2, 2, 3), [10, 20])
  np.testing.assert_allclose(result["raw_return"], values[:, -1].mean(axis=1), rtol=1e-6)
  best = result["best_over_training"]["raw_return"]
  np.testing.assert_allclose(best, values.mean(axis=2).max(axis=1), rtol=1e-6)
  config = json.loads((run / "config.json").read_text())
  assert config["run"]["config"]["batch_size"] == 8
  assert config["flags"]["quality"] == "medium-replay" and config["commit"] == provenance.commit()


def test_the_best_over_training_is_each_seeds_own():
  """Mean returns 1, 9, 4 and 8, 2, 3 over training; the score is of the ends, 4 and 3."""
  means = np.array([[1.0, 9.0, 4.0], [8.0, 2.0, 3.0]])  # [seed, evaluation]
  returns = means[:, :, None] + np.array([-1.0, 1.0])
  log = types.SimpleNamespace(returns=list(np.moveaxis(returns, 1, 0)), steps=[10, 20, 30])
  given = {"algorithm": "bc", "task": "spread", "quality": "random", "protocol": "paper"}
  run = settings.paper("bc", "spread", "random")
  data = types.SimpleNamespace(card={"quality": "random", "name": "d", "origin": "collected"}, mean_return=0.0)
  request = types.SimpleNamespace(given=given, run=run, seeds=[4, 2])
  where = {"device": "cpu", "versions": {}, "commit": None}
  found = train_result.facts(request, data, trainer.Position(step=30), where, log)
  assert (found["seeds"], found["raw_return"]) == ([4, 2], [4.0, 3.0])
  best = found["best_over_training"]
  assert (best["raw_return"].tolist(), best["gradient_steps"].tolist()) == ([9.0, 8.0], [20, 10])
  np.testing.assert_allclose(best["normalized_score"], (np.array([9.0, 8.0]) - 159.8) / 3.57)


def test_the_policy_loads_from_the_run_folder(finished):
  act = checkpoints.load_policy(finished[0] / "run", seed=4)
  action = act(np.zeros((3, 18)), jax.random.key(0))
  assert action.shape == (3, 2) and np.all(np.abs(action) <= 1)


NAMES = [
  (["--algorithm=spaqcl"], ["--algorithm=spaqcl", "did you mean spacql?", "cfcql"]),
  (["--task=sprad"], ["--task=sprad", "did you mean spread?", "world"]),
  (["--quality=mediun"], ["--quality=mediun", "did you mean medium", "random, medium-replay, medium, expert"]),
  (["--protocol=slow"], ["--protocol=slow", "paper"]),
  (["--precision=half"], ["--precision=half", "float32, tensorfloat32, bfloat16"]),
  (["--precision=bfloat16"], ["--precision=bfloat16 is for accelerators; a CPU multiplies in float32"]),
  (["--num_processes=2"], ["need --coordinator=host:port"]),
  (["--set=learning_rat=1"], ["learning_rat", "did you mean learning_rate?"]),
  (["--set=batch_size=many"], ["batch_size=many", "int"]),
  (["--set=batch_size"], ["name=value"]),
  (["--num_seeds=two"], ["num_seeds", "two"]),
  (["--num_seeds=0"], ["num_seeds"]),
  (["--first_seed=4294967296"], ["first_seed", "4294967296"]),
  (["--first_seed=4294967295", "--num_seeds=2"], ["end at 4294967296"]),
  (["--algoritm=bc"], ["algoritm", "algorithm"]),
  (["bc"], ["unexpected argument 'bc'"]),
  (["--gradient_steps=7", "--evaluations=2"], ["gradient_steps=7", "evaluations=2"]),
  (["--gradient_steps=24", "--evaluations=2"], ["every 12 steps", "actor_period=5"]),
  (
    ["--algorithm=cfcql", "--set=agent_weights=softmax", "--set=behavior_updates=7"],
    ["behavior_updates=7 must be a multiple of 500"],
  ),
  (["--algorithm=cfcql", "--set=agent_weights=even"], ["agent_weights=even must be one of", "softmax"]),
  (["--resume"], ["is not a run folder"]),
  (["--dataset=nowhere"], ["--dataset=nowhere", "does not exist"]),
  (["--dataset=."], ["--dataset=.", "is not a data set: it has no card.json"]),
]


@pytest.mark.parametrize(("arguments", "words"), NAMES)
def test_bad_flags_are_one_sentence_and_nothing_is_written(arguments, words, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  status, out, err = call(*arguments)
  message = binaries.sentence(status, err)
  assert all(word in message for word in words), message
  assert (out, list(tmp_path.iterdir())) == ("", [])


def test_a_task_without_a_scale_is_refused_before_anything_is_made(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.delitem(scores.REFERENCES, "spread")
  status, _, err = call("--algorithm=bc")
  assert "--task=spread cannot be scored" in binaries.sentence(status, err)
  assert list(tmp_path.iterdir()) == []


def test_a_real_process_exits_2_without_a_traceback(tmp_path):
  command = [sys.executable, "-m", "experiments.train", "--algorithm=nope", f"--run_dir={tmp_path / 'run'}"]
  ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
  assert "--algorithm=nope is not known" in binaries.sentence(ended.returncode, ended.stderr)
  assert ended.stdout == "" and not (tmp_path / "run").exists()


def test_an_existing_run_folder_is_not_touched(work):
  before = everything_in(work)
  status, _, err = call(*binaries.QUICK, f"--data_dir={work / 'data'}", f"--run_dir={work / 'run'}")
  assert "--resume" in binaries.sentence(status, err)
  assert everything_in(work) == before


@pytest.mark.parametrize("spoil", ["task", "nan", "byte", "length", "range", "quality"])
def test_bad_data_are_refused_before_a_run_folder_is_made(spoil, tmp_path):
  where = binaries.make_data(
    "spread", "medium-replay", tmp_path / "data", **({"name": "tag"} if spoil == "task" else {})
  )
  if spoil == "byte":
    content = bytearray((where / "obs.npy").read_bytes())
    content[-1] ^= 1
    (where / "obs.npy").write_bytes(bytes(content))
  field, row, value = {"nan": ("reward", 7, np.nan), "range": ("action", 5, 1.5)}.get(spoil, ("obs", 0, 0.0))
  array = np.load(where / f"{field}.npy")
  if spoil in ("nan", "range"):
    array[row] = value
    np.save(where / f"{field}.npy", array)
    binaries.hash_again(where)
  if spoil == "length":
    np.save(where / "obs.npy", array[:-1])
    binaries.hash_again(where)
  if spoil == "quality":
    binaries.hash_again(where, quality="expert")
  status, _, err = call(*binaries.QUICK, f"--data_dir={tmp_path / 'data'}", f"--run_dir={tmp_path / 'run'}")
  words = {
    "task": ["'tag'", "'spread'"],
    "nan": ["reward.npy", "row 7", "finite"],
    "byte": ["obs.npy", "sha256"],
    "length": ["100 rows where obs has 99"],
    "range": ["action.npy", "row 5", "1.5"],
    "quality": ["expert", "--quality=medium-replay", "give --quality=expert"],
  }[spoil]
  message = binaries.sentence(status, err)
  assert all(word in message for word in words), message
  assert not (tmp_path / "run").exists()


def test_a_quality_of_its_own_is_told_apart_from_its_settings(work):
  binaries.hash_again(work / "data" / "spread-medium-replay-v1", quality="mine")
  status, out, err = call("--resume", f"--run_dir={work / 'run'}")
  assert status == 0, err
  result = json.loads((work / "run" / "result.json").read_text())
  assert (result["quality"], result["settings_of"]) == ("mine", "medium-replay")
  assert "quality is 'mine'; trained with the settings of 'medium-replay'" in out


def test_data_that_another_run_makes_meanwhile_are_used(tmp_path, monkeypatch):
  def made_by_another(*arguments):
    binaries.make(*arguments)
    return binaries.make(*arguments)  # refuses: it exists

  monkeypatch.setattr(collect, "make", made_by_another)
  monkeypatch.setattr(trainer, "fit", lambda *args, **kwargs: (None, trainer.Position(step=10), "SIGTERM"))
  places = (f"--data_dir={tmp_path / 'data'}", f"--run_dir={tmp_path / 'run'}")
  status, out, err = call(*binaries.QUICK, "--quality=random", *places)
  assert status == 0, err
  assert "bc on spread-random-v1" in out
  assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "run"]


def fails_in(monkeypatch, moment):
  """The loop does nothing but what happens at one moment of it."""
  monkeypatch.setattr(trainer, "fit", lambda *args, hooks, states, position, **kwargs: moment(hooks, states, position))


def test_what_is_not_finite_ends_with_1_and_keeps_the_state(work, monkeypatch):
  def moment(hooks, states, position):
    raise trainer.NonFinite(f"loss of seed 3 not finite from gradient step 23 on; {hooks.set_aside(states, position)}")

  fails_in(monkeypatch, moment)
  status, _, err = call("--resume", f"--run_dir={work / 'run'}")
  assert status == 1 and len(err.splitlines()) == 1
  assert "loss of seed 3 not finite" in err and "the last good checkpoint is of step 20" in err
  assert checkpoints.Checkpoints(work / "run" / "failed").steps() == [20]


FULL = OSError(28, "No space left on device")


def test_what_is_not_finite_is_told_on_a_full_disk_too(work, monkeypatch):
  def moment(hooks, states, position):
    raise trainer.NonFinite(f"loss of seed 3 not finite; {hooks.set_aside(states, position)}")

  def full(*args):
    raise checkpoints.NotSaved("cannot save step 20: no space left on device")

  fails_in(monkeypatch, moment)
  monkeypatch.setattr(checkpoints.Checkpoints, "save", full)
  status, _, err = call("--resume", f"--run_dir={work / 'run'}")
  assert status == 1 and len(err.splitlines()) == 1
  assert "loss of seed 3 not finite; its state could not be kept (cannot save step 20: no space left on device)" in err


GO_ON = "the checkpoint of step 20 is kept; make room and go on with --resume"


@pytest.mark.parametrize(
  ("file", "kept"),
  [
    ("metrics.jsonl", GO_ON),
    ("returns.npz", GO_ON),
    ("checkpoints", "the checkpoint of step 20 is intact"),
    ("result.json", "--resume writes it again"),
    ("learning_curve.png", "result.json is written"),
    ("config.json", "nothing of the run was kept"),
  ],
)
def test_a_full_disk_is_one_sentence_that_says_what_is_kept(work, monkeypatch, file, kept):
  def moment(hooks, states, position):
    position = position.after_chunk(10, {"loss": np.zeros(2)}, 1.0, timed=True)
    if file in ("metrics.jsonl", "returns.npz"):
      with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, *{"metrics.jsonl": ("open", full), "returns.npz": ("write_bytes", full)}[file])
        hooks.log(position, np.zeros((2, 3)))
    if file == "checkpoints":
      monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
      hooks.save(states, position)
    if file == "result.json":
      monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    return states, position, ""

  def full(self, *args, **kwargs):
    raise FULL

  fails_in(monkeypatch, moment)
  if file == "learning_curve.png":
    monkeypatch.setattr(curves, "draw", full)
  flags = ("--resume", f"--run_dir={work / 'run'}")
  if file == "config.json":
    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    flags = (*binaries.QUICK, f"--data_dir={work / 'data'}", f"--run_dir={work / 'new'}")
  message = binaries.sentence(*call(*flags)[::2])
  assert file in message and "no space left on device" in message and kept in message
  assert sorted(path.name for path in work.iterdir()) == ["data", "run"]


def test_help_tells_of_every_flag():
  text = binaries.call(train.main, train_request.FLAGS, "--help")[1]
  for name in ("--algorithm", "--[no]resume", "(default medium-replay)", "(default 0)"):
    assert name in text
  assert "absl" not in text and str(ROOT) not in text


def test_a_run_that_would_not_fit_is_refused_with_what_to_change(work, monkeypatch):
  monkeypatch.setattr(memory, "free", lambda device: 100)
  monkeypatch.setattr(memory, "require_states", lambda states, device, copies: None)
  status, out, err = call(*binaries.QUICK, f"--data_dir={work / 'data'}", f"--run_dir={work / 'new'}")
  assert "GiB more on cpu, which has 0.00 GiB free; train fewer seeds at once (--num_seeds)" in binaries.sentence(
    status, err
  )
  assert "it stays on the host, and batches are fed ahead of the updates" in out
  assert not (work / "new").exists()
