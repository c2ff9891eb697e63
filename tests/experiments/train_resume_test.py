"""Runs that are stopped, gone on with, or refused to be."""

import json
import os
import shutil
import signal

import jax
import numpy as np
import pytest

from experiments import locks, train, train_request
from marl_offline.evaluation import rollouts
from marl_offline.training import checkpoints, logs
from tests.experiments import binaries
from tests.experiments.binaries import everything_in
from tests.training import tiny


def call(*arguments):
  return binaries.call(train.main, train_request.FLAGS, *arguments)


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
  assert "was begun with batch_size 9, which is now 8" in binaries.sentence(status, err)
  config["run"]["log_every"] = 1  # decides nothing: the next complaint comes
  (work / "run" / "config.json").write_text(json.dumps(config))
  assert "was begun with batch_size 9" in binaries.sentence(*call("--resume", run)[::2])


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
  message = binaries.sentence(status, err)
  assert {"algorithm": "is of tiny, not of bc", "damage": "damaged"}[spoil] in message
  assert everything_in(work) == before
  if spoil == "damage":
    assert message.endswith(f"; remove {keeper.folder / '20'} to go on from step 10")
    returns = json.loads((work / "run" / "result.json").read_text())["raw_return"]
    shutil.rmtree(keeper.folder / "20")
    assert call("--resume", f"--run_dir={work / 'run'}")[0] == 0
    assert json.loads((work / "run" / "result.json").read_text())["raw_return"] == returns


def test_a_data_set_that_moved_is_told_by_its_flag(work):
  given = (*binaries.QUICK, f"--dataset={work / 'data' / 'spread-medium-replay-v1'}", f"--run_dir={work / 'named'}")
  status, _, err = call(*given)
  assert status == 0, err
  (work / "data").rename(work / "moved")
  message = binaries.sentence(*call("--resume", f"--run_dir={work / 'named'}")[::2])
  assert "does not exist" in message
  there = f"--dataset={work / 'moved' / 'spread-medium-replay-v1'}"
  status, _, err = call("--resume", f"--run_dir={work / 'named'}", there)
  assert status == 0, err


def test_a_finished_run_without_its_checkpoints_is_not_trained_again(work):
  shutil.rmtree(work / "run" / "checkpoints")
  before = everything_in(work / "run")
  message = binaries.sentence(*call("--resume", f"--run_dir={work / 'run'}")[::2])
  assert "says that the run is done, but its checkpoints are gone" in message
  assert everything_in(work / "run") == before


def test_a_run_is_trained_by_one_process_at_a_time(work):
  with locks.alone(work / "run" / ".lock") as alone:
    assert alone
    before = everything_in(work / "run")
    message = binaries.sentence(*call("--resume", f"--run_dir={work / 'run'}")[::2])
  assert f"another process trains the run in {work / 'run'}; wait for its end" in message
  assert everything_in(work / "run") == before


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


@pytest.mark.parametrize(
  "spoil", [("flags", "task"), ("run", "gradient_steps"), ("dataset", "sha256"), "seeds", "{", "[]"]
)
def test_a_damaged_config_is_one_sentence(work, spoil):
  path = work / "run" / "config.json"
  config = json.loads(path.read_text())
  if isinstance(spoil, tuple):
    del config[spoil[0]][spoil[1]]
  else:
    config.pop(spoil, None)
  path.write_text(spoil if spoil in ("{", "[]") else json.dumps(config))
  message = binaries.sentence(*call("--resume", f"--run_dir={work / 'run'}")[::2])
  assert "config.json is damaged" in message and (spoil[-1] in message or spoil in ("seeds", "{", "[]")), message


@pytest.mark.parametrize("spoil", ["cut", "empty", "missing"])
def test_resume_refuses_damaged_returns(work, spoil):
  path = work / "run" / "returns.npz"
  path.write_bytes({"cut": path.read_bytes()[:-30]}.get(spoil, b""))
  if spoil == "missing":
    path.unlink()
  message = binaries.sentence(*call("--resume", f"--run_dir={work / 'run'}")[::2])
  assert "returns.npz" in message and ("0 of 2 evaluations" if spoil == "missing" else "damaged") in message


def test_resume_stays_with_its_data_set_when_a_newer_one_comes(work):
  shutil.copytree(work / "data" / "spread-medium-replay-v1", work / "data" / "spread-medium-replay-v2")
  np.save(work / "data" / "spread-medium-replay-v2" / "obs.npy", np.zeros(3))
  status, out, err = call("--resume", f"--run_dir={work / 'run'}")
  assert status == 0, err
  assert "spread-medium-replay-v1" in out
