"""What looking ahead does to a bilevel search, on two small problems.

Writes quadratic.svg, the architecture by step, and quadratic.html and sinusoids.html, the ways
that the searches go, to the current folder:

    python bilevel_toys.py
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go

from optuna_nas.methods.synthetic import Descent, descend, quadratic, sinusoids
from optuna_nas.visualization import learning_curve_svg


def plane(descents: Mapping[str, Descent], x: str, y: str, title: str) -> go.Figure:
    """Draw the ways of several searches, in the plane of their first two numbers."""
    figure = go.Figure()
    for name, descent in descents.items():
        points = descent.architecture
        if points.shape[1] == 1:
            points = points.new_tensor(
                [[a, w] for [a], [w] in zip(points, descent.weights, strict=True)]
            )
        figure.add_scatter(x=points[:, 0], y=points[:, 1], mode="lines", name=name)
        figure.add_scatter(
            x=points[-1:, 0],
            y=points[-1:, 1],
            mode="markers",
            marker={"size": 9, "color": "black"},
            showlegend=False,
        )
    return figure.update_layout(title=title, xaxis_title=x, yaxis_title=y)


def main() -> None:
    """Search both problems with several ξ, and draw where that leads."""
    found = {xi: descend(quadratic(), xi, 150) for xi in (0.0, 0.3, 0.5, 0.7)}
    for xi, descent in found.items():
        end = float(descent.architecture[-1])
        print(f"quadratic, xi={xi}: ends at {end:.4f}; 2/(1+2 xi) = {2 / (1 + 2 * xi):.4f}")
    curves = {
        f"ξ = {xi:g}": {step: float(a) for step, a in enumerate(descent.architecture[:, 0])}
        for xi, descent in found.items()
    }
    svg = learning_curve_svg(curves, title="The quadratic: the architecture by step", axis="step")
    Path("quadratic.svg").write_text(svg, encoding="utf-8")
    named = {f"ξ = {xi:g}": descent for xi, descent in found.items()}
    plane(named, "architecture", "weight", "The quadratic: best is (1, 1)").write_html(
        "quadratic.html"
    )

    found = {xi: descend(sinusoids(), xi, 600) for xi in (0.0, 0.5, 1.0, 5.0)}
    for xi, descent in found.items():
        first, second = descent.architecture[-1].tolist()
        loss = float(descent.validation_loss[-1])
        print(f"sinusoids, xi={xi}: ends at ({first:.3f}, {second:.3f}), loss {loss:.4f}")
    named = {f"ξ = {xi:g}": descent for xi, descent in found.items()}
    plane(
        named, "first amplitude", "second amplitude", "Two sinusoids: best is (1, 0.5)"
    ).write_html("sinusoids.html")


if __name__ == "__main__":
    main()
