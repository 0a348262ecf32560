import math
from pathlib import Path

import pytest

from resect.data.view_table import read_view_table
from resect.errors import ResectError


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "views.csv"
    path.write_text(text)
    return path


def test_a_table(tmp_path: Path) -> None:
    text = (
        "photo,mask,left,top,right,bottom,azimuth_deg,elevation_deg,tilt_deg\n"
        "a.png,,1,2,30,40,-10,20,\n"
        "b/c.png,m.png,,,,,725,-5,3\n"
    )
    a, b = read_view_table(table(tmp_path, text))
    assert a.name == "a.png"
    assert a.box == (1, 2, 30, 40)
    assert a.mask is None
    assert a.viewpoint_rad == pytest.approx((math.radians(350), math.radians(20), 0.0))
    assert b.photo == tmp_path / "b" / "c.png"
    assert b.mask == tmp_path / "m.png"
    assert b.box is None
    assert b.viewpoint_rad == pytest.approx((math.radians(5), math.radians(-5), math.radians(3)))


def test_only_photos(tmp_path: Path) -> None:
    (row,) = read_view_table(table(tmp_path, "\ufeffphoto\nx.jpg\n"))
    assert (row.name, row.box, row.viewpoint_rad) == ("x.jpg", None, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "columns"),
        ("image\na.png\n", "columns"),
        ("photo,colour\na.png,red\n", "colour"),
        ("photo\na.png\na.png\n", "once"),
        ("photo\n../a.png\n", "folder"),
        ("photo\n/etc/passwd\n", "folder"),
        ("photo,left,top,right,bottom\na.png,5,5,1,9\n", "left < right"),
        ("photo,left,top,right,bottom\na.png,5,5,,9\n", "numbers"),
        ("photo,azimuth_deg,elevation_deg,tilt_deg\na.png,nan,0,0\n", "finite"),
        ("photo,azimuth_deg,elevation_deg,tilt_deg\na.png,0,100,0\n", "elevation"),
        ("photo,mask\na.png\nb.png,m.png,more\n", "line 3"),
    ],
)
def test_bad_tables_are_refused_with_their_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ResectError, match=says):
        read_view_table(table(tmp_path, text))


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(ResectError, match="no file"):
        read_view_table(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"photo\n\xff\xfe\n")
    with pytest.raises(ResectError, match="UTF-8"):
        read_view_table(tmp_path / "bytes.csv")
