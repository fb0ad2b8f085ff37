/// The version of `proxy`, as `--version` and `proxy status` show it.
package let proxyVersion = "0.1.0"
