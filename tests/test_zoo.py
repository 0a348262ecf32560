import dataclasses
import json
import re
from pathlib import Path

import pytest

from resect import artifact, zoo
from resect.citations import CITATIONS
from resect.data.mesh import write_mesh
from resect.errors import ResectError
from resect.geometry import solids
from resect.zoo import ZOO, entry, load, resolve, role_of


@pytest.mark.parametrize("name", ZOO)
def test_entries_resolve(name: str) -> None:
    found = ZOO[name]
    assert found.line
    assert not found.line.endswith(".")
    for path in filter(None, (found.settings, found.fit, found.load)):
        assert callable(resolve(path))
    assert bool(found.fit) == bool(found.load) == bool(found.settings), "what is learned is saved and has settings"
    if found.settings:
        kind = resolve(found.settings)
        assert dataclasses.is_dataclass(kind)
        assert artifact.settings_from_json(kind, artifact.as_json(kind()), name) == kind()
    assert set(found.cite) <= set(CITATIONS)


def test_citations_are_bibtex_and_have_one_key_each() -> None:
    keys = [re.match(r"@(inproceedings|article)\{(\w+),", text) for text in CITATIONS.values()]
    assert all(keys)
    assert len({m.group(2) for m in keys if m}) == len(CITATIONS)
    assert all(text.count("{") == text.count("}") for text in CITATIONS.values())


def test_names() -> None:
    assert entry("field", role="scene", fitted=True) is ZOO["field"]
    with pytest.raises(ResectError, match="'field'"):
        entry("feild")
    with pytest.raises(ResectError, match="name of a prior"):
        entry("field", role="prior")
    with pytest.raises(ResectError):
        entry("given", fitted=True)


def test_load_knows_what_it_loads(tmp_path: Path) -> None:
    artifact.save(tmp_path, "retrieval", {}, {})
    assert role_of(tmp_path) == "prior"
    with pytest.raises(ResectError, match="artefact of a scene"):
        load(tmp_path, role="scene")
    facts = json.loads((tmp_path / "artifact.json").read_text())
    (tmp_path / "artifact.json").write_text(json.dumps({**facts, "kind": "given"}))
    with pytest.raises(ResectError, match="'given'"):
        load(tmp_path)
    with pytest.raises(ResectError, match="resect fit"):
        load(tmp_path / "none")


def test_a_mesh_file_is_a_scene(tmp_path: Path) -> None:
    cube = write_mesh(solids.cube(), tmp_path / "cube.ply")[0]
    assert role_of(cube) == "scene"
    scene = load(cube, role="scene")
    assert len(scene.mesh.faces) == 12
    assert scene.bounds.tolist() == [[-0.5] * 3, [0.5] * 3]
    with pytest.raises(ResectError, match="artefact of a prior"):
        load(cube, role="prior")
    (tmp_path / "notes.txt").write_text("no mesh")
    with pytest.raises(ResectError, match="PLY, OBJ"):
        load(tmp_path / "notes.txt")


def test_nothing_is_imported_for_a_name() -> None:
    assert all(isinstance(x, str) for e in ZOO.values() for x in (e.settings, e.fit, e.load))
    assert zoo.__name__ not in (e.load.partition(":")[0] for e in ZOO.values())
