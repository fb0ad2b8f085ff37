/// See `Supervision.docc/Supervision.md`.
