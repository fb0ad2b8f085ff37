/// See `Demo.docc/Demo.md`.
