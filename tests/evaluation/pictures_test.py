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
