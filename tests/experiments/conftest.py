"""A finished run of `train` for all who ask something of one."""

import shutil

import pytest

from experiments import collect, train, train_request
from tests.experiments import binaries


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
  """A whole run of two seeds whose data set was missing."""
  folder = tmp_path_factory.mktemp("work")
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(collect, "make", binaries.make)
    places = (f"--data_dir={folder / 'data'}", f"--run_dir={folder / 'run'}")
    given = (*binaries.QUICK, "--num_seeds=2", "--first_seed=3", *places)
    status, out, err = binaries.call(train.main, train_request.FLAGS, *given)
  assert status == 0, err
  return folder, out


@pytest.fixture
def work(finished, tmp_path):
  """A copy of the finished run and its data, to be spoiled."""
  shutil.copytree(finished[0], tmp_path / "work")
  config = tmp_path / "work" / "run" / "config.json"
  config.write_text(config.read_text().replace(str(finished[0]), str(tmp_path / "work")))
  return tmp_path / "work"
