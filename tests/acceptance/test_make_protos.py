"""`make protos-check`: the generated modules are those of the .proto files, all of them and no others."""

import shutil
import subprocess
import sys
from pathlib import Path

from movieapp.devstack.layout import PROJECT_ROOT


def test_modules_that_no_proto_made_are_found(tmp_path: Path) -> None:
    for name in ("Makefile", "buf.yaml"):
        shutil.copy(PROJECT_ROOT / name, tmp_path)
    shutil.copytree(PROJECT_ROOT / "protos", tmp_path / "protos")
    (tmp_path / ".venv").symlink_to(sys.prefix)

    def checked() -> subprocess.CompletedProcess[str]:
        # What is installed is this run's, whatever its age.
        command = ["make", "-o", ".venv/.dev", "protos-check"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    assert checked().returncode == 0, checked().stderr
    leftover = tmp_path / "protos" / "movieapp" / "v1" / "gone_pb2.pyi"
    leftover.touch()
    done = checked()
    assert done.returncode != 0
    assert "protos/movieapp/v1/gone_pb2.pyi is of a .proto that is gone" in done.stderr
    leftover.unlink()
    generated = tmp_path / "protos" / "tutorial" / "movie_pb2.py"
    generated.write_text("# by hand\n")
    assert "protos/tutorial/movie_pb2.py is not what its .proto says" in checked().stderr
