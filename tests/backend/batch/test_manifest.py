# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of shots: what each cell means, and everything that can be wrong with one."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.batch.manifest import COLUMNS, read_manifest
from backend.batch.shot import Shot
from blender_addon.contract.errors import ErrorCode, MienError
from blender_addon.contract.options import CaptureOptions


@pytest.fixture
def read(tmp_path, common):
    def read(content: str | bytes, like: Shot = common) -> list[Shot]:
        path = tmp_path / "list" / "shots.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_manifest(path, like)

    return read


def test_every_column(read, tmp_path):
    (one, two) = read(
        "File, Name ,range,person,engine,head,Focal Length,fps,smoothing,formats\n"
        "a/b.mov,hero/one,10:20,2,fit,my head.pkl,35,25,0.25,npz blend\n"
        '"../plates/shot.####.png",,:9,all,,open,,,,"npz,mdd"\n'
    )
    assert (one.name, one.formats) == ("hero/one", ("npz", "blend"))
    options = one.options
    assert options.source == str(tmp_path / "list" / "a" / "b.mov")
    assert (options.first_frame, options.last_frame, options.face, options.all_faces) == (10, 20, 2, False)
    assert (options.focal_mm, options.fps, options.smoothing) == (35.0, 25.0, 0.25)
    assert options.head == str(tmp_path / "list" / "my head.pkl")
    assert two.name == "shot" and two.options.source == str(tmp_path / "plates" / "shot.####.png")
    assert (two.options.last_frame, two.options.all_faces, two.options.head) == (9, True, "open")
    assert two.formats == ("npz", "mdd")


def test_the_command_line_fills_what_is_empty(read):
    like = Shot("", CaptureOptions("x", focal_mm=85.0, face=3, device="cpu"), ("blend",))
    (shot,) = read("file,focal\nsub/a.mov,\n", like)
    assert (shot.name, shot.formats) == ("sub/a", ("blend",))
    assert (shot.options.focal_mm, shot.options.face, shot.options.device) == (85.0, 3, "cpu")


def test_tables_of_other_countries(read):
    (shot,) = read("\ufefffile;formats\r\nä.mov;npz,mdd\r\n".encode())
    assert shot.name == "ä" and shot.formats == ("npz", "mdd")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the column 'file' is missing"),
        ("file\n", "it lists no shots"),
        ("name,range\na,1:2\n", "line 1: the column 'file' is missing"),
        ("file,colour\na.mov,red\n", "line 1: there is no column 'colour'"),
        ("file,file\na.mov,b.mov\n", "line 1: the column 'file' is there twice"),
        ("file,range\na.mov,5\n", "line 2: range: 5 is not a range"),
        ("file,range\na.mov,9:5\n", "line 2: the range 9 to 5 runs backwards"),
        ("file,person\na.mov,0\n", "line 2: person: 0 is not a whole number"),
        ("file,focal\na.mov,b\n", "line 2: focal: b is not a number"),
        ("file,focal\na.mov,nan\n", "line 2: focal length nan is not within"),
        ("file,engine\na.mov,magic\n", "line 2: unknown engine 'magic'"),
        ("file,formats\na.mov,doc\n", "line 2: there is no format 'doc'"),
        ("file,formats,head\na.mov,vhap,flame.pkl\nb.mov,vhap,\n", "line 3: the format 'vhap' is FLAME's"),
        ("file,smoothing\na.mov,2\n", "line 2: smoothing 2.0 is not within"),
        ("file,range\n\n,1:2\n", "line 3: the column 'file' is empty"),
        ("file\na.mov,b\n", "line 2: there are 2 cells for 1 columns"),
        ("file,name\na.mov,../up\n", "line 2: the name '../up' is not a path inside the results"),
        ("file,name\na.mov,/up\n", "line 2: the name '/up' is not a path inside the results"),
        ("file,name\na.mov,a:b\n", "line 2: the name 'a:b' cannot be a folder's"),
        ("file,name\na.mov,batch.html\n", "is that of the batch's own file"),
        ("file,name\na.mov,x\nb.mov,X\n", "lines 2 and 3 would write the same folder"),
        ("file,range\na.mov,1:2\na.mov,3:4\n", "lines 2 and 3 would write the same folder"),
        ('file\n"a.mov\n', "line 2: "),
        (b"file\n\xff\xfe.mov\n", "line 2: it is not text in UTF-8"),
        (b"file\na\0.mov\n", "line 2: it is not text"),
    ],
)
def test_what_is_wrong_is_told_by_line(read, content, said):
    with pytest.raises(MienError) as caught:
        read(content)
    assert caught.value.code is ErrorCode.BAD_MANIFEST
    assert said in caught.value.message and "shots.csv" in caught.value.message


def test_all_that_is_wrong_is_told_at_once(read):
    with pytest.raises(MienError) as caught:
        read("file,focal,range\na.mov,x,\nb.mov,,\nc.mov,,z\n")
    assert "line 2: focal" in caught.value.message and "line 4: range" in caught.value.message


def test_one_that_is_not_there(tmp_path, common):
    with pytest.raises(MienError) as caught:
        read_manifest(tmp_path / "none.csv", common)
    assert caught.value.code is ErrorCode.MISSING_FILE


@given(st.lists(st.lists(st.text(max_size=8), max_size=len(COLUMNS) + 1), max_size=5))
def test_whatever_stands_in_it_it_is_read_or_refused(tmp_path_factory, rows):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    path = tmp_path_factory.mktemp("lists") / "shots.csv"
    path.write_bytes(text.getvalue().encode(errors="surrogatepass"))
    try:
        shots = read_manifest(path, Shot("", CaptureOptions("x")))
    except MienError as error:
        assert error.code is ErrorCode.BAD_MANIFEST
    else:
        assert len({shot.name.casefold() for shot in shots}) == len(shots)
