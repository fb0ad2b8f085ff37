/// The page at `/` for browsers, and what stands at its beginning and end.
enum DemoHome {
    static let beginning: StaticString = """
        <!doctype html>
        <html lang="en">
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>proxy: demo</title>
        <style>
        body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto }
        code, a { font-family: ui-monospace, monospace }
        li { margin: .2rem 0 }
        </style>
        <h1>It works</h1>
        <p>This page was made by <code>
        """
    static let middle: StaticString = """
        </code>. Reload it: the next one may come from another worker.</p>
        <ul>

        """
    static let end: StaticString = """
        </ul>
        <p>Put <code>app: module:callable</code> for <code>demo: true</code> to serve your own.</p>
        </html>

        """

    /// What each route shows.
    static let notes: [StaticString] = [
        "this page", "which worker answered", "answers after a pause", "the request as it arrived",
        "size and SHA-256 of what is sent", "a body of that size", "chunks as they are made",
        "server-sent events", "WebSocket echo", "103, then 200", "any status code",
        "an exception in the app", "the worker ends", "the worker is killed",
        "a body that breaks off",
    ]
}
