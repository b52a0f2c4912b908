"""The engine: runs lanes, tile by tile, on workers or on a mesh; `fit` runs one lane."""
