/// See `Plugins.docc/Plugins.md`.
