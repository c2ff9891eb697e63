"""The binaries take a task of somebody's own by its dotted name, from training to the film of an episode."""

import sys
import types

import pytest

from experiments import collect, compare, evaluate, stuck_policies, train, train_request
from marl_offline.datasets import storage
from tests.evaluation import host_rollouts_test
from tests.experiments import binaries, own_task

NAME = own_task.__name__
TINY = ("--algorithm=cfcql", "--set=batch_size=32", "--set=hidden_size=16", "--set=num_proposals=2", "--set=alpha=0.1")
TINY += ("--gradient_steps=300", "--evaluations=2", "--episodes=50")


def call(binary, flag_values, *arguments):
  status, out, err = binaries.call(binary.main, flag_values, *arguments)
  assert status == 0, err
  return out


def refused(*arguments):
  status, _, err = binaries.call(train.main, train_request.FLAGS, *arguments)
  return binaries.sentence(status, err)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
  folder = tmp_path_factory.mktemp("data") / "push-mine-v1"
  own_task.save_data(folder)
  return f"--dataset={folder}"


def test_from_training_to_the_film(data, tmp_path, monkeypatch):
  run, made = tmp_path / "run", own_task.make
  out = call(train, train_request.FLAGS, f"--task={NAME}", data, *TINY, f"--run_dir={run}")
  assert "0 = 0.0, 100 = 3.0" in out and own_task.REFERENCE.source in out
  score = float(next(line for line in out.splitlines() if line.startswith("seed 0")).split()[-1])
  assert 60.0 < score < 130.0  # it learned, on the task's own scale
  call(train, train_request.FLAGS, "--resume", f"--run_dir={run}")
  out = call(evaluate, evaluate.FLAGS, f"--run_dir={run}", "--episodes=50", f"--render={tmp_path / 'film.png'}")
  assert f"{score:.1f}" in next(line for line in out.splitlines() if line.startswith("seed 0")).split()  # the same play
  assert (tmp_path / "film.png").stat().st_size > 1000
  out = call(compare, compare.FLAGS, f"--run={run}", f"--out={tmp_path / 'out'}")
  assert f"| 300 | 1 | {score:.1f} | {score:.1f} |" in out
  out = call(stuck_policies, stuck_policies.FLAGS, f"--run_dir={run}", f"--out={tmp_path / 'out'}")
  assert f"{score:.1f}" in out
  monkeypatch.delattr(own_task, "draw")
  status, _, err = binaries.call(evaluate.main, evaluate.FLAGS, f"--run_dir={run}", f"--render={tmp_path / 'x.png'}")
  assert "has no draw(axes, world)" in binaries.sentence(status, err)
  with monkeypatch.context() as patch:
    patch.setattr(own_task, "REFERENCE", own_task.REFERENCE._replace(expert=30.0))
    assert "with reference [3.0, 0.0], which is now [30.0, 0.0]" in refused("--resume", f"--run_dir={run}")
    patch.undo()
    patch.setattr(own_task, "make", lambda: made()._replace(version="v2"))
    assert "was begun in push with version v1, which is now v2" in refused("--resume", f"--run_dir={run}")
  monkeypatch.setitem(sys.modules, NAME, None)
  status, _, err = binaries.call(compare.main, compare.FLAGS, f"--run={run}", f"--out={tmp_path / 'out'}")
  assert "cannot be scored: no reference returns for task" in binaries.sentence(status, err)
  status, _, err = binaries.call(evaluate.main, evaluate.FLAGS, f"--run_dir={run}")
  assert f"the checkpoint is of task '{NAME}', which is not here" in binaries.sentence(status, err)


def test_random_play_of_it_is_collected_and_trained_on(tmp_path):
  given = (f"--task={NAME}", "--quality=random", f"--data_dir={tmp_path}")
  folder = tmp_path / "own_task-random-v1.rows300"
  assert str(folder) in call(collect, collect.FLAGS, *given, "--rows=300")
  episodes, card = storage.load(folder)
  assert episodes.num_episodes == 100 and abs(card["normalized_mean"]) < 20.0  # of a return of 3 and a deviation of 1
  run = f"--run_dir={tmp_path / 'run'}"
  call(train, train_request.FLAGS, given[0], "--quality=random", f"--dataset={folder}", *TINY, run)
  for wrong, words in {
    "--rows=301": "must be a positive multiple of 3, the length of an episode",
    "--quality=expert": "of a task of your own --quality=random alone is made here",
    "--kappa=0.5": "--kappa is of the particle tasks",
    "--references": f"what scores 0 and 100 in {NAME} is what its REFERENCE says",
  }.items():
    status, _, err = binaries.call(collect.main, collect.FLAGS, *given, wrong)
    assert words in binaries.sentence(status, err)


def test_what_is_no_task_is_one_sentence(data, tmp_path, monkeypatch):
  run = f"--run_dir={tmp_path / 'run'}"
  assert "--task no.such: cannot be imported: No module named 'no'" in refused("--task=no.such", data, run)
  assert "--task tests.games: has no make and no REFERENCE" in refused("--task=tests.games", data, run)
  assert f"--task={NAME} is not ours: --dataset (of tables: --datasets) says on what" in refused(f"--task={NAME}", run)
  binaries.make_data("spread", "random", tmp_path)
  other = f"--dataset={tmp_path / 'spread-random-v1'}"
  assert "was made for task 'spread' where the environment push" in refused(
    f"--task={NAME}", "--quality=random", other, run
  )
  assert "--task ./my_task.py: is no module's dotted name" in refused("--task=./my_task.py", data, run)
  monkeypatch.setattr(own_task, "REFERENCE", own_task.REFERENCE._replace(expert=0.0))
  assert "is no scale: 0 and 100 must lie apart" in refused(f"--task={NAME}", data, run)
  monkeypatch.setattr(own_task, "REFERENCE", (3.0, 0.0))
  assert "its REFERENCE is (3.0, 0.0), no evaluation.scores.Reference" in refused(f"--task={NAME}", data, run)
  monkeypatch.undo()
  made = own_task.make()
  monkeypatch.setattr(own_task, "make", lambda: made._replace(num_agents=3, state_size=3))
  told = refused(f"--task={NAME}", data, run)
  assert f"--task={NAME}: push observes (2, 1), where its num_agents and obs_size say (3, 1)" in told
  lines = host_rollouts_test.environment()
  monkeypatch.setattr(own_task, "make", lambda: lines._replace(step=lambda world, action: (world, 0.0, False, False)))
  told = refused(f"--task={NAME}", data, run)
  assert f"--task={NAME}: a step of tiny gave reward (), terminated () and truncated (); wanted are [2, 2]" in told
  assert not (tmp_path / "run").exists()
  monkeypatch.setattr(own_task, "make", lambda: types.SimpleNamespace(name="push"))
  assert f"--task={NAME}: make gave a SimpleNamespace, no environment of environments.api" in refused(
    f"--task={NAME}", data, run
  )
