"""Several devices give the numbers of one. The machine of the tests has one, so eight virtual ones are made."""

import os
import subprocess
import sys

import jax
import pytest

from marl_offline import execution
from marl_offline.algorithms import spacql
from marl_offline.training import devices


def test_eight_devices_give_the_numbers_of_one():
  flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
  environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
  command = [sys.executable, "-m", "tests.training.eight_devices"]
  done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
  assert done.returncode == 0, done.stderr[-2000:]
  assert done.stdout.splitlines()[-1] == "done"


@pytest.mark.parametrize(
  ("num_seeds", "work", "num_devices", "mesh"),
  [
    (8, 16, 8, (8, 1)),
    (4, 16, 8, (4, 2)),
    (5, 10, 8, (5, 1)),
    (1, 10, 8, (1, 5)),
    (1, 7, 6, (1, 1)),
    (6, 9, 4, (3, 1)),
  ],
)
@pytest.mark.parametrize("cut", [execution.CPU, execution.ACCELERATOR])
def test_seeds_come_first_and_each_seeds_work_second(num_seeds, work, num_devices, mesh, cut, monkeypatch):
  monkeypatch.setattr(execution, "here", lambda: cut)
  members, rows = (work, 997) if cut is execution.CPU else (997, work)
  config = spacql.Config(ensemble_size=members, batch_size=rows)
  layout = devices.layout(num_seeds, config, [jax.devices()[0]] * num_devices)
  assert mesh == ((1, 1) if layout.mesh is None else layout.mesh.devices.shape)
