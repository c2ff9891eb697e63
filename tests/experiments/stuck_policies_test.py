"""The report of stuck policies: a tiny run end to end, counts by hand, bad folders."""

import json
import shutil

import pytest

from experiments import runs, stuck_policies, train, train_request, train_result
from tests.experiments import binaries


def call(*arguments):
  return binaries.call(stuck_policies.main, stuck_policies.FLAGS, *arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("stuck")
  binaries.make_data("spread", "random", folder / "data")
  flags = ("--algorithm=bc", "--quality=random", "--gradient_steps=20", "--evaluations=2", "--episodes=2")
  places = (f"--data_dir={folder / 'data'}", f"--run_dir={folder / 'run'}")
  status, _, err = binaries.call(train.main, train_request.FLAGS, *flags, "--num_seeds=2", *places)
  assert status == 0, err
  return folder


def test_the_files_hold_every_seed_and_agree_with_the_runs_own(folder):
  status, out, err = call(f"--run_dir={folder / 'run'}", f"--out={folder / 'out'}")
  assert status == 0, err
  (row,) = json.loads((folder / "out/stuck_policies.json").read_text())
  assert (row["run"], row["dataset"], row["seeds"], row["step"]) == ("bc (quick)", "spread-random-v1", [0, 1], 20)
  result = json.loads((folder / "run/result.json").read_text())
  assert result["stuck_agents"] == row["stuck_agents"] == [[], []]
  assert result["normalized_score"] == pytest.approx(row["score"], abs=0.06)
  assert "| spread-random-v1 | bc (quick) | 2 |" in out
  assert (folder / "out/stuck_policies.png").stat().st_size > 1000


def test_train_names_stuck_policies(folder, monkeypatch):
  monkeypatch.setattr(train_result.saturation, "stuck_agents", lambda action: [[], [0, 2]])
  (folder / "run/result.json").unlink()
  status, out, err = binaries.call(train.main, train_request.FLAGS, f"--run_dir={folder / 'run'}", "--resume")
  assert status == 0, err
  assert out.count("is stuck in a corner of the action space") == 2 and "seed 1: agent 2 is stuck" in out


RUN = {"run": "cfcql", "dataset": "d", "data": {"obs": "a"}, "config": {"alpha": 1.0}, "step": 20}


def test_a_seed_of_two_runs_counts_once():
  row = RUN | {"seeds": [0, 1], "score": [3.0, 9.0], "stuck_agents": [[1], []]}
  again = row | {"seeds": [1, 2], "score": [9.0, 8.0], "stuck_agents": [[], []]}
  assert "| d | cfcql | 3 | 1 | 3.0 | 8.0, 9.0 |" in stuck_policies.markdown([row, again])


def test_a_longer_run_is_another_row_whatever_the_order():
  row = RUN | {"seeds": [0], "score": [3.0], "stuck_agents": [[1]]}
  longer = row | {"step": 40, "score": [9.0], "stuck_agents": [[]]}
  for rows in ([row, longer], [longer, row]):
    told = stuck_policies.markdown(rows)
    assert (
      "| d | cfcql, 20 updates | 1 | 1 | 3.0 | - |" in told and "| d | cfcql, 40 updates | 1 | 0 | - | 9.0 |" in told
    )


@pytest.mark.parametrize("other", [{"config": {"alpha": 2.0}}, {"data": {"obs": "b"}}])
def test_runs_that_their_words_do_not_tell_apart_are_not_mixed(other):
  row = RUN | {"seeds": [0], "score": [3.0], "stuck_agents": [[1]]}
  with pytest.raises(runs.UserError, match="two runs of cfcql on d differ in settings or data; ask them apart"):
    stuck_policies.markdown([row, row | other | {"score": [90.0], "stuck_agents": [[]]}])


def test_a_score_is_of_the_policy_that_is_asked(folder, tmp_path, monkeypatch):
  load = stuck_policies.logs.load_returns
  monkeypatch.setattr(stuck_policies.logs, "load_returns", lambda place: (load(place)[0][:, :1], load(place)[1][:1]))
  told = binaries.sentence(*call(f"--run_dir={folder / 'run'}", f"--out={tmp_path}")[::2])
  assert "its newest checkpoint is of step 20, its last evaluation of step 10; go on with it first" in told


def test_bad_folders_are_one_sentence(folder, tmp_path):
  shutil.copytree(folder / "run", tmp_path / "run")
  (tmp_path / "run/returns.npz").write_bytes(b"no archive")
  words = binaries.sentence(*call(f"--run_dir={tmp_path / 'run'}")[::2])
  assert "returns.npz is damaged" in words and words.count("returns.npz") == 1
  assert "--run_dir is needed" in binaries.sentence(*call()[::2])
  assert "nowhere" in binaries.sentence(*call("--run_dir=nowhere")[::2])
