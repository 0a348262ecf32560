"""An LMDB file without LMDB, a pickle file without pickle, and the release that has both."""

import base64
import io
import lzma
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resect.data.rotations.key_value_file import KeyValueFile
from resect.data.rotations.modelnet import read_modelnet
from resect.data.rotations.plain_pickle import read_plain_pickle
from resect.data.rotations.read import read_rotations
from resect.errors import ResectError

# Written by lmdb 1.7: chair_00 … chair_89 → "0000…", "0101…" (40 bytes each), sofa_1 → 5000 times "x".
DATA = lzma.decompress(
    base64.b85decode(
        b"T>t=p0RR90|NsC0{{R4MfOQH}A-GuKUW`<nC?wF7_Mg7Td0fS0^^Q(<M$VfSz9h@gwl3f9&B^~vqB2}P(}Q`7=z_?x3H*_rsce;^"
        b"x%*Yxdra_<2h}Iky=!!Sh+sG++`x~#(%xM#$tijNfABNg+MH}}SF&>K1TNL6-0vv6KK7Ab{Y?(nkPw-1i6`Nb6DBf)5Z+)|*zzXg"
        b"Q&U%*Hv?jp`0TMk8tde@)uG!frk>z*<ADN(kAl8fk%z*MzeUJ);4E@A*&^uje24{~R$u95I{=_IekWOVDF5u=<8Ykt0QS3RHO#W?"
        b"H%XB4`SqePB_k~5Jazs0lhW_NTyzn>s~FM8-Xq)HB}yo!)}s3PXqwE*Z6N0LT5Rz645xxjlq3~TM0r$TtB>#g>@<4)a6+K<v#gaR"
        b"U=ZfRcRp6Zn#_7q?v`5&(4r@)Jm6e9UqMqypUI)#{XCSH=R<Y$(&L|uNoX0Zlq`ZyjB%F}-Ha_dtr!r|rQA1=xTW=Xni&^q(NkvZ"
        b"R5{87RzD=@hpi`EA|I64Y)cKXn;#G7)qSl(ib25A11b$!?(5F_7Dbl398b6D)8LzWj{z_H=yNE7zt{-LJ>kUjg4Hj{8N`HJK@v>9"
        b"`QJTtJ{69#7)n~Kh5EO<LXC_K2mCO2W^DWI5L6Uo(hr}>wwYxDFto(^#_K)w8Kp*9+5DRhm)~lQyMq(bBmI;ChQY1M3IeZ>mTzJS"
        b"aE7$ap8x-s=%{x"
    )
)


def environment(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.mdb").write_bytes(DATA + bytes(-len(DATA) % 4096))
    return folder


def test_keys_and_values_on_branches_leaves_and_overflow_pages(tmp_path: Path) -> None:
    file = KeyValueFile(environment(tmp_path))
    assert len(file) == 91
    assert file[b"chair_00"] == b"00" * 20
    assert file[b"chair_57"] == b"57" * 20
    assert file[b"chair_89"] == b"89" * 20
    assert file[b"sofa_1"] == b"x" * 5000
    keys = [key for key, _ in file.items()]
    assert keys == sorted(keys)
    assert dict(file.items())[b"chair_42"] == b"42" * 20
    for missing in (b"", b"chair_5", b"zebra"):
        with pytest.raises(KeyError):
            file[missing]


def test_lmdb_itself_agrees_where_it_is_installed(tmp_path: Path) -> None:
    lmdb = pytest.importorskip("lmdb", reason="lmdb is not installed; a stored file is read above")
    with lmdb.open(str(tmp_path), map_size=1 << 22) as writer, writer.begin(write=True) as transaction:
        for i in range(3000):
            transaction.put(b"%07d" % (i * 7919 % 3000), b"v" * (i % 97) + b"%d" % i)
    with lmdb.open(str(tmp_path), readonly=True) as reader, reader.begin() as transaction:
        expected = dict(transaction.cursor())
    file = KeyValueFile(tmp_path)
    assert dict(file.items()) == expected
    assert all(file[key] == value for key, value in expected.items())


@pytest.mark.parametrize("cut", [100, 4096, 9000, 20_000])
def test_damaged_files_are_errors_and_nothing_else(tmp_path: Path, cut: int) -> None:
    (tmp_path / "data.mdb").write_bytes(DATA[:cut])
    with pytest.raises(ResectError):
        dict(KeyValueFile(tmp_path).items())
    noise = np.random.default_rng(cut).integers(0, 256, len(DATA), dtype=np.uint8).tobytes()
    (tmp_path / "data.mdb").write_bytes(DATA[: 2 * 4096] + noise)
    with pytest.raises(ResectError):
        dict(KeyValueFile(tmp_path).items())


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_come_back(tmp_path: Path, protocol: int) -> None:
    plain = {"a": [1, -2.5, (True, None, "ü")], "b": {"c": ()}, "n": 2**40, "l": list(range(300))}
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(plain, protocol))
    assert read_plain_pickle(path) == plain
    arrays = {"q": np.array([0.6, 0.8, 0.0, 0.0]), "m": np.arange(6, dtype=">i4").reshape(2, 3), "s": np.float32(1.5)}
    path.write_bytes(pickle.dumps(arrays, protocol))
    if protocol < 5:  # the fifth hands arrays over out of the file
        found = read_plain_pickle(path)
        for name, value in arrays.items():
            np.testing.assert_array_equal(found[name], value)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("run",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickles_that_call_something_are_refused(
    tmp_path: Path, protocol: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.pkl"
    for content in (pickle.dumps({"a": Evil()}, protocol), b"cos\nsystem\n(Vls\ntR.", b"garbage", b""):
        path.write_bytes(content)
        with pytest.raises(ResectError):
            read_plain_pickle(path)
    assert capsys.readouterr().out == ""


def release(folder: Path, labels: dict[str, object]) -> Path:
    environment(folder / "test_20V.Rawjpg.lmdb")
    (folder / "test_20V.Rawjpg.lmdb/viewID2quat.pkl").write_bytes(pickle.dumps(labels, 2))
    return folder


def test_the_release_is_read_and_pictures_decoded_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = {"chair_03": [0.6, 0.8, 0.0, 0.0], "sofa_1": np.array([1.0, 0.0, 0.0, 0.0])}
    found = read_rotations(release(tmp_path, labels), "test")
    assert found.format == "modelnet"
    assert found.categories == ("chair", "sofa")
    torch.testing.assert_close(found.rotation[0, 1, 1], torch.tensor(0.36 - 0.64).double())
    with pytest.raises(ResectError, match="whole picture"):
        found.photo(0)
    picture = io.BytesIO()
    Image.new("L", (8, 6), 102).save(picture, "JPEG")
    monkeypatch.setattr(KeyValueFile, "__getitem__", lambda self, key: picture.getvalue())
    photo = found.photo(0)
    assert photo.image.shape == (6, 8, 3)
    assert float(photo.image.mean()) == pytest.approx(0.4, abs=0.01)


def test_bad_labels_of_the_release_are_named(tmp_path: Path) -> None:
    with pytest.raises(ResectError, match="chair_03"):
        read_modelnet(release(tmp_path, {"chair_03": [1.0, 1.0, 0.0, 0.0]}), "test")
    with pytest.raises(ResectError, match="lamp_1"):
        read_modelnet(release(tmp_path, {"lamp_1": [1.0, 0.0, 0.0, 0.0]}), "test")
    with pytest.raises(ResectError, match="four numbers"):
        read_modelnet(release(tmp_path, {"chair_1": [1.0, 0.0]}), "test")
    with pytest.raises(ResectError, match="split"):
        read_modelnet(tmp_path, "val")
