"""The command line keeps a trained model, and answers rows of a CSV file with it."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest

import jaxopt_edu as jo
from jaxopt_edu.cli.predictions import read_csv
from jaxopt_edu.cli.program import main
from jaxopt_edu.data.columns import Columns
from jaxopt_edu.storage.files import csv_text

N = 40
FRAME = pd.DataFrame(
    {
        "code": [f"{i % 3:03}" for i in range(N)],  # text of digits
        "size, cm": np.linspace(0, 9, N),
        "old": np.arange(N) % 2 == 0,
    }
)
Y = np.where(FRAME["size, cm"] > 4, 'say "yes"', "no, not")


@pytest.fixture(scope="module")
def run():
    prepare = (jo.data.on(["code"], "one_hot"), "standardize")
    data = jo.data.from_arrays(FRAME, Y, prepare=prepare)
    loss = jo.losses.softmax_cross_entropy_with_integer_labels
    return jo.fit(jo.Training(jo.models.Linear(5, 2), loss, jo.adam(0.1), data), steps=40)


@pytest.fixture(scope="module")
def saved(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.jo"
    run.save(path)
    return str(path)


def written(tmp_path, text, name="rows.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_fit_leaves_a_model_and_predict_reads_it(tmp_path, capsys):
    out = tmp_path / "wine"
    command = ["fit", "wine", "--model", "linear", "--steps", "40", "--out", str(out), "--json"]
    assert main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert sorted(p.name for p in out.iterdir()) == ["fit.json", "model.jo"]
    assert told["model"] == str(out / "model.jo")
    assert json.loads((out / "fit.json").read_text())["scores"] == told["scores"]
    data = jo.data.load("wine", prepare=None)
    rows = pd.DataFrame(data.test.x, columns=data.features).iloc[:, ::-1]
    rows.to_csv(tmp_path / "rows.csv", index=False)
    for model in (out, out / "model.jo"):
        assert main(["predict", str(model), str(tmp_path / "rows.csv")]) == 0
        header, *lines = capsys.readouterr().out.splitlines()
        assert header == "prediction"
        accuracy = np.mean(np.array(lines, int) == data.test.y)
        assert accuracy == pytest.approx(told["scores"]["test"]["accuracy"])
    assert main(command) == 2
    assert "holds something already; --overwrite replaces it" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--space", "learning_rate=0.5"]) == 0
    assert "0.5" in (out / "fit.json").read_text()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("form", ["plain", "mark", "reordered", "quoted"])
def test_rows_are_read_by_name(form, run, saved, tmp_path, capsys):
    text = FRAME.to_csv(
        index=False, quoting=csv.QUOTE_ALL if form == "quoted" else csv.QUOTE_MINIMAL
    )
    if form == "reordered":
        text = FRAME[["old", "code", "size, cm"]].to_csv(index=False)
    rows = written(tmp_path, text.encode("utf-8-sig" if form == "mark" else "utf-8"))
    out = tmp_path / "answers.csv"
    assert main(["predict", saved, rows, "--out", str(out)]) == 0
    capsys.readouterr()
    assert pd.read_csv(out).prediction.tolist() == run.predict(FRAME).tolist()
    assert main(["predict", saved, rows, "--proba"]) == 0
    found = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert list(found) == ["no, not", 'say "yes"']
    np.testing.assert_array_equal(found.to_numpy(), run.predict_proba(FRAME))
    assert main(["predict", saved, rows, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == N and [v for [v] in told["values"]] == run.predict(FRAME).tolist()


WRONG = {
    "empty": ("", "is empty: wanted a header and rows"),
    "no header": ("1,2,3\n1,2,3\n", "first line holds numbers"),
    "missing": ('code,old\n"1",1\n', "columns missing: 'size, cm'"),
    "unknown": ('code,"size, cm",old,z\n1,2,1,4\n', "columns unknown: 'z'"),
    "twice": ("code,code,old\n1,2,3\n", "names 'code' twice"),
    "short line": ('code,"size, cm",old\n001,1,1\n001,2\n', "line 3 has 2 cells, the header 3"),
    "no number": ('code,"size, cm",old\n001,big,1\n', "line 2, column 'size, cm': 'big' is no num"),
    "no value": (
        'code,"size, cm",old\n001,,1\n',
        "missing value (NaN) in row 0, column 'size, cm'",
    ),
    "open quote": ('code,"size, cm",old\n001,"1,1\n', "no CSV file"),
    "no text": (b"\xff\xfe\x00x", "no CSV file in UTF-8"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_rows_end_with_two(what, saved, tmp_path, capsys):
    text, words = WRONG[what]
    out = tmp_path / "out.csv"
    assert main(["predict", saved, written(tmp_path, text), "--out", str(out)]) == 2
    assert words in capsys.readouterr().err
    assert not out.exists()


def test_wrong_files_end_with_two(saved, tmp_path, capsys):
    rows = written(tmp_path, FRAME.to_csv(index=False))
    cases = {
        "holds no model, or is damaged": [rows, rows],
        "No such file": [saved, str(tmp_path / "none.csv")],
        "No such file or directory": [str(tmp_path), rows],
        "is there already": [saved, rows, "--out", rows],
    }
    for words, arguments in cases.items():
        assert main(["predict", *arguments]) == 2
        assert words in capsys.readouterr().err
    assert main(["predict", saved, rows, "--out", rows, "--overwrite"]) == 0
    assert main(["fit", "wine", "--overwrite"]) == 2
    assert "--overwrite: there is no --out" in capsys.readouterr().err


def test_no_rows_are_no_answers(saved, tmp_path, capsys):
    assert main(["predict", saved, written(tmp_path, 'code,"size, cm",old\n')]) == 0
    assert capsys.readouterr().out == "prediction\n"


def test_cells_are_what_the_training_part_had(tmp_path):
    path = written(tmp_path, "a,b\n01, 1e3 \n,\n2,TRUE\n")
    columns = Columns(("a", "b"), (2,), True, kinds=("strings", "numbers"))
    found = read_csv(path, columns)
    assert found["a"].tolist() == ["01", None, "2"]
    np.testing.assert_array_equal(found["b"], [1000, np.nan, 1])
    assert csv_text(["x"], [['a "b"'], [1.5]]) == 'x\n"a ""b"""\n1.5\n'


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_are_named(tmp_path, separator):
    path = written(tmp_path, f"a{separator}b\n1{separator}2\n")
    with pytest.raises(ValueError, match="its cells are separated by .*: wanted ','"):
        read_csv(path, Columns(("a", "b"), (2,), named=True))
