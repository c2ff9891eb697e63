"""One line an evaluation and seed; episodes with named axes; cut back to a checkpoint without a trace."""

import json
import pathlib

import numpy as np
import pytest

from marl_offline.training import logs


def filled(folder, steps=(10, 20, 30)):
  log = logs.RunLog(folder, [4, 5])
  for step in steps:
    returns = np.arange(6.0).reshape(2, 3) + step
    log.append(step, {"loss": np.array([0.5, np.nan])}, returns, np.array([1.0, 2.0]), updates_per_second=7.0)
  return log


def lines(folder):
  return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_line_an_evaluation_and_seed(tmp_path):
  filled(tmp_path)
  written = lines(tmp_path)
  assert [(line["step"], line["seed"]) for line in written] == [(s, k) for s in (10, 20, 30) for k in (4, 5)]
  assert written[0] == {"step": 10, "seed": 4, "return": 11.0, "score": 1.0, "loss": 0.5, "updates_per_second": 7.0}
  assert written[1]["loss"] is None


def test_every_episode_is_kept_under_named_axes(tmp_path):
  filled(tmp_path)
  values, steps = logs.load_returns(tmp_path)
  assert values.shape == (2, 3, 3)
  assert steps.tolist() == [10, 20, 30]
  np.testing.assert_array_equal(values[1, 2], [33.0, 34.0, 35.0])  # seed 5, step 30


def test_cut_back_then_append_repeats_nothing(tmp_path):
  filled(tmp_path)
  with (tmp_path / "metrics.jsonl").open("a") as file:
    file.write('{"step": 4')  # the line that a kill cut off
  log = logs.RunLog(tmp_path, [4, 5])
  log.cut_back(20)
  assert [line["step"] for line in lines(tmp_path)] == [10, 10, 20, 20]
  assert logs.load_returns(tmp_path)[1].tolist() == [10, 20]
  log.append(30, {}, np.zeros((2, 3)), np.zeros(2))
  assert logs.load_returns(tmp_path)[1].tolist() == [10, 20, 30]
  log.cut_back(0)
  assert lines(tmp_path) == []
  assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.jsonl"]


AXES = ["seed", "evaluation", "episode"]


@pytest.mark.parametrize(
  ("content", "words"),
  [
    (None, "no evaluation is logged yet"),
    (b"", "is damaged"),
    (b"not a zip file", "is damaged"),
    (0.9, "is damaged"),  # cut off there
    ({"returns": np.zeros((1, 1, 1)), "axes": AXES}, "is damaged"),
    ({"returns": np.zeros((1, 2, 1)), "axes": AXES, "step": [1]}, "do not fit"),
    ({"returns": np.zeros((1, 1, 1)), "axes": ["episode", "seed", "evaluation"], "step": [1]}, "expected"),
  ],
)
def test_other_returns_are_one_sentence(tmp_path, content, words):
  filled(tmp_path)
  path = tmp_path / "returns.npz"
  whole = path.read_bytes()
  path.unlink()
  if isinstance(content, dict):
    np.savez(path, **content)
  elif content is not None:
    path.write_bytes(whole[: int(content * len(whole))] if isinstance(content, float) else content)
  with pytest.raises(ValueError, match=words) as caught:
    logs.load_returns(tmp_path)
  assert str(path) in str(caught.value) and "\n" not in str(caught.value)
  before = (tmp_path / "metrics.jsonl").read_bytes()
  if content is not None:
    with pytest.raises(ValueError, match=words):
      logs.RunLog(tmp_path, [4, 5]).cut_back(10)
  assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_returns_of_other_seeds_are_refused(tmp_path):
  filled(tmp_path)
  with pytest.raises(ValueError, match="holds 2 seeds, but the run has 1"):
    logs.RunLog(tmp_path, [4]).cut_back(10)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
  target = tmp_path / "a.json"
  logs.write_json(target, {"x": np.float32(1.5), "y": (np.inf, np.arange(2))})
  assert json.loads(target.read_text()) == {"x": 1.5, "y": [None, [0, 1]]}

  def full(self, data):
    raise OSError(28, "No space left on device")

  log = filled(tmp_path)
  monkeypatch.setattr(pathlib.Path, "write_bytes", full)
  with pytest.raises(OSError, match="No space") as caught:
    logs.write_json(target, {})
  assert caught.value.filename == str(target)
  with pytest.raises(OSError, match="No space") as caught:
    log.append(40, {}, np.zeros((2, 3)), np.zeros(2))
  assert caught.value.filename == str(tmp_path / "returns.npz")
  assert logs.load_returns(tmp_path)[1].tolist() == [10, 20, 30]
  assert json.loads(target.read_text())["x"] == 1.5
