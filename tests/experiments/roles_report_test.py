"""Roles of spread's agents: the two extremes of our own data."""

import json
import types

import numpy as np
import pytest

from experiments import collect, roles_report
from tests.experiments import binaries


def call(*arguments):
  return binaries.call(roles_report.main, roles_report.FLAGS, *arguments)


def test_a_script_with_roles_and_uniform_play_are_the_two_ends(tmp_path):
  for flags in (["--quality=random"], ["--quality=expert", "--fixed_roles"]):
    status, _, err = binaries.call(collect.main, collect.FLAGS, *flags, "--rows=10000", f"--data_dir={tmp_path}")
    assert status == 0, err
  folders = [f"--folder={tmp_path / f'spread-{name}-v1.rows10000'}" for name in ("random", "expert_roles")]
  status, out, err = call(*folders, f"--out={tmp_path / 'out'}")
  assert status == 0, err
  uniform, roles = json.loads((tmp_path / "out" / "roles_report.json").read_text())
  assert uniform["episodes"] == 400 and sum(uniform["shares"]) == pytest.approx(1.0, abs=1e-3)
  assert uniform["shares"][0] < 0.3 and 0.95 < uniform["entropy"] <= 1
  assert roles["shares"][0] > 0.9 and roles["entropy"] < 0.3 and roles["covered"] > 0.9
  assert roles["as_at_start"] < 0.3 < uniform["as_at_start"]  # roles do not care where the landmarks are
  assert "spread-random-v1.rows10000" in out and (tmp_path / "out" / "roles_report.png").stat().st_size > 1000


def test_bad_folders_are_one_sentence(tmp_path):
  assert "--folder is needed" in binaries.sentence(*call()[::2])
  assert "nowhere" in binaries.sentence(*call("--folder=nowhere")[::2])
  other = binaries.make_data("tag", "random", tmp_path)
  assert "is of tag; the tasks here are spread" in binaries.sentence(*call(f"--folder={other}")[::2])


def test_shares_and_what_is_covered_by_hand(monkeypatch):
  """Two agents, four episodes of two rows; each row is what its agents are off the landmarks."""
  near, far, swapped = ([[0.1, 0.9], [0.9, 0.2]], [[0.5, 0.9], [0.9, 0.6]], [[0.9, 0.14], [0.15, 0.9]])
  rows, ends = [near, swapped, swapped, swapped, near, swapped, far, swapped], [near, near, far, swapped]
  cut = np.arange(8) % 2 == 1
  monkeypatch.setattr(roles_report, "distances", lambda distance: distance)
  episodes = types.SimpleNamespace(
    obs=np.array(rows), final_obs=np.array(ends), terminated=np.zeros(8, bool), truncated=cut
  )
  found = roles_report.facts_of(episodes, {"name": "d", "sha256": {}, "return": {"mean": 1.0}}, 100)
  assert (found["episodes"], found["agents"], found["shares"]) == (4, 2, [0.75, 0.25])
  assert found["entropy"] == pytest.approx(0.8113, abs=1e-4)  # bits, of log2(2!) = 1
  assert found["as_at_start"] == 0.5  # the first and the third
  assert found["covered"] == 4 / 8  # one landmark in either of the first two, none, both
