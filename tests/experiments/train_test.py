"""The binary train, end to end on small data, and everything that it refuses."""

import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

from experiments import collect, runs, train, train_request
from marl_offline.evaluation import rollouts
from marl_offline.training import checkpoints, logs
from tests.experiments import binaries
from tests.training import tiny

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONTRACT = (
  "algorithm task quality dataset origin seeds raw_return normalized_score mean std iqm iqm_ci95 gradient_steps "
)
CONTRACT += "updates_per_second train_seconds eval_seconds episodes_per_evaluation device versions commit "
CONTRACT += "best_over_training online_episodes_for_selection dataset_mean_return"


def call(*arguments):
  return binaries.call(train.main, train_request.FLAGS, *arguments)


def everything_in(folder):
  files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
  return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  """A whole run of two seeds whose data set was missing."""
  folder = tmp_path_factory.mktemp("work")
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(collect, "make", binaries.make_data)
    places = (f"--data_dir={folder / 'data'}", f"--run_dir={folder / 'run'}")
    status, out, err = call(*binaries.QUICK, "--num_seeds=2", "--first_seed=3", *places)
  assert status == 0, err
  return folder, out


@pytest.fixture
def work(finished, tmp_path):
  """A copy of the finished run and its data, to be spoiled."""
  shutil.copytree(finished[0], tmp_path / "work")
  config = tmp_path / "work" / "run" / "config.json"
  config.write_text(config.read_text().replace(str(finished[0]), str(tmp_path / "work")))
  return tmp_path / "work"


def test_missing_data_are_made_and_the_table_compares_with_them(finished):
  folder, out = finished
  assert "no medium-replay data of spread" in out
  assert (folder / "data" / "spread-medium-replay-v1" / "card.json").exists()
  for words in ("seed 3", "seed 4", "mean +- std", "95 % bootstrap interval", "data set", "learning_curve.png"):
    assert words in out


def test_the_run_folder_keeps_the_contract(finished):
  run = finished[0] / "run"
  result = json.loads((run / "result.json").read_text())
  assert set(CONTRACT.split()) <= set(result)
  assert (result["seeds"], result["gradient_steps"], result["origin"]) == ([3, 4], 20, "collected")
  assert result["online_episodes_for_selection"] == 0
  lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
  assert [(line["step"], line["seed"]) for line in lines] == [(10, 3), (10, 4), (20, 3), (20, 4)]
  values, steps, seeds = logs.load_returns(run)
  assert (values.shape, steps.tolist(), seeds.tolist()) == ((2, 2, 3), [10, 20], [3, 4])
  np.testing.assert_allclose(result["raw_return"], values[:, -1].mean(axis=1), rtol=1e-6)
  best = result["best_over_training"]["raw_return"]
  np.testing.assert_allclose(best, values.mean(axis=2).max(axis=1), rtol=1e-6)
  config = json.loads((run / "config.json").read_text())
  assert config["run"]["config"]["batch_size"] == 8
  assert config["flags"]["quality"] == "medium-replay" and config["commit"] == runs.commit()


def test_the_policy_loads_from_the_run_folder(finished):
  act = checkpoints.load_policy(finished[0] / "run", seed=4)
  action = act(np.zeros((3, 18)), jax.random.key(0))
  assert action.shape == (3, 2) and np.all(np.abs(action) <= 1)


NAMES = [
  (["--algorithm=spaqcl"], ["--algorithm=spaqcl", "did you mean spacql?", "cfcql"]),
  (["--task=sprad"], ["--task=sprad", "did you mean spread?", "world"]),
  (["--quality=mediun"], ["--quality=mediun", "did you mean medium", "random, medium-replay, medium, expert"]),
  (["--protocol=slow"], ["--protocol=slow", "paper"]),
  (["--set=learning_rat=1"], ["learning_rat", "did you mean learning_rate?"]),
  (["--set=batch_size=many"], ["batch_size=many", "int"]),
  (["--set=batch_size"], ["name=value"]),
  (["--num_seeds=two"], ["num_seeds", "two"]),
  (["--num_seeds=0"], ["num_seeds"]),
  (["--algoritm=bc"], ["algoritm", "algorithm"]),
  (["bc"], ["unexpected argument 'bc'"]),
  (["--gradient_steps=7", "--evaluations=2"], ["gradient_steps=7", "evaluations=2"]),
  (["--resume"], ["is not a run folder"]),
  (["--dataset=nowhere"], ["--dataset=nowhere", "not a data set"]),
]


@pytest.mark.parametrize(("arguments", "words"), NAMES)
def test_bad_flags_are_one_sentence_and_nothing_is_written(arguments, words, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  status, out, err = call(*arguments)
  message = binaries.sentence(status, err)
  assert all(word in message for word in words), message
  assert (out, list(tmp_path.iterdir())) == ("", [])


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


@pytest.mark.parametrize("spoil", ["task", "nan", "byte"])
def test_bad_data_are_refused_before_a_run_folder_is_made(spoil, tmp_path):
  where = binaries.make_data(
    "spread", "medium-replay", tmp_path / "data", **({"name": "tag"} if spoil == "task" else {})
  )
  if spoil == "byte":
    content = bytearray((where / "obs.npy").read_bytes())
    content[-1] ^= 1
    (where / "obs.npy").write_bytes(bytes(content))
  if spoil == "nan":
    reward = np.load(where / "reward.npy")
    reward[7] = np.nan
    np.save(where / "reward.npy", reward)
  status, _, err = call(*binaries.QUICK, f"--data_dir={tmp_path / 'data'}", f"--run_dir={tmp_path / 'run'}")
  assert {"task": "tag", "nan": "reward", "byte": "obs"}[spoil] in binaries.sentence(status, err)
  assert not (tmp_path / "run").exists()


def test_resume_refuses_other_flags_data_and_algorithms(work, monkeypatch):
  run = f"--run_dir={work / 'run'}"
  before = everything_in(work)
  status, _, err = call("--resume", run, "--set=batch_size=16")
  assert "--set=['batch_size=8'], not ['batch_size=16']" in binaries.sentence(status, err)
  status, _, err = call("--resume", run, "--algorithm=cfcql")
  assert "--algorithm=bc, not cfcql" in binaries.sentence(status, err)
  assert everything_in(work) == before
  config = json.loads((work / "run" / "config.json").read_text())
  config["dataset"]["sha256"]["obs"] = "0"
  (work / "run" / "config.json").write_text(json.dumps(config))
  status, _, err = call("--resume", run)
  assert "other content" in binaries.sentence(status, err)
  config["run"]["config"]["batch_size"] = 9
  (work / "run" / "config.json").write_text(json.dumps(config))
  status, _, err = call("--resume", run)
  assert "was begun with config" in binaries.sentence(status, err)
  (work / "run" / "config.json").write_text("{")
  status, _, err = call("--resume", run)
  assert "is damaged" in binaries.sentence(status, err)


@pytest.mark.parametrize("spoil", ["algorithm", "damage"])
def test_resume_refuses_a_foreign_or_damaged_checkpoint(work, spoil):
  keeper = checkpoints.Checkpoints(work / "run" / "checkpoints")
  if spoil == "algorithm":
    states = jax.vmap(tiny.learner(tiny.Config()).init)(jax.vmap(jax.random.key)(np.array([3, 4])))
    keeper.save(30, states, [3, 4], checkpoints.describe("tiny", tiny.Config(), tiny.spec()))
  else:
    weights = max((keeper.folder / "20" / "seed_3").rglob("*"), key=lambda path: path.is_file() and path.stat().st_size)
    weights.write_bytes(weights.read_bytes()[:-1])
  before = everything_in(work)
  status, _, err = call("--resume", f"--run_dir={work / 'run'}")
  assert {"algorithm": "is of tiny, not of bc", "damage": "damaged"}[spoil] in binaries.sentence(status, err)
  assert everything_in(work) == before


def test_sigterm_saves_and_the_resumed_run_is_the_same_run(work, monkeypatch):
  evaluator = rollouts.evaluator

  def evaluator_with_signal(*args):
    evaluate = evaluator(*args)
    return lambda states: (os.kill(os.getpid(), signal.SIGTERM), evaluate(states))[1]

  monkeypatch.setattr(rollouts, "evaluator", evaluator_with_signal)
  flags = (
    *binaries.QUICK,
    "--num_seeds=2",
    "--first_seed=3",
    f"--data_dir={work / 'data'}",
    f"--run_dir={work / 'new'}",
  )
  status, out, err = call(*flags)
  assert status == 0, err
  assert "stopped by SIGTERM and saved at 10 of 20 updates" in out and f"--run_dir {work / 'new'} --resume" in out
  assert not (work / "new" / "result.json").exists()
  monkeypatch.setattr(rollouts, "evaluator", evaluator)
  with (work / "new" / "metrics.jsonl").open("a") as file:
    file.write('{"step": 15, "seed": 3}\n')  # as a run leaves it that is killed beyond its checkpoint
  status, out, err = call("--resume", f"--run_dir={work / 'new'}")
  assert status == 0, err

  def lines(name):
    read = [json.loads(line) for line in (work / name / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "updates_per_second"} for line in read]

  assert lines("new") == lines("run")
  np.testing.assert_array_equal(logs.load_returns(work / "new")[0], logs.load_returns(work / "run")[0])
  whole, halves = (checkpoints.load_learner(work / name)[1] for name in ("run", "new"))
  assert all(jax.tree.leaves(jax.tree.map(np.array_equal, whole, halves)))


def test_resuming_a_finished_run_shows_its_table_again(work):
  status, out, err = call("--resume", f"--run_dir={work / 'run'}")
  assert status == 0, err
  assert "mean +- std" in out


def test_a_loss_that_is_not_finite_ends_with_1_and_keeps_the_state(work):
  flags = ("--set=learning_rate=1e38", f"--data_dir={work / 'data'}", f"--run_dir={work / 'bad'}")
  status, _, err = call(*binaries.QUICK, *flags)
  assert status == 1
  assert "of seed 0 is not finite from gradient step" in err and len(err.splitlines()) == 1
  assert checkpoints.Checkpoints(work / "bad" / "failed").steps() == [10]
  assert checkpoints.Checkpoints(work / "bad" / "checkpoints").steps() == []


def test_a_full_disk_is_one_sentence(work, monkeypatch):
  monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 0))
  status, _, err = call(*binaries.QUICK, f"--data_dir={work / 'data'}", f"--run_dir={work / 'full'}")
  assert "no space left on device" in binaries.sentence(status, err)
