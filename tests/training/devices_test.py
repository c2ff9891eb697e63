"""Several devices give the numbers of one. The machine of the tests has one, so eight virtual ones are made."""

import os
import subprocess
import sys

import jax
import pytest

from marl_offline.training import devices


def test_eight_devices_give_the_numbers_of_one():
  environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
  command = [sys.executable, "-m", "tests.training.eight_devices"]
  done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
  assert done.returncode == 0, done.stderr[-2000:]
  assert done.stdout.splitlines()[-1] == "done"


@pytest.mark.parametrize(
  ("num_seeds", "batch_size", "num_devices", "mesh"),
  [
    (8, 16, 8, (8, 1)),
    (4, 16, 8, (4, 2)),
    (5, 1024, 8, (5, 1)),
    (1, 1024, 8, (1, 8)),
    (1, 7, 6, (1, 1)),
    (6, 9, 4, (3, 1)),
  ],
)
def test_seeds_come_first_and_batches_second(num_seeds, batch_size, num_devices, mesh):
  layout = devices.layout(num_seeds, batch_size, [jax.devices()[0]] * num_devices)
  assert mesh == ((1, 1) if layout.mesh is None else layout.mesh.devices.shape)
