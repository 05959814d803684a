"""The parts that the drawings of cells and curves are made of."""

from __future__ import annotations
