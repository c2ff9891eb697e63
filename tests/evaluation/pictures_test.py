"""The pictures are made, and of the kind that their names say; nothing draws before it is asked."""

import subprocess
import sys

import matplotlib.image
import numpy as np
import PIL.Image
import pytest

from marl_offline.evaluation import animation, curves
from marl_offline.evaluation.statistics import Named

WORLDS = {"where": np.linspace(0, 1, 4)}
REWARDS = np.ones((3, 2))


def paint(axes, world):
  axes.plot([float(world["where"])], [0.0], "o")


@pytest.mark.parametrize(("num_seeds", "evaluations"), [(1, 1), (2, 3), (7, 40)])
def test_learning_curves(num_seeds, evaluations, tmp_path):
  returns = Named(np.random.default_rng(0).normal(size=(num_seeds, evaluations, 5)), ("seed", "evaluation", "episode"))
  steps, path = 10 * np.arange(1, evaluations + 1), tmp_path / "curve.png"
  scale = (lambda raw: raw * 2, lambda score: score / 2)
  curves.draw(path, returns, steps, range(num_seeds), title="a run", dataset_mean=0.3, scale=scale)
  assert matplotlib.image.imread(path).shape[1] > 800


def test_gif_has_a_frame_a_step(tmp_path):
  animation.render(tmp_path / "episode.gif", WORLDS, REWARDS, paint)
  with PIL.Image.open(tmp_path / "episode.gif") as picture:
    assert (picture.format, picture.n_frames) == ("GIF", 4)


@pytest.mark.parametrize(
  ("step_seconds", "num_steps", "moments", "durations"),
  [
    (0.1, 3, [0, 1, 2, 3], [100, 100, 100, 1000]),
    (0.05, 3, [0, 1, 2, 3], [50, 50, 50, 1000]),
    (0.008, 12, [0, 5, 10, 12], [40, 40, 40, 1000]),  # 25 frames a second, and the end
    (0.008, 30, [0, 5, 10, 15, 20, 25], [40, 40, 40, 40, 40, 1000]),  # 0.2 s is all that is asked for
    (0.1, 0, [0], [1000]),
  ],
)
def test_gif_is_in_real_time(step_seconds, num_steps, moments, durations, tmp_path):
  drawn, path = [], tmp_path / "episode.gif"

  def note(axes, world):
    drawn.append(int(world))

  worlds, rewards = np.arange(num_steps + 1), np.ones((num_steps, 2))
  most = 0.2 if num_steps == 30 else 20.0
  animation.render(path, worlds, rewards, note, step_seconds=step_seconds, size=(2.0, 1.0), most_seconds=most)
  assert drawn == moments
  with PIL.Image.open(path) as film:
    assert film.size == (160, 80)
    told = []
    for frame in range(getattr(film, "n_frames", 1)):
      film.seek(frame)
      told.append(film.info.get("duration"))
  assert told == durations or (len(moments) == 1 and len(told) == 1)


def test_png_is_a_row(tmp_path):
  animation.render(tmp_path / "episode.PNG", WORLDS, REWARDS, paint)
  height, width, _ = matplotlib.image.imread(tmp_path / "episode.PNG").shape
  assert width > 2 * height


def test_another_kind_is_refused(tmp_path):
  with pytest.raises(ValueError, match=r"\.gif, \.png"):
    animation.render(tmp_path / "episode.mp4", WORLDS, REWARDS, paint)


def test_matplotlib_is_imported_only_when_asked():
  program = "import sys\nimport experiments.train, experiments.evaluate\nassert 'matplotlib' not in sys.modules"
  subprocess.run([sys.executable, "-c", program], check=True, timeout=300)
