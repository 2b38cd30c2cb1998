"""What goes on a board: the manifest's modules, what names their content, and package.json made of the same list."""

import json
import shutil
from pathlib import Path

import pytest

from doseloop.status import VERSION
from hil.tables import load_toml
from tools import firmware_files, image, package_json
from tools.firmware_files import FilesError, Module, board_names, build_id, content_hash, git_hash, manifest_of, modules
from tools.pico_source import ImageError

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("board", board_names())
def test_a_board_gets_the_whole_firmware_its_own_data_and_no_other_boards(board):
    found = {part.name: part.source for part in modules(manifest_of(board))}
    assert {"main.py", "board.py"} <= found.keys()
    assert found["board.py"] == ROOT / "boards" / board / "board.py"
    packaged = {f"doseloop/{path.name}" for path in (ROOT / "firmware" / "doseloop").glob("*.py")}
    assert packaged == {name for name in found if name.startswith("doseloop/")}
    assert "hal_unix.py" not in found and "launcher.py" not in found


@pytest.mark.parametrize("board", board_names())
def test_what_a_module_of_a_board_imports_goes_with_it(board):
    found = {part.name for part in modules(manifest_of(board))}
    own = {path.name for path in (ROOT / "firmware").glob("*.py")}
    for part in modules(manifest_of(board)):
        lines = part.source.read_text("utf-8").splitlines()
        wanted = {f"{line.split()[1]}.py" for line in lines if line.startswith(("import ", "from "))}
        assert wanted & own <= found, part.name


def test_one_changed_byte_in_any_module_changes_the_content_hash(tmp_path):
    parts = modules(manifest_of("pico"))
    before = content_hash(parts)
    for part in parts:
        changed = tmp_path / "changed.py"
        changed.write_bytes(part.source.read_bytes() + b"#")
        others = [other for other in parts if other != part]
        assert content_hash([*others, Module(part.name, changed)]) != before, part.name
        assert content_hash(others) != before
    assert content_hash(parts[::-1]) == before and len(before) == 16


def test_the_commit_is_that_of_the_files_and_says_if_they_were_changed_since(tmp_path, monkeypatch):
    git = shutil.which("git")
    if not git:
        pytest.skip("there is no git here")
    monkeypatch.setattr(firmware_files, "ROOT", tmp_path)
    path = tmp_path / "a.py"
    path.write_text("A = 1\n", "utf-8")
    parts = [Module("a.py", path)]
    assert git_hash(parts) == "none", "outside a checkout"
    firmware_files._git("init", "-q")
    firmware_files._git("add", ".")
    firmware_files._git("-c", "user.name=n", "-c", "user.email=e@e", "commit", "-qm", "one")
    clean = git_hash(parts)
    assert len(clean) == 12 and set(clean) <= set("0123456789abcdef")
    path.write_text("A = 2\n", "utf-8")
    assert git_hash(parts) == clean + "+dirty"
    assert f'GIT = "{clean}+dirty"' in build_id(parts)


def test_an_unknown_board_is_named_with_those_there_are(monkeypatch):
    with pytest.raises(FilesError, match=r"choose one of .*pico"):
        manifest_of("picoo")
    monkeypatch.setattr(firmware_files, "manifest_of", lambda board: ROOT)
    with pytest.raises(ImageError, match=r"images are built for pico and pico2; .* tools/flash.py --board esp32"):
        image.chip_of("esp32")


def test_a_new_firmware_is_a_new_image():
    keys = {image.image_key(path) for path in (ROOT / "boards").glob("pico*/manifest*.py")}
    assert len(keys) == len(list((ROOT / "boards").glob("pico*/manifest*.py")))


def test_the_version_is_the_same_everywhere():
    assert load_toml(ROOT / "pyproject.toml")["project"]["version"] == VERSION == package_json.package()["version"]


def test_package_json_is_what_its_tool_would_write():
    assert package_json.PACKAGE.read_text("utf-8") == package_json.text(), "run: python tools/package_json.py"


def test_every_file_of_package_json_is_there_and_no_board_is_chosen_for_the_person():
    urls = json.loads(package_json.text())["urls"]
    assert all((ROOT / source).is_file() for _, source in urls)
    targets = {target for target, _ in urls}
    assert "doseloop/units.py" in targets and "doseloop_start.py" in targets
    assert not {"board.py", "main.py"} & targets


@pytest.mark.parametrize(
    "missing, words", [("ports/rp2/Makefile", "no MicroPython checkout"), ("lib/pico-sdk/pico_sdk_init.cmake", "submodules")]
)
def test_a_checkout_that_is_none_or_lacks_its_submodules_is_refused_with_what_to_do(tmp_path, monkeypatch, missing, words):
    from tools import pico_source

    for place in pico_source.CHECKOUT:
        if place != missing:
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place).touch()
    monkeypatch.setenv("MICROPYTHON_DIR", str(tmp_path))
    with pytest.raises(ImageError, match=words):
        pico_source.source_tree(tmp_path, tmp_path / "log")
    (tmp_path / missing).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / missing).touch()
    header = tmp_path / "py" / "mpconfig.h"
    with pytest.raises(ImageError, match="names no version"):
        pico_source.source_tree(tmp_path, tmp_path / "log")
    header.write_text("#define MICROPY_VERSION_MAJOR 1\n#define MICROPY_VERSION_MINOR 24\n", "utf-8")
    with pytest.raises(ImageError, match=r"is MicroPython 1\.24; the firmware needs 1\.25 or newer"):
        pico_source.source_tree(tmp_path, tmp_path / "log")
    header.write_text("#define MICROPY_VERSION_MAJOR 1\n#define MICROPY_VERSION_MINOR 25\n", "utf-8")
    assert pico_source.source_tree(tmp_path, tmp_path / "log") == tmp_path.resolve()


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_a_wrong_folder_gets_a_sentence_and_no_traceback(folder, tmp_path, monkeypatch, capsys):
    from tools import pico_source

    monkeypatch.setattr(pico_source, "need_tools", lambda log: None)
    monkeypatch.setattr(image, "need_tools", lambda log: None)
    monkeypatch.setattr(image, "BUILD", tmp_path / "build")
    monkeypatch.setenv("MICROPYTHON_DIR", str(tmp_path / folder))
    monkeypatch.setattr("sys.argv", ["image.py", "--check-tools"])
    assert image.main() == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: MICROPYTHON_DIR={(tmp_path / folder).resolve()} is no MicroPython checkout") and said.count("\n") == 1


def test_a_missing_toolchain_is_named_with_the_packages_that_bring_it(monkeypatch, capsys):
    from tools import pico_source

    monkeypatch.setattr(pico_source.shutil, "which", lambda tool: None)
    monkeypatch.setattr("sys.argv", ["image.py", "--check-tools"])
    assert image.main() == 2
    said = capsys.readouterr().err
    assert "gcc-arm-none-eabi" in said and "cmake" in said and "apt-get install" in said


def test_a_build_folder_of_another_recipe_or_place_is_begun_anew(tmp_path):
    out = tmp_path / "cmake"
    image._start_anew(out, "one")
    (out / "made").touch()
    image._start_anew(out, "one")
    assert (out / "made").exists()
    image._start_anew(out, "two")
    assert not (out / "made").exists()


@pytest.mark.parametrize("board", ["pico", "pico2"])
def test_the_readable_image_holds_what_the_flashed_one_holds_with_line_numbers(board):
    flashed, readable = (modules(ROOT / "boards" / board / name) for name in ("manifest.py", "manifest_readable.py"))
    assert [(part.name, part.source) for part in flashed] == [(part.name, part.source) for part in readable]
    assert content_hash(flashed) == content_hash(readable)
    assert {part.opt for part in readable} == {0}


def test_only_the_flashed_image_has_short_names(tmp_path):
    flashed, parts = (ROOT / "boards" / "pico" / name for name in ("manifest.py", "manifest_parts.py"))
    text = image._frozen_manifest(flashed, tmp_path, {"append"}).read_text("utf-8")
    assert text.startswith(f'include("{flashed.with_name("manifest_boot.py")}")') and 'module("build_id.py")' in text
    for part in modules(flashed):
        assert f'module("{part.name}", base_path="{tmp_path / "short"}", opt={part.opt})' in text
        assert (tmp_path / "short" / part.name).is_file()
    assert image._frozen_manifest(parts, tmp_path, set()).read_text("utf-8").startswith(f'include("{parts}")')
