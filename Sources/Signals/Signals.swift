/// See `Signals.docc/Signals.md`.
