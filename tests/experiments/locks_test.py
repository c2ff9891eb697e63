"""A lock keeps a second process out, goes with the first, and asks nothing of file systems that have none."""

import errno
import threading
import time

import pytest

from experiments import locks, runs


def test_the_second_is_told_and_the_next_is_first_again(tmp_path):
  path = tmp_path / "new" / ".lock"
  with locks.alone(path) as first, locks.alone(path) as second:
    assert (first, second) == (True, False)
  with locks.alone(path) as again:
    assert again


def test_who_waits_says_so_and_comes_next(tmp_path, capsys):
  path, order = tmp_path / ".lock", []

  def second():
    with locks.in_turn(path, "makes data"):
      order.append("second")

  waiting, told, deadline = threading.Thread(target=second, daemon=True), "", time.monotonic() + 30
  with locks.in_turn(path, "makes data"):
    waiting.start()
    while "waits for it" not in told and time.monotonic() < deadline:
      told += capsys.readouterr().err
      time.sleep(0.01)
    order.append("first")
  waiting.join(30)
  assert order == ["first", "second"] and "another process makes data; this one waits for it" in told
  assert not path.exists()


def test_where_there_are_no_locks_everybody_is_alone(tmp_path, monkeypatch):
  def no_locks(file, how):
    raise OSError(errno.ENOLCK, "No locks available")

  monkeypatch.setattr(locks.fcntl, "flock", no_locks)
  with locks.alone(tmp_path / ".lock") as alone, locks.in_turn(tmp_path / ".lock", "makes data"):
    assert alone


def test_a_lock_that_cannot_be_made_is_one_sentence(tmp_path):
  (tmp_path / "file").write_text("")
  with (
    pytest.raises(runs.UserError, match=r"cannot be written: .*; nothing was done"),
    locks.alone(tmp_path / "file" / ".lock"),
  ):
    pass
