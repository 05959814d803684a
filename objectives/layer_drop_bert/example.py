"""Five choices of at most four layers, fine-tuned on texts.

Without arguments MiniLM and 2,000 lines of film reviews come from the Hugging Face hub; else

    python objectives/layer_drop_bert/example.py MODEL TEXTS
"""

from __future__ import annotations

import sys

import optuna
import optunahub

from optuna_nas.data import load_text

if __name__ == "__main__":
    model, texts = sys.argv[1:] or ("sentence-transformers/all-MiniLM-L6-v2", "stanfordnlp/sst2")
    sizes = {} if sys.argv[1:] else {"train_size": 2000, "validation_size": 500}
    module = optunahub.load_local_module("objectives/layer_drop_bert", registry_root=".")
    objective = module.LayerDropBert(model, load_text(texts, **sizes), max_layers=4, max_length=32)
    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=5)
    print(objective.space.architecture(study.best_params), study.best_value)
