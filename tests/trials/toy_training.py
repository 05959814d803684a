"""A small search that can be killed: run by the tests in a process of its own.

python toy_training.py STORAGE FOLDER EPOCH:before|after
"""

from __future__ import annotations

import os
import signal
import sys

import optuna
import torch

from optuna_nas.trials import TrialRun, recover_interrupted

EPOCHS = 6


def network(generator: torch.Generator) -> torch.nn.Module:
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


class Objective:
    def __init__(self, folder: str, kill_at: str, interrupt_at: int) -> None:
        self.folder = folder
        self.kill_at = kill_at
        self.interrupt_at = interrupt_at

    def stop(self, epoch: int, when: str) -> None:
        if self.kill_at == f"{epoch}:{when}":
            os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, trial: optuna.Trial) -> float:
        rate = trial.suggest_float("rate", 0.01, 0.1)
        generator = torch.Generator().manual_seed(7)
        inputs = torch.randn(32, 4, generator=generator)  # n x 4
        targets = inputs.sum(1, keepdim=True)
        model = network(generator)
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        first, trained, loss = 0, 0, torch.tensor(0.0)
        with TrialRun(trial, self.folder, fingerprint={"epochs": EPOCHS}) as run:
            state = run.restore()
            if state is not None:
                model.load_state_dict(state["model"])
                optimizer.load_state_dict(state["optimizer"])
                generator.set_state(state["generator"])
                first = state["epoch"] + 1
            for epoch in range(first, EPOCHS):
                if epoch == self.interrupt_at:
                    raise KeyboardInterrupt
                for batch in torch.randperm(32, generator=generator).view(4, 8):
                    optimizer.zero_grad()
                    loss = torch.nn.functional.mse_loss(model(inputs[batch]), targets[batch])
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                trained += 1
                run.report(loss.item(), epoch)
                self.stop(epoch, "before")  # before the checkpoint: the epoch is trained again
                run.checkpoint(
                    {
                        "model": model.state_dict(),
                        "optimizer": optimizer.state_dict(),
                        "generator": generator.get_state(),
                        "epoch": epoch,
                    }
                )
                self.stop(epoch, "after")
            run.log(trained=trained)
            run.finish(run.curve[EPOCHS - 1], model.state_dict())
        return run.curve[EPOCHS - 1]


def search(storage: str, folder: str, kill_at: str = "", interrupt_at: int = -1) -> None:
    study = optuna.create_study(
        study_name="toy",
        storage=storage,
        load_if_exists=True,
        pruner=optuna.pruners.NopPruner(),
    )
    recover_interrupted(study)
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial({"rate": 0.05})
    study.optimize(Objective(folder, kill_at, interrupt_at), n_trials=1)


if __name__ == "__main__":
    search(sys.argv[1], sys.argv[2], sys.argv[3])
