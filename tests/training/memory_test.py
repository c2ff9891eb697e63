"""How much memory there is, and what does not fit."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marl_offline import control_groups, execution
from marl_offline.training import memory


def compiled(temporary):
  sizes = types.SimpleNamespace(temp_size_in_bytes=temporary, output_size_in_bytes=0, alias_size_in_bytes=0)
  return types.SimpleNamespace(memory_analysis=lambda: sizes)


def test_devices_that_share_a_memory_need_it_together(monkeypatch):
  monkeypatch.setattr(memory, "free", lambda device: 8 * memory.GIB)
  memory.require(compiled(2 * memory.GIB), jax.devices()[0], 4)
  with pytest.raises(memory.TooLarge, match=r"needs about 10\.00 GiB more on .*, which has 8\.00 GiB free"):
    memory.require(compiled(2 * memory.GIB), jax.devices()[0], 5)


def test_states_that_cannot_be_made_are_refused_before(monkeypatch):
  monkeypatch.setattr(memory, "free", lambda device: memory.GIB)
  states = {"weight": jax.ShapeDtypeStruct((2, 2**28), "float32"), "step": jax.ShapeDtypeStruct((2,), "int32")}
  with pytest.raises(memory.TooLarge, match=r"takes 2\.00 GiB of .* 1\.00 GiB free; train fewer seeds at once"):
    memory.require_states(states, jax.devices()[0])
  memory.require_states({"weight": states["step"]}, jax.devices()[0])
  half = {"weight": jax.ShapeDtypeStruct((2, 2**26), "float32")}
  memory.require_states(half, jax.devices()[0], 2)
  with pytest.raises(memory.TooLarge, match=r"takes 1\.50 GiB"):  # cores that share a seed's work have a copy each
    memory.require_states(half, jax.devices()[0], 3)


@pytest.fixture
def own(tmp_path, monkeypatch):
  """The folder of a control group inside another, in which this process seems to run."""
  own = tmp_path / "cgroup" / "job" / "step"
  own.mkdir(parents=True)
  (tmp_path / "mine").write_text("4:memory:/old\n0::/job/step\n")
  monkeypatch.setattr(control_groups, "MINE", tmp_path / "mine")
  monkeypatch.setattr(control_groups, "ROOT", tmp_path / "cgroup")
  return own


def test_limits_of_control_groups_above_this_process_count(own):
  for folder, most, used, cached in ((own, "max", 70, 0), (own.parent, "1000", 700, 250)):
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")
  assert memory.of_control_groups() == [1000 - (700 - 250)]
  (own.parent / "memory.current").unlink()
  assert memory.of_control_groups() == []
  control_groups.MINE.unlink()
  assert memory.of_control_groups() == []


def test_a_container_has_the_cores_that_its_share_of_time_amounts_to(own, monkeypatch):
  monkeypatch.setattr(execution.os, "sched_getaffinity", lambda _: range(64), raising=False)
  assert execution.cores() == 64
  (own / "cpu.max").write_text("max 100000\n")
  (own.parent / "cpu.max").write_text("250000 100000\n")
  assert execution.cores() == 3
  (own / "cpu.max").write_text("20000 100000\n")
  assert execution.cores() == 1


def test_a_device_that_tells_nothing_is_no_machine_with_its_memory():
  told = types.SimpleNamespace(platform="gpu", memory_stats=lambda: {"bytes_limit": 10, "bytes_in_use": 3})
  silent = types.SimpleNamespace(platform="gpu", memory_stats=lambda: None)
  assert (memory.free(told), memory.free(silent)) == (7, None)
  assert memory.free(jax.devices()[0]) > 0


def test_what_is_fed_from_the_host_needs_its_place_on_the_device(monkeypatch):
  monkeypatch.setattr(memory, "free", lambda device: 1000)
  fed = {"obs": np.zeros(200, np.float32), "there already": jnp.zeros(9000)}
  memory.require(compiled(200), jax.devices()[0], fed=fed)
  with pytest.raises(memory.TooLarge):
    memory.require(compiled(201), jax.devices()[0], fed=fed)
