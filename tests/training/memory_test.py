"""How much memory there is, and what does not fit."""

import types

import jax
import pytest

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


def test_limits_of_control_groups_above_this_process_count(tmp_path):
  root, own = tmp_path / "cgroup", tmp_path / "cgroup" / "job" / "step"
  own.mkdir(parents=True)
  (tmp_path / "mine").write_text("4:memory:/old\n0::/job/step\n")
  for folder, most, used, cached in ((own, "max", 70, 0), (own.parent, "1000", 700, 250)):
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")
  assert memory.of_control_groups(tmp_path / "mine", root) == [1000 - (700 - 250)]
  assert memory.of_control_groups(tmp_path / "nothing", root) == []
  (own.parent / "memory.current").unlink()
  assert memory.of_control_groups(tmp_path / "mine", root) == []
