"""A lock keeps a second process out, goes with the first, and asks nothing of file systems that have none."""

import errno

import pytest

from experiments import locks, runs


def test_the_second_is_told_and_the_next_is_first_again(tmp_path):
  path = tmp_path / "new" / ".lock"
  with locks.alone(path) as first, locks.alone(path) as second:
    assert (first, second) == (True, False)
  with locks.alone(path) as again:
    assert again


def test_where_there_are_no_locks_everybody_is_alone(tmp_path, monkeypatch):
  def no_locks(file, how):
    raise OSError(errno.ENOLCK, "No locks available")

  monkeypatch.setattr(locks.fcntl, "flock", no_locks)
  with locks.alone(tmp_path / ".lock") as alone:
    assert alone


def test_a_lock_that_cannot_be_made_is_one_sentence(tmp_path):
  (tmp_path / "file").write_text("")
  with (
    pytest.raises(runs.UserError, match=r"cannot be written: .*; nothing was trained"),
    locks.alone(tmp_path / "file" / ".lock"),
  ):
    pass
