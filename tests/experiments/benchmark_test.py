"""What the benchmark counts, and that its cases run; their times are nobody's business here."""

import dataclasses
import json
import os
import types
from typing import NamedTuple

import jax
import numpy as np
import pytest

from experiments import benchmark, hyperparameters, launch, recipes, settings
from experiments.benchmarks import environments, host_environments, road, timing, traces, updates
from marl_offline import execution
from marl_offline.algorithms import bc
from marl_offline.environments import mujoco_agents
from marl_offline.training.devices import Layout
from tests.experiments import binaries

SMALL = {"batch_size": 8, "hidden_size": 8, "num_proposals": 2, "ensemble_size": 2}


@pytest.fixture
def small(monkeypatch):
  shapes = {name: shape._replace(fields=shape.fields | SMALL) for name, shape in updates.SHAPES.items()}
  monkeypatch.setattr(updates, "SHAPES", shapes)
  monkeypatch.setattr(updates, "SEEDS", (1, 2))
  monkeypatch.setattr(timing, "MATMUL_SIZE", 32)


def lines(*arguments):
  status, out, err = binaries.call(benchmark.main, benchmark.FLAGS, "--repeats=3", *arguments)
  assert status == 0, err
  return [json.loads(line) for line in out.splitlines()]


def test_naive_work_by_hand():
  # rows * members * (60 * 64 + 64 * 64 + 64) weights, 2 operations forward and 4 backward each
  work = {
    name: updates.naive_gflop(shape, updates.learner_of("spacql", shape)[1]) for name, shape in updates.SHAPES.items()
  }
  assert work["spread"] == pytest.approx(6 * 1024 * 30 * 10 * 8000 / 1e9)
  assert work["halfcheetah"] == pytest.approx(6 * 256 * 60 * 10 * (23 * 256 + 256 * 256 + 256) / 1e9)


def test_updates_and_then_seeds_tell_rate_ratio_memory_and_traces(small):
  told = lines("--what=update,seeds")
  assert [(line["what"], line["case"]) for line in told] == [
    *(("update", f"{name}/{shape}") for name in ("spacql", "cfcql") for shape in ("spread", "halfcheetah")),
    *(("seeds", f"spacql/spread/{seeds} seeds {way}") for way in ("as trained", "batched") for seeds in (1, 2)),
  ]
  assert [line["traces"] for line in told[:4]] == [1, 1, 1, 1] and told[4]["times_one_seed"] == 1
  for line in told:
    assert line["precision"] == "float32"
    assert line["ratio"] == pytest.approx(line["naive_gflops"] / line["matmul_gflops"], rel=0.2, abs=0.05)
    assert {"ms", "device", "versions", "compile_s", "memory_mb_a_device"} <= set(line)


def test_an_accelerator_times_whole_chunks_and_compiles_each_once(small, monkeypatch):
  monkeypatch.setattr(execution, "here", lambda: execution.ACCELERATOR)
  monkeypatch.setattr(updates, "UPDATES_ON_ACCELERATOR", 10)
  learner, config = updates.learner_of("spacql", updates.SHAPES["spread"])
  traces = []

  def update(*given):
    traces.append(1)
    return learner.update(*given)

  def seconds(cases, repeats):
    for case in cases.values():
      jax.block_until_ready(case.run(*case.inputs(jax.random.key(0))))
    return dict.fromkeys(cases, (0.0, 1.0))

  monkeypatch.setattr(updates, "learner_of", lambda *_: (learner._replace(update=update), config))
  monkeypatch.setattr(timing, "alternate", seconds)
  told = lines("--what=seeds")
  assert [line["case"] for line in told] == ["spacql/spread/1 seeds as trained", "spacql/spread/2 seeds as trained"]
  assert told[0]["ms"] == 100  # a second for ten updates
  assert len(traces) == 2  # one for each number of seeds


class Plane(NamedTuple):
  """Of a profile; its streams have the same two fields, under the names that the profiler gives them."""

  name: str
  lines: list


class Stream(NamedTuple):
  name: str
  events: list


class Event(NamedTuple):
  name: str
  start_ns: float
  duration_ns: float


def test_a_trace_counts_a_moment_once_and_every_copy():
  streams = [
    Stream("Stream #1(Compute)", [Event("gemm", 0, 4e6), Event("gemm", 4e6, 2e6), Event("MemcpyD2H", 9e6, 1e6)]),
    Stream("Stream #2(Compute)", [Event("relu", 5e6, 2e6)]),
    Stream("XLA Ops", [Event("the same again", 0, 9e6)]),
  ]
  host = Plane("/host:CPU", [Stream("Stream of nobody", [Event("python", 0, 9e9)])])
  assert traces.summary([host, Plane("/device:GPU:0", streams)], num_updates=2) == {
    "busy_ms": 4.0,  # 0 to 7 and 9 to 10, of two updates
    "launches_an_update": 2.0,
    "copies": {"MemcpyD2H": 1},
    "kernels": {"gemm": 3000.0, "relu": 1000.0},
  }


def test_a_chunk_under_the_profiler_is_given_nothing_from_the_host(small):
  told = traces.line(1)
  assert told["case"] == "spacql/spread/1 seeds" and told["ms"] > 0 and told["ms_profiled"] > 0
  assert told["skipped"].startswith("the profiler told of no stream of a device")  # a CPU has none
  (line,) = lines("--what=trace")
  assert "this is a CPU" in line["skipped"]


def test_what_is_profiled_is_what_is_trained_unless_somebody_says_otherwise(monkeypatch):
  monkeypatch.setenv("XLA_FLAGS", "--xla_of_somebody=1")
  for _ in range(2):
    lines("--what=trace")
    assert os.environ["XLA_FLAGS"] == f"--xla_of_somebody=1 {traces.AS_TRAINED}=true"
  monkeypatch.setenv("XLA_FLAGS", f"{traces.AS_TRAINED}=false")
  traces.profile_as_trained()
  assert os.environ["XLA_FLAGS"] == f"{traces.AS_TRAINED}=false"


def test_a_profile_without_streams_is_not_taken_for_idleness():
  tpu = Plane("/device:TPU:0", [Stream("XLA Modules", [Event("chunk", 0, 9e6)])])
  told = traces.summary([tpu], num_updates=2)
  assert told == {"skipped": "the profiler told of no stream of a device, only of /device:TPU:0 XLA Modules"}


def test_the_plain_product_is_as_large_as_what_it_is_compared_with(small, monkeypatch):
  """On accelerators many at once, and of as many devices as the case has; a CPU's one product takes all cores."""
  mesh = jax.sharding.Mesh(np.array(jax.devices() * 4).reshape(4, 1), ("seed", "share"))
  for here, products, devices in ((execution.CPU, 1, 1), (execution.ACCELERATOR, 100, 4)):
    monkeypatch.setattr(execution, "here", lambda here=here: here)
    case = timing.matrix_product()
    a, b = case.inputs(jax.random.key(0))
    expected = np.asarray(a, np.float64)
    for _ in range(products):
      expected = expected @ np.asarray(b, np.float64)
    np.testing.assert_allclose(case.run(a, b), expected, rtol=1e-2, atol=1e-3 * np.abs(expected).max())
    assert timing.matrix_product_gflops(2.0) == pytest.approx(products * 2 * 32**3 / 1e9 / 2.0)
    assert updates.accelerators(Layout(mesh=mesh)) == devices and updates.accelerators(Layout()) == 1
    told = updates.rates(1.0, (0.0, 1.0), (0.0, 2.0), devices)
    assert told["matmul_gflops"] == pytest.approx(devices * timing.matrix_product_gflops(2.0), abs=1e-3)


def test_data_that_are_made_are_counted_and_their_returns_are_the_cards(monkeypatch):
  for quality in ("random", "expert"):
    monkeypatch.setitem(recipes.ROWS[quality], "spread", 50)
  told = lines("--what=collect")
  assert [line["case"] for line in told] == ["collect/spread/random", "collect/spread/expert"]
  for line in told:
    assert line["rows"] == 50 and line["mean_return"] == line["card"] and line["rows_per_second"] > 0


def test_an_evaluation_is_counted_in_steps_of_all_seeds_and_episodes(small, monkeypatch):
  def missing():
    raise ImportError("no simulator")

  monkeypatch.setitem(settings.EPISODES, "spread", 3)
  monkeypatch.setitem(settings.TASKS, hyperparameters.CHEETAH, missing)
  (line,) = lines("--what=evaluate")
  assert (line["case"], line["seeds"], line["episodes"]) == ("evaluate/spread", 5, 3)
  assert line["steps_per_second"] == pytest.approx(5 * 3 * 25 / line["ms"] * 1e3, rel=0.5)  # ms is rounded to 0.1


def test_starts_are_timed_in_the_runs_precision_and_a_failed_one_is_one_sentence(monkeypatch):
  monkeypatch.setitem(recipes.ROWS["medium-replay"], "spread", 50)
  asked, done = [], types.SimpleNamespace(returncode=0, stderr="")

  def run(command, **how):
    asked.append((command, how["env"]["XLA_PYTHON_CLIENT_PREALLOCATE"]))
    return done

  monkeypatch.setattr(road.subprocess, "run", run)
  assert [line["case"] for line in lines("--what=compile")] == ["train/spread/cold", "train/spread/warm"]
  assert all("--precision=float32" in command and mine == "false" for command, mine in asked)
  done.returncode, done.stderr = 2, "a warning\nerror: no accelerator is free\n"
  status, _, err = binaries.call(benchmark.main, benchmark.FLAGS, "--what=compile")
  told = "error: --what=compile: experiments.train ended with 2: error: no accelerator is free"
  assert status == 2 and err.splitlines()[-1] == told


def test_drawn_and_fed_batches_are_measured_side_by_side(monkeypatch):
  config = dataclasses.replace(bc.Config(), batch_size=8, hidden_size=8)
  monkeypatch.setattr(bc, "Config", lambda **_: config)
  assert [line["case"] for line in lines("--what=feed")] == ["bc/spread/drawn", "bc/spread/fed"]


def test_compiled_programs_are_kept_where_the_user_says(monkeypatch, tmp_path):
  before = jax.config.jax_compilation_cache_dir
  try:
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    launch.keep_compiled_programs()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "marl_offline" / "compiled")
    jax.config.update("jax_compilation_cache_dir", "elsewhere")
    launch.keep_compiled_programs()
    assert jax.config.jax_compilation_cache_dir == "elsewhere"
  finally:
    jax.config.update("jax_compilation_cache_dir", before)


def test_host_environments_are_measured_where_their_packages_are(monkeypatch):
  monkeypatch.setattr(host_environments, "STEPS", 2)
  monkeypatch.setattr(host_environments, "SERIAL_STEPS", 2)
  monkeypatch.setattr(environments, "lines", lambda repeats, copies: [])
  told = {line["case"]: line for line in lines("--what=environment", "--copies=4")}
  ours = told["halfcheetah_2x3/marl_offline"]
  assert ours.get("skipped") == mujoco_agents.MISSING or ours["steps_per_second"] > 0
  both = "halfcheetah_2x3/mamujoco_v1" in told
  assert ("halfcheetah_2x3/ratio" in told) == both
  monkeypatch.setattr(host_environments.importlib.util, "find_spec", lambda name: None)
  assert [line["skipped"] for line in lines("--what=environment")] == [mujoco_agents.MISSING]
