"""The audit of a data set, as a person sees it."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from experiments import inspect_data
from marl_offline.datasets import storage
from tests.datasets import made

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def data_dir(tmp_path):
  for version in ("v1", "v2"):
    says = made.FACTS | {"version": version, "policies": [{"policy": f"snapshot {i}"} for i in range(9)]}
    storage.save(tmp_path / f"made-medium-replay-{version}", made.episodes((3, 1, 4)), **says)
  return tmp_path


def inspect(capsys, *args):
  """Exit status, stdout, stderr of one call."""
  status = inspect_data.main(["inspect_data", *map(str, args)])
  return status, *capsys.readouterr()


def test_a_sound_set_as_a_program():
  """By subprocess, once: prints, needs no accelerator library, leaves no traceback."""
  program = "import sys; from experiments import inspect_data; assert 'jax' not in sys.modules"
  subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
  command = [sys.executable, "-m", "experiments.inspect_data", "--folder", "nowhere"]
  done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
  assert done.returncode == 2 and done.stdout == ""
  assert done.stderr == "--folder nowhere is no folder; a data set is one, with card.json in it\n"


def test_a_sound_set(capsys, data_dir):
  task = ("--data_dir", data_dir, "--task", "made", "--quality", "medium-replay")
  status, out, err = inspect(capsys, *task)
  assert status == 0 and err == ""
  for line in (
    "name                made-medium-replay-v2",  # the newest
    "rows                8",
    "mean 30.37, std",
    "terminated      2 (no bootstrap)",
    "truncated       1 (1 of them bootstrap from the final observation)",
    "length          1 to 4 steps, mean 2.7, most often 1",
    "agents 0 and 1  actions correlate +1.000",
    "duplicates      0 rows",
    "faults: none",
  ):
    assert line in out, out
  assert "version             v1" in inspect(capsys, *task, "--version", "v1")[1]


def test_histogram_by_hand():
  # returns 0, 0, 10 in 2 bins: 2 in [0, 5), 1 in [5, 10]; the longest bar has 50 characters, the other 25.
  lines = list(inspect_data.histogram_lines(np.array([0.0, 0.0, 10.0]), bins=2))
  assert lines[0] == "mean 3.33, std 4.71, 0.00 to 10.00"
  assert [line.count("#") for line in lines[1:]] == [50, 25]


def test_coverage_by_hand():
  # agent 0 plays 1, -1, 1, -1; agent 1 the opposite, halved: 100 % and 0 % at the bounds, correlation -1.
  # rows 2 and 3 repeat rows 0 and 1 in observation and action.
  fields = made.episodes((4,), obs_size=1, action_size=1).arrays()
  play = np.array([1, -1, 1, -1], np.float32)
  fields |= {"action": np.stack([play, -play / 2], axis=1)[..., None], "obs": np.stack([play, play], axis=1)[..., None]}
  lines = list(inspect_data.coverage_lines(storage.Episodes(**fields)))
  assert "100.0 %, 0.0 %" in lines[0] and "-1.000" in lines[1] and "2 rows (50.00 %)" in lines[2]
  fields["action"] = fields["action"] * np.float32([[[1], [0]]])
  assert "never change" in list(inspect_data.coverage_lines(storage.Episodes(**fields)))[1]


def test_every_fault_is_printed(capsys, data_dir):
  folder = data_dir / "made-medium-replay-v1"
  for name, change in (("obs", lambda x: x * np.float32(np.nan)), ("action", lambda x: x + np.float32(2))):
    np.save(folder / f"{name}.npy", change(np.load(folder / f"{name}.npy")))
  card = json.loads((folder / "card.json").read_text())
  del card["seed"]
  (folder / "card.json").write_text(json.dumps(card))
  status, out, err = inspect(capsys, "--folder", folder)
  assert status == 1 and err == ""
  faults = out.split("faults: 5")[1].strip().splitlines()
  for fault, word in zip(faults, ("'seed'", "obs.npy: has ch", "action.npy: has ch", "nan", "[-1, 1]"), strict=True):
    assert word in fault


def test_arrays_that_do_not_fit_and_no_card(capsys, data_dir):
  folder = data_dir / "made-medium-replay-v1"
  np.save(folder / "reward.npy", np.zeros((3, 2), np.float32))
  status, out, _ = inspect(capsys, "--folder", folder)
  assert status == 1 and "reward.npy: has 3 rows where obs has 8" in out and "coverage" not in out
  (folder / "card.json").unlink()
  status, out, _ = inspect(capsys, "--folder", folder)
  assert status == 1 and "faults: 1" in out and "has no card.json" in out


def test_a_picture(capsys, data_dir):
  folder, picture = data_dir / "made-medium-replay-v1", data_dir / "returns.png"
  assert inspect(capsys, "--folder", folder, "--picture", picture)[0] == 0
  assert picture.read_bytes()[:4] == b"\x89PNG"
  status, _, err = inspect(capsys, "--folder", folder, "--picture", data_dir / "returns.nothing")
  assert status == 2 and "nothing" in err and err.count("\n") == 1


def test_a_picture_of_returns_that_differ_by_rounding_alone(tmp_path):
  inspect_data.draw(tmp_path / "p.png", {}, np.array([1.5233442069341738, 1.523344206934174]))
  assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"


def test_odd_cards_are_shown_or_refused_in_words(capsys, tmp_path):
  folder = tmp_path / "set"
  storage.save(folder, made.episodes(), **made.FACTS | {"policies": [{"policy": "x"}, "uniform"]})
  status, out, _ = inspect(capsys, "--folder", folder)
  assert status == 0 and "uniform" in out
  card = json.loads((folder / "card.json").read_text())
  card["return"]["mean"] = 10**400
  (folder / "card.json").write_text(json.dumps(card))
  status, out, _ = inspect(capsys, "--folder", folder)
  assert status == 1 and "'return.mean' is 1000" in out
  made.refused(lambda: storage.save(tmp_path / "b", made.episodes(), **made.FACTS | {"policies": "uniform"}), "a list")


@pytest.mark.parametrize(
  ("args", "words"),
  [
    (["--task", "made"], ["--quality is missing"]),
    ([], ["--task is missing"]),
    (["--task", "made", "--quality", "medium"], ["--task made --quality medium", "made-medium-replay-v1"]),
    (["--task", "made", "--quality", "medium-replay", "--version", "v7"], ["made-medium-replay-v7"]),
    (["--folder", "x", "--task", "made"], ["--folder", "leave out"]),
    (["--picture", "nowhere/x.png", "--task", "made", "--quality", "medium-replay"], ["--picture nowhere/x.png"]),
    (["--qualty", "medium"], ["qualty"]),
    (["made"], ["unexpected argument 'made'"]),
  ],
)
def test_wrong_flags(capsys, data_dir, args, words):
  status, out, err = inspect(capsys, "--data_dir", data_dir, *args)
  assert status == 2 and out == "" and err.count("\n") == 1
  for word in words:
    assert word in err


def test_help(capsys):
  status, out, _ = inspect(capsys, "--help")
  assert status == 0 and "--picture" in out


def test_a_picture_on_a_full_disk_is_one_sentence(capsys, data_dir, monkeypatch):
  def full(*args):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(inspect_data, "draw", full)
  status, out, err = inspect(
    capsys, "--folder", data_dir / "made-medium-replay-v1", "--picture", data_dir / "returns.png"
  )
  assert status == 2 and "faults: none" in out
  assert (
    err
    == f"--picture {data_dir / 'returns.png'} cannot be written: No space left on device; the report above is whole\n"
  )


def test_rows_that_are_never_drawn_are_told(capsys, tmp_path):
  unknown = np.array([True, True, False])  # the first terminated: nothing to bootstrap from
  episodes = dataclasses.replace(made.episodes((3, 1, 4)), final_action_unknown=unknown)
  storage.save(tmp_path / "set", episodes, **made.FACTS)
  status, out, _ = inspect(capsys, "--folder", tmp_path / "set")
  assert status == 0 and "unknown         1 cut episodes' final actions" in out


def test_a_home_is_found_and_an_interruption_is_one_sentence(capsys, data_dir, monkeypatch):
  monkeypatch.setenv("HOME", str(data_dir))
  status, out, err = inspect(capsys, "--folder=~/made-medium-replay-v1")
  assert status == 0 and "medium-replay" in out, err

  def interrupted(folder):
    raise KeyboardInterrupt

  monkeypatch.setattr(inspect_data, "report", interrupted)
  assert inspect(capsys, "--folder=~/made-medium-replay-v1") == (130, "", "error: interrupted\n")
