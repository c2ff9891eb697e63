"""What binaries do alike: precision of products, how they end, paths, what they say of the program that ran."""

import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest
from absl import flags

from experiments import command_line, launch, provenance
from tests.experiments import binaries


@pytest.fixture
def on_gpu(monkeypatch):
  before = jax.config.jax_default_matmul_precision
  monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
  yield
  jax.config.update("jax_default_matmul_precision", before)


@pytest.mark.parametrize(
  ("precision", "told"),
  [
    ("float32", "precision = [HIGHEST"),
    ("tensorfloat32", "precision = [HIGH,"),
    ("bfloat16", "lhs_precision_type = bf16"),
  ],
)
def test_a_gpu_is_told_how_to_multiply(on_gpu, precision, told):
  launch.multiply_in(precision)
  square = jnp.ones((2, 2))
  program = jax.jit(lambda a, b: a @ b).trace(square, square).lower(lowering_platforms=("cuda",)).as_text()
  assert told in program


def test_a_copy_that_is_not_installed_says_so(monkeypatch):
  monkeypatch.setattr(provenance, "PACKAGES", ("jax", "marl_offline_of_nobody"))
  versions = provenance.versions()
  assert versions["marl_offline_of_nobody"] == "not installed" and versions["jax"] == jax.__version__


def test_a_copy_without_history_is_told_its_commit(monkeypatch):
  monkeypatch.setenv("MARL_OFFLINE_COMMIT", "0123abcd")
  assert provenance.commit() == "0123abcd"


def test_ctrl_c_is_one_sentence_and_the_interpreter_is_not_taken_down():
  """Taken down while XLA still computes it now and then crashed, so what it does at its end is not done."""
  program = """
import atexit
from experiments import launch
def main():
  atexit.register(print, "taken down")
  print("computes")
  raise KeyboardInterrupt
launch.binary(main)
"""
  root = pathlib.Path(__file__).parents[2]
  done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=120)
  assert (done.returncode, done.stdout, done.stderr) == (130, "computes\n", "error: interrupted\n")


def test_a_device_that_runs_out_of_memory_is_one_sentence_and_other_faults_are_not_hidden():
  def main(words):
    raise jax.errors.JaxRuntimeError(words)

  given = flags.FlagValues()
  status, _, err = binaries.call(lambda: main("RESOURCE_EXHAUSTED: Out of memory\nallocating"), given)
  told = binaries.sentence(status, err)
  assert (
    "the device has not the memory: RESOURCE_EXHAUSTED: Out of memory allocating; train fewer seeds at once" in told
  )
  with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
    binaries.call(lambda: main("INTERNAL: something else"), given)


def test_the_home_folder_of_a_flags_value(monkeypatch):
  monkeypatch.setenv("HOME", "/home/me")
  given = ["x", "--data_dir=~/data", "--datasets=a,~/b,~", "--name=a~b", "--set=x=~y"]
  wanted = ["x", "--data_dir=/home/me/data", "--datasets=a,/home/me/b,/home/me", "--name=a~b", "--set=x=~y"]
  assert command_line.at_home(given) == wanted


def test_a_commit_says_whether_files_differ_from_it(tmp_path, monkeypatch):
  def git(*words):
    names = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.com")
    return subprocess.run(["git", "-C", tmp_path, *names, *words], capture_output=True, text=True, check=True).stdout

  (tmp_path / "experiments").mkdir()
  (tmp_path / "experiments" / "provenance.py").write_text("1")
  git("init")
  git("add", ".")
  git("commit", "-m", "first")
  monkeypatch.delenv("MARL_OFFLINE_COMMIT", raising=False)
  monkeypatch.setattr(provenance, "__file__", str(tmp_path / "experiments" / "provenance.py"))
  head = git("rev-parse", "HEAD").strip()
  (tmp_path / "runs").mkdir()
  (tmp_path / "runs" / "new").write_text("not of the source")
  assert provenance.commit() == head
  (tmp_path / "experiments" / "provenance.py").write_text("2")
  assert provenance.commit() == head + "+changes"
  monkeypatch.setattr(provenance, "__file__", str(tmp_path / "inside" / "experiments" / "provenance.py"))
  (tmp_path / "inside").mkdir()
  assert provenance.commit() is None  # somebody else's repository
