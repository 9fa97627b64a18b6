# SPDX-License-Identifier: GPL-3.0-or-later
"""The sub-commands of `mien train` that judge: their arguments. Only the standard library, so that help is instant."""

from __future__ import annotations

import argparse

from backend.arguments import add_device, named, positive, whole


def add_evaluate_emotion(commands: argparse._SubParsersAction) -> None:
    """Add `mien train evaluate-emotion`."""
    parser = commands.add_parser(
        "evaluate-emotion",
        help="how much emotion a method's parameters keep: the paper's tables",
        description="Train an emotion network on the codes of each method, judge it on other faces, and print the "
        "tables of EMOCA's paper with our rows beside the published ones. What was measured stays in --out and is not "
        "trained again. docs/evaluation.md describes the files.",
    )
    config = "YAML file that names tables and methods, instead of --table, --codes and --predictions"
    parser.add_argument("--config", type=named, metavar="FILE", help=config)
    table = "which table the rows belong to (table1)"
    parser.add_argument("--table", choices=("table1", "table2", "afew-va"), help=table)
    codes = "codes of a method: a take, a folder of takes or a file of codes (.npz); may be repeated"
    parser.add_argument("--codes", action="append", default=[], type=_row, metavar="NAME=PATH", help=codes)
    detail = "a second row, NAME with detail, for each method that has a detail code, in which that goes in, too"
    parser.add_argument("--with-detail", action="store_true", help=detail)
    said = "what a network on pictures said (.npz); may be repeated"
    parser.add_argument("--predictions", action="append", default=[], type=_row, metavar="NAME=FILE", help=said)
    labels = "csv of labels: file,label,valence,arousal[,frame][,split][,subject]"
    parser.add_argument("--labels", type=named, metavar="FILE", help=labels)
    out = "folder of the results; one that has some goes on"
    parser.add_argument("--out", type=named, required=True, metavar="DIR", help=out)
    published = "csv of the published figures; the shipped one has rows and no figures"
    parser.add_argument("--published", type=named, metavar="FILE", help=published)
    folds = "AFEW-VA: the mean over folds (default), or over the faces of all folds at once"
    parser.add_argument("--folds", choices=("mean", "pooled"), help=folds)
    parser.add_argument("--seed", type=whole, metavar="N", help="of splits, weights, order and chances (0)")
    parser.add_argument("--epochs", type=positive, metavar="N", help="at most so many (50)")
    parser.add_argument("--csv", type=named, metavar="FILE", help="also write the tables as CSV")
    parser.add_argument("--markdown", type=named, metavar="FILE", help="also write the tables as Markdown")
    parser.add_argument("--json", action="store_true", help="print the tables as JSON, and nothing else")
    add_device(parser)
    parser.set_defaults(run=_evaluate)


def add_emotion_codes(commands: argparse._SubParsersAction) -> None:
    """Add `mien train emotion-codes`."""
    parser = commands.add_parser(
        "emotion-codes",
        help="gather takes and their labels in one file of codes",
        description="Gather the codes of takes, or of files of codes, with their labels in one file, which is read "
        "faster than many takes.",
    )
    what = "a take, a folder of takes or a file of codes (.npz)"
    parser.add_argument("paths", nargs="+", type=named, metavar="PATH", help=what)
    parser.add_argument("--labels", type=named, metavar="FILE", help="csv of labels")
    parser.add_argument("--method", default="", metavar="NAME", help="whose codes they are, where a file does not say")
    parser.add_argument("--smoothed", action="store_true", help="takes' smoothed curves, not each frame by itself")
    parser.add_argument("--out", type=named, required=True, metavar="FILE", help="the file of codes (.npz)")
    parser.add_argument("--json", action="store_true", help="print what was gathered as JSON, and nothing else")
    parser.set_defaults(run=_gather)


def add_predict_emotion(commands: argparse._SubParsersAction) -> None:
    """Add `mien train predict-emotion`."""
    parser = commands.add_parser(
        "predict-emotion",
        help="what an emotion network says of the pictures of a dataset",
        description="Let an emotion network look at the pictures of a dataset, and write what it says with their "
        "labels, as evaluate-emotion --predictions takes it.",
    )
    network = "emotion_network, with a name where several were added (emotion_network:NAME), or a checkpoint"
    parser.add_argument("network", type=named, metavar="NETWORK", help=network)
    data = "the dataset as in a configuration: '{kind: affectnet, folder: DIR, split: test}', or a YAML file of that"
    parser.add_argument("--data", type=named, required=True, metavar="ENTRY", help=data)
    split = "train, validation or test, the number of a fold, or '' for none, as AFEW-VA's folds are dealt then (test)"
    parser.add_argument("--split", type=_split, default="test", metavar="NAME", help=split)
    parser.add_argument("--batch", type=positive, default=64, metavar="N", help="pictures at a time (64)")
    parser.add_argument("--out", type=named, required=True, metavar="FILE", help="the file of predictions (.npz)")
    parser.add_argument("--json", action="store_true", help="print how well it does as JSON, and nothing else")
    add_device(parser)
    parser.set_defaults(run=_predict)


def _row(text: str) -> tuple[str, str]:
    name, sign, path = text.partition("=")
    if not sign or not name.strip() or not path:
        raise argparse.ArgumentTypeError(f"{text} is not a row such as EMOCA=codes.npz")
    return name.strip(), path


def _split(text: str) -> str:
    if text not in ("", "train", "validation", "test") and not (text.isdecimal() and 0 < int(text) < 100):
        raise argparse.ArgumentTypeError(f"{text} is not train, validation, test, a fold's number or ''")
    return text.lstrip("0")


def _evaluate(options: argparse.Namespace) -> int:
    from training.packages import require_packages

    require_packages()
    from training.evaluation.run import evaluate_emotion

    evaluate_emotion(options)
    return 0


def _predict(options: argparse.Namespace) -> int:
    from training.packages import require_packages

    require_packages()
    from training.evaluation.predicting import predict_emotion

    predict_emotion(options)
    return 0


def _gather(options: argparse.Namespace) -> int:
    from training.evaluation.gathering import gather_codes

    gather_codes(options)
    return 0
