/// See `Edge.docc/Edge.md`.
