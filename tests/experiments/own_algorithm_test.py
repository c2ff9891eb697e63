"""The binaries take an algorithm of somebody's own by its dotted name, from training to the table."""

import dataclasses

import jax
import numpy as np
import pytest

from experiments import compare, evaluate, main_table, stuck_policies, train, train_request
from marl_offline.training import checkpoints
from tests.experiments import binaries, own_algorithm

NAME = own_algorithm.__name__
TINY = ("--set=batch_size=8", "--gradient_steps=20", "--evaluations=2", "--episodes=3")


def call(binary, flag_values, *arguments):
  status, out, err = binaries.call(binary.main, flag_values, *arguments)
  assert status == 0, err
  return out


def test_from_training_to_the_table(tmp_path):
  binaries.make_data("spread", "random", tmp_path / "data")
  run, data = tmp_path / "run", f"--data_dir={tmp_path / 'data'}"
  own = (f"--algorithm={NAME}", "--quality=random", *TINY, data, f"--run_dir={run}")
  assert f"{NAME} on spread-random-v1" in call(train, train_request.FLAGS, *own)
  action = checkpoints.load_policy(run)(np.zeros((3, 18), np.float32), jax.random.key(0))
  np.testing.assert_array_equal(action, own_algorithm.ACTION)  # and not that of the library's bc, whose Config it has
  call(train, train_request.FLAGS, "--resume", f"--run_dir={run}")
  assert NAME in call(evaluate, evaluate.FLAGS, f"--run_dir={run}", "--episodes=2")
  assert NAME in call(compare, compare.FLAGS, f"--run={run}", f"--out={tmp_path / 'out'}")
  call(stuck_policies, stuck_policies.FLAGS, f"--run_dir={run}", f"--out={tmp_path / 'out'}")
  table = (f"--algorithms=bc,{NAME}", "--tasks=spread", "--qualities=random", *TINY, data, "--num_seeds=1")
  places = (f"--out={tmp_path / 'table'}", f"--runs_dir={tmp_path / 'runs'}")
  assert f"| data | bc (batch_size=8) | {NAME} (batch_size=8) |" in call(main_table, main_table.FLAGS, *table, *places)
  # data of a quality without settings: ours take another's, somebody's own has its defaults
  binaries.hash_again(tmp_path / "data" / "spread-random-v1", quality="mine")
  mine = (f"--dataset={tmp_path / 'data' / 'spread-random-v1'}", *TINY)
  for algorithm in ("bc", NAME):
    out = call(train, train_request.FLAGS, f"--algorithm={algorithm}", *mine, f"--run_dir={tmp_path / algorithm}")
    assert ("trained with the settings of" in out) == (algorithm == "bc")


@pytest.mark.parametrize(
  ("name", "words"),
  [
    ("no.such_package", "--algorithm no.such_package: cannot be imported: No module named 'no'"),
    ("tests.games", "--algorithm tests.games: has no Config and no make"),
    (".my_algorithm", "--algorithm .my_algorithm: is no module's dotted name"),
  ],
)
def test_what_is_no_algorithm_is_one_sentence(tmp_path, name, words):
  given = (f"--algorithm={name}", f"--run_dir={tmp_path / 'run'}", f"--data_dir={tmp_path}")
  status, _, err = binaries.call(train.main, train_request.FLAGS, *given)
  assert words in binaries.sentence(status, err)


def test_a_config_without_a_batch_size_is_one_sentence(tmp_path, monkeypatch):
  for config in (dataclasses.make_dataclass("Config", [("alpha", float, 0.5)]), dict):
    monkeypatch.setattr(own_algorithm, "Config", config)
    given = (f"--algorithm={NAME}", f"--run_dir={tmp_path / 'run'}", f"--data_dir={tmp_path}")
    status, _, err = binaries.call(train.main, train_request.FLAGS, *given)
    assert "its Config is no dataclass with a batch_size and its default" in binaries.sentence(status, err)
