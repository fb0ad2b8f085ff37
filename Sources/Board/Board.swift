/// See `Board.docc/Board.md`.
