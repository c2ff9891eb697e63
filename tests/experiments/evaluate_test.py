"""The binary evaluate on a small run, and what it refuses."""

import json
import shutil

import numpy as np
import PIL.Image
import pytest

from experiments import evaluate, train, train_request
from marl_offline.environments import mujoco_agents, particle_tasks
from marl_offline.evaluation import animation, curves, rollouts
from marl_offline.types import Learner
from tests.experiments import binaries


def call(*arguments):
  return binaries.call(evaluate.main, evaluate.FLAGS, *arguments)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  folder = tmp_path_factory.mktemp("work")
  binaries.make_data("spread", "random", folder / "data")
  flags = ("--quality=random", "--num_seeds=2", f"--data_dir={folder / 'data'}", f"--run_dir={folder / 'run'}")
  status, _, err = binaries.call(train.main, train_request.FLAGS, *binaries.QUICK, *flags)
  assert status == 0, err
  return folder / "run"


def test_table_and_curves_of_every_seed(run):
  (run / "learning_curve.png").unlink()
  status, out, err = call(f"--run_dir={run}", "--episodes=4")
  assert status == 0, err
  for words in ("bc on spread-random-v1 (collected)", "4 episodes a seed", "seed 0", "seed 1", "data set", "IQM"):
    assert words in out
  assert (run / "learning_curve.png").exists()


@pytest.mark.parametrize("kind", ["gif", "png"])
def test_render(run, kind, tmp_path, monkeypatch):
  monkeypatch.setattr(rollouts, "evaluator", lambda *args: lambda states: np.zeros((2, 4)))
  monkeypatch.setattr(animation, "FRAMES_IN_A_ROW", 2)
  path = tmp_path / "new" / f"episode.{kind}"
  status, out, err = call(f"--run_dir={run}", "--episodes=4", f"--render={path}", "--seed=1")
  assert status == 0, err
  assert path.stat().st_size > 1000 and str(path) in out


def test_the_film_shows_the_episode_that_counts_under_its_number():
  spread, shown = particle_tasks.spread(), []
  learner = Learner(None, None, lambda state, memory, obs, key: (state + 0.0 * obs[:, :2], memory))
  status, _, err = binaries.call(
    lambda: shown.append(evaluate.played(spread, learner, np.float32(0.5))),
    evaluate.FLAGS,
    "--episodes=5",
    "--episode=3",
  )
  assert status == 0, err
  _, rewards = shown[0]
  returns = rollouts.evaluator(spread, learner, 5)(np.full(1, 0.5, np.float32))[0]
  np.testing.assert_allclose(np.sum(np.mean(rewards, axis=1)), returns[3], rtol=1e-5)
  assert len(set(np.round(returns, 3))) == 5  # no other episode would do


def test_render_a_robot(run, tmp_path, monkeypatch):
  pytest.importorskip("mujoco", reason="the extra [mujoco]")
  pytest.importorskip("gymnasium", reason="the extra [mujoco]")
  hopper = mujoco_agents.make("hopper_3x1", num_threads=1)
  learner = Learner(None, None, lambda state, memory, obs, key: (state + 0.0 * obs[:, :1], memory))
  path = tmp_path / "hop.gif"

  def main():
    evaluate.render(hopper, learner, np.float32(1.0), *evaluate.picture("hopper_3x1", hopper))

  status, out, err = binaries.call(main, evaluate.FLAGS, f"--render={path}", "--episode=2")
  assert status == 0, err
  assert f"episode 2: {path}" in out
  with PIL.Image.open(path) as film:
    assert film.n_frames > 3 and film.info["duration"] == 40
  monkeypatch.setattr(evaluate, "matching_environment", lambda meta: hopper)
  refused = binaries.sentence(*call(f"--run_dir={run}", "--episodes=4", "--episode=4", f"--render={path}")[::2])
  assert "--episode=4 is not among the --episodes=4" in refused


@pytest.mark.parametrize(
  ("arguments", "words"),
  [
    ([], "--run_dir is needed"),
    (["--run_dir=nowhere"], "no config.json"),
    (["--run_dir={run}", "--render=x.mp4"], ".gif, .png"),
    (["--run_dir={run}", "--render={run}/x.gif", "--seed=5"], "--seed=5"),
    (["--run_dir={run}", "--episodes=none"], "episodes"),
    (["--run_dir={run}", "--epsodes=1"], "epsodes"),
  ],
)
def test_bad_flags_are_one_sentence(run, arguments, words):
  status, out, err = call(*(argument.format(run=run) for argument in arguments))
  assert words in binaries.sentence(status, err)
  assert out == "" and not list(run.glob("*.gif"))


@pytest.mark.parametrize(
  ("file", "content", "words"),
  [
    ("returns.npz", b"", "returns.npz is damaged"),
    ("returns.npz", b"PK\x03\x04 cut off", "returns.npz is damaged"),
    ("config.json", b"{}", "config.json is damaged: it has no flags"),
    ("config.json", b"\xff", "config.json is damaged"),
  ],
)
def test_a_damaged_run_is_one_sentence(run, tmp_path, monkeypatch, file, content, words):
  monkeypatch.setattr(rollouts, "evaluator", lambda *args: lambda states: np.zeros((2, 4)))
  shutil.copytree(run, tmp_path / "run")
  (tmp_path / "run" / file).write_bytes(content)
  assert words in binaries.sentence(*call(f"--run_dir={tmp_path / 'run'}")[::2])


def test_a_config_of_another_run_is_refused(run, tmp_path):
  shutil.copytree(run, tmp_path / "run")
  config = tmp_path / "run" / "config.json"
  config.write_text(config.read_text().replace('"task": "spread"', '"task": "tag"'))
  message = binaries.sentence(*call(f"--run_dir={tmp_path / 'run'}")[::2])
  assert "config.json of tag and checkpoints of spread" in message


def test_a_full_disk_is_one_sentence(run, monkeypatch):
  def full(*args, **kwargs):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(rollouts, "evaluator", lambda *args: lambda states: np.zeros((2, 4)))
  monkeypatch.setattr(animation, "render", full)
  message = binaries.sentence(*call(f"--run_dir={run}", f"--render={run / 'x.gif'}")[::2])
  assert "x.gif cannot be written: no space left on device; the run itself is untouched" in message
  monkeypatch.setattr(curves, "draw", full)
  message = binaries.sentence(*call(f"--run_dir={run}")[::2])
  assert "learning_curve.png cannot be written: no space left" in message


def test_a_damaged_checkpoint_and_another_environment_are_refused(run, tmp_path, monkeypatch):
  copy = tmp_path / "run"
  shutil.copytree(run, copy)
  with monkeypatch.context() as patch:
    patch.setattr(evaluate, "observation_hash", lambda environment: "another")
    assert "trained for spread v1" in binaries.sentence(*call(f"--run_dir={copy}")[::2])
  meta = copy / "checkpoints" / "20" / "meta.json"
  facts = json.loads(meta.read_text())
  meta.write_text(json.dumps(facts | {"task": "tag"}))
  assert "meta.json is damaged" in binaries.sentence(*call(f"--run_dir={copy}")[::2])
  shutil.rmtree(copy / "checkpoints")
  assert "no checkpoint" in binaries.sentence(*call(f"--run_dir={copy}")[::2])
